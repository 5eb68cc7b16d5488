"""From presentation times to a rate: steady (CFR) or not (VFR), and the nominal rate either way."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterable, Sequence
from fractions import Fraction

STANDARD_RATES = (
    Fraction(24000, 1001),
    Fraction(24),
    Fraction(25),
    Fraction(30000, 1001),
    Fraction(30),
    Fraction(48000, 1001),
    Fraction(48),
    Fraction(50),
    Fraction(60000, 1001),
    Fraction(60),
    Fraction(100),
    Fraction(120000, 1001),
    Fraction(120),
)
_SNAP = Fraction(1, 2000)  #: relative distance below which a measured rate is taken for a standard one


def steady_rate(ticks: Sequence[int], time_base: Fraction, stated: Iterable[Fraction | None]) -> Fraction | None:
    """The rate at which evenly spaced frames run; None when they are not evenly spaced.

    A container may say a rate that its time stamps do not keep (VFR), or keep one only to the nearest tick
    (Matroska counts milliseconds). A stated rate that fits every time stamp exactly wins; then a standard rate, then a
    stated one, that fits every time stamp to within a tick.

    Args:
        ticks: presentation times in ticks of `time_base`, ascending.
        time_base: seconds per tick.
        stated: what the container says, most trusted first; None entries are skipped.
    """
    wanted = [rate for rate in stated if rate]
    if len(ticks) < 2:
        return wanted[0] if wanted else STANDARD_RATES[2]
    for rate in wanted:
        if _fits(ticks, time_base, rate, tolerance_ticks=Fraction(0)):
            return rate
    measured = (len(ticks) - 1) / ((ticks[-1] - ticks[0]) * time_base) if ticks[-1] > ticks[0] else None
    near = [rate for base in [*wanted, measured] if base for rate in [nearest_standard(base)] if rate]
    for rate in [*near, *wanted]:
        # A tick of slack, unless ticks are so coarse that the time stamps would prove nothing.
        if time_base * rate < Fraction(1, 4) and _fits(ticks, time_base, rate, tolerance_ticks=Fraction(1)):
            return rate
    return None


def _fits(ticks: Sequence[int], time_base: Fraction, rate: Fraction, tolerance_ticks: Fraction) -> bool:
    period = 1 / (rate * time_base)  # in ticks
    first = ticks[0]
    scale, unit = period.denominator, period.numerator
    slack = tolerance_ticks * scale
    return all(abs((tick - first) * scale - index * unit) <= slack for index, tick in enumerate(ticks))


def nominal_rate_of(ticks: Sequence[int], time_base: Fraction) -> Fraction:
    """The rate that a VFR plate is called by: of its median frame spacing, snapped to a standard rate."""
    gaps = [later - earlier for earlier, later in itertools.pairwise(ticks) if later > earlier]
    rate = 1 / (Fraction(statistics.median(gaps)) * time_base) if gaps else STANDARD_RATES[2]
    snapped = min(STANDARD_RATES, key=lambda standard: abs(standard / rate - 1))
    return snapped if abs(snapped / rate - 1) <= Fraction(1, 50) else rate.limit_denominator(1001)


def nearest_standard(rate: Fraction) -> Fraction | None:
    """The standard rate within a half per mille of this one, if any."""
    best = min(STANDARD_RATES, key=lambda standard: abs(standard / rate - 1))
    return best if abs(best / rate - 1) <= _SNAP else None
