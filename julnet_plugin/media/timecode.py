"""SMPTE timecode, frame numbers and seconds: text at the edges, frame indices inside.

Convention: a *frame number* here counts every frame since 00:00:00:00. A timecode is a label for it. Drop-frame labels
skip the first `rate / 15` numbers of every minute that does not divide by ten, so that the label keeps up with the
clock at 29.97 and 59.94; no frame is dropped. A label is written with ";" before the frames when it is drop-frame.

Source:
    SMPTE ST 12-1:2014, sections 5 and 6 (counting mode, drop-frame compensation).
"""

from __future__ import annotations

import bisect
import math
import re
from dataclasses import dataclass
from fractions import Fraction

from julnet_plugin.errors import TimeRangeError
from julnet_plugin.types import FrameRange, MediaInfo

_LABEL = re.compile(r"(\d{1,2})[:.](\d{1,2})[:.](\d{1,2})([:;.,])(\d{1,3})")
_SECONDS = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*(?:s|sec|secs|seconds?)", re.IGNORECASE)
_FRAME = re.compile(r"\d+")

_FORMS = 'a timecode ("01:00:01:05"), a frame ("37") or seconds ("1.5s")'


@dataclass(frozen=True, slots=True, kw_only=True)
class Timecode:
    """A label for one frame: the rate it counts at, and whether it skips labels (drop-frame)."""

    frame: int  #: frames since 00:00:00:00
    rate: Fraction
    drop_frame: bool = False

    def __post_init__(self) -> None:
        if self.drop_frame and not allows_drop_frame(self.rate):
            msg = f"drop-frame timecode needs 29.97 or 59.94 frames per second, not {rate_text(self.rate)}"
            raise ValueError(msg)

    def __str__(self) -> str:
        base = nominal_rate(self.rate)
        number = self.frame % _frames_per_day(base, self.drop_frame)
        if self.drop_frame:
            number += _labels_skipped_before(number, base)
        frames = number % base
        seconds = number // base
        separator = ";" if self.drop_frame else ":"
        return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{separator}{frames:02d}"


def nominal_rate(rate: Fraction) -> int:
    """Frames that a timecode counts in one of its seconds: 30 at 29.97, 24 at 23.976."""
    return max(1, math.ceil(rate - Fraction(1, 100)))


def allows_drop_frame(rate: Fraction) -> bool:
    """Whether drop-frame labels exist at this rate: 30000/1001 and its multiples only."""
    return rate.denominator == 1001 and nominal_rate(rate) % 30 == 0


def rate_text(rate: Fraction) -> str:
    """A rate as people write it: "25", "29.97", "23.976"."""
    return f"{float(rate):.3f}".rstrip("0").rstrip(".")


def parse_timecode(text: str, rate: Fraction, drop_frame: bool | None = None) -> Timecode:
    """Read a SMPTE label.

    Args:
        text: "HH:MM:SS:FF"; ";" (or ".") before the frames says drop-frame.
        rate: frames per second that the label counts at.
        drop_frame: the counting mode whatever the separator; None = what the separator says. A ";" at a rate that
            has no drop-frame counting is read as ":".

    Raises:
        TimeRangeError: not a label, a field out of range, or a label that drop-frame counting skips.
    """
    match = _LABEL.fullmatch(text.strip())
    if match is None:
        msg = f'"{text}" is not a timecode; write it as HH:MM:SS:FF, for example 01:00:01:05'
        raise TimeRangeError(msg, requested=text)
    hours, minutes, seconds, frames = (int(match[i]) for i in (1, 2, 3, 5))
    base = nominal_rate(rate)
    if hours > 23 or minutes > 59 or seconds > 59 or frames >= base:
        msg = (
            f'"{text}" is not a timecode at {rate_text(rate)} frames per second: hours go to 23, minutes and seconds '
            f"to 59, frames to {base - 1}"
        )
        raise TimeRangeError(msg, requested=text)
    drop = allows_drop_frame(rate) and (match[4] in ";.," if drop_frame is None else drop_frame)
    number = ((hours * 60 + minutes) * 60 + seconds) * base + frames
    if drop:
        skipped = base // 15
        if seconds == 0 and frames < skipped and minutes % 10:
            msg = f'"{text}" does not exist: drop-frame timecode skips the first {skipped} frames of minute {minutes}'
            raise TimeRangeError(msg, requested=text)
        total_minutes = hours * 60 + minutes
        number -= skipped * (total_minutes - total_minutes // 10)
    return Timecode(frame=number, rate=rate, drop_frame=drop)


def _labels_skipped_before(frame: int, base: int) -> int:
    """How many labels drop-frame counting has left out when it labels this frame."""
    skipped = base // 15
    per_minute = base * 60 - skipped
    per_ten_minutes = per_minute * 10 + skipped  # the tenth minute keeps all its labels
    tens, rest = divmod(frame, per_ten_minutes)
    minutes_in = 0 if rest < base * 60 else 1 + (rest - base * 60) // per_minute
    return skipped * (9 * tens + minutes_in)


def _frames_per_day(base: int, drop_frame: bool) -> int:
    labels = 24 * 3600 * base
    return labels - (base // 15) * (24 * 60 - 24 * 6) if drop_frame else labels


def start_of(info: MediaInfo) -> Timecode:
    """The plate's first label; 00:00:00:00 where it carries none."""
    if info.start_timecode is None:
        return Timecode(frame=0, rate=info.rate)
    return parse_timecode(info.start_timecode, info.rate, info.drop_frame)


def timecode_of(info: MediaInfo, index: int) -> str:
    """The label of one plate frame. On a VFR plate labels count frames from the first one."""
    first = start_of(info)
    return str(Timecode(frame=first.frame + index, rate=info.rate, drop_frame=first.drop_frame))


def frame_range(info: MediaInfo, in_point: str | None, out_point: str | None) -> FrameRange:
    """The plate frames between two points that a user typed.

    Args:
        info: the plate.
        in_point: first frame: a timecode against the plate's own start timecode, a frame counted from 0, or seconds
            from the plate's first frame; None = the first frame.
        out_point: the same units, exclusive; None = after the last frame.

    Raises:
        TimeRangeError: text that is none of the three, a point outside the plate, or no frame between the two.
    """
    start = 0 if in_point is None else _index(info, in_point, "in point", last=info.frame_count - 1)
    stop = info.frame_count if out_point is None else _index(info, out_point, "out point", last=info.frame_count)
    if stop <= start:
        msg = (
            f"the range is empty: the in point is frame {start} and the out point, which is exclusive, is frame "
            f"{stop}; move the out point behind the in point"
        )
        raise TimeRangeError(msg, requested=(in_point, out_point), available=_available(info))
    return FrameRange(start=start, stop=stop)


def _index(info: MediaInfo, text: str, name: str, last: int) -> int:
    index = _parse_point(info, text, name)
    if not 0 <= index <= last:
        msg = f'the {name} "{text}" is outside the plate, which holds {_available(info)}'
        raise TimeRangeError(msg, requested=text, available=_available(info))
    return index


def _parse_point(info: MediaInfo, text: str, name: str) -> int:
    """Frame index of a point, counted from the plate's first frame; may lie outside the plate."""
    clean = text.strip()
    if _FRAME.fullmatch(clean):
        return int(clean)
    if seconds := _SECONDS.fullmatch(clean):
        return _frame_at(info, float(seconds[1]))
    if _LABEL.fullmatch(clean):
        first = start_of(info)
        # A colon typed for a drop-frame plate means the plate's own counting: the keyboard has no opinion on it.
        return parse_timecode(clean, info.rate, first.drop_frame).frame - first.frame
    msg = f'the {name} "{text}" is not a time; give {_FORMS}'
    raise TimeRangeError(msg, requested=text)


def _frame_at(info: MediaInfo, seconds: float) -> int:
    """The first frame presented at or after a time, within a tenth of a frame."""
    slack = 0.1 / float(info.rate)
    if info.frame_times_s is not None:
        index = bisect.bisect_left(info.frame_times_s, seconds - slack)
        overshoot = seconds - slack - info.duration_s
        return index if overshoot <= 0 else info.frame_count + 1 + int(overshoot * info.rate)
    return math.ceil((seconds - slack) * info.rate)


def _available(info: MediaInfo) -> str:
    first, last = timecode_of(info, 0), timecode_of(info, info.frame_count - 1)
    return f"frames 0 to {info.frame_count - 1}, {info.duration_s:.3f} s, timecode {first} to {last}"
