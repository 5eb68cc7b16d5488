"""Media of the bin as clips on the timeline."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from itertools import count
from typing import TYPE_CHECKING

from host_adapters.standalone import scene
from host_adapters.standalone.project import BinItem, Project
from host_adapters.standalone.timeline import Clip, MediaRef, TimelineError
from julnet_plugin.types import FrameRange

if TYPE_CHECKING:
    from collections.abc import Iterator

    from host_adapters.standalone.scene import Placed
    from julnet_plugin.types import AudioInfo, MediaInfo


def picture_item(info: MediaInfo, path: str, start_frame: int) -> BinItem:
    """A movie or a sequence for the bin.

    Args:
        info: from `probe`.
        path: as the project names it.
        start_frame: of its timecode.
    """
    sound = info.audio[0] if info.audio else None
    return BinItem(
        id=info.path.stem,
        media=MediaRef(path=path, frame_count=info.frame_count, rate=info.rate, start_frame=start_frame),
        kind="video",
        has_audio=sound is not None,
        width=info.width,
        height=info.height,
        codec=info.codec,
        drop_frame=info.drop_frame,
        sample_rate_hz=sound.sample_rate_hz if sound else 0,
        channels=sound.channels if sound else 0,
    )


def sound_item(info: AudioInfo, path: str, stem: str) -> BinItem:
    """A recording for the bin: counted in samples."""
    samples = max(1, round(info.duration_s * info.sample_rate_hz))
    return BinItem(
        id=stem,
        media=MediaRef(path=path, frame_count=samples, rate=Fraction(info.sample_rate_hz)),
        kind="audio",
        has_audio=True,
        codec=info.codec,
        sample_rate_hz=info.sample_rate_hz,
        channels=info.channels,
    )


def on_timeline_rate(media: MediaRef, rate: Fraction) -> MediaRef:
    """A medium counted in frames of the timeline."""
    if media.rate == rate:
        return media
    native = media.native_rate or media.rate
    return MediaRef(
        path=media.path,
        frame_count=max(1, math.floor(media.frame_count / media.rate * rate)),
        rate=rate,
        native_rate=native,
        start_frame=round(media.start_frame / media.rate * rate) if native < 1000 else 0,
    )


def matched(project: Project, item: BinItem) -> Project:
    """An empty timeline takes the rate and the size of the first picture that is put on it."""
    timeline = project.timeline
    if timeline.record_out or item.kind != "video":
        return project
    changed = replace(
        timeline, rate=item.media.rate, start_frame=item.media.start_frame, drop_frame=item.drop_frame, markers=()
    )
    return replace(project, timeline=changed, width=item.width, height=item.height)


def clips_of(
    project: Project, item: BinItem, source: FrameRange | None = None, track_id: str = ""
) -> tuple[Placed, ...]:
    """A medium's clips: picture and sound, linked.

    Args:
        project: where they will go (`matched` first).
        item: of its bin.
        source: the medium's own frames; None = all.
        track_id: where the picture (or a recording) goes; "" = the first track of its kind that is not locked.

    Raises:
        TimelineError: there is no track for it.
    """
    media = on_timeline_rate(item.media, project.timeline.rate)
    whole = source is None or (source.start == 0 and source.stop >= item.media.frame_count)
    if source is None or whole:
        own = media.frames
    else:
        start = min(media.frame_of_native(source.start), media.frame_count - 1)
        own = FrameRange(start=start, stop=min(max(media.frame_of_native(source.stop), start + 1), media.frame_count))
    used = {clip.id for track in project.timeline.tracks for clip in track.clips}
    name = next(n for n in _numbered(item.id.replace(".", "-")) if n not in used and f"{n}-sound" not in used)
    clip = Clip(id=name, media=media, source=own, record_in=0)
    kinds = ["video", "audio"] if item.kind == "video" and item.has_audio else [item.kind]
    placed: list[Placed] = []
    for kind in kinds:
        track = _track_for(project, kind, track_id)
        clip_id = name if kind == item.kind else f"{name}-sound"
        placed.append((track, replace(clip, id=clip_id, link=name if len(kinds) > 1 else None)))
    return tuple(placed)


def put(
    project: Project,
    item_id: str,
    at: int,
    source: FrameRange | None = None,
    track_id: str = "",
    inserted: bool = False,
) -> Project:
    """Lay a medium over the timeline at a frame, or insert it there."""
    item = project.item(item_id)
    project = matched(project, item)
    placed = clips_of(project, item, source, track_id)
    edit = scene.insert if inserted else scene.overwrite
    return replace(project, timeline=edit(project.timeline, placed, at))


def _track_for(project: Project, kind: str, wanted: str) -> str:
    of_kind = [track for track in project.timeline.tracks if track.kind == kind]
    exact = next((track for track in of_kind if track.id == wanted), None)
    if exact is not None:
        return exact.id
    place = 0
    for other in {"video", "audio"} - {kind}:  # the sound of V2 goes to A2
        same = [track.id for track in project.timeline.tracks if track.kind == other]
        place = same.index(wanted) if wanted in same else 0
    free = [track for track in of_kind[min(place, len(of_kind) - 1) :] if not track.locked] if of_kind else []
    if not free:
        raise TimelineError(f"there is no {kind} track that is not locked; unlock or add one")
    return free[0].id


def _numbered(stem: str) -> Iterator[str]:
    yield stem
    for number in count(2):
        yield f"{stem}-{number}"
