"""Resolve cannot run here: its strict fake, with the pictures that it would render."""

from __future__ import annotations

from pathlib import Path

import soundfile
from bench import Bench, Box, Shot
from fake_resolve import (
    SOUND_HZ,
    App,
    Data,
    Item,
    Line,
    Timeline,
    TimelineItem,
    Track,
    media_of,
    record_length,
    write_picture,
)

from host_adapters.base import HostSession, MatteRef, RecordRange
from host_adapters.resolve.session import ResolveSession

START = 86400  #: first frame of every new timeline: 01:00:00:00 at 24


def missing() -> str:
    return ""


def make(folder: Path) -> ResolveBench:
    return ResolveBench()


class ResolveBench(Bench):
    """FakeResolve, its person at the keyboard."""

    def __init__(self) -> None:
        self.app = App()

    def open(self, shot: Shot) -> HostSession:
        media = media_of(str(shot.plate))
        assert media is not None
        line = Line("Timeline 1", str(shot.record_rate), START, [Track("Video 1")])
        length = int(record_length(shot.stop - shot.start, media, line) / shot.speed)
        item = Item(media.id, shot.start, START + shot.record_in, length, shot.plate.name, speed=shot.speed)
        line.tracks[0].items.append(item)
        if shot.sound:
            heard = Item(media.id, shot.start, START + shot.record_in, length, shot.plate.name, links=[item.id])
            item.links.append(heard.id)
            line.sounds.append(Track("Audio 1", [heard]))
        data = Data("Film", {media.id: media}, timelines=[line])
        data.root.media.append(media.id)
        self.app.open, self.app.playhead, self.app.folder = data, item.id, data.root.id
        self.app.save()
        return ResolveSession(self.app.resolve)

    def reopen(self) -> HostSession:
        self.app.load("Film")
        return ResolveSession(self.app.resolve)

    def paint(self, matte: MatteRef, frame: int, box: Box, white: bool) -> None:
        """On the Fusion page: strokes in TouchUp, then "Render All Savers"."""
        item = TimelineItem(self.app, matte.clip_id)
        before = item._item.takes[item._item.selected - 1][1]
        item._item.strokes.append((frame - before, box, 1.0 if white else 0.0))
        fusion = item._fusion()
        assert fusion is not None
        for number in range(item.GetDuration()):
            path, picture = fusion.saved("MatteOut", number)
            write_picture(Path(path), picture)

    def hear(self, session: HostSession, frames: RecordRange, path: Path) -> None:
        assert self.app.open is not None
        line = self.app.open.timelines[0]
        samples = Timeline(self.app, line.id)._sound(START + frames.start.index, len(frames))
        soundfile.write(path, samples, SOUND_HZ)

    def close_project(self) -> None:
        self.app.close()
