"""Playing: sound is the master clock, the picture follows it; without a sound device the wall clock is.

The picture is never waited for: a frame that is not decoded in time is dropped, counted, and the count is shown. How
long pictures take to make is measured, and they are wished for by so much ahead; one that is early waits for its sound.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from PySide6.QtCore import QObject, Qt, QTimer, Signal

from gui.mixer import RATE_HZ, Part, SoundBank, mixed, parts_of_source, parts_of_timeline

if TYPE_CHECKING:
    from gui.session import Session
    from gui.window import Window

_BUFFER_S = 0.12
SPEEDS = (1, 2, 4, 8, 16)
_LEAD_MOST_S = 0.4
_LEAD_FROM = 3  #: pictures that have to be there before anything is said of how long they take
_LATE_FRAMES = 1.5  #: since a picture's sound began: it is one frame behind the middle of it
_FROZEN_S = 0.25  #: longer than this no picture stands still for want of one that is in time
_DUE_LEAST, _DROPPED_MOST = 12, 0.2  #: of so many frames or more that were due so many may be dropped


class Output(Protocol):
    """Where sound goes, and how much of it has been heard."""

    def start(self, pull: Callable[[int], bytes]) -> bool:
        """Begin; `pull(count)` gives so many stereo samples. Whether there is a device."""

    def heard_s(self) -> float:
        """Seconds since `start` that have left the loudspeaker."""

    def feed(self) -> None:
        """Fill the device's buffer; called at every tick."""

    def stop(self) -> None:
        """End."""


class Player(QObject):
    """Plays the monitor that is shown.

    Signals:
        changed(): it plays or stops, at another speed, or has dropped frames.
        behind(Session): of this picture's frames too many come too late; once every time it plays.
    """

    changed = Signal()
    behind = Signal(object)

    def __init__(
        self, window: Window, output: Output | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(window)
        self._window = window
        self._output = output
        self._clock = clock
        self.bank = SoundBank()
        self.speed = 0.0  #: 1 = forward at the rate; negative = backward; 0 = stopped
        self.looping = False
        self.holding = False  #: the stop key is down: the shuttle's keys step by single frames
        self.dropped = 0  #: frames since `play` that were due and were not shown
        self._parts: tuple[Part, ...] = ()
        self._audition: tuple[Part, ...] | None = None
        self._origin = 0  # frame at which the clock began
        self._began = 0.0
        self._sample = 0
        self._sounding = False
        self._due: int | None = None
        self._last_shown: int | None = None
        self._shown_at_s = 0.0  # when that was, on the clock that leads
        self._count_due = 0
        self._told_behind = False
        self._asked: dict[int, float] = {}  # frames that are not made yet, and when they were wished for
        self._took_s: deque[float] = deque(maxlen=7)
        self._timer = QTimer(self, timerType=Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._tick)
        window.renderer.made.connect(self._measure)
        window.renderer.shown.connect(self._count)
        window.renderer.due_in_s = self._due_in_s

    @property
    def playing(self) -> bool:
        """Whether it moves."""
        return self.speed != 0

    def toggle(self) -> None:
        """Play or stop."""
        if self.playing:
            self.stop()
        else:
            self.play(1)

    def shuttle(self, direction: int) -> None:
        """J and L: the other way at once, the same way twice as fast with every press; with K down one frame."""
        if self.holding:
            self._window.seek(self._window.position + direction)
            return
        speed = abs(self.speed)
        if self.speed * direction <= 0:
            self.play(direction)
        else:
            faster = next((step for step in SPEEDS if step > speed), SPEEDS[-1])
            self.play(direction * faster)

    def play(self, speed: float) -> None:
        """Move at a speed from where the playhead is; at the end, from the beginning."""
        window = self._window
        if not window.on_timeline and window.session.plate is None:
            return
        if window.length < 2:
            return
        first, last = self._range()
        at = window.position
        if speed > 0 and at >= last and not self.looping:
            at = first
        elif speed < 0 and at <= first and not self.looping:
            at = last
        self._silence()
        self._took_s.clear()
        self.speed, self.dropped, self._due, self._last_shown = speed, 0, None, None
        self._count_due, self._told_behind = 0, False
        self._start_clock(at)
        window.seek(at)
        self._timer.start(max(4, round(500 / float(window.rate))))
        self.changed.emit()

    def hold(self) -> None:
        """K: stand still, and step as long as it is down."""
        self.stop()
        self.holding = True

    def stop(self) -> None:
        """Stand still."""
        if self.playing:
            heard = self._frame_at(0.0)
            self._timer.stop()
            self._window.renderer.forget_waiting()
            self.speed = 0
            self._silence()
            if self._due is not None and heard != self._due:
                self._window.seek(min(max(heard, 0), self._window.length - 1))  # what is heard, not what is wished for
            self.changed.emit()

    def set_audition(self, parts: tuple[Part, ...] | None) -> None:
        """Hear this in the source monitor in place of its own sound, at once where it plays; None ends that."""
        self._audition = parts
        if self._sounding and not self._window.on_timeline:
            self._parts = parts_of_source(self._window.session) if parts is None else parts
            self.bank.prepare(self._parts)

    def shut_down(self) -> None:
        """The window closes."""
        self.stop()
        self.bank.wait()

    def position_s(self) -> float:
        """Seconds since the clock began, of the sound that is heard or of the wall."""
        if self._sounding and self._output is not None:
            return self._output.heard_s()
        return self._clock() - self._began

    def _range(self) -> tuple[int, int]:
        """First and last frame: between the marks while looping, else everything."""
        window = self._window
        marks = window.record if window.on_timeline else window.session
        if not self.looping:
            return 0, window.length - 1
        return marks.in_frame or 0, window.length - 1 if marks.out_frame is None else marks.out_frame

    def _start_clock(self, frame: int) -> None:
        self._asked.clear()
        self._shown_at_s = 0.0
        self._window.renderer.forget_waiting()
        self._origin, self._began = frame, self._clock()
        self._sounding = False
        if self.speed != 1:
            return
        window = self._window
        if window.on_timeline:
            self._parts = parts_of_timeline(window.project.value.timeline, window.project.folder)
        elif self._audition is not None:
            self._parts = self._audition
        else:
            self._parts = parts_of_source(window.session)
        if not self._parts:
            return
        self.bank.prepare(self._parts)
        self._output = self._output or make_output()
        if self._output is not None:
            self._sample = round(frame / float(window.rate) * RATE_HZ)
            self._sounding = self._output.start(self._pull)

    def _pull(self, count: int) -> bytes:
        start, self._sample = self._sample, self._sample + count
        return mixed(self._parts, self.bank, start, count).tobytes()

    def _silence(self) -> None:
        if self._sounding and self._output is not None:
            self._output.stop()
        self._sounding = False

    def _lead_s(self) -> float:
        """By how much a picture is wished for ahead of its sound: the slowest of late must not come behind it."""
        if len(self._took_s) < _LEAD_FROM or abs(self.speed) != 1:
            return 0.0
        return min(max(self._took_s), _LEAD_MOST_S)

    def _due_in_s(self, session: Session) -> float | None:
        """Seconds until the sound of a picture is heard; of what no sound leads, and of another pass, it is due now.

        A picture that is a frame behind its sound, or more, is none to show (None), unless there was none for a while.
        """
        if abs(self.speed) != 1:
            return 0.0
        rate = float(self._window.rate)
        wait_s = (session.position - self._origin) / (rate * self.speed) - self.position_s()
        if wait_s > 2 * _LEAD_MOST_S:
            return 0.0
        stale = self.position_s() - self._shown_at_s > _FROZEN_S
        return None if wait_s < -_LATE_FRAMES / rate and not stale else wait_s

    def _frame_at(self, lead_s: float) -> int:
        """The frame that is due so many seconds from now."""
        moved = (self.position_s() + lead_s) * float(self._window.rate) * self.speed
        return self._origin + int(moved + (1e-6 if moved >= 0 else -1e-6))

    def _tick(self) -> None:
        window = self._window
        if self._sounding and self._output is not None:
            self._output.feed()
        first, last = self._range()
        if not first <= self._frame_at(0.0) <= last:
            self._at_end(first, last)
            return
        frame = min(max(self._frame_at(self._lead_s()), first), last)
        if frame != self._due:
            self._due = frame
            self._asked[frame] = self.position_s()
            window.seek(frame)

    def _at_end(self, first: int, last: int) -> None:
        forward = self.speed > 0
        if self.looping:
            speed = self.speed
            self._silence()
            self._last_shown = self._due = None
            start = first if forward else last
            self.speed = speed
            self._start_clock(start)
            self._window.seek(start)
        else:
            self._window.seek(last if forward else first)
            self.stop()

    def _measure(self, session: Session) -> None:
        """A picture is made: how long did it take?"""
        asked_s = self._asked.get(session.position) if self.playing else None
        if asked_s is not None:
            self._took_s.append(max(self.position_s() - asked_s, 0.0))
            self._asked = {other: at_s for other, at_s in self._asked.items() if at_s > asked_s}

    def _count(self, session: Session, _: Any) -> None:
        """A frame has reached the screen: those between it and the one before have not."""
        if not self.playing:
            return
        frame = session.position
        self._shown_at_s = self.position_s()
        if self._last_shown is not None:
            step = abs(frame - self._last_shown)
            self._count_due += step
            missed = max(0, step - max(1, round(abs(self.speed))))
            if missed:
                self.dropped += missed
                self.changed.emit()
        self._last_shown = frame
        late = self._count_due >= _DUE_LEAST and self.dropped > _DROPPED_MOST * self._count_due
        if late and not self._told_behind and abs(self.speed) == 1:
            self._told_behind = True
            self.behind.emit(session)


class DeviceOutput:
    """The default sound device."""

    def __init__(self) -> None:
        self._sink: Any = None
        self._device: Any = None
        self._pull: Callable[[int], bytes] | None = None

    def start(self, pull: Callable[[int], bytes]) -> bool:
        """Begin; False where there is no device."""
        from PySide6.QtMultimedia import QAudioFormat, QAudioSink, QMediaDevices

        device = QMediaDevices.defaultAudioOutput()
        if device.isNull():
            return False
        form = QAudioFormat()
        form.setSampleRate(RATE_HZ)
        form.setChannelCount(2)
        form.setSampleFormat(QAudioFormat.SampleFormat.Int16)
        if not device.isFormatSupported(form):
            return False
        self._pull = pull
        self._sink = QAudioSink(device, form)
        self._sink.setBufferSize(round(_BUFFER_S * RATE_HZ) * 4)
        self._device = self._sink.start()
        if self._device is None:
            return False
        self.feed()
        return True

    def feed(self) -> None:
        """Fill the buffer."""
        free = self._sink.bytesFree() // 4
        if free > 0 and self._pull is not None:
            self._device.write(self._pull(free))

    def heard_s(self) -> float:
        """What the device has played."""
        return max(0.0, float(self._sink.processedUSecs()) / 1e6)

    def stop(self) -> None:
        """End."""
        if self._sink is not None:
            self._sink.stop()
            self._sink = self._device = None


def make_output() -> Output | None:
    """The sound device, or None where Qt has no sound on this machine."""
    try:
        import PySide6.QtMultimedia  # noqa: F401
    except ImportError:
        return None
    return DeviceOutput()
