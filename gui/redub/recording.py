"""Record the new line: count-in, streamer, level, microphone to file."""

from __future__ import annotations

import math
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QCloseEvent, QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QComboBox, QDialog, QHBoxLayout, QLabel, QPushButton, QSpinBox, QVBoxLayout, QWidget

from gui import theme
from gui.redub.panel import free_file
from gui.widgets.building import named

if TYPE_CHECKING:
    from collections.abc import Callable

NO_MICROPHONE = "This machine has no microphone that can be used; connect one, or choose a file as the dub."


class Microphone(Protocol):
    """What a recording hears through."""

    name: str
    rate_hz: int

    def start(self, heard: Callable[[NDArray[np.int16]], None]) -> None:
        """Begin; `heard` gets mono samples on the GUI's thread."""

    def stop(self) -> None:
        """End."""


@dataclass(slots=True)
class QtMicrophone:
    """An input device of this machine."""

    name: str
    device: object
    rate_hz: int = 48_000
    _source: object = None
    _stream: object = None

    def start(self, heard: Callable[[NDArray[np.int16]], None]) -> None:
        """See `Microphone`."""
        from PySide6.QtMultimedia import QAudioFormat, QAudioSource

        wanted = QAudioFormat()
        wanted.setSampleRate(self.rate_hz)
        wanted.setChannelCount(1)
        wanted.setSampleFormat(QAudioFormat.SampleFormat.Int16)
        source = QAudioSource(self.device, wanted)  # type: ignore[call-overload]
        stream = source.start()
        if stream is None:
            raise OSError(f"{self.name} cannot be opened; another program may be using it")
        stream.readyRead.connect(lambda: heard(np.frombuffer(bytes(stream.readAll().data()), np.int16)))
        self._source, self._stream = source, stream

    def stop(self) -> None:
        """See `Microphone`."""
        if self._source is not None:
            self._source.stop()  # type: ignore[attr-defined]
            self._source = self._stream = None


def microphones() -> list[Microphone]:
    """The machine's, its default first; none where it has no sound device."""
    from PySide6.QtMultimedia import QMediaDevices

    default = QMediaDevices.defaultAudioInput()
    devices = sorted(QMediaDevices.audioInputs(), key=lambda device: device != default)
    return [QtMicrophone(device.description(), device) for device in devices]


class Take(QObject):
    """One recording: counts in, collects, writes a WAV.

    Signals:
        counted(float): seconds until the line begins; 0 and below: it is being recorded.
        level(float): of the last moment, 0 to 1.
    """

    counted = Signal(float)
    level = Signal(float)

    def __init__(self, microphone: Microphone, count_in_s: float, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._microphone = microphone
        self._count_in = round(count_in_s * microphone.rate_hz)
        self._heard = 0
        self._blocks: list[NDArray[np.int16]] = []

    @property
    def seconds(self) -> float:
        """Recorded so far, the count-in not counted."""
        return max(self._heard - self._count_in, 0) / self._microphone.rate_hz

    def start(self) -> None:
        """Begin to count in.

        Raises:
            OSError: the microphone cannot be opened.
        """
        self._microphone.start(self._hear)
        self.counted.emit(self._count_in / self._microphone.rate_hz)

    def stop(self, path: Path) -> Path | None:
        """End, and write what came after the count-in; None where that is nothing.

        Raises:
            OSError: the file cannot be written.
        """
        self._microphone.stop()
        samples = np.concatenate(self._blocks)[self._count_in :] if self._blocks else np.zeros(0, np.int16)
        if not len(samples):
            return None
        write_wav(path, samples, self._microphone.rate_hz)
        return path

    def _hear(self, samples: NDArray[np.int16]) -> None:
        self._blocks.append(samples)
        self._heard += len(samples)
        peak = float(np.abs(samples.astype(np.float32)).max()) / 32768 if len(samples) else 0.0
        self.level.emit(peak)
        self.counted.emit((self._count_in - self._heard) / self._microphone.rate_hz)


def write_wav(path: Path, samples: NDArray[np.int16], rate_hz: int) -> None:
    """Write mono 16-bit sound, whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with wave.open(str(temporary), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(rate_hz)
            file.writeframes(np.ascontiguousarray(samples, "<i2").tobytes())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


class Streamer(QWidget):
    """A line that wanders to the right edge during the count-in: one speaks when it arrives. Below it the level."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._left_s, self._whole_s, self._peak = 0.0, 1.0, 0.0
        self._running = False
        self.setMinimumHeight(140)
        self.setAccessibleName("Count-in")

    def sizeHint(self) -> QSize:  # noqa: D102
        return QSize(460, 150)

    def show_count(self, left_s: float, whole_s: float) -> None:
        """Seconds until the line begins."""
        self._left_s, self._whole_s, self._running = left_s, max(whole_s, 0.01), True
        self.update()

    def show_level(self, peak: float) -> None:
        """Of the microphone."""
        self._peak = max(peak, self._peak * 0.85)
        self.update()

    def stop(self) -> None:
        """Nothing runs."""
        self._running, self._peak = False, 0.0
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: D102
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        stage = QRectF(0, 0, self.width(), self.height() - 16)
        painter.fillRect(stage, theme.BLACK)
        font = painter.font()
        font.setPixelSize(int(stage.height() * 0.55))
        painter.setFont(font)
        if self._running and self._left_s > 0:
            painter.setPen(theme.TEXT)
            painter.drawText(stage, Qt.AlignmentFlag.AlignCenter, str(math.ceil(self._left_s)))
            x = stage.width() * (1 - self._left_s / self._whole_s)
            painter.fillRect(QRectF(x - 2, 0, 4, stage.height()), theme.WARM)
        elif self._running:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(214, 48, 40))
            painter.drawEllipse(stage.center(), 26, 26)
        bar = QRectF(0, self.height() - 10, self.width(), 8)
        painter.fillRect(bar, theme.FIELD)
        filled = bar.width() * min(self._peak, 1.0) ** 0.5
        painter.fillRect(QRectF(bar.left(), bar.top(), filled, 8), theme.WARM if self._peak > 0.98 else theme.ACCENT)


class RecordingDialog(QDialog):
    """Records one line into a folder.

    Signals:
        recorded(Path): the sound file.
    """

    recorded = Signal(object)

    def __init__(
        self, folder: Path, parent: QWidget | None = None, devices: Callable[[], list[Microphone]] = microphones
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Record the dub")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._folder = folder
        self._take: Take | None = None
        self._devices = devices()
        self.device = QComboBox()
        self.device.addItems([microphone.name for microphone in self._devices])
        self.device.setAccessibleName("Microphone")
        self.count_in = QSpinBox(minimum=0, maximum=10, value=3, suffix=" s")
        self.count_in.setAccessibleName("Count-in")
        self.streamer = Streamer()
        self.button = named(QPushButton("Record"), "primary")
        self.button.clicked.connect(self._toggle)
        self.said = named(QLabel(wordWrap=True), "quiet")
        line = QHBoxLayout()
        line.addWidget(QLabel("Microphone"))
        line.addWidget(self.device, 1)
        line.addWidget(QLabel("Count-in"))
        line.addWidget(self.count_in)
        column = QVBoxLayout(self)
        column.addLayout(line)
        column.addWidget(self.streamer, 1)
        column.addWidget(self.said)
        column.addWidget(self.button)
        if not self._devices:
            self.said.setText(NO_MICROPHONE)
            for widget in (self.button, self.device, self.count_in):
                widget.setEnabled(False)
        else:
            self.said.setText("Speak when the line reaches the right edge.")

    @property
    def recording(self) -> bool:
        """Whether a recording is under way."""
        return self._take is not None

    def _toggle(self) -> None:
        if self._take is None:
            self._start()
        else:
            self._stop()

    def _start(self) -> None:
        whole_s = float(self.count_in.value())
        take = Take(self._devices[self.device.currentIndex()], whole_s, self)
        take.counted.connect(lambda left: self._counted(left, whole_s))
        take.level.connect(self.streamer.show_level)
        try:
            take.start()
        except OSError as exc:
            self.said.setText(f"The recording cannot begin: {exc}")
            return
        self._take = take
        self.button.setText("Stop")

    def _counted(self, left_s: float, whole_s: float) -> None:
        self.streamer.show_count(left_s, whole_s)
        if self._take is not None and left_s <= 0:
            self.said.setText(f"Recording · {self._take.seconds:.1f} s")

    def _stop(self) -> None:
        take, self._take = self._take, None
        assert take is not None
        self.streamer.stop()
        self.button.setText("Record")
        try:
            path = take.stop(free_file(self._folder, "dub", ".wav"))
        except OSError as exc:
            self.said.setText(f"The recording cannot be written to {self._folder}: {exc.strerror or exc}")
            return
        if path is None:
            self.said.setText("Stopped before the line began; nothing was recorded")
            return
        self.recorded.emit(path)
        self.close()

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: D102
        if self._take is not None:
            self._stop()
        event.accept()
