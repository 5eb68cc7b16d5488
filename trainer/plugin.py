"""The verbs that the trainer adds to the `julnet` command. Nothing heavy is imported before one of them runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from julnet_plugin import hookimpl
from trainer.verbs.ablate import Ablate
from trainer.verbs.evaluate import Evaluate
from trainer.verbs.export import Export
from trainer.verbs.finetune import Finetune
from trainer.verbs.prepare import Prepare
from trainer.verbs.study import StudyVerb
from trainer.verbs.train import Train

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from julnet_plugin.interfaces import CliVerb
    from julnet_plugin.manager import Manager
    from julnet_plugin.types import ProgressFn


@hookimpl
def julnet_adapt_model(
    model: str,
    clips: Sequence[Path],
    output: Path,
    minutes: float,
    device: str,
    progress: ProgressFn | None,
    manager: Manager,
) -> Path:
    """Fine-tune a copy of a model on clips of the person."""
    from trainer.finetune import adapt_model

    return adapt_model(model, clips, output, minutes, device, progress, manager)


@hookimpl
def julnet_cli_verbs() -> Sequence[CliVerb]:
    """Contribute the trainer's verbs."""
    return [Prepare(), Train(), Finetune(), Evaluate(), Ablate(), StudyVerb(), Export()]
