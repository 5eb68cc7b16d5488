from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from julnet_plugin.model.generator import Generator, mouth_square
from julnet_plugin.model.paper import AudioEncoder, PaperConfig, PaperGenerator
from julnet_plugin.model.uncertainty import LOG_SIGMA_FLOOR, ContextUncertaintyHead, NoUncertainty, UncertaintyHead
from julnet_plugin.model.wav2lip import Wav2LipConfig

CONFIGS = [
    ("paper", {}),
    ("paper", {"crop_size": (52, 40), "n_refs": 5, "audio_window": 5}),
    ("paper", {"crop_size": (208, 160), "uncertainty": False}),
    ("paper", {"decode": "full", "deform_blocks": 0}),
    ("wav2lip", {}),
    ("wav2lip", {"crop_size": (96, 96), "n_refs": 3}),
    ("wav2lip", {"crop_size": (104, 80)}),  # no multiple of 16: the picture is continued, and cut again
    ("wav2lip", {"crop_size": (208, 160), "uncertainty": False, "audio_window": 9}),
]


@pytest.mark.parametrize(("name", "config"), CONFIGS)
def test_every_configuration_keeps_the_contract(
    name: str, config: dict[str, Any], make_generator: Callable[..., Generator], make_inputs: Callable[..., Any]
) -> None:
    network = make_generator(name, **config)
    inputs = _whole_square(network) if name == "paper" else make_inputs(network, frames=3)
    with torch.no_grad():
        output = network(*inputs[:3], network.encode_references(inputs[3]))
    B, _, h, w = inputs[0].shape
    assert output.image.shape == (B, 3, h, w)
    assert output.error.shape == output.log_sigma.shape == (B, 1, h, w)
    assert (output.image >= 0).all()
    assert (output.image <= 1).all()
    assert (output.error >= 0).all()
    assert (output.log_sigma >= LOG_SIGMA_FLOOR - 1e-6).all()


def _whole_square(network: Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """One frame with its whole mouth square masked."""
    h, w = network.crop_size
    mask = torch.zeros(1, 1, h, w)
    mask[(..., *mouth_square(h, w).slices)] = 1
    audio = torch.randn(1, network.audio_window, network.audio_size)
    return torch.rand(1, 3, h, w) * (1 - mask), mask, audio, torch.rand(1, network.n_refs, 3, h, w)


@pytest.mark.parametrize("name", ["paper", "wav2lip"])
def test_the_image_outside_the_mask_is_the_source_exactly(
    name: str, make_generator: Callable[..., Generator], make_inputs: Callable[..., Any]
) -> None:
    network = make_generator(name)
    source, mask, audio, refs = make_inputs(network)
    with torch.no_grad():
        image = network(source, mask, audio, network.encode_references(refs)).image
    outside = (mask == 0).expand_as(image)
    assert torch.equal(image[outside], source[outside])
    assert image[~outside].std() > 0


@pytest.mark.parametrize("name", ["paper", "wav2lip"])
def test_the_image_depends_on_sound_source_and_references(
    name: str, make_generator: Callable[..., Generator], make_inputs: Callable[..., Any]
) -> None:
    network = make_generator(name)
    source, mask, audio, refs = make_inputs(network)
    with torch.no_grad():
        encoded = network.encode_references(refs)
        image = network(source, mask, audio, encoded).image
        for changed in (
            network(source, mask, audio.flip(1), encoded),
            network(source.flip(1), mask, audio, encoded),
            network(source, mask, audio, network.encode_references(refs.flip(2))),
        ):
            assert ((changed.image - image) * mask).abs().max() > 1e-4


@pytest.mark.parametrize("size", [(52, 40), (104, 80), (208, 160)])
def test_decoding_the_mouth_alone_equals_decoding_the_whole_crop_inside_the_square(
    size: tuple[int, int], make_generator: Callable[..., Generator]
) -> None:
    mouth, full = (
        make_generator("paper", decode=decode, crop_size=size, deform_blocks=4).double() for decode in ("mouth", "full")
    )
    source, mask, audio, refs = (x.double() for x in _whole_square(mouth))
    with torch.no_grad():
        a, b = (network(source, mask, audio, network.encode_references(refs)) for network in (mouth, full))
    for x, y in zip(a, b, strict=True):
        torch.testing.assert_close(x * mask, y * mask, rtol=0, atol=1e-10)


def test_cached_references_equal_references_encoded_for_every_frame(
    make_generator: Callable[..., Generator], make_inputs: Callable[..., Any]
) -> None:
    network = make_generator("paper").double()
    source, mask, audio, refs = make_inputs(network, frames=3).double()
    with torch.no_grad():
        every = network(source, mask, audio, network.encode_references(refs))
        cached = tuple(ref.expand(3, *ref.shape[1:]) for ref in network.encode_references(refs[:1]))
        once = network(source, mask, audio, cached)
    for a, b in zip(every, once, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-10)


def test_the_papers_size_has_dinets_number_of_weights() -> None:
    with torch.device("meta"):
        network = PaperGenerator(PaperConfig(audio_size=29))
    millions = {name: sum(p.numel() for p in part.parameters()) / 1e6 for name, part in network.named_children()}
    expected = {"source_encoder": 0.379, "reference_encoder": 0.417, "id_encoder": 7.049, "audio_encoder": 0.367}
    expected |= {"parameter_encoder": 0.329, "face_decoder": 1.200}
    assert {name: round(millions[name], 3) for name in expected} == expected
    assert round(millions["deform_encoder"] + millions["deform_decoder"], 3) == 9.449


def test_the_audio_encoder_starts_as_the_mean_over_time() -> None:
    encoder, audio = AudioEncoder(7, 21, 6).eval(), torch.randn(2, 21, 7)
    steps = encoder.layers(audio.transpose(1, 2))
    torch.testing.assert_close(encoder(audio), steps.mean(dim=2))


def test_every_weight_gets_a_gradient(
    make_generator: Callable[..., Generator], make_inputs: Callable[..., Any]
) -> None:
    for name in ("paper", "wav2lip"):
        network = make_generator(name).train()
        source, mask, audio, refs = make_inputs(network)
        output = network(source, mask, audio, network.encode_references(refs))
        loss = (
            ((output.image - 0.3).abs() * mask).mean() + (output.error * mask).mean() + (output.log_sigma * mask).mean()
        )
        loss.backward()
        without = [name for name, weight in network.named_parameters() if weight.grad is None]
        assert not without


def test_the_uncertainty_head_learns_a_known_error() -> None:
    head = UncertaintyHead(2)
    optimiser = torch.optim.Adam(head.parameters(), lr=0.02)
    where = torch.rand(1, 1, 24, 24)
    seen = torch.cat([where, torch.ones_like(where)], dim=1)
    true_error = 0.02 + 0.3 * where  # what an L1 fit and a Laplace fit must both find
    for _ in range(300):
        error, log_sigma = head(seen)
        noisy = true_error * torch.distributions.Exponential(1.0).sample(true_error.shape)
        loss = (noisy / log_sigma.exp() + log_sigma).mean() + (error - true_error).abs().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    error, log_sigma = head(seen)
    assert (error - true_error).abs().mean() < 0.02
    assert torch.corrcoef(torch.stack([log_sigma.exp().flatten(), true_error.flatten()]))[0, 1] > 0.98


def test_the_context_head_learns_an_error_that_only_the_neighbourhood_and_the_frame_tell() -> None:
    torch.manual_seed(0)
    head = ContextUncertaintyHead(1, 1, width=12)
    optimiser = torch.optim.Adam(head.parameters(), lr=0.01)

    def drawn() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        seen, frame = torch.zeros(8, 1, 16, 16), torch.rand(8, 1)
        seen[:, :, :, 4] = 1.0  # a line; what lies beside it looks like what lies far away
        expected = torch.full((8, 1, 16, 16), 0.02) + 0.1 * frame[..., None, None]
        expected[:, :, :, 3:6] += 0.2
        return seen, frame, expected

    for _ in range(250):
        seen, frame, expected = drawn()
        _, log_sigma = head(seen, frame)
        loss = (expected / log_sigma.exp() + log_sigma).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    seen, frame, expected = drawn()
    sigma = head(seen, frame)[1].detach().exp()
    assert torch.corrcoef(torch.stack([sigma.flatten(), expected.flatten()]))[0, 1] > 0.9


def test_sigma_has_a_floor_that_still_passes_gradients() -> None:
    head = UncertaintyHead(1)
    assert head.out.bias is not None
    nn.init.constant_(head.out.bias, -9.0)
    _, log_sigma = head(torch.zeros(1, 1, 2, 2))
    assert log_sigma.min() >= math.log(1 / 255)
    log_sigma.sum().backward()
    assert head.out.bias.grad is not None
    assert head.out.bias.grad[1] > 0


def test_a_network_without_the_module_claims_to_know_nothing() -> None:
    error, log_sigma = NoUncertainty()(torch.rand(2, 5, 3, 4))
    assert error.shape == log_sigma.shape == (2, 1, 3, 4)
    assert (error == 1).all()
    assert (log_sigma.exp() == 1).all()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"crop_size": (416, 300)}, "13 by 10"),
        ({"crop_size": (26, 20)}, "multiple of 52 by 40"),
        ({"decode": "lips"}, "'mouth' or 'full'"),
        ({"width": 0}, "1..4096"),
        ({"deform_blocks": 65}, "deform_blocks"),
    ],
)
def test_an_impossible_paper_configuration_is_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PaperConfig(**config)


@pytest.mark.parametrize(("config", "message"), [({"crop_size": (96, 8)}, "at least 16"), ({"n_refs": 0}, "1..4096")])
def test_an_impossible_wav2lip_configuration_is_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Wav2LipConfig(**config)
