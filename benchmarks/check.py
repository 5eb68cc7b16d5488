"""Has anything become slower? A short run, compared with the ratios in `ratios.json`; `make bench-check` calls it.

Only ratios of CPU time measured in one run are compared: they carry over from machine to machine of a kind and hardly
feel what else runs there. One that is more than 15 % below what is stored fails. `--store` stores what was measured.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

from benchmarks import network, render
from benchmarks.record import Measured, machine, table

RATIOS = Path(__file__).with_name("ratios.json")
SLACK = 0.15
_HEIGHT, _SECONDS = 540, 4.0


def main(arguments: list[str]) -> int:
    """Measure, compare, and say which ratio has fallen; 1 if any has."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks check", description=__doc__)
    parser.add_argument("--store", action="store_true", help="make what was measured the new standard")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)
    rows = measure(options.rounds)
    print(table(rows))
    now = {row.name: row.value for row in rows if row.unit == "times"}
    if options.store:
        RATIOS.write_text(json.dumps({"machine": machine(), "ratios": now}, indent=1) + "\n", "utf-8")
        return 0
    fallen = regressions(json.loads(RATIOS.read_text("utf-8"))["ratios"], now)
    for sentence in fallen:
        print(sentence)
    return 1 if fallen else 0


def measure(rounds: int) -> list[Measured]:
    """Networks and a short take beside the yardstick, and edits beside a cold render."""
    rows = network.measure(rounds, "cpu", wall=False)
    (plain,) = (row.value for row in rows if row.name == f"{network.PLAIN_ALONE}, CPU")
    with tempfile.TemporaryDirectory() as name:
        taken = render.sizes(Path(name), _HEIGHT, _SECONDS, 1, "cpu")
        (cost,) = (row.value for row in taken if row.unit == "ms/frame")
        rows.append(Measured(f"{_HEIGHT}p take over yardstick, CPU", plain / cost, "times", "CPU time a frame"))
        edits = render.edits(Path(name), _HEIGHT, _SECONDS, "cpu")
    return rows + [row for row in edits if row.name.endswith("CPU")]


def regressions(stored: Mapping[str, float], now: Mapping[str, float]) -> list[str]:
    """One sentence for every stored ratio that fell by more than the slack, or was not measured."""
    lost = [
        f"{name} was not measured; it is stored as {value:.4g}" for name, value in stored.items() if name not in now
    ]
    slow = [
        f"{name} is {now[name]:.4g}, {100 * (1 - now[name] / value):.0f} % below the stored {value:.4g}"
        for name, value in stored.items()
        if name in now and now[name] < (1 - SLACK) * value
    ]
    return lost + slow
