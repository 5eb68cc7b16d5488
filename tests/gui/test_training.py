"""Training from the project: a child process, watched."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("PySide6", reason="the editor's extra is not installed")

from PySide6.QtCore import Qt
from PySide6.QtGui import QImage

from gui.background import Background
from gui.training.panel import TrainingPanel
from gui.training.process import Training
from gui.training.watching import look

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot

#: What `julnet finetune` says and writes, in a tenth of a second.
CHILD = """
import json, pathlib, sys, time
words = sys.argv[1:]
assert words[0] == "finetune" and "--json" in words, words
clips, model = words[1:words.index("-o")], pathlib.Path(words[words.index("-o") + 1])
def say(**event): print(json.dumps(event), flush=True)
say(event="progress", stage="prepare", done=1, total=len(clips))
if "bad" in model.stem:
    say(event="error", type="DatasetError", message="too little speech in these clips; give more of them")
    sys.exit(2)
if "killed" in model.stem:
    import os; sys.stderr.write("the last words"); sys.stderr.flush(); os._exit(9)
run = model.with_name(model.stem + ".finetune") / "run" / "1"
run.mkdir(parents=True)
with (run / "log.jsonl").open("w") as log:
    for step in range(1, 6):
        log.write(json.dumps({"step": step, "seconds": 1.0, "l1": 1 / step, "val_psnr": 30 + step}) + "\\n")
    log.write('{"step": 6, "l1"')
say(event="progress", stage="train", done=500, total=1000)
while "slow" in model.stem:
    time.sleep(0.02)
model.write_bytes(b"weights")
say(event="result", model=str(model), before={"psnr": 30.0}, after={"psnr": 33.5})
"""


@pytest.fixture
def panel(qtbot: QtBot, tmp_path: Path) -> TrainingPanel:
    child = tmp_path / "child.py"
    child.write_text(CHILD)
    panel = TrainingPanel(Training(command=[sys.executable, str(child)]), Background(), tmp_path / "models")
    panel.training.setParent(panel)
    qtbot.addWidget(panel)
    panel.set_clips([("one.mov", tmp_path / "one.mov"), ("two.mov", tmp_path / "two.mov")])
    return panel


def start(panel: TrainingPanel, name: str) -> None:
    panel.clips.item(1).setCheckState(Qt.CheckState.Checked)
    panel.name.setText(name)
    assert panel.start_button.isEnabled()
    panel.start_button.click()


def test_a_model_is_made_from_the_clips_that_are_ticked(qtbot: QtBot, panel: TrainingPanel, tmp_path: Path) -> None:
    assert not panel.start_button.isEnabled()
    assert panel.empty.isHidden()
    with qtbot.waitSignal(panel.made, timeout=20_000) as made:
        start(panel, "Ada L.")
    assert made.args == [tmp_path / "models" / "Ada_L_.safetensors"]
    assert panel.chosen() == [tmp_path / "two.mov"]
    assert "30.00 dB before, 33.50 dB after" in panel.said.text()
    qtbot.waitUntil(lambda: panel.which.count() == 2, timeout=20_000)
    assert panel.which.currentText() == "val_psnr"  # what it is judged by comes first


@pytest.mark.parametrize(("name", "sentence"), [("bad", "too little speech"), ("killed", "ended with code 9")])
def test_a_training_that_fails_is_one_sentence(qtbot: QtBot, panel: TrainingPanel, name: str, sentence: str) -> None:
    with qtbot.waitSignal(panel.training.failed, timeout=20_000):
        start(panel, name)
    assert sentence in panel.said.text()
    assert "\n" not in panel.said.text()
    assert panel.start_button.isEnabled()


def test_without_clips_that_speak_the_panel_says_what_to_import(panel: TrainingPanel) -> None:
    panel.set_clips([])
    assert not panel.empty.isHidden()
    assert not panel.start_button.isEnabled()


def test_a_training_can_be_stopped(qtbot: QtBot, panel: TrainingPanel) -> None:
    with qtbot.waitSignal(panel.training.progressed, timeout=20_000):
        start(panel, "slow")
    with qtbot.waitSignal(panel.training.stopped, timeout=20_000):
        panel.stop_button.click()
    assert "goes on" in panel.said.text()


def test_stages_follow_one_another_and_half_a_line_does_no_harm(tmp_path: Path) -> None:
    model = tmp_path / "me.safetensors"
    for stage in ("1", "2"):
        folder = tmp_path / "me.finetune" / "run" / stage
        folder.mkdir(parents=True)
        rows: list[dict[str, Any]] = [{"step": step, "l1": step / 10.0} for step in (10, 20)]
        (folder / "log.jsonl").write_text("\n".join(json.dumps(r) for r in rows) + '\n{"step": 3')
    picture = QImage(8, 8, QImage.Format.Format_RGB888)
    picture.fill(0)
    assert picture.save(str(folder / "sample.png"))
    seen = look(model)
    assert seen.curves == {"l1": [(10, 1.0), (20, 2.0), (30, 1.0), (40, 2.0)]}
    assert seen.sample == folder / "sample.png"
    assert look(tmp_path / "nothing.safetensors").curves == {}
