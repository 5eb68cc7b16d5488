"""What clips wear: pictures, waveforms and heat strips, made in the background and kept on disk for the next start."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, QStandardPaths, Signal
from PySide6.QtGui import QImage

from gui.decoding import RandomAccess
from gui.widgets.scrub_bar import heat_colour
from gui.workqueue import WorkQueue

THUMB_H = 40  #: pixels, at a device pixel ratio of 1
PEAKS_HZ = 100  #: waveform samples a second
_KEPT = 3000
_OPEN = 4  #: media whose decoder stays open

Peaks = NDArray[np.int8]


class Thumbnails(QObject):
    """Pictures by (file, frame), waveforms by file, heat strips by take. What is not there yet is made and announced.

    Signals:
        made(): something is there that was asked for and was not.
    """

    made = Signal()

    def __init__(self, folder: Path | None = None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._folder = folder or default_folder()
        self._queue = WorkQueue("julnet-thumbnails", parent=self)
        self._pictures: OrderedDict[tuple[Path, int], QImage | None] = OrderedDict()
        self._peaks: dict[Path, Peaks | None] = {}
        self._heat: dict[Path, tuple[int, QImage] | None] = {}
        self._media: OrderedDict[Path, RandomAccess] = OrderedDict()  # only the queue's thread touches it

    def picture(self, path: Path, frame: int) -> QImage | None:
        """A frame, small; None until it is there, and for good when it cannot be decoded."""
        key = (path, frame)
        if key in self._pictures:
            self._pictures.move_to_end(key)
            return self._pictures[key]
        self._queue.add(key, lambda: self._make_picture(path, frame), lambda image: self._keep(key, image))
        return None

    def peaks(self, path: Path) -> Peaks | None:
        """The waveform: (n, 2) lowest and highest sample of every hundredth of a second, -127 to 127."""
        if path not in self._peaks:
            self._queue.add(
                ("peaks", path),
                lambda: self._make_peaks(path),
                lambda peaks: self._learn(self._peaks, path, peaks),
                lambda _: self._learn(self._peaks, path, None),
            )
            return None
        return self._peaks[path]

    def heat(self, take: Path) -> tuple[int, QImage] | None:
        """A take's σ: its first plate frame, and one coloured pixel for every frame."""
        if take not in self._heat:
            self._queue.add(
                ("heat", take),
                lambda: make_heat(take),
                lambda strip: self._learn(self._heat, take, strip),
                lambda _: self._learn(self._heat, take, None),
            )
            return None
        return self._heat[take]

    def forget(self) -> None:
        """Files have changed: make everything again when it is asked for."""
        self._pictures.clear()
        self._peaks.clear()
        self._heat.clear()
        self._queue.add("close", self._close_media, lambda _: None)
        self.made.emit()

    @property
    def idle(self) -> bool:
        """Whether everything that was asked for is made."""
        return self._queue.idle

    def stop(self) -> None:
        """End the thread and close files."""
        self._queue.stop()
        self._close_media()

    def _keep(self, key: tuple[Path, int], image: QImage | None) -> None:
        self._pictures[key] = image
        while len(self._pictures) > _KEPT:
            self._pictures.popitem(last=False)
        self.made.emit()

    def _learn(self, known: dict, path: Path, value: object) -> None:  # type: ignore[type-arg]
        known[path] = value
        self.made.emit()

    # On the queue's thread

    def _make_picture(self, path: Path, frame: int) -> QImage | None:
        kept = self._kept(path, f"{frame}.jpg")
        if kept.is_file():
            image = QImage(str(kept))
            if not image.isNull():
                return image
        try:
            image = self._decode(path, frame)
        except Exception:  # noqa: BLE001 - a clip without a picture says what is wrong in the viewer
            return None
        kept.parent.mkdir(parents=True, exist_ok=True)
        image.save(str(kept), quality=82)
        return image

    def _decode(self, path: Path, frame: int) -> QImage:
        medium = self._media.get(path)
        if medium is None:
            from julnet_plugin.media.probe import probe

            medium = self._media[path] = RandomAccess(probe(path), most_bytes=16 << 20)
            while len(self._media) > _OPEN:
                self._media.popitem(last=False)[1].close()
        self._media.move_to_end(path)
        info = medium.info
        pixels = medium.frame(min(max(frame, 0), info.frame_count - 1))
        step = max(1, info.height // (2 * THUMB_H))
        small = np.ascontiguousarray(pixels[::step, ::step])
        height, width, _ = small.shape
        image = QImage(small.data, width, height, 3 * width, QImage.Format.Format_RGB888)
        shown = max(1, round(2 * THUMB_H * info.width / info.height * float(info.pixel_aspect)))
        from PySide6.QtCore import Qt

        return image.scaled(shown, 2 * THUMB_H, mode=Qt.TransformationMode.SmoothTransformation)

    def _make_peaks(self, path: Path) -> Peaks:
        kept = self._kept(path, "peaks.npy")
        if kept.is_file():
            try:
                return np.asarray(np.load(kept, allow_pickle=False), np.int8)
            except (ValueError, OSError):
                kept.unlink(missing_ok=True)
        peaks = measure_peaks(path)
        kept.parent.mkdir(parents=True, exist_ok=True)
        temporary = kept.with_name("writing.npy")
        np.save(temporary, peaks)
        temporary.replace(kept)
        return peaks

    def _close_media(self) -> None:
        for medium in self._media.values():
            medium.close()
        self._media.clear()

    def _kept(self, path: Path, name: str) -> Path:
        return kept_file(self._folder, path, name)


def default_folder() -> Path:
    """The user's cache."""
    return Path(QStandardPaths.writableLocation(QStandardPaths.StandardLocation.GenericCacheLocation)) / "julnet-editor"


def kept_file(folder: Path, path: Path, name: str) -> Path:
    """Where something that was made of a file is kept: another place once the file is another."""
    try:
        state = path.stat()
        said = f"{path}|{state.st_size}|{state.st_mtime_ns}"
    except OSError:
        said = str(path)
    return folder / hashlib.sha256(said.encode()).hexdigest()[:20] / name


def measure_peaks(path: Path) -> Peaks:
    """The waveform of a file's first audio track.

    Raises:
        MediaError: it has none, or it cannot be decoded.
    """
    from julnet_plugin.media.audio import audio_stream_info, iter_audio

    per_peak = max(1, audio_stream_info(path).sample_rate_hz // PEAKS_HZ)
    rest = np.zeros(0, np.float32)
    parts: list[Peaks] = []
    for block in iter_audio(path):
        mono = np.concatenate([rest, block.mean(axis=1)])
        whole = len(mono) // per_peak * per_peak
        rows, rest = mono[:whole].reshape(-1, per_peak), mono[whole:]
        if len(rows):
            both = np.stack([rows.min(axis=1), rows.max(axis=1)], axis=1)
            parts.append(np.clip(both * 127, -127, 127).astype(np.int8))
    return np.concatenate(parts) if parts else np.zeros((0, 2), np.int8)


def make_heat(take: Path) -> tuple[int, QImage]:
    """A take's heat strip, from its manifest."""
    manifest: dict[str, Any] = json.loads((take / "take.json").read_text("utf-8"))
    rows = manifest["frames"]
    image = QImage(max(len(rows), 1), 1, QImage.Format.Format_RGB32)
    for column, row in enumerate(rows):
        sigma = float(row["sigma_p95"] or 0) if row["redubbed"] else 0.0
        image.setPixelColor(column, 0, heat_colour(sigma))
    return int(manifest["plate"]["frame_range"][0]), image
