from __future__ import annotations

from pathlib import Path

import pytest

from julnet_plugin.errors import SettingsError
from trainer.recipe import RECIPES, differing, known_keys, load_recipe, parse_override

TWO_STAGES = """
[train]
minutes = 100
[data]
clips = 7
[[stage]]
name = "first"
share = 3
data.teacher = 1.0
[[stage]]
name = "second"
share = 1
loss.adversarial = 0.5
optim.learning_rate = 1e-5
"""


@pytest.fixture
def recipe_file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(TWO_STAGES)
    return path


@pytest.mark.parametrize("name", sorted(file.stem for file in RECIPES.glob("*.toml")))
def test_every_recipe_that_comes_with_the_trainer_can_be_read(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.description
    assert all(s.minutes > 0 or s.max_steps > 0 for s in map(recipe.stage, range(len(recipe.stages))))


def test_stages_share_the_budget_and_change_only_what_they_name(recipe_file: Path) -> None:
    recipe = load_recipe(recipe_file, ["train.max_steps=1000"])
    first, second = recipe.stage(0), recipe.stage(1)
    assert (first.minutes, second.minutes) == (75, 25)
    assert (first.max_steps, second.max_steps) == (750, 250)
    assert (first.data.teacher, second.data.teacher) == (1.0, 0.4)
    assert (first.data.clips, second.data.clips) == (7, 7)
    assert (first.loss.adversarial, second.loss.adversarial) == (0.0, 0.5)


def test_the_command_line_is_laid_over_every_stage_or_over_one(recipe_file: Path) -> None:
    recipe = load_recipe(recipe_file, ["optim.learning_rate=1e-3", "stage.second.data.teacher=0.9"])
    assert recipe.stage(0).optim.learning_rate == recipe.stage(1).optim.learning_rate == 1e-3
    assert (recipe.stage(0).data.teacher, recipe.stage(1).data.teacher) == (1.0, 0.9)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optim.learning_rat=1", "did you mean optim.learning_rate"),
        ("learning_rate=1", "did you mean"),
        ("data.clips=2.5", "a whole number is needed"),
        ("data.full_size=1", "true or false is needed"),
        ("data.teacher=1.5", "between 0 and 1"),
        ("train.precision=half", "one of auto, float32, bfloat16"),
        ("train.minutes=0", "without an end"),
        ("stage.third.data.clips=1", "no stage 'third'"),
        ("stage.first.train.seed=1", "unknown setting"),
        ("nothing", "takes key=value"),
    ],
)
def test_a_wrong_override_is_refused_in_one_sentence(recipe_file: Path, override: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message) as refused:
        load_recipe(recipe_file, [override])
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[optimiser]\nlearning_rate=1", "unknown setting optimiser"),
        ("data = 3", r"write \[data\]"),
        ("[train]\nsede = 1", "did you mean train.seed"),
        ('[[stage]]\nname="a"\n[[stage]]\nname="a"', "two stages of one name"),
        ("[[stage]]\nshare=0", "more than 0"),
        ("[[stage]]\nlips.codes=1", "unknown setting"),
        ("[lips]\nfolds=1", "between 2 and 20"),
        ("oops", "is not TOML"),
    ],
)
def test_a_wrong_recipe_is_refused_in_one_sentence(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "r.toml").write_text(text)
    with pytest.raises(SettingsError, match=message):
        load_recipe(tmp_path / "r.toml")


def test_an_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(SettingsError, match="did you mean paper"):
        load_recipe("papr")


def test_values_are_read_as_toml_and_else_as_text() -> None:
    assert parse_override("optim.ema=0.5") == ("optim.ema", 0.5)
    assert parse_override('loss.perceptual_network="a b"') == ("loss.perceptual_network", "a b")
    assert parse_override("loss.perceptual_network=/x/y.pth") == ("loss.perceptual_network", "/x/y.pth")
    assert "data.decoded_gb" in known_keys()


def test_a_resumed_run_may_differ_in_how_long_and_not_in_what(recipe_file: Path) -> None:
    before = load_recipe(recipe_file).to_json()
    assert differing(before, load_recipe(recipe_file, ["train.minutes=7", "train.threads=1"]).to_json()) == []
    assert "data.clips" in differing(before, load_recipe(recipe_file, ["data.clips=9"]).to_json())
