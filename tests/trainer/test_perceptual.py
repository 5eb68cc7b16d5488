from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from julnet_plugin.errors import CheckpointError
from trainer.filterbank import FilterBank
from trainer.perceptual import LOSS_TAPS, box_around, halve, load_perceptual_network, perceptual_loss
from trainer.vgg import CAFFE_INPUT, CAFFE_MEAN, CAFFE_UNIT, STAGES, conv_names, load_vgg, torchvision_keys

WIDTHS = (3, 4, 5, 6, 6)  # a stand-in of VGG-19's shape, narrow


@pytest.fixture(autouse=True)
def no_weights_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("JULNET_VGG19", raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


def narrow_weights(architecture: str = "vgg19", stages: int = 5) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(3)
    weights, before = {}, 3
    for stage, (count, width) in enumerate(zip(STAGES[architecture][:stages], WIDTHS[:stages], strict=True), 1):
        for conv in range(1, count + 1):
            kernel = torch.randn(width, before, 3, 3, generator=generator) * (2 / (9 * before)) ** 0.5
            weights[f"conv{stage}_{conv}.weight"] = kernel
            weights[f"conv{stage}_{conv}.bias"] = 0.1 * torch.randn(width, generator=generator)
            before = width
    return weights


def as_torchvision(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    keys = torchvision_keys("vgg19")
    return {f"{keys[name]}.{kind}": w for key, w in weights.items() for name, kind in [key.split(".")]}


@pytest.fixture
def torchvision_file(tmp_path: Path) -> Path:
    torch.save(as_torchvision(narrow_weights()), tmp_path / "vgg19-dcbb9e9d.pth")
    return tmp_path / "vgg19-dcbb9e9d.pth"


@pytest.fixture
def pictures() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    target = torch.rand(2, 3, 64, 64, generator=generator)
    return (target + 0.1 * torch.randn(2, 3, 64, 64, generator=generator)).clamp(0, 1), target


def reference_vgg(weights: dict[str, Tensor], taps: tuple[str, ...]) -> nn.ModuleList:
    """The published layer list, cut into slices at the taps."""
    slices, current = nn.ModuleList(), nn.Sequential()
    for name in conv_names("vgg19"):
        if name.endswith("_1") and name != "conv1_1":
            current.append(nn.MaxPool2d(2))
        kernel = weights[f"{name}.weight"]
        conv = nn.Conv2d(kernel.shape[1], kernel.shape[0], 3, padding=1)
        conv.load_state_dict({"weight": kernel, "bias": weights[f"{name}.bias"]})
        current.append(conv).append(nn.ReLU())
        if name.replace("conv", "relu") in taps:
            slices.append(current)
            current = nn.Sequential()
    return slices


def test_torchvisions_layer_numbers_are_those_of_the_published_slices() -> None:
    keys = torchvision_keys("vgg19")
    assert [keys[t.replace("relu", "conv")] for t in LOSS_TAPS] == [f"features.{i}" for i in (0, 5, 10, 19, 28)]
    assert list(torchvision_keys("vgg16").values())[-1] == "features.28"


def test_eq_12_equals_its_ten_terms_written_out(torchvision_file: Path, pictures: tuple[Tensor, Tensor]) -> None:
    generated, target = pictures
    network = load_perceptual_network(torchvision_file)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    slices = reference_vgg(narrow_weights(), LOSS_TAPS)
    terms = []
    for a, b in ((generated, target), (halve(generated), halve(target))):
        x, y = (a - mean) / std, (b - mean) / std
        for part in slices:
            x, y = part(x), part(y)
            terms.append((x - y).abs().mean())
    assert len(terms) == 10
    expected = torch.stack(terms).mean().item()
    assert perceptual_loss(network, generated, target).item() == pytest.approx(expected, rel=1e-4)


def test_a_perfect_picture_costs_nothing_and_the_gradient_reaches_the_picture(pictures: tuple[Tensor, Tensor]) -> None:
    network = load_perceptual_network("filterbank")
    generated, target = pictures
    assert perceptual_loss(network, target, target).item() == 0
    generated = generated.clone().requires_grad_()
    perceptual_loss(network, generated, target).backward()  # type: ignore[no-untyped-call]
    assert generated.grad is not None
    assert torch.isfinite(generated.grad).all()
    assert generated.grad.abs().max() > 0


def test_a_partial_file_names_its_taps_and_warns(
    tmp_path: Path, pictures: tuple[Tensor, Tensor], caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "vgg19_part.safetensors"
    save_file(narrow_weights(stages=3), path, metadata={"input": CAFFE_INPUT})
    with caplog.at_level(logging.WARNING):
        network = load_perceptual_network(path)
    assert network.name == "vgg19[relu1_1,relu2_1,relu3_1]"
    assert network.name in caplog.text
    assert [f.shape[-1] for f in network(pictures[0])] == [64, 32, 16]


def test_a_caffe_file_gets_caffes_input_on_torchvisions_scale(tmp_path: Path, pictures: tuple[Tensor, Tensor]) -> None:
    path = tmp_path / "vgg19_part.safetensors"
    weights = narrow_weights(stages=1)
    save_file(weights, path, metadata={"input": CAFFE_INPUT})
    network = load_vgg(path, ("relu1_1",))
    x = 255 * pictures[0] - torch.tensor(CAFFE_MEAN).view(1, 3, 1, 1)
    first = torch.relu(nn.functional.conv2d(x, weights["conv1_1.weight"], weights["conv1_1.bias"], padding=1))
    torch.testing.assert_close(network(pictures[0])[0], first / CAFFE_UNIT, rtol=1e-4, atol=1e-5)


def test_without_weights_the_substitute_is_used_and_named(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        network = load_perceptual_network()
    assert "substitute" in network.name
    assert "no VGG-19 weights" in caplog.text


def test_the_environment_variable_and_torchs_cache_are_found(
    torchvision_file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cache = tmp_path / "torch" / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    (cache / "vgg19-dcbb9e9d.pth").write_bytes(torchvision_file.read_bytes())
    assert load_perceptual_network().name == f"vgg19[{','.join(LOSS_TAPS)}]"
    monkeypatch.setenv("JULNET_VGG19", str(tmp_path / "gone.pth"))
    with pytest.raises(CheckpointError, match=r"no weights file .*gone\.pth"):
        load_perceptual_network()


def test_files_that_are_not_vgg_are_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "text.pth").write_text("not weights")
    torch.save({"net": object()}, tmp_path / "pickle.pth")
    save_file({"conv1_1.weight": torch.zeros(3, 3, 3, 3)}, tmp_path / "silent.safetensors")
    save_file({"features.1.weight": torch.zeros(3, 3, 3, 3)}, tmp_path / "other.safetensors")
    for name, reason in (
        ("text.pth", "not a readable weights file"),
        ("pickle.pth", "not a readable weights file"),
        ("silent.safetensors", "input convention is unknown"),
        ("other.safetensors", "none of relu1_1"),
    ):
        with pytest.raises(CheckpointError, match=reason):
            load_perceptual_network(tmp_path / name)


def test_the_box_limits_what_is_compared(pictures: tuple[Tensor, Tensor]) -> None:
    _, target = pictures
    network = load_perceptual_network("filterbank")
    spoilt = target.clone()
    spoilt[:, :, :16] = 0
    lower = (slice(24, 64), slice(0, 64))
    assert perceptual_loss(network, spoilt, target, box=lower).item() == 0
    assert perceptual_loss(network, spoilt, target).item() > 0.01


def test_the_box_around_a_mask_has_its_margin_and_stays_inside() -> None:
    mask = torch.zeros(2, 1, 64, 48)
    mask[0, 0, 20:30, 10:20] = 1
    mask[1, 0, 50:64, 12:18] = 1
    rows, columns = box_around(mask, margin_px=4, multiple=8)
    assert (rows.start, rows.stop) == (16, 64)
    assert columns.start <= 6
    assert columns.stop >= 24
    assert (columns.stop - columns.start) % 8 == 0
    assert box_around(torch.zeros(1, 1, 5, 7), 4) == (slice(0, 5), slice(0, 7))


def test_one_scale_alone_is_possible_and_none_is_refused(pictures: tuple[Tensor, Tensor]) -> None:
    network = load_perceptual_network("filterbank")
    both = perceptual_loss(network, *pictures)
    parts = [perceptual_loss(network, *pictures, full=f, half=not f) for f in (True, False)]
    assert both.item() == pytest.approx((parts[0] + parts[1]).item() / 2, rel=1e-5)
    with pytest.raises(ValueError, match="scale"):
        perceptual_loss(network, *pictures, full=False, half=False)


def test_the_filter_bank_ranks_distortions_as_an_eye_does() -> None:
    generator = torch.Generator().manual_seed(2)
    noise = torch.rand(1, 3, 96, 96, generator=generator)
    target = nn.functional.avg_pool2d(noise, 3, 1, 1) * 0.6 + 0.2  # texture of some contrast
    blurred = nn.functional.avg_pool2d(target, 5, 1, 2, count_include_pad=False)
    brighter = target + (blurred - target).abs().mean()  # the same L1 error
    network = FilterBank()

    def cost(picture: Tensor) -> float:
        return perceptual_loss(network, picture, target).item()

    assert cost(target * 0.5 + blurred * 0.5) < cost(blurred)
    assert 0 < cost(brighter) < 0.5 * cost(blurred)
