"""Where the milliseconds of a frame go: every step of a render by itself, one after the other, on the frames of a take.

CPU time of the whole process, so a codec's own threads count. What a step costs beside others that use the same caches
is more; the order of the steps is what this is for.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from benchmarks.clocks import Spent, spent
from benchmarks.plates import RATE, make_dub, make_plate
from benchmarks.record import Measured, report

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from julnet_plugin.types import Take

T = TypeVar("T")

_PASSES = {
    "track": ("decode", "to RGB", "preview", "cuts", "faces"),
    "paint": ("decode", "crop", "mask", "network", "store"),
    "deliver": ("decode", "to RGB", "layers", "numbers", "patch", "lips", "movie picture", "encode", "matte movie"),
}


def main(arguments: list[str]) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks frame", description=__doc__)
    parser.add_argument("--height", type=int, default=1080, help="lines of the plate")
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--plate", type=Path, help="another plate than the one that is made")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results"), help="folder of the JSON")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(Path(folder), options.height, options.frames, options.plate)
    settings = {"height": options.height, "frames": options.frames, "plate": "given" if options.plate else "made"}
    report("frame", rows, options.output, settings)
    return 0


def measure(folder: Path, height: int, frames: int, plate: Path | None = None) -> list[Measured]:
    """Render a take, then do its steps again with a watch in hand."""
    from julnet_plugin import RedubRequest, redub

    plate = plate or make_plate(folder / "plate.mp4", height, frames)
    dub = make_dub(folder / "dub.wav", frames / RATE)
    take = redub(RedubRequest(plate=plate, dub=dub, take_dir=folder / "take", out_point=str(frames)))
    watch = _Watch()
    _steps(take, folder / "again", watch)
    costs = {name: fmean(1e3 * one.cpu_s for one in taken[2:]) for name, taken in watch.taken.items()}
    rows = []
    for name, steps in _PASSES.items():
        total = sum(costs[step] for step in steps)
        rows.append(Measured(f"{name}, all steps", total, "ms/frame", "CPU time"))
        rows += [Measured(f"{name}: {step}", costs[step], "ms/frame") for step in steps]
    return rows


class _Watch:
    """Takes the time of single steps."""

    def __init__(self) -> None:
        self.taken: dict[str, list[Spent]] = {}

    def __call__(self, name: str, work: Callable[..., T], *arguments: object) -> T:
        results: list[T] = []
        self.taken.setdefault(name, []).append(spent(lambda: results.append(work(*arguments))))
        return results[0]


def _steps(take: Take, folder: Path, watch: _Watch) -> None:
    from julnet_plugin.config import load_settings
    from julnet_plugin.face.crop import region_mask
    from julnet_plugin.face.people import PersonFactory
    from julnet_plugin.face.track import TrackSettings, _Shot
    from julnet_plugin.manager import make_manager
    from julnet_plugin.matte.calibration import calibration_of
    from julnet_plugin.media.colour import DisplayTransform
    from julnet_plugin.media.movie_writer import PRORES, MatteWriter, MovieWriter
    from julnet_plugin.media.probe import probe
    from julnet_plugin.media.reader import open_plate
    from julnet_plugin.model.engine import load_engine
    from julnet_plugin.pipeline.cropdata import DATA, ChunkBuilder
    from julnet_plugin.pipeline.deliver import _measure
    from julnet_plugin.pipeline.lips import LipWatcher
    from julnet_plugin.pipeline.patches import PatchMaker
    from julnet_plugin.pipeline.references import REFERENCES, References, frame_crop
    from julnet_plugin.pipeline.takedata import TakeData, box_of
    from julnet_plugin.take import frames_of, matte_document
    from julnet_plugin.types import DeliveryJob

    given, manager, frames = take.manifest["inputs"], make_manager(), frames_of(take)
    info, settings = probe(Path(given["plate"]["path"])), load_settings(take.manifest["job"]["settings"])
    engine = load_engine("rt", "cpu", threads=1)
    size = engine.info.crop_size
    data, transform = TakeData(take.path, frames, chunk_frames=settings.render.chunk_frames), DisplayTransform(info)
    folder.mkdir()
    job = DeliveryJob(folder=folder, work=folder, info=info, frames=frames, chunks=(frames,))
    movie, matte = MovieWriter(PRORES).open(job), MatteWriter().open(job)
    movie.begin(frames)
    matte.begin(frames)
    closed = References.load(take.path / DATA / REFERENCES).lips[0, 1]
    with open_plate(info) as plate:
        maker = PatchMaker(
            data=data,
            plate=plate,
            transform=transform,
            document=matte_document(take),
            operators=manager.matte_operators(),
            calibration=calibration_of(engine.info.calibration, engine.info.interval_factors),
            settings=settings.compose,
            seed=0,
        )
        watcher = LipWatcher(data, manager.face_tracker("mediapipe"), engine.lip_basis, transform, lambda _: closed)
        watcher.begin(frames)
        shot = _Shot(0, 0, manager.face_tracker("mediapipe"), TrackSettings(), RATE, PersonFactory(None))
        refs = np.stack(
            [frame_crop(plate.frame(0), transform, data.plan.plate_from_crop[0], size)] * engine.info.n_refs
        )
        engine.set_references(refs)
        sound = np.zeros((1, engine.info.audio_window, engine.info.audio_size), np.float32)
        decoder = plate.frames(frames)
        for position in range(len(frames)):
            frame = watch("decode", next, decoder)
            affine, region = data.plan.plate_from_crop[position], data.plan.region[position]
            crop = watch("crop", frame_crop, frame, transform, affine, size)
            mask = watch("mask", region_mask, region, size)
            masked = crop * (1 - mask[..., None])
            output = watch("network", engine.run, masked[None], mask[None], sound)
            builder = ChunkBuilder([0], box_of(region[None], size), size, deep=False)
            watch("store", builder.add, output.image[0], output.sigma[0], output.error[0])
            rgb = watch("to RGB", getattr, frame, "rgb")
            shown = watch("preview", transform.to_preview, rgb)
            watch("cuts", _looked_for_cuts, position, shown)
            watch("faces", shot.see, position, shown)
            layers = watch("layers", maker.layers, frame.index)
            assert layers is not None
            watch("numbers", _measure, maker, layers)
            patch = watch("patch", maker.patch, frame, layers)
            watch("lips", watcher.write, frame, patch)
            picture = watch("movie picture", movie._pictures.picture, frame, patch)
            watch("encode", movie._chunk.encode, picture)
            watch("matte movie", matte.write, frame, patch)
        movie.abort()
        matte.abort()
        watcher.close()


def _looked_for_cuts(position: int, shown: NDArray[np.uint8]) -> None:
    from julnet_plugin.face.shots import split_shots

    list(split_shots([(position, shown)]))
