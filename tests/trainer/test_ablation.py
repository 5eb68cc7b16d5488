from __future__ import annotations

import json
from pathlib import Path

import pytest

from julnet_plugin.cli import main
from julnet_plugin.errors import SettingsError
from trainer.ablation.plan import SCORES, Comparison, load_plan
from trainer.ablation.tables import Row, Spread, judged

pytestmark = pytest.mark.usefixtures("no_weights")

PSNR, DISTANCE = SCORES[0], SCORES[1]
TINY = """
recipe = "ablation"
[[table]]
name = "un"
title = "Uncertainty"
set = ["network.width=4", "network.deform_blocks=0", "network.crop_size=[104,80]"]
compare = [["with", "without"]]
[[table.row]]
name = "without"
set = ["network.uncertainty=false", "loss.uncertainty=0", "loss.error_head=0"]
paper = { psnr = 31.8, distance = 0.0403 }
[[table.row]]
name = "with"
paper = { psnr = 32.3, distance = 0.0365 }
[[table]]
name = "again"
title = "The same run in another table"
set = ["network.width=4", "network.deform_blocks=0", "network.crop_size=[104,80]"]
[[table.row]]
name = "JULNet"
[[table.row]]
name = "synced"
set = ["loss.sync=0.1"]
"""
BUDGET = ["--seeds", "2", "--max-steps", "2", "--seconds", "0.8", "--threads", "1", "--device", "cpu"]
LIGHT = ["--set", "loss.perceptual=0", "--set", "data.clips=1", "--set", "lips.codes=3"]


def test_a_plan_becomes_tables_beside_the_papers_and_nothing_is_run_twice(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = tmp_path / "tiny.toml"
    plan.write_text(TINY)
    command = ["ablate", str(dataset), "-o", str(tmp_path / "out"), "--plan", str(plan), *BUDGET, *LIGHT]
    command += ["--json", "--no-plugins"]
    assert main(command) == 0
    report = json.loads((tmp_path / "out" / "ablation.json").read_text("utf-8"))
    tables = {table["name"]: table for table in report["tables"]}
    without, with_it = tables["un"]["rows"]
    assert set(with_it["by_seed"]) == {"0", "1"}
    assert with_it["scores"]["psnr"]["count"] == 2
    assert with_it["scores"]["psnr"]["std"] > 0
    assert "spearman" in with_it["scores"]
    assert "spearman" not in without["scores"]
    same, synced = tables["again"]["rows"]
    assert same["by_seed"] == with_it["by_seed"]
    assert "--sync-loss" in synced["why"]
    runs = sorted((tmp_path / "out" / "runs").glob("*/seed-*/scores.json"))
    assert len(runs) == 4
    assert {v["score"] for v in tables["un"]["verdicts"]} >= {"psnr", "distance", "frechet"}
    text = (tmp_path / "out" / "ablation.md").read_text("utf-8")
    assert "| *paper* | *32.300* | *0.0365* |" in text
    assert "with minus without: PSNR dB" in text

    capsys.readouterr()
    made = [run.stat().st_mtime_ns for run in runs]
    assert main(command) == 0
    assert [run.stat().st_mtime_ns for run in runs] == made


def row(name: str, values: list[float], paper: float, key: str = "psnr") -> Row:
    by_seed = {str(k): {key: v} for k, v in enumerate(values)}
    return Row(name=name, scores={}, by_seed=by_seed, paper={key: paper})


@pytest.mark.parametrize(
    ("mine", "papers", "verdict"),
    [
        (([32.0, 32.1, 32.2], [31.0, 31.1, 31.2]), (32.3, 31.8), "reproduces"),
        (([31.0, 31.1, 31.2], [32.0, 32.1, 32.2]), (32.3, 31.8), "does not reproduce"),
        (([31.0, 32.1, 31.6], [31.6, 31.5, 31.5]), (32.3, 31.8), "undecided"),
        (([32.0, 32.1, 32.2], [31.0, 31.1, 31.2]), (31.8, 32.3), "does not reproduce"),
        (([32.0], [31.0]), (32.3, 31.8), "undecided"),
    ],
)
def test_a_direction_reproduces_only_where_seeds_agree(
    mine: tuple[list[float], list[float]], papers: tuple[float, float], verdict: str
) -> None:
    rows = {"a": row("a", mine[0], papers[0]), "b": row("b", mine[1], papers[1])}
    found = judged(Comparison(better="a", worse="b"), rows, PSNR)
    assert found is not None
    assert found.verdict == verdict
    assert found.paper == pytest.approx(papers[0] - papers[1])


def test_a_distance_is_better_when_it_is_smaller() -> None:
    rows = {"a": row("a", [0.1, 0.11], 0.03, "distance"), "b": row("b", [0.2, 0.21], 0.04, "distance")}
    found = judged(Comparison(better="a", worse="b"), rows, DISTANCE)
    assert found is not None
    assert found.verdict == "reproduces"


def test_the_spread_is_that_of_a_sample() -> None:
    found = Spread.of([1.0, 3.0])
    assert found is not None
    assert (found.mean, found.std, found.count) == pytest.approx((2.0, 2**0.5, 2))
    assert found.text(1) == "2.0 ± 1.4"
    assert Spread.of([float("nan")]) is None
    alone = Spread.of([0.25])
    assert alone is not None
    assert alone.text(2, "+") == "+0.25 (one seed)"  # not ± 0.00, which would claim certainty


def test_the_papers_tables_are_all_planned_with_its_numbers() -> None:
    plan = load_plan("paper")
    tables = {table.name: table for table in plan.tables}
    assert list(tables) == ["3", "4", "5", "dinet"]
    assert [v.name for v in tables["4"].variants][:5] == ["B = 9", "B = 10", "B = 11 (JULNet)", "B = 12", "B = 13"]
    assert all(v.paper or v.name == "L_pe + L_un" for t in plan.tables for v in t.variants)
    bins = [plan.recipe_of(v, 0).train.loss.bins for v in tables["4"].variants]
    assert bins == [9, 10, 11, 12, 13, 11, 11]
    weights = [plan.recipe_of(v, 0).train.loss for v in tables["4"].variants[5:]]
    assert [(w.nll, w.matching) for w in weights] == [(0, 1), (1, 0)]
    assert [v.name for v in load_plan("paper", ["5"]).tables[0].variants] == [
        "Wav2Lip-class",
        "Wav2Lip-class + uncertainty",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("recipe = 'ablation'", r"needs a list of \[\[table\]\]"),
        ("[[table]]\nname='a'\n[[table.row]]\nname='x'\nset=['loss.binz=3']", "unknown setting loss.binz"),
        ("[[table]]\nname='a'\ncompare=[['x','y']]\n[[table.row]]\nname='x'", "which is no row"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused_before_any_run(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=message):
        load_plan(path)


def test_unknown_plans_tables_and_a_judge_that_teaches_are_one_sentence(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ["ablate", str(dataset), "-o", str(tmp_path / "out"), "--no-plugins"]
    assert main([*common, "--plan", "nothing"]) == 2
    assert "there is no plan 'nothing'" in capsys.readouterr().err
    assert main([*common, "--tables", "7"]) == 2
    assert "no table '7'" in capsys.readouterr().err
    assert main([*common, "--syncnet", "a.safetensors", "--sync-loss", "a.safetensors"]) == 2
    assert "cannot both teach and judge" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
