"""The benchmarks measure what they say; what they measured is not tested here."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks import check
from benchmarks.clocks import Spent, in_turns, middle, spent
from benchmarks.plates import make_dub, make_plate
from benchmarks.record import Measured, table
from benchmarks.yardstick import PlainDinet
from julnet_plugin.media.probe import probe
from julnet_plugin.media.reader import open_plate


def test_the_yardstick_is_as_large_as_the_network_it_reads() -> None:
    network = PlainDinet()
    sizes = {name: sum(p.numel() for p in child.parameters()) / 1e6 for name, child in network.named_children()}
    assert sizes["source_encoder"] == pytest.approx(0.379, abs=0.001)
    assert sizes["reference_encoder"] == pytest.approx(0.417, abs=0.001)
    assert sizes["id_encoder"] == pytest.approx(7.049, abs=0.01)
    assert sizes["decoder"] == pytest.approx(1.200, abs=0.005)
    assert sum(sizes.values()) == pytest.approx(19.19, abs=0.02)


def test_a_ratio_that_fell_too_far_or_is_missing_is_named() -> None:
    stored = {"paper": 4.0, "rt": 100.0, "gone": 2.0}
    said = check.regressions(stored, {"paper": 3.5, "rt": 80.0, "new": 1.0})
    assert said == ["gone was not measured; it is stored as 2", "rt is 80, 20 % below the stored 100"]
    assert not check.regressions({"rt": 100.0}, {"rt": 86.0})


def test_a_long_plate_goes_on_moving_and_has_every_frame(tmp_path: Path) -> None:
    info = probe(make_plate(tmp_path / "plate.mp4", 90, 230))
    assert (info.width, info.height, info.frame_count, info.vfr) == (160, 90, 230, False)
    with open_plate(info) as plate:
        pictures = [frame.rgb.astype(int) for frame in plate.frames()]
    steps = [np.abs(b - a).mean() for a, b in itertools.pairwise(pictures)]
    assert min(steps) > 0
    assert max(steps) < 3 * np.median(steps), "no cut where the packets repeat"


def test_another_beginning_makes_another_dub(tmp_path: Path) -> None:
    one, other = make_dub(tmp_path / "a.wav", 1.0), make_dub(tmp_path / "b.wav", 1.0, start_s=1.3)
    assert one.read_bytes() != other.read_bytes()
    assert one.stat().st_size == other.stat().st_size


def test_times_are_for_one_work_and_taken_in_turns() -> None:
    done: list[str] = []
    taken = in_turns({"a": lambda: done.append("a"), "b": lambda: done.append("b")}, rounds=2, repeats={"b": 2})
    assert done == ["a", "b", "a", "b", "b", "a", "b", "b"]
    assert [len(taken["a"]), len(taken["b"])] == [2, 2]
    waited = spent(lambda: time.sleep(0.05))
    assert waited.wall_s >= 0.05
    assert waited.cpu_s < waited.wall_s
    assert isinstance(taken["a"][0], Spent)
    assert middle([1.0, 2.0, 3.0]) == (2.0, 0.25)
    assert middle([3.0]) == (3.0, 0.0)


def test_a_table_says_how_far_values_lie_apart() -> None:
    lines = table([Measured("x", 1234.5678, "ms", "why", 0.034), Measured("y", 2, "s")]).splitlines()
    assert lines[2:] == ["| x | 1235 | ms | ±3 % | why |", "| y | 2 | s |  |  |"]
