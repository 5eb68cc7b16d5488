"""The timecode under the picture: click it, type where to go."""

from __future__ import annotations

import re
from fractions import Fraction

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QFocusEvent, QKeyEvent
from PySide6.QtWidgets import QLineEdit

from julnet_plugin.errors import TimeRangeError
from julnet_plugin.media.timecode import nominal_rate, parse_timecode

_JUMP = re.compile(r"([+-])\s*(\d+)")
_SECONDS = re.compile(r"([+-]?)\s*(\d+(?:\.\d+)?)\s*s")
_DIGITS = re.compile(r"\d{1,8}")


def parse_position(text: str, now: int, rate: Fraction, start: int, drop_frame: bool) -> int:
    """Where a person wants to go.

    Args:
        text: a timecode ("01:00:01:05"), its digits alone ("1200" = 12 seconds 00), "+10" or "-10" frames, "+1:00" as
            a timecode further on, "2s" or "+2s" seconds.
        now: the frame at which the playhead is, from 0.
        rate: frames a second.
        start: the timecode of frame 0, in frames since 00:00:00:00.
        drop_frame: how the timecode counts.

    Raises:
        TimeRangeError: it is none of these.
    """
    text = text.strip()
    if jump := _JUMP.fullmatch(text):
        return now + int(jump[1] + jump[2])
    if seconds := _SECONDS.fullmatch(text):
        frames = round(Fraction(seconds[2]) * rate)
        return frames if not seconds[1] else now + (frames if seconds[1] == "+" else -frames)
    sign = text[:1] if text[:1] in "+-" else ""
    body = text[1:].strip() if sign else text
    if _DIGITS.fullmatch(body):
        padded = body.zfill(8)
        body = ":".join(padded[i : i + 2] for i in range(0, 8, 2))
    else:
        fields = re.split(r"[:;.,]", body)
        if all(field.isdigit() for field in fields) and 1 < len(fields) < 4:
            body = ":".join([*["00"] * (4 - len(fields)), *fields])
    if sign:  # a length, not a label: counted without dropped numbers
        hours, minutes, seconds_, frames = (int(field) for field in re.split(r"[:;.,]", _checked(body, text)))
        length = ((hours * 60 + minutes) * 60 + seconds_) * nominal_rate(rate) + frames
        return now + (length if sign == "+" else -length)
    return parse_timecode(body, rate, drop_frame).frame - start


def _checked(body: str, text: str) -> str:
    if len(re.findall(r"\d+", body)) == 4 and re.fullmatch(r"[\d:;.,]+", body):
        return body
    message = f'"{text}" is not a place: type a timecode (01:00:01:05), its digits, +10 or -10 frames, or 2s'
    raise TimeRangeError(message, requested=text)


class TimecodeEntry(QLineEdit):
    """Shows a timecode until it is clicked.

    Signals:
        entered(str): the user typed this and pressed Return.
    """

    entered = Signal(str)

    def __init__(self) -> None:
        super().__init__("--:--:--:--")
        self.setObjectName("timecode")
        self.setAccessibleName("Timecode")
        self.setToolTip("Click and type where to go: 01:00:01:05, 1200, +10, -10 or +2s")
        self.setFixedWidth(self.fontMetrics().horizontalAdvance("00:00:00:00") * 2)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)  # Tab goes past it: Ctrl+G is its key
        self.returnPressed.connect(self._enter)
        self._label = self.text()

    def show_label(self, label: str) -> None:
        """Another timecode; what is being typed stays."""
        self._label = label
        if not self.hasFocus():
            self.setText(label)

    def focusInEvent(self, event: QFocusEvent) -> None:  # noqa: D102
        super().focusInEvent(event)
        self.selectAll()

    def focusOutEvent(self, event: QFocusEvent) -> None:  # noqa: D102
        super().focusOutEvent(event)
        self.setText(self._label)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: D102
        if event.key() == Qt.Key.Key_Escape:
            self.clearFocus()
            return
        super().keyPressEvent(event)

    def _enter(self) -> None:
        text = self.text()
        self.clearFocus()
        self.entered.emit(text)
