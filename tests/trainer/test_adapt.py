"""`julnet redub --adapt`: a copy of the model is taught the person first."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest

from julnet_plugin import hookimpl
from julnet_plugin.console import Console
from julnet_plugin.errors import ModelError, SettingsError
from julnet_plugin.manager import Manager, make_manager
from julnet_plugin.types import RedubRequest, Take
from julnet_plugin.verbs.redub import Redub
from trainer import finetune as room


class Stage:
    """An effect and a trainer that only remember what they were asked for."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure
        self.adapted: list[tuple[str, list[Path], Path, float]] = []
        self.models: list[str] = []

    @hookimpl
    def julnet_adapt_model(self, model: str, clips: list[Path], output: Path, minutes: float) -> Path:
        self.adapted.append((model, clips, output, minutes))
        if self.failure is not None:
            raise self.failure
        output.write_bytes(b"weights")
        return output

    @hookimpl
    def julnet_redub_clip(self, request: RedubRequest) -> Take:
        self.models.append(str(request.model))
        return Take(path=request.take_dir, manifest={"files": {}, "warnings": []})


def redub(stage: object, tmp_path: Path, *more: str) -> None:
    """Run the verb with nothing but a stage."""
    manager = Manager()
    assert manager.register(stage, "stage")
    parser = argparse.ArgumentParser()
    Redub().add_arguments(parser)
    take = tmp_path / "take"
    args = parser.parse_args(["plate.mov", "--dub", "line.wav", "-o", str(take), *more])
    args.manager, args.console = manager, Console()
    Redub().run(args)


@pytest.fixture(autouse=True)
def _shown_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("julnet_plugin.verbs.redub.show_take", lambda *_: None)


def test_it_is_off_unless_asked_for(tmp_path: Path) -> None:
    stage = Stage()
    redub(stage, tmp_path)
    assert stage.adapted == []
    assert stage.models == ["rt"]


def test_the_take_is_rendered_by_a_copy_that_knows_the_plate_and_the_clips_given(tmp_path: Path) -> None:
    stage = Stage()
    redub(stage, tmp_path, "--adapt", "5", "--adapt-clip", "a.mov", "--adapt-clip", "b.mov")
    output = tmp_path / "take.adapted.safetensors"
    assert stage.adapted == [("rt", [Path("plate.mov"), Path("a.mov"), Path("b.mov")], output, 5.0)]
    assert stage.models == [str(output)]
    redub(stage, tmp_path, "--adapt", "5", "--resume")
    assert len(stage.adapted) == 1
    assert stage.models == [str(output)] * 2


def test_a_copy_that_does_not_measure_better_is_not_used_and_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stage = Stage(ModelError("the fine-tuned model does not measure better"))
    redub(stage, tmp_path, "--adapt", "5")
    assert stage.models == ["rt"]
    assert "does not measure better; going on with rt" in capsys.readouterr().err


@pytest.mark.parametrize("minutes", ["0", "-3", "nan", "1e9"])
def test_a_time_that_makes_no_sense_is_refused(minutes: str, tmp_path: Path) -> None:
    stage = Stage()
    with pytest.raises(SettingsError, match="between 0 and"):
        redub(stage, tmp_path, f"--adapt={minutes}")
    with pytest.raises(SettingsError, match="--adapt is 0"):
        redub(stage, tmp_path, "--adapt-clip", "a.mov")
    assert stage.models == []


def test_without_the_trainer_it_says_what_is_missing(tmp_path: Path) -> None:
    class OnlyEffect:
        julnet_redub_clip = hookimpl(lambda self, request: Take(path=request.take_dir, manifest={}))

    with pytest.raises(SettingsError, match="install julnet\\[train\\]"):
        redub(OnlyEffect(), tmp_path, "--adapt", "5")


def test_the_trainer_answers_by_fine_tuning_within_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def fine(clips: list[Path], output: Path, recipe: Any, manager: Manager, **more: Any) -> Any:
        asked.update(more, clips=clips, minutes=recipe.train.minutes, device=recipe.train.device)
        return argparse.Namespace(model=output)

    monkeypatch.setattr(room, "finetune", fine)
    manager = make_manager(third_party=False)
    found = manager.adapt_model("rt", [tmp_path / "a.mov"], tmp_path / "m.safetensors", 7.5, "cpu")
    assert found == tmp_path / "m.safetensors"
    assert (asked["minutes"], asked["device"], asked["base"]) == (7.5, "cpu", "rt")
    assert asked["clips"] == [tmp_path / "a.mov"]
