"""`julnet redub --timeline film.kdenlive`: a clip of an MLT project re-dubbed, the project written with the take."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from host_adapters.base import ClipRef, HostProblem, read_take, refuse_missing, refuse_retimed
from host_adapters.mlt.session import MltSession
from host_adapters.redub import lay_take
from julnet_plugin.interchange.timeline import TimelineError, choose
from julnet_plugin.types import FrameRange, Take


@dataclass(frozen=True, slots=True)
class MltClip:
    """A clip of a project; see `interfaces.ProjectClip`."""

    clip: ClipRef
    plate: Path
    rate: Fraction
    shown: FrameRange
    frames: FrameRange


class MltProject:
    """A project file; see `interfaces.ProjectFile`.

    Args:
        path: `.kdenlive` or `.mlt`.

    Raises:
        TimelineError: it is no project.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._session = MltSession(str(path))
        except HostProblem as exc:
            raise TimelineError(str(exc)) from exc

    def find(self, name: str, handles: int) -> MltClip:
        """See `interfaces.ProjectFile`."""
        clip: ClipRef = choose(self._session.list_clips(), name, self.path, _place)
        try:
            refuse_retimed(clip)
            refuse_missing(clip.path, f"the medium of the clip {name}")
        except HostProblem as exc:
            raise TimelineError(str(exc)) from exc
        taken = clip.with_handles(handles)
        return MltClip(
            clip=clip,
            plate=Path(clip.path),
            rate=clip.source_rate,
            shown=FrameRange(start=clip.source.start.index, stop=clip.source.stop.index),
            frames=FrameRange(start=taken.start.index, stop=taken.stop.index),
        )

    def check_out(self, out: Path) -> None:
        """See `interfaces.ProjectFile`."""
        if out.suffix.lower() != self.path.suffix.lower():
            raise TimelineError(f"{self.path.name} stays what it is: choose a --timeline-out with {self.path.suffix}")
        try:
            self._session.refuse_place(str(out))
        except HostProblem as exc:
            raise TimelineError(str(exc)) from exc

    def place(self, clip: MltClip, take: Take, out: Path) -> None:
        """See `interfaces.ProjectFile`."""
        try:
            lay_take(self._session, clip.clip, read_take(str(take.path)))
            self._session.save(str(out))
        except HostProblem as exc:
            raise TimelineError(f"{exc} (the take is finished and lies in {take.path})") from exc


def _place(clip: ClipRef) -> str:
    return f"on track {clip.track} at frame {clip.record.start.index}"
