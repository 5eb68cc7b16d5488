"""Small copies of media for playing where the machine cannot keep up: made in the background, kept in the user's cache.

A proxy has every frame of its medium, in order, as a display shows it; all of them are key frames, so that any is found
at once. Only what plays is shown from it: a picture that stands still is the medium's own.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import cv2
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from PySide6.QtCore import QObject, Signal

from gui import preferences
from gui.timeline.thumbnails import default_folder, kept_file
from gui.workqueue import WorkQueue
from julnet_plugin.errors import JulnetError, RedubCancelled
from julnet_plugin.media.files import replacing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from julnet_plugin.types import MediaInfo

_PIXELS = 960 * 540  #: about as many as a proxy has
NAME = "proxy.mov"


class Proxies(QObject):
    """The proxies of media, by path.

    Signals:
        changed(): one is there, or further on its way.
        failed(str): one could not be made; one sentence.
    """

    changed = Signal()
    failed = Signal(object)
    _stepped = Signal(int, int)

    def __init__(self, folder: Path | None = None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._folder = folder or default_folder()
        self._queue = WorkQueue("julnet-proxies", parent=self)
        self._ready: dict[Path, MediaInfo | None] = {}  # None: there is none, or it is not looked for yet
        self._stop = threading.Event()
        self.automatic = preferences.proxies()  #: make them by itself where playing falls behind
        self.share = 1.0  #: how much of the one that is being made is done
        self._stepped.connect(self._show_step)

    def get(self, path: Path) -> MediaInfo | None:
        """The proxy of a medium, where it is ready. May be asked on any thread."""
        return self._ready.get(path)

    def look(self, infos: Sequence[MediaInfo]) -> None:
        """Find the proxies that were made before."""
        for info in infos:
            if info.path not in self._ready and factor_of(info) > 1:
                self._ready[info.path] = None
                self._add(info, partial(self._found, info))

    def want(self, infos: Sequence[MediaInfo]) -> int:
        """Make proxies. Returns how many are missing; a medium that is small enough needs none."""
        missing = [info for info in infos if factor_of(info) > 1 and self._ready.get(info.path) is None]
        for info in missing:
            self._add(info, partial(self._found_or_made, info))
        return len(missing)

    def forget(self) -> None:
        """Files have changed: look again."""
        self._ready.clear()

    def set_automatic(self, on: bool) -> None:
        """Make and use them where playing falls behind, or never."""
        self.automatic = on
        preferences.set_proxies(on)

    @property
    def idle(self) -> bool:
        """Whether none is being made or looked for."""
        return self._queue.idle

    def stop(self) -> None:
        """End the thread; a proxy that is half made goes."""
        self._stop.set()
        self._queue.stop()

    def _add(self, info: MediaInfo, work: Callable[[], MediaInfo | None]) -> None:
        def done(found: MediaInfo | None) -> None:
            self.share = 1.0
            self._ready[info.path] = found
            self.changed.emit()

        def failed(sentence: str) -> None:
            done(None)
            self.failed.emit(sentence)

        self._queue.add(info.path, work, done, failed)

    def _show_step(self, done: int, total: int) -> None:
        self.share = done / max(total, 1)
        self.changed.emit()

    # On the queue's thread

    def _found(self, info: MediaInfo) -> MediaInfo | None:
        from julnet_plugin.media.probe import probe

        path = kept_file(self._folder, info.path, NAME)
        if not path.is_file():
            return None
        try:
            found = probe(path)
        except JulnetError:
            found = None
        if found is None or found.frame_count != info.frame_count:
            path.unlink(missing_ok=True)
            return None
        return found

    def _found_or_made(self, info: MediaInfo) -> MediaInfo | None:
        return self._found(info) or self._made(info)

    def _made(self, info: MediaInfo) -> MediaInfo | None:
        path = kept_file(self._folder, info.path, NAME)
        path.parent.mkdir(parents=True, exist_ok=True)
        make_proxy(info, path, self._step)
        return self._found(info)

    def _step(self, done: int, total: int) -> None:
        if self._stop.is_set():
            raise RedubCancelled
        if done % 10 == 0:
            self._stepped.emit(done, total)


def factor_of(info: MediaInfo) -> int:
    """By how much a proxy's sides are shorter than its medium's; 1 = it needs none."""
    return max(1, math.ceil(math.sqrt(info.width * info.height / _PIXELS) - 0.25))


def make_proxy(info: MediaInfo, path: Path, step: Callable[[int, int], None]) -> None:
    """Write a medium's proxy.

    Args:
        info: the medium.
        path: of the proxy; it appears when it is whole.
        step: called after every frame with how many are done and how many there are; what it raises ends the work.

    Raises:
        MediaError: the medium cannot be decoded, or the proxy cannot be written.
    """
    from julnet_plugin.media.colour import DisplayTransform
    from julnet_plugin.media.planes import converted
    from julnet_plugin.media.reader import PlateReader

    transform, factor = DisplayTransform(info), factor_of(info)
    width, height = (max(2, round(side / factor / 2) * 2) for side in (info.width, info.height))
    options = {"preset": "ultrafast", "tune": "fastdecode", "crf": "15", "g": "1"}
    with replacing(path, flushed=False) as temporary, av.open(str(temporary), "w", format="mov") as container:
        stream: Any = container.add_stream("libx264", rate=info.rate, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        context = stream.codec_context
        context.colorspace, context.color_range = Colorspace.ITU709, ColorRange.MPEG
        context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
        for done, frame in enumerate(PlateReader(info).frames(), start=1):
            small = cv2.resize(transform.to_preview(frame.rgb), (width, height), interpolation=cv2.INTER_AREA)
            rgb = av.VideoFrame.from_ndarray(np.ascontiguousarray(small, np.uint8), format="rgb24")
            picture = converted(rgb, "yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG)
            picture.colorspace, picture.color_range = Colorspace.ITU709, ColorRange.MPEG
            picture.color_primaries, picture.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
            picture.pts, picture.time_base = done - 1, 1 / info.rate
            container.mux(stream.encode(picture))
            step(done, info.frame_count)
        container.mux(stream.encode(None))
