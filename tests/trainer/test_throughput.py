from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import training
from trainer import step as step_room

pytestmark = pytest.mark.usefixtures("no_weights")


def test_both_loops_are_measured_on_the_same_network_and_written_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "_WARM_UP", 0)
    said: list[str] = []
    before = step_room.lip_box
    words = [
        "--steps",
        "1",
        "--batch",
        "1",
        "--width",
        "4",
        "--mouth",
        "128",
        "--device",
        "cpu",
        "-o",
        str(tmp_path / "t.json"),
    ]
    assert training.main(words, said.append) == 0
    rows = json.loads((tmp_path / "t.json").read_text())["rows"]
    assert [(row["network"], row["loop"]) for row in rows] == [("paper", "ours"), ("paper", "DINet's"), ("rt", "ours")]
    assert all(row["samples_per_s"] > 0 and 0 <= row["waiting_for_data"] < 1 for row in rows)
    assert "against DINet" in said[0]
    assert step_room.lip_box is before
