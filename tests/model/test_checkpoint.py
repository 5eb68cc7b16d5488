from __future__ import annotations

import json
import os
import pickle
import random
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from julnet_plugin.errors import CheckpointError
from julnet_plugin.model import checkpoint
from julnet_plugin.model.architectures import BUILT_IN, Architecture
from julnet_plugin.model.checkpoint import find_model, load_checkpoint, read_info, save_checkpoint
from julnet_plugin.model.generator import Generator
from julnet_plugin.model.info import CheckpointInfo
from julnet_plugin.model.syncnet import SyncNet

Describe = Callable[..., CheckpointInfo]


def built_in(name: str) -> Architecture:
    for architecture in BUILT_IN:
        if architecture.name == name:
            return architecture
    raise CheckpointError(f"no {name}")


@pytest.fixture
def saved(make_generator: Callable[..., Generator], describe: Describe, tmp_path: Path) -> Path:
    network = make_generator("paper", crop_size=(52, 40), deform_blocks=1, width=2)
    path = tmp_path / "tiny.safetensors"
    save_checkpoint(network, describe(network, step=7), path)
    return path


def rewritten(path: Path, edit: Callable[[dict[str, Any]], None]) -> Path:
    """The file with another header over the same tensors."""
    data = path.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    edit(header)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])
    return path


def with_info(path: Path, **changes: object) -> Path:
    def edit(header: dict[str, Any]) -> None:
        info = json.loads(header["__metadata__"]["julnet"]) | changes
        header["__metadata__"]["julnet"] = json.dumps(info)

    return rewritten(path, edit)


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("name", ["paper", "wav2lip"])
def test_a_saved_network_comes_back(
    name: str,
    half: bool,
    make_generator: Callable[..., Generator],
    make_inputs: Any,
    describe: Describe,
    tmp_path: Path,
) -> None:
    network, path = make_generator(name), tmp_path / "a.safetensors"
    info = describe(network, name="x", step=3, scores={"psnr": 30.5}, calibration=((0.0, 0.0), (0.1, 0.2)))
    save_checkpoint(network, info, path, half=half)
    loaded_info, loaded = load_checkpoint(path, built_in)
    assert loaded_info == read_info(path) == info
    assert isinstance(loaded, Generator)
    assert not loaded.training
    for key, tensor in network.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[key], tensor, rtol=1e-3 if half else 0, atol=1e-6 if half else 0)


def test_a_syncnet_comes_back(make_syncnet: Callable[..., SyncNet], describe: Describe, tmp_path: Path) -> None:
    network, path = make_syncnet(), tmp_path / "sync.safetensors"
    save_checkpoint(network, describe(network), path, half=False)
    info, loaded = load_checkpoint(path)
    assert info.kind == "syncnet"
    pictures, audio = torch.rand(2, 5, 3, 32, 32), torch.randn(2, 21, network.audio_size)
    assert torch.equal(loaded(pictures, audio), network(pictures, audio))


def test_an_architecture_is_found_through_the_hook(saved: Path) -> None:
    assert isinstance(load_checkpoint(saved)[1], Generator)


def test_loading_leaves_the_random_state_alone(saved: Path) -> None:
    before = torch.random.get_rng_state()
    load_checkpoint(saved, built_in)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_weights_are_halved_and_statistics_are_not(make_generator: Any, describe: Describe, tmp_path: Path) -> None:
    network, path = make_generator("paper"), tmp_path / "a.safetensors"
    network.source_encoder[0].norm.running_var.fill_(1e-12)  # underflows in 16 bits, and is divided by
    save_checkpoint(network, describe(network), path)
    _, loaded = load_checkpoint(path, built_in)
    assert float(loaded.state_dict()["source_encoder.0.norm.running_var"][0]) == pytest.approx(1e-12)
    full = sum(t.numel() * t.element_size() for t in network.state_dict().values())
    assert path.stat().st_size < 0.75 * full


def test_nothing_is_left_when_saving_fails(make_generator: Any, describe: Describe, tmp_path: Path) -> None:
    network = make_generator("paper")
    with pytest.raises(OSError, match="No such file"):
        save_checkpoint(network, describe(network), tmp_path / "absent" / "a.safetensors")
    assert not list(tmp_path.iterdir())


def test_a_diverged_network_is_not_saved(make_generator: Any, describe: Describe, tmp_path: Path) -> None:
    network = make_generator("paper")
    nn.init.constant_(network.uncertainty.out.bias, float("nan"))
    with pytest.raises(ValueError, match=r"uncertainty\.out\.bias.*not finite"):
        save_checkpoint(network, describe(network), tmp_path / "a.safetensors")


def test_a_header_of_another_network_is_not_saved(make_generator: Any, describe: Describe, tmp_path: Path) -> None:
    network = make_generator("paper")
    with pytest.raises(ValueError, match="configuration"):
        save_checkpoint(network, describe(make_generator("paper", width=6)), tmp_path / "a.safetensors")


def test_reading_the_header_reads_no_tensor(saved: Path) -> None:
    info = read_info(saved)
    with saved.open("r+b") as file:
        file.truncate(saved.stat().st_size // 2)
    assert read_info(saved) == info
    with pytest.raises(CheckpointError, match="cut short"):
        load_checkpoint(saved, built_in)


class Bomb:
    """What a pickle can do."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, ("exploded",)


@pytest.mark.parametrize("name", ["w.pt", "w.pth", "w.ckpt", "w.safetensors", "w"])
def test_a_pickle_is_never_opened(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for write in (
        lambda path: path.write_bytes(pickle.dumps(Bomb())),
        lambda path: torch.save({"weights": Bomb()}, path),
        lambda path: torch.save({"weights": Bomb()}, path, _use_new_zipfile_serialization=False),
    ):
        write(tmp_path / name)
        with pytest.raises(CheckpointError, match="pickle"):
            load_checkpoint(tmp_path / name, built_in)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a safetensors"),
        (b"\x08", "not a safetensors"),
        (b"hello, this is text, not weights", "not a safetensors"),
        (struct.pack("<Q", 1 << 40) + b"{}", "not a safetensors"),
        (
            struct.pack("<Q", checkpoint.MAX_HEADER_BYTES + 1) + b" " * (checkpoint.MAX_HEADER_BYTES + 1),
            "not a safetens",
        ),
        (struct.pack("<Q", 2) + b"[]", "not a table"),
        (struct.pack("<Q", 3) + b"{,}", "not JSON"),
        (struct.pack("<Q", 200_000) + b"[" * 200_000, "not JSON"),
        (struct.pack("<Q", 4) + b"\xff\xfe\xfd\xfc", "not JSON"),
        (struct.pack("<Q", 2) + b"{}", "does not say what network"),
    ],
)
def test_what_is_no_weights_file_is_refused_in_one_sentence(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    for read in (read_info, load_checkpoint):
        with pytest.raises(CheckpointError, match=message) as caught:
            read(path)
        assert "\n" not in str(caught.value)
        assert str(path) in str(caught.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.safetensors", tmp_path):
        with pytest.raises(CheckpointError, match="cannot be read"):
            load_checkpoint(path)


def test_weights_of_somebody_else_are_refused(tmp_path: Path) -> None:
    save_file({"layer.weight": torch.zeros(2, 2)}, tmp_path / "w.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointError, match="not JULNet's"):
        load_checkpoint(tmp_path / "w.safetensors")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": 99}, "schema 99"),
        ({"schema": None}, "schema None"),
        ({"kind": "vocoder"}, "kind"),
        ({"n_refs": "five"}, "n_refs must be int"),
        ({"crop_size": [52]}, "crop_size"),
        ({"crop_size": [0, 0]}, "not positive"),
        ({"calibration": [[0.2, 0.1], [0.1, 0.2]]}, "do not rise"),
        ({"scores": {"psnr": 1e999}}, "scores.psnr"),
        ({"config": {"wdith": 4}}, "did you mean 'width'"),
        ({"config": {"width": 10**9}}, "1..4096"),
        ({"config": {"width": 4096, "crop_size": [52, 40]}}, "does not fit its architecture"),
        ({"config": {"width": "wide"}}, "width must be int"),
        ({"architecture": "wav2lip", "config": {}}, "does not fit its architecture"),
        ({"kind": "syncnet", "config": {}}, "does not fit its architecture"),
        ({"step": 8}, "digest"),
    ],
)
def test_a_header_that_cannot_be_right_is_refused(changes: dict[str, Any], message: str, saved: Path) -> None:
    with pytest.raises(CheckpointError, match=message) as caught:
        load_checkpoint(with_info(saved, **changes), built_in)
    assert "\n" not in str(caught.value)


def test_an_unknown_architecture_names_those_there_are(saved: Path) -> None:
    with pytest.raises(CheckpointError, match=r"(?s)diffusion.*paper"):
        load_checkpoint(with_info(saved, architecture="diffusion"))


def test_unknown_fields_of_the_same_schema_are_ignored(describe: Describe, make_generator: Any) -> None:
    info = describe(make_generator("paper"))
    text = json.dumps(json.loads(info.to_json()) | {"mood": "good"})
    assert CheckpointInfo.from_json(text) == info


def test_a_lacking_field_is_named(describe: Describe, make_generator: Any) -> None:
    values = json.loads(describe(make_generator("paper")).to_json())
    del values["audio_feature"]
    with pytest.raises(ValueError, match="'audio_feature' is lacking"):
        CheckpointInfo.from_json(json.dumps(values))


def test_missing_foreign_and_misshapen_tensors_are_named(saved: Path) -> None:
    original = saved.read_bytes()

    def drop(header: dict[str, Any]) -> None:
        del header["uncertainty.out.bias"]

    def add(header: dict[str, Any]) -> None:
        header["extra"] = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}

    def reshape(header: dict[str, Any]) -> None:
        header["uncertainty.out.bias"]["shape"] = [1, 2]

    def retype(header: dict[str, Any]) -> None:
        header["uncertainty.out.bias"]["dtype"] = "F8_E4M3"

    def scramble(header: dict[str, Any]) -> None:
        header["uncertainty.out.bias"]["data_offsets"] = [8, 0]

    cases = [
        (drop, "lacks 'uncert"),
        (add, "unknown 'extra'"),
        (reshape, r"needed \[2\]"),
        (retype, "is not a tensor's"),
    ]
    for edit, message in [*cases, (scramble, "damaged")]:
        saved.write_bytes(original)
        with pytest.raises(CheckpointError, match=message):
            load_checkpoint(rewritten(saved, edit), built_in)


def test_no_truncation_and_no_flipped_byte_gets_through(saved: Path) -> None:
    data, chance = saved.read_bytes(), random.Random(5)
    header = 8 + struct.unpack("<Q", data[:8])[0]
    cuts = [chance.randrange(len(data)) for _ in range(20)]
    flips = [chance.randrange(8) for _ in range(8)] + [chance.randrange(header) for _ in range(60)]
    flips += [chance.randrange(header, len(data)) for _ in range(20)]
    damaged = [data[:cut] for cut in cuts]
    damaged += [data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :] for at in flips]
    damaged += [data + b"\0"]
    for content in damaged:
        saved.write_bytes(content)
        with pytest.raises(CheckpointError) as caught:
            load_checkpoint(saved, built_in)
        assert "\n" not in str(caught.value)


def test_a_shipped_name_is_found_and_an_unknown_one_lists_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "WEIGHTS", tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rt.safetensors").write_bytes(b"x")
    assert find_model("rt") == tmp_path / "rt.safetensors"
    assert find_model(tmp_path / "rt.safetensors") == tmp_path / "rt.safetensors"
    for name, message in {
        "tr": "unknown model 'tr'; shipped are rt",
        "paper": "julnet train",
        "models/x.safetensors": "no weights file",
        str(tmp_path): "is a folder",
        "../rt": "no weights file",
        "n" * 5000: "unknown model",
        "": "is a folder",
    }.items():
        with pytest.raises(CheckpointError, match=message) as caught:
            find_model(name)
        assert "\n" not in str(caught.value)


def test_a_header_with_replaced_calibration_can_be_saved_again(
    make_generator: Any, describe: Describe, tmp_path: Path
) -> None:
    network, path = make_generator("paper"), tmp_path / "a.safetensors"
    info = describe(network)
    save_checkpoint(network, replace(info, calibration=((0.01, 0.02), (0.1, 0.08))), path)
    assert read_info(path).calibration == ((0.01, 0.02), (0.1, 0.08))
    assert read_info(path).interval_factors == {}
    save_checkpoint(network, replace(info, interval_factors={"0.8": 1.7}), path)
    assert read_info(path).interval_factors == {"0.8": 1.7}
