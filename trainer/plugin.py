"""The verbs that the trainer adds to the `julnet` command. Nothing heavy is imported before one of them runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from julnet_plugin import hookimpl
from trainer.verbs.ablate import Ablate
from trainer.verbs.evaluate import Evaluate
from trainer.verbs.export import Export
from trainer.verbs.finetune import Finetune
from trainer.verbs.prepare import Prepare
from trainer.verbs.train import Train

if TYPE_CHECKING:
    from collections.abc import Sequence

    from julnet_plugin.interfaces import CliVerb


@hookimpl
def julnet_cli_verbs() -> Sequence[CliVerb]:
    """Contribute the trainer's verbs."""
    return [Prepare(), Train(), Finetune(), Evaluate(), Ablate(), Export()]
