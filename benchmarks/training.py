"""Training throughput at a 256-pixel mouth: our loop beside a plain reading of DINet's, in one run.

    python -m benchmarks training --steps 3

Both train the same network on the same pictures with the same losses. What differs is the loop: ours encodes the
references once for the targets that share them, decodes the mouth alone, looks at the lips with the perceptual network,
works channels-last (on a GPU in bfloat16), and draws batches ahead; DINet's reads five references anew for each target,
decodes the whole crop, looks at all of it, and draws between two steps. `--data` uses prepared footage; without it a
portrait that comes with an installed package moves its mouth.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from skimage import data

from benchmarks.record import Measured, report
from julnet_plugin.face.crop import mean_face
from julnet_plugin.manager import make_manager
from julnet_plugin.model.engine import choose_device, fast_precision
from julnet_plugin.model.generator import Generator
from julnet_plugin.model.lips import SHAPE_POINTS
from julnet_plugin.pipeline.threads import prefetch
from trainer import step as step_room
from trainer.batches import Batch, Batches
from trainer.config import DataSettings, LossSettings, OptimSettings, TrainSettings
from trainer.dataset import Clip, ClipHeader, clip_paths, encode_crop, read_clip
from trainer.lipshape import fit_lip_basis
from trainer.loop import Drawn
from trainer.perceptual import load_perceptual_network
from trainer.step import GeneratorLesson
from trainer.team import Team

FULL = (416, 320)  #: a mouth of 256 pixels
_WARM_UP = 1  #: steps that are not counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput:
    """What one loop reached."""

    loop: str
    network: str
    samples: int
    seconds: float
    samples_per_s: float
    waiting_for_data: float  #: share of the time


def portrait_clip(size: tuple[int, int], frames: int = 60) -> Clip:
    """A photograph whose mouth opens and closes, with features like those of sound."""
    rng = np.random.default_rng(0)
    times = np.arange(frames) / 25.0
    opening = 0.1 + 0.1 * np.sin(2 * np.pi * 1.7 * times)
    k = size[1] / FULL[1]
    face = cv2.resize(np.asarray(data.astronaut()[40:300, 130:330]), (size[1], size[0]))  # type: ignore[no-untyped-call]
    crops = []
    for value in opening:
        picture = face.copy()
        axes = (round(45 * k), max(1, round((6 + 200 * value) * k)))
        cv2.ellipse(picture, (round(160 * k), round(250 * k)), axes, 0, 0, 360, (60, 20, 25), -1)
        crops.append(encode_crop(picture))
    lips = np.repeat(mean_face()[list(SHAPE_POINTS)][None], frames, axis=0)
    lips[:, 1:10, 1] += opening[:, None]
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    outline = np.stack([160 + 95 * np.cos(angle), 255 + 80 * np.sin(angle)], axis=1)
    header = ClipHeader(
        name="portrait", speaker="portrait", split="train", rate=25.0, crop_size=size, features="phone-42",
        feature_step_s=0.02,
    )  # fmt: skip
    return Clip(
        header=header,
        jpeg=crops,
        times_s=times,
        region=np.repeat(outline[None], frames, axis=0).astype(np.float32),
        lips=lips.astype(np.float32),
        angles=np.zeros((frames, 3), np.float32),
        mouth_px=np.full(frames, 256.0, np.float32),
        sharpness=np.full(frames, 50.0, np.float32),
        audio=rng.standard_normal((frames * 2 + 50, 42)).astype(np.float32),
    )


def large_clips(dataset: Path | None, size: tuple[int, int]) -> list[Clip]:
    """Prepared clips that are large enough, or the portrait."""
    if dataset is None:
        return [portrait_clip(size)]
    found = [clip for path in clip_paths(dataset) if (clip := read_clip(path)).jpeg and clip.header.crop_size >= size]
    return found[:8] or [portrait_clip(size)]


def build(architecture: str, config: dict[str, object]) -> Generator:
    """An untrained network, the same every time."""
    torch.manual_seed(0)
    network = make_manager(third_party=False).generator(architecture).build(config)
    assert isinstance(network, Generator)
    return network


def measure(
    name: str,
    network: Generator,
    batches: Batches,
    settings: TrainSettings,
    steps: int,
    *,
    ahead: bool,
    half: bool,
    whole: bool,
) -> Throughput:
    """Run some steps of one loop.

    Args:
        name: in the table.
        network: is trained in place.
        batches: what to learn from.
        settings: of the run.
        steps: that are counted.
        ahead: draw batches while the network is busy.
        half: render in bfloat16.
        whole: perceptual and adversarial losses look at the whole crop.
    """
    device = choose_device(settings.device)
    lesson = GeneratorLesson(network.train(), load_perceptual_network(), settings)
    lesson.to(device, half)
    drawn: Iterator[Batch] = (batches.draw(number) for number in itertools.count())
    drawn = prefetch(drawn, 2) if ahead else drawn
    samples, waited, started = 0, 0.0, 0.0
    with _looking_at(whole):
        for number in range(_WARM_UP + steps):
            if number == _WARM_UP:
                _settle(device)
                samples, waited, started = 0, 0.0, time.perf_counter()
            asked = time.perf_counter()
            batch = next(drawn).to(device)
            waited += time.perf_counter() - asked
            lesson.step([Drawn(batch, number)], number, Team())
            samples += len(batch.target)
    _settle(device)
    seconds = time.perf_counter() - started
    return Throughput(
        loop=name,
        network=settings.architecture,
        samples=samples,
        seconds=round(seconds, 3),
        samples_per_s=round(samples / seconds, 4),
        waiting_for_data=round(waited / seconds, 4),
    )


class _looking_at:  # noqa: N801 - reads as what it does
    """Let the losses look at the whole crop, as DINet's do."""

    def __init__(self, whole: bool) -> None:
        self._whole, self._before = whole, step_room.lip_box

    def __enter__(self) -> None:
        if self._whole:
            step_room.lip_box = lambda batch: (slice(0, batch.target.shape[-2]), slice(0, batch.target.shape[-1]))

    def __exit__(self, *_: object) -> None:
        step_room.lip_box = self._before


def _settle(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def settings_of(architecture: str, clips: int, frames: int, device: str, judge: str) -> TrainSettings:
    """Eq. 14 with its weights."""
    return TrainSettings(
        architecture=architecture,
        minutes=1,
        device=device,
        data=DataSettings(clips=clips, frames=frames, full_size=True, decoded_gb=0.0),
        loss=LossSettings(pixel=0.0, perceptual=10.0, perceptual_full_every=1, adversarial=1.0, discriminator=judge),
        optim=OptimSettings(learning_rate=1e-4),
    )


def run(steps: int, batch: int, width: int, mouth: int, dataset: Path | None, device: str) -> list[Throughput]:
    """Every loop, one after the other."""
    size = (mouth * 13 // 8, mouth * 10 // 8)
    clips = large_clips(dataset, size)
    judge = "dinet" if width >= 32 else "light"
    basis = fit_lip_basis(clips, 10)
    codes = [np.zeros((len(clip), 10), np.float32) for clip in clips]
    on = choose_device(device)
    half = on.type == "cuda" and fast_precision(on) == "bfloat16"

    def batches(network: Generator, settings: TrainSettings) -> Batches:
        return Batches(clips, codes, basis, size, network.n_refs, settings.data)

    rows = []
    shared = settings_of("paper", 1, batch, device, judge)
    ours = build("paper", {"width": width}).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    rows.append(measure("ours", ours, batches(ours, shared), shared, steps, ahead=True, half=half, whole=False))
    alone = settings_of("paper", batch, 1, device, judge)
    plain = build("paper", {"width": width, "decode": "full"})
    rows.append(measure("DINet's", plain, batches(plain, alone), alone, steps, ahead=False, half=False, whole=True))
    light = settings_of("rt", 1, batch, device, judge)
    rt = build("rt", {}).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    rows.append(measure("ours", rt, batches(rt, light), light, steps, ahead=True, half=half, whole=False))
    return rows


def measured(rows: Sequence[Throughput]) -> list[Measured]:
    """For the table and the JSON."""
    base = next(row for row in rows if row.loop != "ours")
    found = []
    for row in rows:
        name = f"{row.network}, {row.loop} loop"
        times = f"{row.samples_per_s / base.samples_per_s:.2f}x DINet's"
        found.append(Measured(name, row.samples_per_s, "samples/s", times))
        found.append(Measured(f"{name}, waiting for data", 100 * row.waiting_for_data, "%"))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks training", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=3, help="steps that are counted, after one that is not")
    parser.add_argument("--batch", type=int, default=2, help="samples of a step")
    parser.add_argument("--width", type=int, default=64, help="of the paper's network; its own is 64")
    parser.add_argument("--mouth", type=int, default=256, help="side of the mouth square in pixels")
    parser.add_argument("--data", type=Path, help="prepared footage at full size")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results"), help="folder of the JSON")
    args = parser.parse_args(arguments)
    rows = run(args.steps, args.batch, args.width, args.mouth, args.data, args.device)
    settings = {"steps": args.steps, "batch": args.batch, "width": args.width, "mouth_px": args.mouth}
    report("training", measured(rows), args.output, settings | {"device": str(choose_device(args.device))})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
