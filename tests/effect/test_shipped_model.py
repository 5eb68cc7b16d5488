"""The shipped weights, on the demo's plate and on real footage."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from julnet_plugin.demo import make_demo
from julnet_plugin.manager import make_manager
from julnet_plugin.media.probe import probe
from julnet_plugin.media.reader import open_plate
from julnet_plugin.model.checkpoint import WEIGHTS, load_checkpoint
from julnet_plugin.model.rt import RtGenerator
from julnet_plugin.pipeline.dub import silence
from julnet_plugin.types import FrameRange, Take

Render = Callable[..., Take]

needs_weights = pytest.mark.skipif(not (WEIGHTS / "rt.safetensors").is_file(), reason="no rt weights are shipped yet")


@needs_weights
@pytest.mark.slow
def test_the_demo_says_something_and_keeps_its_still_surroundings(render: Render, tmp_path: Path) -> None:
    plate, dub = make_demo(tmp_path / "demo", frames=20)
    made = render(tmp_path / "take", plate=plate, dub=dub, model="rt", deliver=("png",), settings={})
    assert all(row["redubbed"] for row in made.manifest["frames"])
    with open_plate(plate) as before, open_plate(made.path / "png" / "dub.######.png") as after:
        pairs = [(a.rgb, b.rgb) for a, b in zip(before.frames(), after.frames(), strict=True)]
    moved = [np.abs(a.astype(int) - b).max(axis=2) for a, b in pairs]
    assert all(np.array_equal(a[:310], b[:310]) for a, b in pairs), "the eyes stay as they are"
    assert min(np.count_nonzero(m > 8) for m in moved) > 500, "the mouth does"


@needs_weights
def test_the_shipped_model_hears_silence_as_a_closed_mouth() -> None:
    manager = make_manager(third_party=False)
    info, network = load_checkpoint(WEIGHTS / "rt.safetensors", manager.generator)
    assert isinstance(network, RtGenerator)
    extractor = manager.audio_features(info.audio_feature)
    quiet = torch.from_numpy(np.tile(silence(extractor), (info.audio_window, 1)))
    with torch.inference_mode():
        network.eval().hear_silence(quiet)
        assert network.lip_shape(quiet[None]).norm() < 1e-4


FOOTAGE = Path(os.environ.get("JULNET_FOOTAGE", Path(__file__).parents[3] / "shared" / "footage"))


@needs_weights
@pytest.mark.footage
@pytest.mark.slow
@pytest.mark.skipif(not (FOOTAGE / "val").is_dir(), reason=f"no footage at {FOOTAGE}: set JULNET_FOOTAGE")
def test_a_real_clip_is_re_dubbed_frame_for_frame(render: Render, tmp_path: Path) -> None:
    clip = FOOTAGE / "val" / "0041_mead-w040.mp4"
    frames = FrameRange(start=20, stop=44)
    made = render(
        tmp_path / "take",
        plate=clip,
        dub=FOOTAGE / "dub" / "jfk.flac",
        model="rt",
        in_point="20",
        out_point="44",
        deliver=("h264", "png"),
        settings={},
    )
    assert all(row["redubbed"] and row["sigma_mean"] > 0 for row in made.manifest["frames"])
    info = probe(made.path / "dub.mov")
    assert (info.frame_count, info.rate, info.width, info.height) == (24, probe(clip).rate, 1920, 1080)
    with (
        open_plate(clip) as before,
        open_plate(made.path / "png" / "dub.######.png") as after,
        open_plate(made.path / "png" / "coverage.######.png") as coverage,
    ):
        for plate, dub, used in zip(before.frames(frames), after.frames(), coverage.frames(), strict=True):
            outside = used.rgb[..., 0] == 0
            assert np.array_equal(plate.rgb[outside], dub.rgb[outside])
            assert (plate.rgb[~outside] != dub.rgb[~outside]).mean() > 0.3
