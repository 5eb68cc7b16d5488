"""Whose a run folder is."""

from __future__ import annotations

from pathlib import Path

from julnet_plugin.errors import SettingsError
from trainer.corpus import Corpus
from trainer.dataset import DatasetError
from trainer.recipe import Recipe, differing
from trainer.records import read_json, write_json

RECIPE = "recipe.json"


def claim_run(run: Path, recipe: Recipe, corpus: Corpus, resume: bool) -> None:
    """Make a folder this run's.

    Raises:
        SettingsError: it holds a run and `resume` was not asked for, or another recipe's.
        DatasetError: the dataset is not the one that the run was started with.
    """
    known = read_json(run / RECIPE)
    if known and not resume:
        msg = f"{run} holds a run already; continue it with --resume, or give another folder"
        raise SettingsError(msg, key="output")
    if known:
        changed = differing(known["recipe"], recipe.to_json())
        if changed:
            msg = (
                f"the run in {run} was started with another {changed[0]}; resume it with the same recipe, "
                "or start a new one in another folder"
            )
            raise SettingsError(msg, key=changed[0])
        if known["corpus"] != corpus.key:
            msg = f"the dataset changed since the run in {run} was started; start a new run in another folder"
            raise DatasetError(msg, run)
    run.mkdir(parents=True, exist_ok=True)
    write_json(run / RECIPE, {"recipe": recipe.to_json(), "corpus": corpus.key, "data": corpus.describe()})
