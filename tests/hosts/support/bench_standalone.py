"""The editor's document, without the editor's window."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import soundfile
from bench import Bench, Box, Shot

from gui.mixer import RATE_HZ, SoundBank, mixed, parts_of_timeline
from host_adapters.base import HostSession, MatteRef, RecordRange, sequence_files
from host_adapters.standalone import storage
from host_adapters.standalone.media import on_timeline_rate, picture_item
from host_adapters.standalone.project import Project, default_tracks
from host_adapters.standalone.session import Document, StandaloneSession
from host_adapters.standalone.timeline import Clip, Timeline
from julnet_plugin.media.probe import probe
from julnet_plugin.types import FrameRange


def missing() -> str:
    return ""


def make(folder: Path) -> StandaloneBench:
    folder.mkdir(parents=True)
    return StandaloneBench(folder / "film.julnet")


class StandaloneBench(Bench):
    """A project on disk, and a person who paints its mattes as files."""

    tells_speed = False  #: the editor has no retimes

    def __init__(self, folder: Path) -> None:
        self.document = Document(None, folder)

    def open(self, shot: Shot) -> HostSession:
        info = probe(shot.plate)
        path = storage.stored_path(shot.plate, self.document.folder)
        media = on_timeline_rate(picture_item(info, path, 0).media, shot.record_rate)
        start = media.frame_of_native(shot.start)
        source = FrameRange(start=start, stop=start + shot.stop - shot.start)
        if media.frame_count < source.stop:
            media = replace(media, frame_count=source.stop)
        clip = Clip(id="c1", media=media, source=source, record_in=shot.record_in, link="shot" if shot.sound else None)
        laid = {"v1": (clip,), "a1": (replace(clip, id="c1-sound"),) if shot.sound else ()}
        tracks = [replace(track, clips=laid.get(track.id, ())) for track in default_tracks()]
        timeline = Timeline(rate=shot.record_rate, tracks=tuple(tracks))
        self.document.project = Project(name="Film", timeline=timeline)
        storage.save(self.document.project, self.document.folder)
        return StandaloneSession(self.document, lambda: ("c1",))

    def reopen(self) -> HostSession:
        self.document = Document.load(self.document.folder)
        return StandaloneSession(self.document, lambda: ("c1",))

    def paint(self, matte: MatteRef, frame: int, box: Box, white: bool) -> None:
        file = sequence_files(matte.path)[frame]
        x0, y0, x1, y1 = box
        picture = cv2.imread(file)
        assert picture is not None
        picture[y0:y1, x0:x1] = 255 if white else 0
        cv2.imwrite(file, picture)

    def hear(self, session: HostSession, frames: RecordRange, path: Path) -> None:
        assert self.document.project is not None
        timeline, bank = self.document.project.timeline, SoundBank()
        parts = parts_of_timeline(timeline, self.document.folder)
        bank.prepare(parts)
        bank.wait()
        first, stop = (round(frame.index / timeline.rate * RATE_HZ) for frame in (frames.start, frames.stop))
        soundfile.write(path, mixed(parts, bank, first, stop - first), RATE_HZ)

    def close_project(self) -> None:
        self.document.project = None
