from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch.nn.functional import cosine_similarity, cross_entropy

from julnet_plugin.model.syncnet import SyncNet, SyncNetConfig

MakeSyncNet = Callable[..., SyncNet]


def pairs(network: SyncNet, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures whose brightness over time follows the sound's first feature."""
    speech = torch.rand(count, network.audio_window)
    audio = torch.randn(count, network.audio_window, network.audio_size) * 0.1
    audio[..., 0] += 3 * speech
    middle = speech[:, 8:13] if network.audio_window == 21 else speech[:, :5]
    pictures = middle[:, :, None, None, None].expand(-1, -1, 3, *network.config.image_size)
    return pictures.contiguous(), audio


@pytest.mark.parametrize("config", [{}, {"image_size": (48, 96)}, {"audio_window": 9, "frames": 5}])
def test_a_score_is_a_cosine_of_unit_embeddings(config: dict[str, object], make_syncnet: MakeSyncNet) -> None:
    network = make_syncnet(**config)
    pictures, audio = pairs(network, 3)
    a, b = network.embed_pictures(pictures), network.embed_audio(audio)
    torch.testing.assert_close(a.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(network(pictures, audio), cosine_similarity(a, b))


def test_a_pairs_score_does_not_depend_on_its_neighbours(make_syncnet: MakeSyncNet) -> None:
    network = make_syncnet().train()
    pictures, audio = pairs(network, 4)
    torch.testing.assert_close(network(pictures, audio)[:1], network(pictures[:1], audio[:1]))


def test_the_diagonal_of_the_logits_holds_the_pairs(make_syncnet: MakeSyncNet) -> None:
    network = make_syncnet()
    pictures, audio = pairs(network, 3)
    logits = network.logits(pictures, audio)
    assert logits.shape == (3, 3)
    torch.testing.assert_close(logits.diagonal() * network.log_temperature.exp(), network(pictures, audio))


def test_a_few_contrastive_steps_tell_right_pairs_from_wrong_ones(make_syncnet: MakeSyncNet) -> None:
    network = make_syncnet().train()
    pictures, audio = pairs(network, 24)
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-3)
    labels = torch.arange(24)
    for _ in range(40):
        logits = network.logits(pictures, audio)
        loss = cross_entropy(logits, labels) + cross_entropy(logits.T, labels)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    assert (network.logits(pictures, audio).argmax(dim=1) == labels).float().mean() > 0.7


def test_the_mouth_view_cuts_the_lips_and_passes_gradients(make_syncnet: MakeSyncNet) -> None:
    network = make_syncnet(image_size=(48, 48))
    crops = torch.zeros(2, 5, 3, 104, 80)
    crops[..., 48:96, 16:64] = 1  # lower three quarters of the square's height, middle three quarters of its width
    crops.requires_grad_()
    view = network.mouth_view(crops)
    assert view.shape == (2, 5, 3, 48, 48)
    torch.testing.assert_close(view, torch.ones_like(view))
    view.sum().backward()  # type: ignore[no-untyped-call]
    assert crops.grad is not None
    assert crops.grad.sum() == pytest.approx(view.numel())


@pytest.mark.parametrize("config", [{"image_size": (30, 32)}, {"width": 0}])
def test_an_impossible_configuration_is_refused(config: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"multiple of 16|1\.\.4096"):
        SyncNetConfig(**config)  # type: ignore[arg-type]
