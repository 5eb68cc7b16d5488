from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from julnet_plugin.model.engine import TorchEngine, load_engine
from julnet_plugin.model.generator import MouthSquare, mouth_square
from julnet_plugin.model.info import CheckpointInfo
from julnet_plugin.model.lips import MIRROR, SHAPE_POINTS, LipBasis, closed_shape, inner_gap
from julnet_plugin.model.onnx_engine import export_onnx
from julnet_plugin.model.rt import (
    FLOW_GRID,
    RtConfig,
    RtGenerator,
    _before,
    _cells,
    _pixel_grid,
    _reduced,
    _sample,
    _texture,
)


@pytest.fixture(scope="module")
def network() -> RtGenerator:
    """An untrained network whose lip motions are not zero."""
    torch.manual_seed(0)
    net = RtGenerator(RtConfig(width=16, fine_width=8, audio_size=6, codes=3, n_refs=2)).eval()
    net.lip_components.copy_(torch.linalg.qr(torch.randn(144, 3)).Q.T)
    net.lip_flow.copy_(torch.randn(3, 2, 1, 1).expand(3, 2, 64, 64))
    net.motion.weight.data[4:] = 0.01 * torch.randn_like(net.motion.weight[4:])
    return net


def scene(k: int = 1, frames: int = 2) -> tuple[torch.Tensor, ...]:
    h, w = 208 * k, 160 * k
    generator = torch.Generator().manual_seed(1)
    mask = torch.zeros(frames, 1, h, w)
    square = mouth_square(h, w)
    mask[..., square.top + 20 * k : square.top + 90 * k, square.left + 10 * k : square.left + 100 * k] = 1
    source = torch.rand(frames, 3, h, w, generator=generator) * (1 - mask)
    refs = torch.rand(frames, 2, 3, h, w, generator=generator)
    lips = 0.1 * torch.randn(frames, 3, 48, 3, generator=generator)
    return source, mask, torch.randn(frames, 21, 6, generator=generator), refs, lips


@pytest.mark.parametrize("k", [1, 2])
def test_the_source_comes_back_exactly_outside_the_mask(network: RtGenerator, k: int) -> None:
    source, mask, audio, refs, lips = scene(k)
    with torch.inference_mode():
        output = network(source, mask, audio, network.encode_references(refs, lips))
    outside = (mask == 0).expand_as(source)
    assert torch.equal(output.image[outside], source[outside])
    assert output.image.min() >= 0
    assert output.image.max() <= 1
    assert (output.error >= 0).all()
    assert (output.log_sigma >= np.log(1 / 255) - 1e-4).all()


def test_a_reference_of_the_wanted_shape_is_taken_as_it_lies(network: RtGenerator) -> None:
    _, _, _, refs, lips = scene()
    codes = network.encode_references(refs, lips)[4]
    flow, _ = network._lip_flow(codes[:, 0], codes, torch.zeros(2, 2))
    assert flow[:, :2].abs().max() == pytest.approx(0, abs=1e-5)
    assert flow[:, 2:].abs().max() > 0.01


def test_the_flow_leads_from_the_wanted_mouth_to_the_reference(network: RtGenerator) -> None:
    wanted, shown = torch.tensor([[1.0, 0, 0]]), torch.tensor([[[0, 2.0, 0], [0, 0, 0]]])
    flow, motion = network._lip_flow(wanted, shown, torch.zeros(1, 2))
    per_unit = network.lip_flow[:, :, 0, 0]
    assert torch.allclose(motion[0, :, 64, 64], per_unit[0], atol=0.4)  # halving stops at a third of a pixel
    assert torch.allclose(flow[0, :2, 64, 64], 2 * per_unit[1] - per_unit[0], atol=1e-4)
    assert torch.allclose(flow[0, 2:, 64, 64], -per_unit[0], atol=1e-4)


def test_where_a_pixel_was_before_an_opening_mouth_moved_it_is_found() -> None:
    line = torch.linspace(-1, 1, FLOW_GRID)[:, None].expand(FLOW_GRID, FLOW_GRID)
    motion = torch.stack([0.5 * line.T, 12 * torch.tanh(20 * line)])[None]  # pulls apart many times its own size
    wanted = _pixel_grid(MouthSquare(0, 0, 128), motion)
    before = _before(motion, wanted)
    after = before + _sample(motion, before).permute(0, 2, 3, 1)
    assert (after - wanted)[:, 14:-14, 4:-4].abs().max() < 1.6


def test_references_near_the_wanted_shape_are_trusted_more(network: RtGenerator) -> None:
    source, mask, _, refs, _ = scene(frames=1)
    refs[:, 0], refs[:, 1] = 0.0, 1.0
    features, deform, pixels, small, _, place, habit = network.encode_references(refs)
    codes = torch.tensor([[[0.0, 0, 0], [3.0, 0, 0]]])
    with torch.inference_mode():
        near, far = (
            network.render(
                source, mask, torch.tensor([[z, 0, 0]]), (features, deform, pixels, small, codes, place, habit)
            ).image
            for z in (0.0, 3.0)
        )
    inside = mask.expand_as(near) > 0
    assert near[inside].mean() + 0.3 < far[inside].mean()


def test_full_size_takes_its_detail_from_the_references(network: RtGenerator) -> None:
    source, mask, _, refs, lips = scene(2, frames=1)
    with torch.inference_mode():
        image = network.render(source, mask, torch.zeros(1, 3), network.encode_references(refs, lips)).image
    inside = image[mask.expand_as(image) > 0]
    assert inside.std() > 0.1  # noise of single pixels, which no half-size picture could hold


def test_unknown_lips_count_as_closed_and_average(network: RtGenerator) -> None:
    refs = scene()[3]
    neutral = network.lip_mean.expand(2, 3, -1, -1)
    for a, b in zip(network.encode_references(refs), network.encode_references(refs, neutral), strict=True):
        assert torch.equal(a, b)


def test_mirroring_twice_gives_the_same_shape() -> None:
    assert [MIRROR[k] for k in MIRROR] == list(range(len(SHAPE_POINTS)))


def test_lips_that_never_close_are_brought_together() -> None:
    from julnet_plugin.face.crop import mean_face

    smile = mean_face()[list(SHAPE_POINTS)].copy()
    smile[[*range(1, 10), *range(21, 30)], 1] += 0.12
    held = np.repeat(smile[None], 5, axis=0)
    assert inner_gap(held)[0] > 0.08
    assert inner_gap(closed_shape(held)[None])[0] < 0.05


def test_codes_of_a_shape_give_the_shape_back() -> None:
    rng = np.random.default_rng(0)
    components = np.linalg.qr(rng.standard_normal((144, 4)))[0].T.astype(np.float32)
    basis = LipBasis(components=components, spread=np.array([0.2, 0.1, 0.05, 0.02], np.float32))
    code = rng.standard_normal((6, 4)).astype(np.float32)
    closed = rng.standard_normal((48, 3))
    assert basis.encode(closed + basis.decode(code), closed) == pytest.approx(code, abs=1e-3)


def test_where_silence_is_heard_the_mouth_is_closed_and_speech_is_heard_as_before(network: RtGenerator) -> None:
    net = copy.deepcopy(network)
    last = net.audio_encoder.head[-1]
    assert isinstance(last, torch.nn.Linear)
    last.weight.data *= 500  # an untrained encoder says nearly the same of everything
    quiet, speech = torch.zeros(21, 6), 3 * torch.randn(21, 6, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        before = net.lip_shape(torch.stack([quiet, speech]))
        assert (before[1] - before[0]).norm() > 1, "a line of speech that is not taken for silence"
        net.hear_silence(quiet)
        after = net.lip_shape(torch.stack([quiet, speech]))
    assert before[0].norm() > 0.01
    assert after[0].abs().max() < 1e-6
    assert torch.allclose(after[1], before[1], atol=1e-3)
    assert net.state_dict().keys() == network.state_dict().keys(), "weights files stay as they are"


def test_texture_is_the_detail_that_a_coarse_grid_loses_not_slopes_or_edges_it_can_see() -> None:
    ramp = torch.linspace(0, 1, 64).expand(1, 3, 64, 64)
    rough = ramp + 0.02 * torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    inner = (..., slice(1, -1), slice(1, -1))
    assert _texture(torch.full((1, 3, 64, 64), 0.4), 4).max() < 0.01
    assert _texture(ramp, 4)[inner].max() < 0.02
    assert 0.3 < _texture(rough, 4)[inner].mean() < 2


def test_a_habit_moves_the_lips_in_speech_and_leaves_them_closed_in_silence(network: RtGenerator) -> None:
    net = copy.deepcopy(network)
    assert net.lip_basis is not None
    habit = torch.tensor([[0.7, -0.4, 0.2]])
    quiet, loud = torch.zeros(1, 21, 6), 30 * torch.randn(1, 21, 6, generator=torch.Generator().manual_seed(5))
    closed = 0.1 * torch.randn(1, 1, 48, 3, generator=torch.Generator().manual_seed(6))
    spoken = closed + torch.from_numpy(net.lip_basis.decode(habit.numpy()))[None]
    lips, refs = closed.expand(1, 2, 48, 3), torch.rand(1, 2, 3, 208, 160)
    with torch.inference_mode():
        net.audio_encoder.head[-1].weight.mul_(500)  # what is no silence lies far from it
        net.hear_silence(quiet[0])
        assert torch.allclose(net.lip_shape(quiet, habit), torch.zeros(1, 3), atol=1e-5)
        assert torch.allclose(net.lip_shape(loud, habit) - net.lip_shape(loud), habit, atol=1e-3)
        known = net.encode_references(refs, torch.cat([lips, closed, spoken], dim=1))
        assert torch.allclose(known[-1], habit, atol=1e-5)
        unknown = net.encode_references(refs, torch.cat([lips, closed], dim=1))
        assert not unknown[-1].any()
        assert all(torch.equal(a, b) for a, b in zip(known[:-1], unknown[:-1], strict=True))


@pytest.mark.parametrize("k", [1, 2, 3, 4])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_pooling_and_unshuffling_are_those_of_torch(k: int, layout: torch.memory_format) -> None:
    picture = torch.rand(2, 3, 24, 36).to(memory_format=layout)
    assert torch.equal(_cells(picture, k), torch.nn.functional.pixel_unshuffle(picture, k))
    wanted = torch.nn.functional.avg_pool2d(picture, k)
    torch.testing.assert_close(_reduced(picture, k), wanted)
    with torch.inference_mode():
        torch.testing.assert_close(_reduced(picture, k), wanted)


def test_onnx_runtime_paints_what_torch_paints(network: RtGenerator, tmp_path: Path) -> None:
    small = RtGenerator(replace(network.config, crop_size=(208, 160), texture=True))
    known = {name: value for name, value in network.state_dict().items() if not name.startswith("uncertainty.")}
    small.load_state_dict(known, strict=False)
    torch.nn.init.normal_(small.uncertainty.out.weight, std=0.1)
    info = CheckpointInfo.of(small, architecture="rt", audio_feature="phone-42")
    source, mask, audio, refs, lips = (x.numpy() for x in scene())
    export_onnx(small, info, tmp_path / "rt.onnx")
    spoken = np.concatenate([lips[0], lips[0, -1:] + np.float32(0.05)])  # they have a habit
    outputs, heard = [], []
    for engine in (TorchEngine(small, info, "cpu", "float32"), load_engine(tmp_path / "rt.onnx", "cpu")):
        engine.set_references(np.ascontiguousarray(refs[0].transpose(0, 2, 3, 1)), spoken)
        outputs.append(engine.run(source.transpose(0, 2, 3, 1), mask[:, 0], audio))
        assert engine.lip_basis is not None
        assert np.array_equal(engine.lip_basis.components, small.lip_components.numpy())
        heard.append(engine.hear_lips(np.repeat(audio, 5, axis=0)))
    assert heard[0] is not None
    assert heard[1] is not None
    for by_torch, by_onnx in zip(*heard, strict=True):
        assert len(by_onnx) == 5 * len(audio)
        assert by_onnx == pytest.approx(by_torch, abs=1e-4)
    for torch_map, onnx_map in zip(*outputs, strict=True):
        assert onnx_map == pytest.approx(torch_map, abs=2e-3)  # see PICTURE_TOLERANCE in test_onnx.py
