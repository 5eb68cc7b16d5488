from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from safetensors.torch import save_file
from torch import Tensor, nn

from julnet_plugin.errors import CheckpointError
from trainer.distances import FilterBankDistance, load_distance, pooled_statistics, spatial_mean
from trainer.populations import frechet_distance, identity_similarity, load_describer
from trainer.vgg import CAFFE_INPUT, STAGES, torchvision_keys


@pytest.fixture(autouse=True)
def no_weights_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("JULNET_VGG19", "JULNET_LPIPS_BACKBONE", "JULNET_LPIPS_HEADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


@pytest.fixture
def pictures() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    truth = torch.rand(2, 3, 64, 64, generator=generator)
    return (truth + 0.1 * torch.randn(2, 3, 64, 64, generator=generator)).clamp(0, 1), truth


def vgg16_file(path: Path, widths: tuple[int, ...] = (2, 3, 4, 5, 6)) -> None:
    generator = torch.Generator().manual_seed(4)
    weights, before = {}, 3
    keys = iter(torchvision_keys("vgg16").values())
    for count, width in zip(STAGES["vgg16"], widths, strict=True):
        for _ in range(count):
            key = next(keys)
            weights[f"{key}.weight"] = torch.randn(width, before, 3, 3, generator=generator) * 0.4
            weights[f"{key}.bias"] = 0.1 * torch.ones(width)
            before = width
    torch.save(weights, path)


def heads_file(path: Path, widths: tuple[int, ...]) -> list[Tensor]:
    heads = [torch.rand(1, w, 1, 1, generator=torch.Generator().manual_seed(w)) for w in widths]
    save_file({f"lin{k}.model.1.weight": h for k, h in enumerate(heads)}, path)
    return heads


def torchvision_vgg16(path: Path) -> nn.Sequential:
    """torchvision's `features` module of this file, for reference."""
    weights = torch.load(path, weights_only=True)
    layers: list[nn.Module] = []
    for count in STAGES["vgg16"]:
        for _ in range(count):
            kernel = weights[f"features.{len(layers)}.weight"]
            layers += [nn.Conv2d(kernel.shape[1], kernel.shape[0], 3, padding=1), nn.ReLU()]
        layers.append(nn.MaxPool2d(2))
    network = nn.Sequential(*layers)
    network.load_state_dict({k.removeprefix("features."): v for k, v in weights.items()})
    return network


def test_lpips_equals_the_published_arithmetic(tmp_path: Path, pictures: tuple[Tensor, Tensor]) -> None:
    widths = (2, 3, 4, 5, 6)
    vgg16_file(tmp_path / "vgg16.pth", widths)
    heads = heads_file(tmp_path / "lin.safetensors", widths)
    distance = load_distance(tmp_path / "vgg16.pth", tmp_path / "lin.safetensors")
    assert distance.name == "lpips-vgg"

    network = torchvision_vgg16(tmp_path / "vgg16.pth")
    shift, scale = (torch.tensor(v).view(1, 3, 1, 1) for v in ([-0.030, -0.088, -0.188], [0.458, 0.448, 0.450]))
    x, y = (((2 * p - 1) - shift) / scale for p in pictures)
    expected = torch.zeros(2)
    with torch.no_grad():
        for k, (start, stop) in enumerate([(0, 4), (4, 9), (9, 16), (16, 23), (23, 30)]):
            x, y = network[start:stop](x), network[start:stop](y)
            nx, ny = (v / (v.pow(2).sum(1, keepdim=True).sqrt() + 1e-10) for v in (x, y))
            expected += ((nx - ny).pow(2) * heads[k]).sum(1).mean((1, 2))
    torch.testing.assert_close(distance(*pictures), expected, rtol=1e-4, atol=1e-6)


def test_lpips_over_alexnet_is_recognised_by_its_file(tmp_path: Path, pictures: tuple[Tensor, Tensor]) -> None:
    shapes = [(0, 64, 3, 11), (3, 192, 64, 5), (6, 384, 192, 3), (8, 256, 384, 3), (10, 256, 256, 3)]
    weights = {f"features.{p}.weight": torch.randn(o, i, k, k) * 0.02 for p, o, i, k in shapes}
    weights |= {f"features.{p}.bias": torch.zeros(o) for p, o, _, _ in shapes}
    torch.save(weights, tmp_path / "alexnet.pth")
    heads_file(tmp_path / "lin.safetensors", (64, 192, 384, 256, 256))
    distance = load_distance(tmp_path / "alexnet.pth", tmp_path / "lin.safetensors")
    assert distance.name == "lpips-alex"
    assert distance(*pictures).min() > 0
    assert distance(pictures[1], pictures[1]).tolist() == [0, 0]


def test_half_of_lpips_or_mismatched_heads_are_refused(tmp_path: Path) -> None:
    vgg16_file(tmp_path / "vgg16.pth")
    heads_file(tmp_path / "wrong.safetensors", (64, 128, 256, 512, 512))
    with pytest.raises(CheckpointError, match="both"):
        load_distance(lpips_backbone=tmp_path / "vgg16.pth")
    with pytest.raises(CheckpointError, match="does not hold the LPIPS heads"):
        load_distance(tmp_path / "vgg16.pth", tmp_path / "wrong.safetensors")


def test_a_partial_vgg19_gives_the_openly_named_substitute(tmp_path: Path, pictures: tuple[Tensor, Tensor]) -> None:
    weights, before = {}, 3
    for stage, (count, width) in enumerate(((2, 4), (2, 4), (4, 4)), 1):
        for conv in range(1, count + 1):
            weights[f"conv{stage}_{conv}.weight"] = torch.randn(width, before, 3, 3) * 0.01
            weights[f"conv{stage}_{conv}.bias"] = torch.ones(width)
            before = width
    save_file(weights, tmp_path / "vgg.safetensors", metadata={"input": CAFFE_INPUT})
    distance = load_distance(vgg19=tmp_path / "vgg.safetensors")
    assert distance.name == "vgg3-distance"
    assert distance(*pictures).min() > 0


def test_without_any_weights_the_distance_is_the_filter_banks_and_says_so(
    pictures: tuple[Tensor, Tensor], caplog: pytest.LogCaptureFixture
) -> None:
    distance = load_distance()
    assert distance.name == "filterbank-distance"
    assert "substitute" in caplog.text
    generated, truth = pictures
    near, far = distance(0.5 * generated + 0.5 * truth, truth), distance(generated, truth)
    assert (near < far).all()
    assert distance(truth, truth).tolist() == [0, 0]


def test_the_mask_says_where_differences_count(pictures: tuple[Tensor, Tensor]) -> None:
    _, truth = pictures
    spoilt = truth.clone()
    spoilt[:, :, :8] = 0
    lower = torch.zeros(2, 1, 64, 64)
    lower[:, :, 56:] = 1
    distance = FilterBankDistance()
    assert (distance(spoilt, truth, lower) < 0.2 * distance(spoilt, truth)).all()
    values = torch.arange(4.0).view(1, 1, 2, 2)
    mask = torch.zeros(1, 1, 4, 4)
    mask[..., 2:] = 1
    assert spatial_mean(values, mask).item() == 2.0  # mean of the right column, 1 and 3


def test_the_frechet_distance_of_two_gaussians_has_its_closed_form() -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(0, 1, (200_000, 3))
    b = rng.normal(0, 1, (200_000, 3)) * np.array([2.0, 1.0, 0.5]) + np.array([1.0, 0.0, 0.0])
    assert frechet_distance(a, b) == pytest.approx(1 + 1 + 0.25, abs=0.05)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)


def test_the_frechet_distance_holds_with_fewer_pictures_than_features() -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(0, 1, (10, 50))
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(a, a + 2) == pytest.approx(50 * 4)


def test_fid_runs_on_the_users_file_and_is_named_only_then(tmp_path: Path, pictures: tuple[Tensor, Tensor]) -> None:
    node = helper.make_node("ReduceMean", ["x"], ["y"], axes=[2, 3], keepdims=0)
    entry = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 32, 32])
    leave = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])
    model = helper.make_model(
        helper.make_graph([node], "stand-in", [entry], [leave]),
        opset_imports=[helper.make_opsetid("", 13)],
        ir_version=8,
    )
    onnx.save(model, str(tmp_path / "inception.onnx"))
    official = load_describer(tmp_path / "inception.onnx", "filterbank-distance")
    assert official.name == "fid"
    np.testing.assert_allclose(official(pictures[1], []), pictures[1].mean((2, 3)).numpy(), atol=1e-3)
    assert load_describer(None, "filterbank-distance").name == "frechet-filterbank"
    (tmp_path / "text.onnx").write_text("no")
    for name in ("text.onnx", "gone.onnx"):
        with pytest.raises(CheckpointError, match=name):
            load_describer(tmp_path / name, "filterbank-distance")


def test_the_description_forgets_places_and_the_substitute_sees_blur(pictures: tuple[Tensor, Tensor]) -> None:
    _, truth = pictures
    network = FilterBankDistance().network
    blur = nn.functional.avg_pool2d(truth, 5, 1, 2)
    here, there, blurred = (pooled_statistics(network(p)) for p in (truth, truth.flip(3), blur))
    assert (here - there).abs().mean() < 0.3 * (here - blurred).abs().mean()


def test_identity_is_found_among_speakers_and_lost_when_faces_are_swapped() -> None:
    rng = np.random.default_rng(2)
    faces = {s: rng.normal(size=40) for s in "abcd"}
    speaker = {f"{s}{k}": s for s in "abcd" for k in range(2)}
    truth = {n: faces[s] + 0.2 * rng.normal(size=40) for n, s in speaker.items()}
    faithful = {n: v + 0.2 * rng.normal(size=40) for n, v in truth.items()}
    own, found = identity_similarity(faithful, truth, speaker)
    assert found == 1.0
    assert min(own.values()) > 0.8
    swapped = {n: faithful[m] for n, m in zip(sorted(truth), [*sorted(truth)[2:], *sorted(truth)[:2]], strict=True)}
    assert identity_similarity(swapped, truth, speaker)[1] == 0.0
