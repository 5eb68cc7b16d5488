"""Configuration `rt`: JULNet built for a CPU, with the same inputs and outputs as `paper`.

What is kept of the paper: source, reference, ID and audio encoders, AdaAT on the reference features with its parameters
from audio and identity, a deform decoder, a face decoder, the uncertainty module. What is done differently, and why:

- The network works on the crop at half size, at a quarter of that: about a hundredth of the paper's work a frame.
- The face decoder does not only paint. It also says, for every pixel, from where in each reference the pixel could be
  taken (a flow) and how far to trust each (a weight). References are sampled at full size, so teeth and skin keep the
  sharpness of the plate, which a small network could not paint.
- The audio encoder speaks through a lip shape (`lips.py`), which minutes of footage suffice to teach.
- The shape of the lips in each reference is known from its landmarks. How a lip moves when its shape number changes is
  the same on every face, so a fixed basis of flow fields says where a reference's lips would lie at the shape that the
  sound asks for. The network starts from that and learns what is missing: teeth, creases, light, which to believe.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor, nn

from julnet_plugin.model.adaat import AdaATParameters, adaat
from julnet_plugin.model.generator import Generator, GeneratorOutput, MouthSquare, mouth_square
from julnet_plugin.model.lips import LipBasis, closed_in_silence, new_lip_encoder
from julnet_plugin.model.uncertainty import LOG_SIGMA_FLOOR, ContextUncertaintyHead

TRUNK_W = 160  #: columns of the crop that the trunk sees
TRUNK_UNIT_PX = 100.0  #: trunk pixels in one face unit
FLOW_GRID = 64  #: samples of a flow field along the mouth square
LIP_POINTS = 40  #: the points of a shape that are lips; the rest are chin
_REACH_PX = 40.0  #: farthest that lips move up or down, in trunk pixels
_HALVINGS = 8
SHAPE_SIZE = 144  #: 48 points, x y z
_FINE = 0.5 / 255  #: detail that counts as some
_TINY = 1e-6  #: under a root, so that its slope stays finite
GRID = 4  #: pixels of that crop in one cell of the trunk's grid


@dataclass(frozen=True, slots=True, kw_only=True)
class RtConfig:
    """What decides the shape of an `rt` network."""

    width: int = 64  #: channels of the trunk
    fine_width: int = 24  #: channels at the resolution of the half-size crop
    audio_size: int = 42  #: D
    codes: int = 10  #: numbers in a lip shape
    ears: int = 1  #: encoders whose mean is what is heard
    n_refs: int = 5
    flow_px: float = 24.0  #: farthest a reference pixel may travel, in half-size crop pixels
    crop_size: tuple[int, int] = (416, 320)
    texture: bool = False  #: the uncertainty head is told how finely textured the drawn picture is


class ResBlock(nn.Module):
    """Two 3x3 convolutions and a skip, pre-activation, no normalisation: nothing depends on the batch."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, gain: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
        """`gain` and `bias` (B, C) modulate between the convolutions."""
        y = self.first(F.leaky_relu(x, 0.2))
        if gain is not None and bias is not None:
            y = y * (1 + gain[..., None, None]) + bias[..., None, None]
        return x + self.second(F.leaky_relu(y, 0.2))  # type: ignore[no-any-return]


class RtGenerator(Generator):
    """The light JULNet.

    Shape:
        see `Generator`; (h, w) is 208 x 160 or a whole multiple of it. What is painted lies in the mouth square.
    """

    def __init__(self, config: RtConfig) -> None:
        super().__init__()
        self.config = config
        self.uses_lips = True
        C, N = config.width, config.n_refs
        self.crop_size, self.audio_size, self.n_refs = config.crop_size, config.audio_size, N
        trunk = (TRUNK_W * 13 // 10, TRUNK_W)
        self.other_crops = () if trunk == config.crop_size else (trunk,)
        cell = GRID * GRID
        self.audio_encoder = new_lip_encoder(config.audio_size, config.codes, ears=config.ears)
        self.lip_features = nn.Sequential(nn.Linear(config.codes, C), nn.GELU(), nn.Linear(C, C), nn.GELU())
        self.reference_shapes = nn.Linear(N * config.codes, C)
        self.nearness = nn.Parameter(torch.tensor(0.4))
        self.source_encoder = nn.Sequential(nn.Conv2d(4 * cell, C, 3, padding=1), ResBlock(C))
        self.reference_encoder = nn.Sequential(nn.Conv2d(3 * cell * N, C, 1), ResBlock(C), ResBlock(C))
        self.id_encoder = nn.Sequential(
            nn.Conv2d(2 * C, C, 3, stride=2, padding=1), nn.LeakyReLU(0.2),
            nn.Conv2d(C, C, 3, stride=2, padding=1), nn.LeakyReLU(0.2),
            nn.Conv2d(C, C, 3, stride=2, padding=1), nn.LeakyReLU(0.2),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        )  # fmt: skip
        self.parameter_encoder = AdaATParameters(2 * C, C)
        self.deform_encoder = ResBlock(C)
        self.deform_decoder = nn.ModuleList([ResBlock(C), ResBlock(C)])
        self.modulation = nn.Linear(2 * C, 8 * C)
        self.fuse = nn.Conv2d(2 * C, C, 3, padding=1)
        self.decoder = nn.ModuleList([ResBlock(C), ResBlock(C)])
        fine = config.fine_width
        self.up_half = nn.Conv2d(C, 4 * (C // 2), 3, padding=1)
        self.up_full = nn.Conv2d(C // 2, 4 * fine, 3, padding=1)
        self.look_half = nn.Conv2d(4 * (3 * N + 6), C // 2, 1)
        self.look_full = nn.Conv2d(3 * N + 6, fine, 3, padding=1)
        self.paint = nn.Conv2d(fine, 3, 3, padding=1)
        self.motion = nn.Conv2d(fine, 2 * N + N + 1, 3, padding=1)
        self.uncertainty = ContextUncertaintyHead(fine + 2 * N + 14 + config.texture, config.codes + N)
        self.lip_components: Tensor
        self.lip_spread: Tensor
        self.lip_flow: Tensor
        self.lip_mean: Tensor
        self.register_buffer("lip_components", torch.zeros(config.codes, SHAPE_SIZE))
        self.register_buffer("lip_spread", torch.ones(config.codes))
        self.register_buffer("lip_flow", torch.zeros(config.codes, 2, FLOW_GRID, FLOW_GRID))
        self.register_buffer("lip_mean", torch.zeros(SHAPE_SIZE // 3, 3))
        self.rest: Tensor
        self.register_buffer("rest", torch.zeros(config.codes), persistent=False)
        nn.init.zeros_(self.reference_shapes.weight)
        nn.init.zeros_(self.reference_shapes.bias)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)
        with torch.no_grad():
            self.motion.weight[: 2 * N].zero_()
            self.motion.bias.zero_()  # type: ignore[union-attr]
            self.motion.bias[-1] = -1.0  # type: ignore[index]  # start from the references, paint where that falls short

    @property
    def lip_basis(self) -> LipBasis | None:
        """The lip shapes that the audio branch speaks."""
        if not self.lip_components.any():
            return None
        return LipBasis(components=self.lip_components.cpu().numpy(), spread=self.lip_spread.cpu().numpy())

    def encode_references(self, refs: Tensor, lips: Tensor | None = None) -> tuple[Tensor, ...]:
        """Everything about the references that does not change from frame to frame; once a shot.

        Args:
            refs: reference crops.
            lips: their lips in face units, the shot's closed mouth, and perhaps that mouth as this person holds it in
                speech (`pipeline.habit`); None takes all for closed and average.

        Shape:
            refs: (B, N, 3, h, w).
            lips: (B, N + 1 or N + 2, 48, 3).
            returns: features and their deform encoding (B, C, 52, 40), the pixels, the same at the trunk's size, lip
                shapes (B, N, K), the closed mouth's place (B, 2) in trunk pixels from the average one, the habit
                (B, K).
        """
        B, N = refs.shape[0], int(refs.shape[1])  # sizes but the batch's are constants of an exported network
        trunk = _to_trunk(refs.flatten(0, 1)).reshape(B, N, 3, TRUNK_W * 13 // 10, TRUNK_W)
        features = self.reference_encoder(_cells(trunk.flatten(1, 2), GRID))
        if lips is None:
            lips = self.lip_mean.expand(B, N + 1, -1, -1)
        motion = (lips - lips[:, N : N + 1]).flatten(2)
        shapes = motion @ self.lip_components.T / self.lip_spread  # of the references, 0, perhaps the habit
        codes, habit = shapes[:, :N], shapes[:, -1]
        place = (lips[:, N, :LIP_POINTS, :2] - self.lip_mean[:LIP_POINTS, :2]).mean(dim=1) * TRUNK_UNIT_PX
        return features, self.deform_encoder(features), refs, trunk, codes, place, habit

    def hear_silence(self, quiet: Tensor) -> None:
        """See `Generator.hear_silence`: from now on the mouth is closed there."""
        self.rest.copy_(self.audio_encoder(quiet[None])[0])

    def hear_lips(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        """The lip shapes (B, K) that the sound asks for, and how much of each moment is speech (B, 1), 0 to 1."""
        return closed_in_silence(self.audio_encoder(audio), self.rest)

    def lip_shape(self, audio: Tensor, habit: Tensor | None = None) -> Tensor:
        """The lip shape (B, K) that is drawn: as heard, and in speech with the person's habit (B, K)."""
        lips, speech = self.hear_lips(audio)
        return lips if habit is None else lips + habit * speech

    def forward(self, masked_source: Tensor, mask: Tensor, audio: Tensor, refs: tuple[Tensor, ...]) -> GeneratorOutput:
        """See `Generator.forward`."""
        return self.render(masked_source, mask, self.lip_shape(audio, refs[-1]), refs)

    def render(self, masked_source: Tensor, mask: Tensor, lips: Tensor, refs: tuple[Tensor, ...]) -> GeneratorOutput:
        """Paint the frame for a given lip shape (B, K): what training does with true shapes."""
        reference_features, deform_input, reference_pixels, small_references, codes, place, _ = refs
        seen = torch.cat([_to_trunk(masked_source), _to_trunk(mask)], dim=1)
        source = self.source_encoder(_cells(seen, GRID))  # (B, C, 52, 40)
        identity = self.id_encoder(torch.cat([source, reference_features], dim=1))
        away = codes - lips[:, None]  # (B, N, K): how far each reference is from the wanted shape
        spoken = self.lip_features(lips) + self.reference_shapes(away.flatten(1))
        condition = torch.cat([spoken, identity], dim=1)  # F_A, F_I
        rows, columns = mouth_square(*source.shape[-2:]).slices
        scale, angle, translation = self.parameter_encoder(condition)
        deformed = adaat(deform_input, scale, angle, translation, rows, columns)
        gains = self.modulation(condition).chunk(8, dim=1)
        deformed = self.deform_decoder[0](deformed, gains[0], gains[1])
        deformed = self.deform_decoder[1](deformed, gains[2], gains[3])  # F_D
        trunk = self.fuse(torch.cat([source[..., rows, columns], deformed], dim=1))
        trunk = self.decoder[0](trunk, gains[4], gains[5])
        trunk = self.decoder[1](trunk, gains[6], gains[7])
        flow, lip_motion = self._lip_flow(lips, codes, place)
        view = self._view(seen, small_references, flow, lip_motion)
        half = F.pixel_shuffle(self.up_half(F.leaky_relu(trunk, 0.2)), 2)
        half = F.leaky_relu(half + self.look_half(_cells(view, 2)), 0.2)
        fine = F.leaky_relu(F.pixel_shuffle(self.up_full(half), 2) + self.look_full(view), 0.2)  # (B, fine, 128, 128)
        distance = (away * (self.lip_spread / self.lip_spread[0])).square().sum(dim=2)  # (B, N)
        trust = F.pad(-self.nearness.exp() * distance, (0, 1))  # for the references; nothing for the painted picture
        frame = torch.cat([lips, (distance + _TINY).sqrt()], dim=1) / 3
        return self._compose(fine, view, flow, trust, frame, masked_source, mask, reference_pixels)

    def _lip_flow(self, lips: Tensor, codes: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
        """Where each pixel of the mouth square lies in every reference, if lips moved as they do on the average face.

        A pixel of the wanted mouth is followed back to the closed mouth by the motion of the wanted shape, and from
        there to the reference by the motion of the reference's shape.

        Returns:
            Flow (B, 2N, 128, 128) and the wanted motion (B, 2, 128, 128), both in trunk pixels, x then y.
        """
        B, N, _ = codes.shape
        fields = self.lip_flow.flatten(1)
        wanted = (lips @ fields).reshape(B, 2, FLOW_GRID, FLOW_GRID)
        shown = (codes @ fields).reshape(B, N, 2, FLOW_GRID, FLOW_GRID)
        square = mouth_square(TRUNK_W * 13 // 10, TRUNK_W)
        rows = _pixel_grid(MouthSquare(0, 0, square.side), lips) - place[:, None, None]
        back = _before(wanted, rows)
        moved = (rows - back).permute(0, 3, 1, 2)
        relative = (shown - wanted[:, None]).flatten(1, 2)
        return _sample(relative, back), moved

    def _view(self, seen: Tensor, references: Tensor, flow: Tensor, lip_motion: Tensor) -> Tensor:
        """What the last layers look at: moved references, source and mask, wanted motion. (B, 3N + 6, 128, 128)."""
        square = mouth_square(*seen.shape[-2:])
        moved = _from_references(references, flow, square, 1)
        return torch.cat([*moved, seen[..., *square.slices], lip_motion / 8], dim=1)

    def _compose(
        self,
        fine: Tensor,
        view: Tensor,
        prior: Tensor,
        trust: Tensor,
        frame: Tensor,
        masked_source: Tensor,
        mask: Tensor,
        references: Tensor,
    ) -> GeneratorOutput:
        """Mix what the network painted with what it takes from the references, and judge the result.

        Shape:
            fine: (B, fine_width, 128, 128).
            view: (B, 3N + 6, 128, 128), what the last layers looked at.
            prior: (B, 2N, 128, 128) flow to start from.
            trust: (B, N + 1) what is known in favour of each reference before it is seen: a near lip shape.
            frame: (B, K + N) the wanted lip shape and its distance from every reference.
        """
        N = int(references.shape[1])
        h, w = (int(size) for size in masked_source.shape[-2:])
        square = mouth_square(h, w)
        k = w // TRUNK_W
        painted = torch.sigmoid(self.paint(fine).float())
        motion = self.motion(fine)
        flow = prior + self.config.flow_px * torch.tanh(motion[:, : 2 * N] / self.config.flow_px)
        weight = torch.softmax(motion[:, 2 * N :] + trust[..., None, None], dim=1)  # references, then the painted
        enlarged = _enlarged(torch.cat([weight.float(), painted, flow.float()], dim=1), k)
        full_weight, painted, flow = torch.split(enlarged, [N + 1, 3, 2 * N], dim=1)
        image = full_weight[:, N:] * painted
        for n, taken in enumerate(_from_references(references, flow, square, k)):
            image = torch.addcmul(image, full_weight[:, n : n + 1], taken)
        source, inside = masked_source[..., *square.slices], mask[..., *square.slices]
        seen = torch.cat([_reduced(x.float(), 2) for x in (fine, weight, view)], dim=1)
        known = _known(seen, torch.cat([_reduced(image, 2 * k), _reduced(inside, 2 * k)], dim=1), N)
        if self.config.texture:
            known = torch.cat([known, _texture(image, 2 * k)], dim=1)
        error, log_sigma = (_smoothed(x) for x in self.uncertainty(known, frame))
        laid = source * (1 - inside) + image * inside
        return GeneratorOutput(
            image=masked_source + _embed(laid - source, square, h, w),
            error=_embed(_enlarged(error, 2 * k), square, h, w) * mask,
            log_sigma=F.pad(_enlarged(log_sigma, 2 * k), _margins(square, h, w), value=LOG_SIGMA_FLOOR),
        )


def _known(painted: Tensor, result: Tensor, n_refs: int) -> Tensor:
    """What the uncertainty head sees of every other pixel.

    All that painted it, the result, and what makes a pixel doubtful at a glance: references that disagree with each
    other and with the result, contrast, its place.

    Shape:
        painted: (B, F + (N + 1) + (3N + 6), 64, 64), features, weights, and what the last layers looked at.
        result: (B, 4, 64, 64), image and mask.
        returns: (B, F + 2N + 14, 64, 64).
    """
    features = int(painted.shape[1]) - 4 * n_refs - 7
    parts = torch.split(painted, [features, n_refs, 1, 3 * n_refs, 3, 1, 2], dim=1)
    fine, weight, own, references, source, _, motion = parts
    image, taken = result[:, :3], references.chunk(n_refs, dim=1)
    share = (weight / (weight.sum(dim=1, keepdim=True) + 1e-3)).chunk(n_refs, dim=1)
    mean = torch.stack([r * w for r, w in zip(taken, share, strict=True)]).sum(dim=0)
    spread = torch.stack([(r - mean).square() * w for r, w in zip(taken, share, strict=True)]).sum(dim=0)
    away = [(r - image).abs().mean(dim=1, keepdim=True) for r in taken]
    grey = image.mean(dim=1, keepdim=True)
    contrast = (F.avg_pool2d(grey.square(), 3, 1, 1) - F.avg_pool2d(grey, 3, 1, 1).square()).clamp(min=0)
    doubts = torch.cat([(spread.mean(dim=1, keepdim=True) + _TINY).sqrt(), *away, (contrast + _TINY).sqrt()], dim=1) * 4
    steps = torch.linspace(-1, 1, int(image.shape[-1]), dtype=image.dtype, device=image.device)
    place = torch.stack(torch.meshgrid(steps, steps, indexing="xy")) + torch.zeros_like(image[:, :2])
    return torch.cat([fine, weight, own, result, source, doubts, motion, place], dim=1)


def _texture(image: Tensor, k: int) -> Tensor:
    """How much detail the picture has that the head, which sees every k-th pixel, cannot see.

    Stubble, pores and grain fall on another place in every frame: where there is more of them there is more error. The
    logarithm, because σ is told as one.

    Shape:
        image: (B, 3, k * h, k * w).
        returns: (B, 1, h, w), 0 without any detail, about 1 on a sharp beard.
    """
    grey = image.mean(dim=1, keepdim=True)
    fine = F.avg_pool2d((grey - _enlarged(F.avg_pool2d(grey, k), k)).abs(), k)
    return torch.log1p(fine / _FINE) / 2


def _to_trunk(x: Tensor) -> Tensor:
    """A crop at the size the trunk works at; larger crops are averaged down by a whole factor."""
    return _reduced(x, int(x.shape[-1]) // TRUNK_W)


def _reduced(x: Tensor, k: int) -> Tensor:
    """Means over squares of k x k pixels.

    PyTorch's own pooling is up to five times slower on a CPU than four sums of every other pixel. Their gradients are
    not: training pools.
    """
    if k == 1:
        return x
    if k % 2 or torch.is_grad_enabled():
        return F.avg_pool2d(x, k)
    upper, lower = x[..., ::2, ::2] + x[..., ::2, 1::2], x[..., 1::2, ::2] + x[..., 1::2, 1::2]
    return _reduced((upper + lower) * 0.25, k // 2)


def _cells(x: Tensor, k: int) -> Tensor:
    """`F.pixel_unshuffle`, which PyTorch does number by number on a CPU."""
    B, C, h, w = (int(size) if n else size for n, size in enumerate(x.shape))
    return x.reshape(B, C, h // k, k, w // k, k).permute(0, 1, 3, 5, 2, 4).reshape(B, C * k * k, h // k, w // k)


def _enlarged(x: Tensor, k: int) -> Tensor:
    return x if k == 1 else F.interpolate(x, scale_factor=k, mode="bilinear", align_corners=False)


def _smoothed(x: Tensor) -> Tensor:
    """Without the grid that two pixel shuffles leave: a matte is read by eye."""
    return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


def _margins(square: MouthSquare, h: int, w: int) -> tuple[int, int, int, int]:
    """Left, right, top and bottom margins of the square in its crop, as `F.pad` wants them."""
    top, left, side = square
    return left, w - left - side, top, h - top - side


def _embed(x: Tensor, square: MouthSquare, h: int, w: int) -> Tensor:
    """Put a square back into a crop of zeros."""
    return F.pad(x, _margins(square, h, w))


def _from_references(references: Tensor, flow: Tensor, square: MouthSquare, k: int) -> list[Tensor]:
    """Sample the mouth square out of every reference through its flow.

    Shape:
        references: (B, N, 3, h, w).
        flow: (B, 2N, side, side) in trunk pixels; `k` crop pixels are one trunk pixel.
        returns: N tensors (B, 3, side, side).
    """
    N, (h, w) = int(references.shape[1]), (int(size) for size in references.shape[-2:])
    scale = torch.tensor([2.0 / w, 2.0 / h], dtype=flow.dtype, device=flow.device)[:, None, None]
    here = (_pixel_grid(square, flow).permute(0, 3, 1, 2) + 0.5) * scale - 1
    # planes of x and y, as the flow has them: the sampler reads those as fast as pairs
    where = torch.addcmul(here.repeat(1, N, 1, 1), flow, (scale * k).repeat(N, 1, 1)).permute(0, 2, 3, 1)
    return [
        F.grid_sample(references[:, n], where[..., 2 * n : 2 * n + 2], padding_mode="border", align_corners=False)
        for n in range(N)
    ]


def _before(motion: Tensor, where: Tensor) -> Tensor:
    """Where each pixel was before it moved: solves where = p + motion(p) for p.

    An opening mouth pulls its middle apart so steeply that repeated substitution runs away. Lips move up and down, and
    keep their order doing so: halving the interval on each column always finds the place; sideways motion is small and
    smooth, so substitution serves.

    Shape:
        motion: (B, 2, 64, 64) trunk pixels, x then y.
        where: (B, 128, 128, 2) trunk pixels from the square's corner; the same is returned.
    """
    x, y = where[..., 0], where[..., 1]
    from_x, low, high = x, y - _REACH_PX, y + _REACH_PX
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        moved = _sample(motion, torch.stack([from_x, middle], dim=-1))
        below = middle + moved[:, 1] > y
        low, high = torch.where(below, low, middle), torch.where(below, middle, high)
        from_x = x - moved[:, 0]
    return torch.stack([from_x, (low + high) / 2], dim=-1)


def _sample(fields: Tensor, where: Tensor) -> Tensor:
    """Sample fields (B, C, 64, 64) of the mouth square at trunk pixels (B, 128, 128, 2) from its corner."""
    side = mouth_square(TRUNK_W * 13 // 10, TRUNK_W).side
    return F.grid_sample(fields, (where + 0.5) * (2.0 / side) - 1, padding_mode="border", align_corners=False)


def _pixel_grid(square: MouthSquare, like: Tensor) -> Tensor:
    """(1, side, side, 2) x and y of every pixel of the square, in crop pixels."""
    steps = torch.arange(square.side, dtype=like.dtype, device=like.device)
    return torch.stack(torch.meshgrid(steps + square.left, steps + square.top, indexing="xy"), dim=-1)[None]
