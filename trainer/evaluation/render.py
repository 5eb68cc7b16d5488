"""Draw the frames of a clip with any method, and keep what the scores need."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import cast

import numpy as np
from numpy.typing import NDArray

from julnet_plugin.compose.rim import rim_offset, shown_share
from julnet_plugin.face.crop import coverage
from trainer.dataset import Clip
from trainer.evaluation.blocks import Block, Indices
from trainer.evaluation.methods import ClipView, Method
from trainer.lipshape import windows_of
from trainer.uncertainty_metrics import evenly_spaced, gradient_doubt, temporal_doubt

Float32 = NDArray[np.float32]
Bytes = NDArray[np.uint8]

PIXELS_PER_FRAME = 2000  #: of the mask, evenly spaced, kept for the scores of σ


@dataclass(slots=True)
class PixelSample:
    """Pixels of the mask, for the scores of σ: flat arrays of one length."""

    sigma: Float32
    error: Float32
    gradient: Float32  #: size of the brightness gradient of the drawn picture
    motion: Float32  #: change of the drawn picture over time
    finished_sigma: Float32  #: σ of the finished picture, as a take delivers it
    finished_error: Float32  #: error of the finished picture: in the plate's colour, laid in through the coverage


@dataclass(slots=True)
class Rendered:
    """A clip drawn by one method, in 8 bits as it would be delivered.

    Shape:
        frames: (K,) which frames of the clip.
        truth, image: (K, h, w, 3) uint8.
        mask: (K, h, w) bool.
        frame_sigma, frame_error: (K,) means over the mask; `frame_sigma` is NaN without σ.
    """

    method: str
    frames: Indices
    truth: Bytes
    image: Bytes
    mask: NDArray[np.bool_]
    frame_sigma: Float32
    frame_error: Float32
    pixels: PixelSample | None = None
    example: Float32 | None = field(default=None, repr=False)  #: σ of one frame near the middle
    example_index: int = 0  #: which of `frames` that is

    @property
    def size(self) -> tuple[int, int]:
        """(h, w) of the crops."""
        return self.image.shape[1], self.image.shape[2]


def render_clip(clip: Clip, method: Method, blocks: list[Block], audio: Float32 | None = None) -> Rendered:
    """Draw the frames of all blocks.

    Args:
        clip: with pictures.
        method: what draws.
        blocks: from `plan_blocks`, at least one.
        audio: (T, 21, D) windows for every frame of the clip; None = its own sound.
    """
    view = ClipView(clip, method.size)
    windows = windows_of(clip) if audio is None else audio
    parts = [_render_block(view, method, block, windows[block.frames]) for block in blocks]
    before, middle = parts[: len(parts) // 2], parts[len(parts) // 2]
    pixels = [p.pixels for p in parts if p.pixels is not None]
    return Rendered(
        method=method.name,
        frames=np.concatenate([p.frames for p in parts]),
        truth=np.concatenate([p.truth for p in parts]),
        image=np.concatenate([p.image for p in parts]),
        mask=np.concatenate([p.mask for p in parts]),
        frame_sigma=np.concatenate([p.frame_sigma for p in parts]),
        frame_error=np.concatenate([p.frame_error for p in parts]),
        pixels=joined(pixels) if pixels else None,
        example=middle.example,
        example_index=sum(len(p.frames) for p in before) + len(middle.frames) // 2,
    )


def example_frame(drawn: Rendered) -> Rendered:
    """Only one frame, for a picture in the report: whole clips of every method would fill the memory."""
    k = slice(drawn.example_index, drawn.example_index + 1)
    return Rendered(
        method=drawn.method,
        frames=drawn.frames[k],
        truth=drawn.truth[k].copy(),
        image=drawn.image[k].copy(),
        mask=drawn.mask[k].copy(),
        frame_sigma=drawn.frame_sigma[k],
        frame_error=drawn.frame_error[k],
        example=drawn.example,
    )


def joined(samples: list[PixelSample]) -> PixelSample:
    """Several samples as one."""
    return PixelSample(
        *(np.concatenate([cast("Float32", getattr(s, f.name)) for s in samples]) for f in fields(PixelSample))
    )


def _render_block(view: ClipView, method: Method, block: Block, audio: Float32) -> Rendered:
    drawn = method.draw(view, block, audio)
    truth, mask = view.pictures(block.frames), view.masks(block.frames) > 0.5
    error = np.abs(drawn.image - truth).mean(axis=3)
    sigma = drawn.sigma
    area = np.maximum(mask.sum(axis=(1, 2)), 1)
    return Rendered(
        method=method.name,
        frames=block.frames,
        truth=_to_bytes(truth),
        image=_to_bytes(drawn.image),
        mask=mask,
        frame_sigma=_per_frame(sigma, mask, area),
        frame_error=_per_frame(error, mask, area),
        pixels=None if sigma is None else _sample_pixels(view, block, drawn.image, truth, sigma, error, mask),
        example=None if sigma is None else sigma[len(sigma) // 2],
    )


def _per_frame(values: Float32 | None, mask: NDArray[np.bool_], area: NDArray[np.integer]) -> Float32:  # type: ignore[type-arg]
    if values is None:
        return np.full(len(mask), np.nan, np.float32)
    return np.asarray((values * mask).sum(axis=(1, 2)) / area, np.float32)


def _sample_pixels(
    view: ClipView,
    block: Block,
    image: Float32,
    truth: Float32,
    sigma: Float32,
    error: Float32,
    mask: NDArray[np.bool_],
) -> PixelSample:
    regions = view.clip.region[block.frames]
    finished = [_finished(*frame) for frame in zip(regions, image, truth, sigma, strict=True)]
    finished_sigma, finished_error = (np.stack(values) for values in zip(*finished, strict=True))
    maps = (sigma, error, gradient_doubt(image), temporal_doubt(image), finished_sigma, finished_error)
    picked = []
    for k in range(len(mask)):
        inside = np.flatnonzero(mask[k])
        index = inside[evenly_spaced(len(inside), PIXELS_PER_FRAME)]
        picked.append([np.asarray(m[k].reshape(-1)[index], np.float32) for m in maps])
    return PixelSample(*(np.concatenate(column) for column in zip(*picked, strict=True)))


def _finished(region: Float32, image: Float32, truth: Float32, sigma: Float32) -> tuple[Float32, Float32]:
    """σ and error (h, w) of one finished frame; see `pipeline.takedata` and `compose.paste`.

    Shape:
        region: (P, 2), see `dataset.Clip`.
        image, truth: (h, w, 3).
        sigma: (h, w).
    """
    inside = coverage(region, (sigma.shape[0], sigma.shape[1]))
    shown = shown_share(inside, sigma)
    error = np.abs(image + rim_offset(image, truth, inside, sigma) - truth).mean(axis=-1)
    return np.asarray(sigma * shown, np.float32), np.asarray(error * shown, np.float32)


def _to_bytes(pictures: Float32) -> Bytes:
    return np.asarray(np.rint(np.clip(pictures, 0, 1) * 255), np.uint8)
