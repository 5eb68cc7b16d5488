"""Makes `julnet_plugin/audio/speech.safetensors`: `python -m trainer.speech smart-turn-v3.2-cpu.onnx FOOTAGE -o FILE`.

The ONNX file lies in the wheel of pipecat-ai (`pipecat/audio/turn/smart_turn/data`, BSD-2-Clause). It holds the encoder
of Whisper (tiny, MIT) in eight bits; here its first layers become ordinary weights again, and the principal directions
of what they make of training speech are found.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from julnet_plugin.audio.features import silence, speech_rms
from julnet_plugin.audio.speech import BLOCK_STEPS, MELS, WIDTH, SpeechFeatures, hear, new_encoder
from julnet_plugin.errors import InputError

BLOCKS = 800  #: of 8 s, for the mean of each place in a block
LAYERS = 2  #: the first and the third hear lips less well, one alone hears hardly anything (model card)
_PREFIX = "inner.encoder."
_MATRICES = ("k_proj", "q_proj", "v_proj", "out_proj", "fc1", "fc2")  #: of a layer, in the order in which it uses them


def read_encoder(path: Path, layers: int = LAYERS) -> torch.nn.Module:
    """The first layers of the encoder in an ONNX file of Smart Turn 3, as 32-bit floats.

    Raises:
        InputError: the file is something else.
    """
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped,unused-ignore]
    from onnx import numpy_helper

    try:
        graph = onnx.load(str(path)).graph
        constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        plain: dict[str, NDArray[Any]] = dict(constants)
        for node in graph.node:
            if node.op_type == "DequantizeLinear" and node.input[0] in constants:
                axis = next((a.i for a in node.attribute if a.name == "axis"), 1)
                value, scale, zero = (constants[name] for name in node.input)
                plain[node.output[0]] = _floats(value, scale, zero, axis)
        products = [n for n in graph.node if n.op_type == "MatMul" and n.input[1] in plain]
        tensors = {f"conv{k}.{what}": plain[f"{_PREFIX}conv{k}.{name}"] for k in (1, 2) for what, name in
                   (("weight", "weight_DequantizeLinear_Output"), ("bias", "bias"))}  # fmt: skip
        tensors["places.weight"] = plain[f"{_PREFIX}embed_positions.weight"]
        for k in range(layers):
            used = products[k * len(_MATRICES) : (k + 1) * len(_MATRICES)]
            matrices = {name: plain[node.input[1]].T for name, node in zip(_MATRICES, used, strict=True)}
            tensors |= _layer(f"layers.{k}.", matrices, {n: v for n, v in plain.items() if f"layers.{k}." in n})
        encoder = new_encoder(layers)
        encoder.load_state_dict({name: torch.tensor(value) for name, value in tensors.items()})
    except (OSError, KeyError, ValueError, RuntimeError, DecodeError) as exc:
        msg = f"{path} is no Smart Turn 3 model in ONNX ({exc}); give the file of the pipecat-ai wheel"
        raise InputError(msg) from exc
    return encoder


def _floats(value: NDArray[Any], scale: NDArray[Any], zero: NDArray[Any], axis: int) -> NDArray[np.float32]:
    """What 8 bits stand for."""
    shape = [1] * value.ndim
    if scale.ndim:
        shape[axis if value.ndim > 1 else 0] = -1
    centred = value.astype(np.float32) - zero.astype(np.float32).reshape(shape)
    return np.asarray(centred * scale.reshape(shape), np.float32)


def _layer(to: str, matrices: dict[str, NDArray[Any]], other: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The tensors of one `nn.TransformerEncoderLayer`; the keys have no bias in Whisper."""
    named = {name.split("layers.")[1].split(".", 1)[1]: value for name, value in other.items()}
    biases = [named["self_attn.q_proj.bias"], np.zeros(WIDTH, np.float32), named["self_attn.v_proj.bias"]]
    tensors = {
        "self_attn.in_proj_weight": np.concatenate([matrices[name] for name in ("q_proj", "k_proj", "v_proj")]),
        "self_attn.in_proj_bias": np.concatenate(biases),
        "self_attn.out_proj.weight": matrices["out_proj"],
        "self_attn.out_proj.bias": named["self_attn.out_proj.bias"],
    }
    for ours, theirs in (("linear1", "fc1"), ("linear2", "fc2")):
        tensors |= {f"{ours}.weight": matrices[theirs], f"{ours}.bias": named[f"{theirs}.bias"]}
    for ours, theirs in (("norm1", "self_attn_layer_norm"), ("norm2", "final_layer_norm")):
        tensors |= {f"{ours}.{what}": named[f"{theirs}.{what}"] for what in ("weight", "bias")}
    return {to + name: value for name, value in tensors.items()}


def mel_bands() -> torch.Tensor:
    """Slaney's 80 mel bands up to 8 kHz, as Whisper uses them. (201, 80)."""
    import librosa

    return torch.from_numpy(librosa.filters.mel(sr=16_000, n_fft=400, n_mels=MELS).T.copy())


def place_means(
    sounds: Sequence[NDArray[np.float32]], encoder: torch.nn.Module, mel: torch.Tensor, blocks: int = BLOCKS
) -> NDArray[np.float32]:
    """Mean of an encoder's answers to speech for each place in a block, (400, 384): sounds end to end, cut anywhere."""
    speech = np.concatenate([samples / speech_rms(samples) for samples in sounds])
    speech = np.resize(speech, max(len(speech), 2 * BLOCK_STEPS * 320))
    rng, nothing = np.random.default_rng(0), np.zeros((BLOCK_STEPS, WIDTH), np.float32)
    total = nothing.astype(np.float64)
    for start in rng.integers(0, len(speech) - BLOCK_STEPS * 320, blocks):
        total += hear(speech[start : start + BLOCK_STEPS * 320], encoder, mel, nothing)
    return np.asarray(total / blocks, np.float32)


def principal(
    sounds: Iterable[NDArray[np.float32]],
    encoder: torch.nn.Module,
    mel: torch.Tensor,
    mean: NDArray[np.float32],
    size: int,
) -> NDArray[np.float32]:
    """Scaled principal directions (384, `size`) of an encoder's answers to speech, silence left out."""
    count, square = 0, np.zeros((WIDTH, WIDTH))
    for samples in sounds:
        heard = hear(samples, encoder, mel, mean)[~silence(samples)].astype(np.float64)
        count, square = count + len(heard), square + heard.T @ heard
    spread, directions = np.linalg.eigh(square / max(count, 1))
    spread, directions = spread[::-1][:size], directions[:, ::-1][:, :size]
    directions *= np.where(directions.sum(axis=0) < 0, -1, 1)  # a direction's sign is nobody's choice but ours
    return np.asarray(directions / np.maximum(spread, 1e-12) ** 0.25, np.float32)


def main(arguments: Sequence[str] | None = None) -> int:
    """See the module."""
    from julnet_plugin.pipeline.dub import read_mono_16k

    parser = argparse.ArgumentParser(prog="python -m trainer.speech", description=__doc__)
    parser.add_argument("onnx", type=Path)
    parser.add_argument("footage", type=Path, nargs="+", help="movies of training speakers, and folders of them")
    parser.add_argument("-o", "--output", type=Path, required=True)
    args = parser.parse_args(arguments)
    try:
        encoder = read_encoder(args.onnx)
        movies = sorted(m for f in args.footage for m in (f.iterdir() if f.is_dir() else [f]) if m.is_file())
        mel = mel_bands()
        sounds = [read_mono_16k(movie, 0) for movie in movies]
        mean = place_means(sounds, encoder, mel)
        directions = principal(sounds, encoder, mel, mean, SpeechFeatures.size)
    except InputError as exc:
        print(f"speech: {exc}", file=sys.stderr)
        return 2
    quiet = hear(np.zeros(BLOCK_STEPS * 320, np.float32), encoder, mel, mean).mean(axis=0)
    tensors = {f"encoder.{name}": value.half() for name, value in encoder.state_dict().items()}
    tensors |= {"mel": mel, "mean": torch.from_numpy(mean).half(), "directions": torch.from_numpy(directions)}
    tensors["silence"] = torch.from_numpy(quiet @ directions)
    known = {
        "source": "smart-turn-v3.2-cpu.onnx of pipecat-ai: Copyright (c) 2024-2026 Daily, BSD-2-Clause; "
        "after Whisper (tiny), Copyright (c) 2022 OpenAI, MIT",
        "directions": f"of the speech of {len(movies)} movies",
    }
    partial = args.output.with_name(f"{args.output.name}.partial")
    save_file({name: value.contiguous() for name, value in tensors.items()}, partial, metadata=known)
    partial.replace(args.output)
    print(f"wrote {args.output}: {args.output.stat().st_size / 1e6:.1f} MB, {len(movies)} movies")
    return 0


if __name__ == "__main__":
    sys.exit(main())
