"""What every generator network offers, whatever its architecture: the contract between engine, trainer and plugins.

Source: JULNet (ICMR 2025) §3.1-3.2. The uncertainty module's inputs exist at inference, so a forward pass gives the
image, the predicted error map and τ = log σ together.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

from torch import Tensor, nn

from julnet_plugin.model.blocks import fold_batchnorm
from julnet_plugin.model.fastconv import accelerate
from julnet_plugin.model.lips import LipBasis

AUDIO_WINDOW = 21  #: W, steps of 20 ms around a frame: the frame's own time and 200 ms on both sides


class GeneratorOutput(NamedTuple):
    """One generated batch.

    Shape:
        image: (B, 3, h, w) RGB in [0, 1]; the masked source wherever the mask is 0, exactly.
        error: (B, 1, h, w) predicted |error| ε̂, mean over the channels, ≥ 0; meaningful inside the mask.
        log_sigma: (B, 1, h, w) τ = log σ, σ the Laplace scale of the error, ≥ ln(1/255); meaningful inside the mask.
    """

    image: Tensor
    error: Tensor
    log_sigma: Tensor


class MouthSquare(NamedTuple):
    """The square of a crop where a mouth may be painted: rows top ≤ y < top + side, columns left ≤ x < left + side."""

    top: int
    left: int
    side: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """(rows, columns), to index an (..., h, w) tensor."""
        return slice(self.top, self.top + self.side), slice(self.left, self.left + self.side)


def mouth_square(rows: int, columns: int) -> MouthSquare:
    """The mouth square of a crop of this size.

    Convention:
        A crop is 13 units high and 10 wide; the square is 8 units wide, 4 from the top, 1 from the left. For 416x320
        that is rows 128..383, columns 32..287.

    Raises:
        ValueError: the size is not 13:10 in whole units.

    Source:
        DINet's crop, H = 3r + r/4 and W = 2r + 2(r/4) with r = 4 units.
    """
    rows, columns = int(rows), int(columns)  # tracing for ONNX makes tensors of sizes; these are constants
    unit, rest = divmod(columns, 10)
    if rest or rows != 13 * unit or unit == 0:
        msg = f"a crop of {rows} x {columns} has no mouth square; it must be 13 by 10 times the same whole number"
        raise ValueError(msg)
    return MouthSquare(4 * unit, unit, 8 * unit)


class Generator(nn.Module, ABC):
    """Paints the masked part of a crop so that it says what is heard.

    A subclass sets the four attributes in `__init__`, from its frozen configuration dataclass, which it keeps in
    `config`; that dataclass is what a weights header stores.

    Attributes:
        crop_size: (h, w) that the network was trained at.
        other_crops: further crop sizes that it draws as well, each at its own resolution; for mouths that a plate shows
            no larger, they cost less.
        audio_size: D, the length of one audio feature vector.
        audio_window: W, how many feature vectors a frame sees.
        n_refs: N, how many reference frames a shot has.
        keep_float32: layers, by dotted name, that an engine running in half precision leaves in float32, because their
            rounding would be seen; `forward` calls them with autocast off.
        uses_lips: whether `encode_references` makes use of the references' lips.
    """

    crop_size: tuple[int, int]
    other_crops: tuple[tuple[int, int], ...] = ()
    audio_size: int
    audio_window: int = AUDIO_WINDOW
    n_refs: int
    keep_float32: tuple[str, ...] = ()
    uses_lips: bool = False

    @property
    def lip_basis(self) -> LipBasis | None:
        """The lip shapes that the network was taught; None where it was taught none."""
        return None

    @abstractmethod
    def encode_references(self, refs: Tensor, lips: Tensor | None = None) -> tuple[Tensor, ...]:
        """All that depends on the references alone; computed once per shot.

        Args:
            refs: reference crops, most closed mouth first.
            lips: their lips, the shot's closed mouth and perhaps that mouth as the person holds it in speech, in face
                units (`lips.SHAPE_POINTS`); a network whose `uses_lips` is False ignores them, another takes None for
                average closed mouths.

        Shape:
            refs: (B, N, 3, h, w) RGB in [0, 1].
            lips: (B, N + 1 or N + 2, 48, 3).
            returns: tensors with leading dimension B, in whatever form `forward` wants them back.
        """

    @abstractmethod
    def forward(self, masked_source: Tensor, mask: Tensor, audio: Tensor, refs: tuple[Tensor, ...]) -> GeneratorOutput:
        """Generate the masked part and say how far it can be trusted.

        Shape:
            masked_source: (B, 3, h, w) RGB in [0, 1], crop · (1 − mask).
            mask: (B, 1, h, w), 1 where the network paints, 0 elsewhere; 1 only inside the mouth square.
            audio: (B, W, D) features centred on the frame's own time.
            refs: what `encode_references` returned, with leading dimension B.
        """

    def hear_lips(self, audio: Tensor) -> tuple[Tensor, Tensor] | None:
        """Lip shapes (B, K) that sound (B, W, D) asks for and the share of speech (B, 1); None of a network without."""
        del audio
        return None

    def hear_silence(self, quiet: Tensor) -> None:
        """Say what silence sounds like, for networks that must be told to close the mouth there; others ignore it.

        Shape:
            quiet: (W, D) the audio window of a silent moment.
        """
        del quiet

    def prepare_for_inference(self, target: str, precision: str) -> None:
        """Change the network, in eval mode, into an equal but faster one, in place.

        It can't be trained or saved afterwards. Equal means but for rounding.

        Args:
            target: "cpu", "cuda" or "onnx", what it will run on.
            precision: "float32" or "bfloat16".
        """
        fold_batchnorm(self)
        if target == "cpu":
            accelerate(self, precision, self.keep_float32)


def lay_over(masked_source: Tensor, mask: Tensor, generated: Tensor) -> Tensor:
    """The final image: generated inside the mask, the masked source outside, exactly.

    Shape:
        masked_source: (B, 3, h, w).
        mask: (B, 1, h, w).
        generated: (B, 3, h, w), finite.
    """
    return masked_source * (1 - mask) + generated * mask
