"""The contract of hosts on a project file of Kdenlive, Shotcut or `melt`.

The file is read once and edited in memory; `save` writes it. A project that another program has saved meanwhile is not
written over.
"""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from host_adapters.base import (
    ClipRef,
    FinishedTake,
    HostGone,
    HostRefused,
    HostSession,
    MatteFile,
    MatteRef,
    MediaMissing,
    RecordRange,
    SourceRange,
    Span,
    TakeRef,
    percent_pattern,
    refuse_missing,
    refuse_retimed,
    refuse_short_take,
)
from host_adapters.mlt.marks import Rows, Shown, read_marks, text_of, write_marks
from host_adapters.mlt.mattes import write_alpha, write_grey
from host_adapters.mlt.project import Entry, MediaFacts, Probe, Project, read_project
from host_adapters.mlt.takes import HeldMatte, HeldTake, read_takes, rebound, remove_ours, with_clips, write_ours
from host_adapters.mlt.xmltext import Edits

MELT_VARIABLE = "JULNET_MELT"
_SILENT_S = 60.0  #: that `melt` may take without writing anything
_ASLEEP_S = 10.0  #: the same while it does not work either: it waits for itself then, as 7.12 does one time in twenty
_AT_WORK = 0.03  #: share of a core from which on it works
_ATTEMPTS = 3  #: at a render


def probe_media(path: str, rate: Fraction) -> MediaFacts | None:
    """What JULNet's own reader says of a medium."""
    from pathlib import Path

    from julnet_plugin.errors import JulnetError
    from julnet_plugin.media.probe import probe

    try:
        info = probe(Path(path), rate if "%" in path or "#" in path else None)
    except JulnetError:
        return None
    sound = bool(info.audio)
    return MediaFacts(info.rate, info.frame_count, info.start_timecode, info.reel, info.first_number, sound)


class MltSession(HostSession):
    """One project file.

    Args:
        path: `.mlt` or `.kdenlive`.
        probe: how media are read.

    Raises:
        HostRefused: it is no project.
        MediaMissing: it is not there.
    """

    name = "mlt"
    plays_sound = True

    def __init__(self, path: str, probe: Probe = probe_media) -> None:
        self.path = os.path.abspath(path)
        self._probe_media = probe
        self._facts: dict[str, MediaFacts | None] = {}
        refuse_missing(self.path, "the project")
        with open(self.path, "rb") as file:
            self._data = self._saved = file.read()
        self._before: list[bytes] = []
        self._read()

    def list_clips(self) -> list[ClipRef]:
        """See `HostSession`."""
        return [clip for _, clip in self._clips()]

    def selection(self) -> list[ClipRef]:
        """The clips under Kdenlive's playhead; a file without one has no selection: every clip."""
        clips = self.list_clips()
        bin_ = self.project.by_id.get("main_bin")
        position = bin_.property("kdenlive:docproperties.position") if bin_ is not None else None
        if position is None or not position.isdigit():
            return clips
        now = RecordRange.of(int(position), int(position) + 1)
        return [clip for clip in clips if clip.record.covers(now)]

    def place_take(self, clip: ClipRef, take: FinishedTake) -> TakeRef:
        """See `HostSession`."""
        self._still_there()
        _, clip = self._clip(clip)
        refuse_retimed(clip)
        refuse_short_take(clip, take)
        refuse_missing(take.picture, "the take's picture")
        takes = self._takes()
        step = self.project.rate / clip.source_rate
        held = HeldTake(
            order=max((other.order for other in takes), default=0) + 1,
            clip_id=clip.id,
            name=take.name,
            folder=take.folder,
            picture=_resource(take),
            first=take.frames.start.index,
            frames=math.floor(len(take.frames) * step),
            active=True,
            sound=self._sound_of(take),
        )
        self._write([*(_hidden(other, clip.id) for other in takes), held])
        return next(ref for ref in self.takes(clip) if ref.id == held.id)

    def takes(self, clip: ClipRef) -> list[TakeRef]:
        """See `HostSession`."""
        held = [take for take in self._takes() if take.clip_id == clip.id]
        return [TakeRef(take.id, clip.id, take.name, take.folder, take.active) for take in held]

    def select_take(self, clip: ClipRef, take: TakeRef | None) -> None:
        """See `HostSession`."""
        self._still_there()
        if take is not None:
            self._held(take.id)
        chosen = None if take is None else take.id
        takes = self._takes()
        self._write([replace(t, active=t.id == chosen) if t.clip_id == clip.id else t for t in takes])

    def attach_matte(self, take: TakeRef, matte: MatteFile) -> MatteRef:
        """MLT's `shape` filter on the take, on pictures whose alpha is the matte; they lie beside the take."""
        self._still_there()
        held = self._held(take.id)
        refuse_missing(matte.path, "the matte")
        folder = _fresh_folder(os.path.join(held.folder, "touchup", "mlt"))
        alpha = write_alpha(matte.path, folder)
        attached = HeldMatte(
            alpha=alpha, source=matte.path, first_number=matte.first_number, white_shows=matte.white_shows,
            enabled=matte.enabled,
        )  # fmt: skip
        self._change(replace(held, matte=attached))
        return MatteRef(f"{take.id}_matte", take.clip_id, take.id, alpha)

    def matte(self, take: TakeRef) -> MatteRef | None:
        """See `HostSession`."""
        held = self._held(take.id).matte
        return None if held is None else MatteRef(f"{take.id}_matte", take.clip_id, take.id, held.alpha)

    def read_matte(self, matte: MatteRef) -> str:
        """The matte as grey pictures, from the alpha that a person painted or erased."""
        held = self._held(matte.take_id).matte
        if held is None:
            raise HostGone(f"the matte {matte.id} is not in the project any more; attach it again")
        refuse_missing(held.alpha, "the matte")
        return write_grey(held.alpha, os.path.join(os.path.dirname(held.alpha), "grey"), held.first_number)

    def mark(self, clip: ClipRef, spans: Sequence[Span]) -> None:
        """Marks in a property of ours that editors keep, and as Kdenlive's guides or Shotcut's markers."""
        self._still_there()
        _, clip = self._clip(clip)
        inside = [(span.frames.clipped(clip.source), span) for span in spans]
        rows = [
            {"start": cut.start.index, "stop": cut.stop.index, "cv": span.expected_cv, "note": span.note}
            for cut, span in inside
            if len(cut)
        ]
        self._write(self._takes(), {**self._marks(), clip.id: rows})

    def marks(self, clip: ClipRef) -> list[Span]:
        """See `HostSession`."""
        rows = self._marks().get(clip.id, [])
        spans = [Span(SourceRange.of(row["start"], row["stop"]), row["cv"], row["note"]) for row in rows]
        return sorted(spans, key=lambda span: span.frames.start.index)

    def render(self, frames: RecordRange, out: str) -> str:
        """A lossless movie (FFV1, 4:2:2, which MLT works in), made by `melt`; it replaces an older one when whole."""
        os.makedirs(out, exist_ok=True)
        movie = os.path.join(out, "render.mkv")
        handle, draft = tempfile.mkstemp(".mlt", ".julnet-", os.path.dirname(self.path))
        rendering = tempfile.mkdtemp(prefix=".julnet-", dir=out)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(self._data)
            written = os.path.join(rendering, "render.mkv")
            self._melt(draft, frames, written)
            os.replace(written, movie)
        finally:
            os.unlink(draft)
            shutil.rmtree(rendering, ignore_errors=True)
        return movie

    def undo(self) -> None:
        """See `HostSession`."""
        if self._before:
            self._data = self._before.pop()
            self._read()

    def save(self, path: str = "") -> None:
        """Write the project, whole or not at all.

        Args:
            path: of a copy, which this session goes on with; empty = where it was.
        """
        self._still_there()
        if path:
            self.refuse_place(path)
        target = os.path.abspath(path) if path else self.path
        handle, draft = tempfile.mkstemp(".tmp", ".julnet-", os.path.dirname(target))
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(self._data)
                file.flush()
                os.fsync(file.fileno())
            shutil.copymode(self.path, draft)
            os.replace(draft, target)
        except OSError as exc:
            raise HostRefused(f"{target} cannot be written ({exc.strerror or exc}); nothing was changed") from None
        finally:
            if os.path.exists(draft):
                os.unlink(draft)
        self.path, self._saved = target, self._data

    def refuse_place(self, path: str) -> None:
        """Refuse a path at which the project could not be written, or would not find its media.

        Raises:
            HostRefused: it is one.
        """
        folder = os.path.dirname(os.path.abspath(path))
        if not os.path.isdir(folder) or not os.access(folder, os.W_OK):
            raise HostRefused(f"the folder {folder} is missing or read-only: choose another place for the project")
        if folder != os.path.dirname(self.path) and not self.project.root.attributes.get("root"):
            raise HostRefused(
                f"{os.path.basename(self.path)} may name media relative to its own folder: write it there, not to "
                f"{folder}"
            )

    def _melt(self, project: str, frames: RecordRange, movie: str) -> None:
        """Render with `melt`; again where it hangs, or claims success and left no whole movie (7.12 does, rarely)."""
        found = ""
        for _ in range(_ATTEMPTS):
            whole = run_melt(
                [project, f"in={frames.start.index}", f"out={frames.stop.index - 1}", "-consumer", f"avformat:{movie}",
                 "vcodec=ffv1", "pix_fmt=yuv422p", "an=1", "real_time=-1", "mlt_image_format=yuv422"],
                movie,
            )  # fmt: skip
            facts = probe_media(movie, self.project.rate)
            if whole and facts is not None and facts.frames == len(frames):
                return
            found = "no movie that can be read" if facts is None else f"{facts.frames} of {len(frames)} frames"
            found = found if whole else f"{found} and stood still"
        where = os.path.dirname(os.path.dirname(movie))
        raise HostRefused(f"melt was asked {_ATTEMPTS} times and left {found}: is there room in {where}?")

    def _read(self) -> None:
        self.project: Project = read_project(self._data, self.path)

    def _probe(self, path: str, rate: Fraction) -> MediaFacts | None:
        if path not in self._facts:
            self._facts[path] = self._probe_media(path, rate)
        return self._facts[path]

    def _sound_of(self, take: FinishedTake) -> str:
        """The movie that the new line is in; "" where there is none."""
        facts = self._probe(take.sound, take.rate) if take.sound is not None and os.path.exists(take.sound) else None
        return take.sound if take.sound is not None and facts is not None and facts.sound else ""

    def _clips(self) -> list[tuple[Entry, ClipRef]]:
        return self.project.clips(self._probe)

    def _clip(self, clip: ClipRef) -> tuple[Entry, ClipRef]:
        for entry, present in self._clips():
            if present.id == clip.id:
                return entry, present
        raise HostGone(f"the clip {clip.name} is not in {self.path} any more; the take is kept on disk")

    def _held(self, take_id: str) -> HeldTake:
        for take in self._takes():
            if take.id == take_id:
                return take
        raise HostGone(f"the take {take_id} is not in {self.path} any more; place it again")

    def _change(self, changed: HeldTake) -> None:
        self._write([changed if take.id == changed.id else take for take in self._takes()])

    def _takes(self) -> list[HeldTake]:
        """Every take, with its clip's id as it is now."""
        return with_clips(read_takes(self.project), self._moved())

    def _moved(self) -> dict[str, str]:
        return rebound(self.project, read_takes(self.project), self._clips())

    def _marks(self) -> Rows:
        moved = self._moved()
        return {moved.get(clip, clip): rows for clip, rows in read_marks(self.project).items()}

    def _write(self, takes: Sequence[HeldTake], marks: Rows | None = None) -> None:
        """Put a new document in the place of the old: ours taken out, then written as it is now."""
        marks = self._marks() if marks is None else marks
        clean = Edits(self._data)
        remove_ours(self.project, clean)
        bare = read_project(clean.apply(), self.path)
        clips = {clip.id: (entry, clip) for entry, clip in bare.clips(self._probe)}
        edits = Edits(bare.data)
        firsts = {take.id: _first(take, *clips[take.clip_id]) for take in takes if take.clip_id in clips}
        write_ours(bare, edits, takes, {key: entry for key, (entry, _) in clips.items()}, firsts)
        write_marks(bare, edits, marks, _shown(marks, {key: clip for key, (_, clip) in clips.items()}))
        before, self._data = self._data, edits.apply()
        self._read()
        self._before.append(before)

    def _still_there(self) -> None:
        """Refuse to go on with a file that somebody else has taken away or saved.

        Raises:
            HostGone: it is so.
        """
        try:
            with open(self.path, "rb") as file:
                same = file.read() == self._saved
        except OSError:
            raise HostGone(f"{self.path} is not there any more; the take is kept on disk") from None
        if not same:
            raise HostGone(
                f"{self.path} was saved by another program since it was opened here; open it again, the take is kept"
            )


def melt_program() -> str | None:
    """Where `melt` is: named by JULNET_MELT, or on the path."""
    return os.environ.get(MELT_VARIABLE) or shutil.which("melt") or shutil.which("melt-7")


def run_melt(arguments: Sequence[str], movie: str) -> bool:
    """Run `melt`.

    Args:
        arguments: its words.
        movie: what it writes; while that grows, it is at work.

    Returns:
        False where it stood still and was ended: it wrote nothing for a minute, or neither wrote nor worked.

    Raises:
        MediaMissing: there is none.
        HostRefused: it failed.
    """
    program = melt_program()
    if program is None:
        raise MediaMissing(
            "melt is not installed: install MLT (Debian: apt-get install melt), or name it in JULNET_MELT"
        )
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [program, "-silent", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log
        )
        try:
            ended = _ended_while_it_grows(process, movie)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        if ended and process.returncode:
            log.seek(0)
            said = " ".join(log.read().decode("utf-8", "replace").split())[-200:]
            raise HostRefused(f"melt ended with code {process.returncode} ({said})")
    return ended


def _ended_while_it_grows(process: subprocess.Popen[bytes], movie: str) -> bool:
    """Wait for a process that writes a file; False once it stands still."""
    size, since, worked_s = -1, time.monotonic(), 0.0
    while True:
        try:
            process.wait(0.2)
        except subprocess.TimeoutExpired:
            now, spent_s = os.path.getsize(movie) if os.path.exists(movie) else -1, _processor_s(process.pid)
            if now != size:
                size, since, worked_s = now, time.monotonic(), spent_s or 0.0
            quiet_s = time.monotonic() - since
            asleep = spent_s is not None and spent_s - worked_s < _AT_WORK * quiet_s
            if quiet_s > (min(_ASLEEP_S, _SILENT_S) if asleep else _SILENT_S):
                return False
        else:
            return True


def _processor_s(pid: int) -> float | None:
    """Seconds that a process has worked; None where the system does not say, or others work for it."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="utf-8") as file:
            if file.read().strip():
                return None
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            user, kernel = file.read().rpartition(")")[2].split()[11:13]
        return (int(user) + int(kernel)) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, AttributeError):
        return None


def _first(take: HeldTake, entry: Entry, clip: ClipRef) -> int:
    """The position in a take's producer that the clip's first frame shows."""
    if len(clip.source) == entry.length and take.first == 0:
        return entry.first
    return round((clip.source.start.index - take.first) * clip.record_rate / clip.source_rate)


def _shown(marks: Rows, clips: dict[str, ClipRef]) -> list[Shown]:
    """Marks as the timeline shows them."""
    found = []
    for clip, row in ((clips[key], row) for key, rows in marks.items() if key in clips for row in rows):
        where = clip.record_of(SourceRange.of(row["start"], row["stop"]))
        if len(where):
            found.append((where.start.index, where.stop.index, text_of(row)))
    return sorted(found)


def _hidden(take: HeldTake, clip_id: str) -> HeldTake:
    return replace(take, active=False) if take.clip_id == clip_id else take


def _resource(take: FinishedTake) -> str:
    picture = percent_pattern(take.picture)
    return picture if picture == take.picture else f"{picture}?begin:{take.first_number}"


def _fresh_folder(stem: str) -> str:
    """A folder that nobody has painted in."""
    number = 1
    while os.path.exists(f"{stem}{number}"):
        number += 1
    return f"{stem}{number}"
