"""Ways to fill the mask of a clip's frames: networks, and baselines without one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from julnet_plugin.face.crop import region_mask
from julnet_plugin.model.engine import Engine
from julnet_plugin.model.generator import Generator
from julnet_plugin.model.lips import LipBasis, closed_shape
from julnet_plugin.model.rt import RtGenerator
from julnet_plugin.pipeline.habit import Habit, lip_habit
from julnet_plugin.pipeline.rehearsal import GAP_S, GRID, in_cells, over_crop, sigma_gain, spread_out
from trainer.dataset import Clip
from trainer.evaluation.blocks import Block, Indices, choose_references, nearest_by_lips
from trainer.lipshape import windows_of

Float32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Drawn:
    """Some frames as a model or a baseline sees them.

    Shape:
        image: (K, h, w, 3) RGB in [0, 1].
        sigma, error: (K, h, w), or None from what has no opinion.
    """

    image: Float32
    sigma: Float32 | None = None
    error: Float32 | None = None


class Method(Protocol):
    """A way to fill the mask of a block of frames."""

    name: str
    size: tuple[int, int]  #: (h, w) of the crops that it draws

    def draw(self, view: ClipView, block: Block, audio: Float32) -> Drawn:
        """Draw the block's frames; `audio` is (K, 21, D), one window a frame."""


class ClipView:
    """A prepared clip's pictures and masks at one size, decoded as needed."""

    def __init__(self, clip: Clip, size: tuple[int, int]) -> None:
        self.clip = clip
        self.size = size

    def pictures(self, frames: Indices) -> Float32:
        """(K, h, w, 3) RGB in [0, 1]."""
        return np.stack([self._picture(int(k)) for k in frames])

    def masks(self, frames: Indices) -> Float32:
        """(K, h, w), 1 where speech may change the picture."""
        return np.stack([region_mask(self.clip.region[k], self.size) for k in frames])

    def _picture(self, frame: int) -> Float32:
        crop = self.clip.crop(frame)
        if crop.shape[:2] != self.size:
            shrinks = crop.shape[0] > self.size[0]
            how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
            crop = cv2.resize(crop, (self.size[1], self.size[0]), interpolation=how).astype(np.uint8)
        return np.asarray(crop, np.float32) / np.float32(255)


@dataclass(frozen=True, slots=True)
class _Heard:
    """What is found out about a clip once, not once a block.

    Shape:
        lips: as `Engine.hear_lips`; None from a network that does not tell lips from sound.
        frames: (n,) those that were drawn to try σ.
        error, sigma: (n, GRID, GRID), true and as the network said; see `pipeline.rehearsal`.
    """

    clip: Clip
    lips: tuple[Float32, Float32] | None
    frames: Indices
    error: Float32
    sigma: Float32


class _ReferenceMethod(ABC):
    """What a network and an engine share: references chosen per block, sound that may be taken away.

    As in a take, the lips that are heard are moved by the speaker's habit, and σ is multiplied by what frames of the
    clip itself show of it; both from the frames that a block's references may come from.
    """

    name: str
    size: tuple[int, int]
    n_refs: int
    basis: LipBasis | None

    def __init__(self, deaf_audio: Float32 | None) -> None:
        self._deaf_audio = deaf_audio
        self._heard: _Heard | None = None

    def draw(self, view: ClipView, block: Block, audio: Float32) -> Drawn:
        """See `Method`."""
        if self._deaf_audio is not None:
            audio = np.broadcast_to(self._deaf_audio, audio.shape)
            return self._drawn(view, block, audio, None)
        if self._heard is None or self._heard.clip is not view.clip:
            self._heard = self._listen(view)
        heard = self._heard
        habit = self._habit(view.clip, block, heard.lips)
        drawn = self._drawn(view, block, audio, habit)
        if habit is None or drawn.sigma is None or drawn.error is None:
            return drawn
        allowed = np.isin(heard.frames, block.allowed)
        gain = over_crop(sigma_gain(heard.error[allowed], heard.sigma[allowed], habit.theirs), self.size)
        return replace(drawn, sigma=np.minimum(drawn.sigma * gain, 1), error=np.minimum(drawn.error * gain, 1))

    def _drawn(self, view: ClipView, block: Block, audio: Float32, habit: Habit | None) -> Drawn:
        """Draw a block; σ is what the network says."""
        chosen = choose_references(view.clip, block, self.n_refs)
        references, lips = view.pictures(chosen), reference_lips(view.clip, block, chosen)
        mask = view.masks(block.frames)
        if habit is not None and self.basis is not None:
            spoken = lips[-1] + self.basis.decode(habit.shape[None])[0]
            lips = np.concatenate([lips, spoken[None].astype(np.float32)])
        masked = view.pictures(block.frames) * (1 - mask[..., None])
        return self._generate(references, lips, masked, mask, np.ascontiguousarray(audio, np.float32))

    def _habit(self, clip: Clip, block: Block, heard: tuple[Float32, Float32] | None) -> Habit | None:
        """How the speaker holds the lips in speech, from frames that the block may see."""
        if heard is None or self.basis is None:
            return None
        seen = np.zeros(len(clip), np.bool_)
        seen[block.allowed] = True
        closed = closed_shape(clip.lips[block.allowed])
        return lip_habit(clip.lips, closed, *heard, seen, self.basis, clip.header.rate)

    def _listen(self, view: ClipView) -> _Heard:
        """Hear a clip, and draw some of its frames."""
        clip, windows = view.clip, windows_of(view.clip)
        lips = None if self.basis is None else self._hear(windows)
        frames, errors, sigmas = [], [], []
        for frame in spread_out(np.arange(len(clip))) if lips is not None else ():
            allowed = np.flatnonzero(np.abs(clip.times_s - clip.times_s[frame]) >= GAP_S - 1e-6)
            block = Block(np.array([frame]), allowed)
            if len(allowed) < self.n_refs:
                continue
            drawn = self._drawn(view, block, windows[block.frames], self._habit(clip, block, lips))
            if drawn.sigma is None:
                break
            wrong = np.abs(drawn.image - view.pictures(block.frames)).mean(axis=-1) * view.masks(block.frames)
            frames.append(frame)
            errors.append(in_cells(wrong[0]))
            sigmas.append(in_cells(drawn.sigma[0] * view.masks(block.frames)[0]))
        cells = np.zeros((0, GRID, GRID), np.float32)
        return _Heard(
            clip,
            lips,
            np.array(frames, np.int64),
            np.stack(errors) if errors else cells,
            np.stack(sigmas) if sigmas else cells,
        )

    @abstractmethod
    def _hear(self, audio: Float32) -> tuple[Float32, Float32] | None:
        """As `Engine.hear_lips`."""

    @abstractmethod
    def _generate(self, references: Float32, lips: Float32, masked: Float32, mask: Float32, audio: Float32) -> Drawn:
        """Draw frames from references and their lips; sizes as in `Engine`."""


class EngineMethod(_ReferenceMethod):
    """An engine: the model as the effect runs it.

    Args:
        engine: loaded.
        name: in the report.
        deaf_audio: (D,) feature vector that replaces all sound, for a network trained without it.
    """

    def __init__(self, engine: Engine, name: str = "model", deaf_audio: Float32 | None = None) -> None:
        super().__init__(deaf_audio)
        self.name = name
        self.size = engine.info.crop_size
        self.n_refs = engine.info.n_refs
        self.basis = engine.lip_basis
        self._engine = engine

    def _hear(self, audio: Float32) -> tuple[Float32, Float32] | None:
        return self._engine.hear_lips(audio)

    def _generate(self, references: Float32, lips: Float32, masked: Float32, mask: Float32, audio: Float32) -> Drawn:
        self._engine.set_references(references, lips)
        out = self._engine.run(masked, mask, audio)
        return Drawn(np.clip(out.image, 0, 1), out.sigma, out.error)


class NetworkMethod(_ReferenceMethod):
    """A generator network in memory, for validation while it trains.

    Args:
        generator: in eval mode.
        name: in the report.
        size: crop size to draw at; None = what it was trained at.
        deaf_audio: as in `EngineMethod`.
    """

    def __init__(
        self,
        generator: Generator,
        name: str = "model",
        size: tuple[int, int] | None = None,
        deaf_audio: Float32 | None = None,
    ) -> None:
        super().__init__(deaf_audio)
        self.name = name
        self.size = generator.crop_size if size is None else size
        self.n_refs = generator.n_refs
        self.basis = generator.lip_basis
        self._generator = generator
        self._device = next(generator.parameters()).device

    @torch.inference_mode()
    def _hear(self, audio: Float32) -> tuple[Float32, Float32] | None:
        heard = self._generator.hear_lips(torch.from_numpy(audio).to(self._device))
        return None if heard is None else (heard[0].float().cpu().numpy(), heard[1][:, 0].float().cpu().numpy())

    @torch.inference_mode()
    def _generate(self, references: Float32, lips: Float32, masked: Float32, mask: Float32, audio: Float32) -> Drawn:
        shapes = torch.from_numpy(lips)[None].to(self._device)
        encoded = self._generator.encode_references(self._tensor(references)[None], shapes)
        out = self._generator(
            self._tensor(masked),
            torch.from_numpy(mask)[:, None].to(self._device),
            torch.from_numpy(audio).to(self._device),
            tuple(e.expand(len(masked), *e.shape[1:]) for e in encoded),
        )
        return Drawn(
            image=np.ascontiguousarray(out.image.float().clamp(0, 1).cpu().numpy().transpose(0, 2, 3, 1)),
            sigma=out.log_sigma.float().exp().cpu().numpy()[:, 0],
            error=out.error.float().cpu().numpy()[:, 0],
        )

    def _tensor(self, pictures: Float32) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2))).to(self._device)


def reference_lips(clip: Clip, block: Block, chosen: Indices) -> Float32:
    """(N + 1, 48, 3): the references' lips and, last, the speaker's closed mouth, from allowed frames only."""
    closed = closed_shape(clip.lips[block.allowed])
    return np.concatenate([clip.lips[chosen], closed[None]]).astype(np.float32)


class PasteMethod:
    """Baseline without a network: the masked region of another frame of the same clip, pasted in.

    Args:
        name: in the report.
        size: crop size to draw at.
        choose: (clip, block, audio) to one frame out of the block's allowed ones for each of its frames.
    """

    def __init__(self, name: str, size: tuple[int, int], choose: Callable[[Clip, Block, Float32], Indices]) -> None:
        self.name = name
        self.size = size
        self._choose = choose

    def draw(self, view: ClipView, block: Block, audio: Float32) -> Drawn:
        """See `Method`."""
        chosen = self._choose(view.clip, block, audio)
        mask = view.masks(block.frames)[..., None]
        return Drawn(np.where(mask > 0, view.pictures(chosen), view.pictures(block.frames)))


def oracle_paste(size: tuple[int, int]) -> PasteMethod:
    """Baseline that knows the true lips: of all frames far enough away, the one whose lips look most alike."""
    return PasteMethod("paste-oracle", size, lambda clip, block, _: nearest_by_lips(clip, block.frames, block.allowed))


def reference_paste(size: tuple[int, int], count: int) -> PasteMethod:
    """The same among the few references that a network gets."""

    def choose(clip: Clip, block: Block, _: Float32) -> Indices:
        return nearest_by_lips(clip, block.frames, choose_references(clip, block, count))

    return PasteMethod("paste-reference", size, choose)


def predicted_paste(size: tuple[int, int], predict: Callable[[Clip, Float32], Float32]) -> PasteMethod:
    """Baseline that hears: of all frames far enough away, the one most like the lips that the sound predicts.

    Args:
        size: crop size to draw at.
        predict: (clip, audio windows (K, 21, D)) to lip shapes (K, 48, 3) in face units.
    """

    def choose(clip: Clip, block: Block, audio: Float32) -> Indices:
        return nearest_by_lips(clip, block.frames, block.allowed, predict(clip, audio))

    return PasteMethod("paste-predicted", size, choose)


def lip_predictor(network: RtGenerator) -> Callable[[Clip, Float32], Float32]:
    """What the audio branch of an `rt` network makes of sound: lip shapes of this speaker, in face units."""
    basis = LipBasis(components=network.lip_components.cpu().numpy(), spread=network.lip_spread.cpu().numpy())
    device = network.lip_components.device

    @torch.inference_mode()
    def predict(clip: Clip, audio: Float32) -> Float32:
        codes = network.lip_shape(torch.from_numpy(np.ascontiguousarray(audio)).to(device)).cpu().numpy()
        return np.asarray(closed_shape(clip.lips) + basis.decode(codes), np.float32)

    return predict
