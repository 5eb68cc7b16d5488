from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from safetensors.torch import load_file

from julnet_plugin.audio.speech import BLOCK_STEPS, WIDTH, hear, new_encoder
from julnet_plugin.errors import InputError
from trainer import speech
from trainer.speech import main, mel_bands, place_means, principal, read_encoder

SCALE = 0.01
_LAYER = "inner.encoder.layers.{}."


@pytest.fixture(scope="module")
def encoder() -> torch.nn.Module:
    """Random weights that 8 bits hold exactly."""
    torch.manual_seed(0)
    made = new_encoder(1)
    with torch.no_grad():
        for value in made.parameters():
            value.copy_((value * 40).round().clamp(-127, 127) * SCALE)
        made.layers[0].self_attn.in_proj_bias[WIDTH : 2 * WIDTH] = 0  # Whisper's keys have no bias
    return made


def write_onnx(encoder: torch.nn.Module, path: Path) -> None:
    """The encoder as Smart Turn's file has it: matrices in 8 bits, in the order in which they are used."""
    graph = onnx.GraphProto(name="turn")
    constants: dict[str, NDArray[np.float32]] = {}

    def whole(name: str, value: torch.Tensor) -> None:
        constants[name] = value.detach().numpy()

    def eight_bits(name: str, value: torch.Tensor) -> str:
        stored = np.round(value.detach().numpy() / SCALE).astype(np.int8)
        scale = np.full(stored.shape[-1], SCALE, np.float32)
        for suffix, data in (("_q", stored), ("_s", scale), ("_z", np.zeros(len(scale), np.int8))):
            graph.initializer.append(numpy_helper.from_array(data, name + suffix))
        graph.node.append(
            helper.make_node("DequantizeLinear", [name + s for s in ("_q", "_s", "_z")], [name], axis=stored.ndim - 1)
        )
        return name

    for name in ("conv1", "conv2"):
        part = getattr(encoder, name)
        eight_bits(f"inner.encoder.{name}.weight_DequantizeLinear_Output", part.weight)
        whole(f"inner.encoder.{name}.bias", part.bias)
    whole("inner.encoder.embed_positions.weight", encoder.places.weight)
    for k, layer in enumerate(encoder.layers):
        at = _LAYER.format(k)
        q, key, v = layer.self_attn.in_proj_weight.chunk(3)
        bias_q, _, bias_v = layer.self_attn.in_proj_bias.chunk(3)
        used = [key, q, v, layer.self_attn.out_proj.weight, layer.linear1.weight, layer.linear2.weight]
        for number, matrix in enumerate(used):
            weight = eight_bits(f"val_{k}_{number}", matrix.T)
            graph.node.append(helper.make_node("MatMul", ["x", weight], [f"y_{k}_{number}"]))
        whole(f"{at}self_attn.q_proj.bias", bias_q)
        whole(f"{at}self_attn.v_proj.bias", bias_v)
        whole(f"{at}self_attn.out_proj.bias", layer.self_attn.out_proj.bias)
        for theirs, part in (("fc1", layer.linear1), ("fc2", layer.linear2)):
            whole(f"{at}{theirs}.bias", part.bias)
        for theirs, part in (("self_attn_layer_norm", layer.norm1), ("final_layer_norm", layer.norm2)):
            whole(f"{at}{theirs}.weight", part.weight)
            whole(f"{at}{theirs}.bias", part.bias)
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    onnx.save(helper.make_model(graph), path)


def test_weights_of_eight_bits_become_the_encoder_they_stand_for(encoder: torch.nn.Module, tmp_path: Path) -> None:
    write_onnx(encoder, tmp_path / "turn.onnx")
    found = read_encoder(tmp_path / "turn.onnx", layers=1)
    for name, value in encoder.state_dict().items():
        assert torch.allclose(found.state_dict()[name], value, atol=1e-6), name


def test_a_layer_is_whispers_block() -> None:
    """Attention and a perceptron, each after a normalisation and beside a skip, written out."""
    torch.manual_seed(1)
    layer, x = new_encoder(1).layers[0], torch.randn(1, 9, WIDTH)
    normed = torch.nn.functional.layer_norm(x, (WIDTH,), layer.norm1.weight, layer.norm1.bias)
    q, k, v = (normed @ layer.self_attn.in_proj_weight.T + layer.self_attn.in_proj_bias).chunk(3, dim=-1)
    heads = [t.view(1, 9, 6, 64).transpose(1, 2) for t in (q, k, v)]
    attended = torch.softmax(heads[0] @ heads[1].transpose(2, 3) / 8, dim=-1) @ heads[2]
    y = x + layer.self_attn.out_proj(attended.transpose(1, 2).reshape(1, 9, WIDTH))
    inner = torch.nn.functional.gelu(layer.linear1(layer.norm2(y)))
    with torch.no_grad():
        assert torch.allclose(layer(x), y + layer.linear2(inner), atol=1e-5)


def test_the_mean_of_a_place_and_the_directions_are_those_of_the_speech(encoder: torch.nn.Module) -> None:
    rng, mel = np.random.default_rng(0), mel_bands()
    sounds = [(0.1 * rng.standard_normal(9 * 16_000)).astype(np.float32) for _ in range(2)]
    mean = place_means(sounds, encoder, mel, blocks=4)
    assert mean.shape == (BLOCK_STEPS, WIDTH)
    directions = principal(sounds, encoder, mel, mean, 5)
    heard = np.concatenate([hear(sound, encoder, mel, mean) for sound in sounds])
    told = heard @ directions
    spread = np.square(told).mean(axis=0)
    assert (np.diff(spread) < 0).all()  # halfway to equal spreads: the widest direction is still the widest
    assert np.square(np.corrcoef(told.T) - np.eye(5)).max() < 0.05
    widest = np.linalg.eigvalsh(heard.T @ heard / len(heard))[::-1][:5]
    np.testing.assert_allclose(spread, np.sqrt(widest), rtol=1e-2)


def test_the_file_is_made_whole_and_anything_else_is_one_sentence(
    encoder: torch.nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import soundfile

    monkeypatch.setattr(speech, "read_encoder", lambda path: read_encoder(path, layers=1))
    monkeypatch.setattr(speech.place_means, "__defaults__", (2,))
    (tmp_path / "footage").mkdir()
    noise = 0.1 * np.random.default_rng(0).standard_normal(32_000)
    soundfile.write(tmp_path / "footage" / "a.wav", noise, 16_000)
    write_onnx(encoder, tmp_path / "turn.onnx")
    arguments = [str(tmp_path / "turn.onnx"), str(tmp_path / "footage"), "-o", str(tmp_path / "speech.safetensors")]
    assert main(arguments) == 0
    made = load_file(tmp_path / "speech.safetensors")
    assert {name: tuple(made[name].shape) for name in ("mel", "mean", "directions", "silence")} == {
        "mel": (201, 80),
        "mean": (BLOCK_STEPS, WIDTH),
        "directions": (WIDTH, 96),
        "silence": (96,),
    }
    (tmp_path / "turn.onnx").write_bytes(b"no model")
    assert main(arguments) == 2
    assert "is no Smart Turn 3 model in ONNX" in capsys.readouterr().err


def test_a_model_of_another_kind_is_refused(tmp_path: Path) -> None:
    onnx.save(helper.make_model(onnx.GraphProto(name="empty")), tmp_path / "empty.onnx")
    with pytest.raises(InputError, match="is no Smart Turn 3 model"):
        read_encoder(tmp_path / "empty.onnx")
