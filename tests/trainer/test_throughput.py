from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import training
from trainer import step as step_room

pytestmark = pytest.mark.usefixtures("no_weights")


def test_both_loops_are_measured_on_the_same_network_and_written_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(training, "_WARM_UP", 0)
    before = step_room.lip_box
    words = ["--steps", "1", "--batch", "1", "--width", "4", "--mouth", "128", "--device", "cpu"]
    assert training.main([*words, "--output", str(tmp_path)]) == 0
    found = {row["name"]: row for row in json.loads((tmp_path / "training.json").read_text())["measured"]}
    for name in ("paper, ours loop", "paper, DINet's loop", "rt, ours loop"):
        assert found[name]["value"] > 0
        assert 0 <= found[f"{name}, waiting for data"]["value"] < 100
    assert found["paper, DINet's loop"]["note"] == "1.00x DINet's"
    assert "samples/s" in capsys.readouterr().out
    assert step_room.lip_box is before
