"""TensorBoard, for who wants it: losses, scores, and what the network drew beside where it erred and doubted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from julnet_plugin.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor

    from julnet_plugin.model.generator import GeneratorOutput
    from trainer.batches import Batch

SAMPLE = "sample.png"  #: in a stage's folder
_SHOWN = 3  #: frames of a batch
_WHITE = 0.15  #: error and σ that show as white


class NoBoard:
    """Writes nothing."""

    def __enter__(self) -> NoBoard:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to close."""

    def scalars(self, step: int, values: dict[str, float]) -> None:
        """Losses or scores."""

    def pictures(self, step: int, batch: Batch, output: GeneratorOutput) -> None:
        """What was drawn."""


class PictureBoard(NoBoard):
    """Keeps one picture of what was drawn last, for whoever watches the run's folder."""

    def __init__(self, run: Path) -> None:
        self._path = run / SAMPLE

    def pictures(self, step: int, batch: Batch, output: GeneratorOutput) -> None:
        """Rows of truth, drawn frame, |error|, predicted error and σ."""
        import cv2

        error = (output.image - batch.target).abs().mean(dim=1, keepdim=True) * batch.mask
        sheet = _sheet(batch, output, error, output.log_sigma.exp() * batch.mask)
        pixels = (255 * sheet.detach().float().clamp(0, 1)).round().byte().permute(1, 2, 0).numpy()
        partial = self._path.with_name(f".{SAMPLE}")
        if cv2.imwrite(str(partial), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)):
            partial.replace(self._path)


class TensorBoard(NoBoard):
    """Writes event files.

    Raises:
        ModelError: the `tensorboard` package is not installed.
    """

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as exc:
            msg = "TensorBoard was asked for and is not installed; install julnet[train], or leave it out"
            raise ModelError(msg) from exc
        self._writer: Any = SummaryWriter(str(folder))

    def __exit__(self, *_: object) -> None:
        """Write what is held back."""
        self._writer.close()

    def scalars(self, step: int, values: dict[str, float]) -> None:
        """See `NoBoard`."""
        for name, value in values.items():
            where = f"validation/{name[4:]}" if name.startswith("val_") else f"loss/{name}"
            self._writer.add_scalar(where, value, step)

    def pictures(self, step: int, batch: Batch, output: GeneratorOutput) -> None:
        """Rows of truth, drawn frame, |error|, predicted error and σ; the histograms of error and σ in the mask."""
        error = (output.image - batch.target).abs().mean(dim=1, keepdim=True) * batch.mask
        sigma = output.log_sigma.exp() * batch.mask
        self._writer.add_image("truth | drawn | error | predicted | sigma", _sheet(batch, output, error, sigma), step)
        inside = batch.mask > 0
        self._writer.add_histogram("error", error[inside], step)
        self._writer.add_histogram("sigma", sigma[inside], step)


@torch.no_grad()
def _sheet(batch: Batch, output: GeneratorOutput, error: Tensor, sigma: Tensor) -> Tensor:
    grey = [(x / _WHITE).clamp(0, 1).expand(-1, 3, -1, -1) for x in (error, output.error * batch.mask, sigma)]
    columns = torch.cat([batch.target, output.image.clamp(0, 1), *grey], dim=3)
    return torch.cat(list(columns[:_SHOWN]), dim=1).cpu()
