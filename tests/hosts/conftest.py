"""Every host that can run here, real or fake, and the material that they are tested with."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench import DUB_HZ, PLATE_HZ, SAMPLE_RATE_HZ, Bench, Shot, tone

from host_adapters.base import FinishedTake, HostSession, MatteFile, read_take

SUPPORT = Path(__file__).parent / "support"
HOSTS = sorted(path.stem.removeprefix("bench_") for path in SUPPORT.glob("bench_*.py"))
FRAMES, SIZE = 16, (64, 48)


@pytest.fixture(params=HOSTS)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    """Each host in turn."""
    module = import_module(f"bench_{request.param}")
    if why := module.missing():
        pytest.skip(why)
    made = module.make(tmp_path / "project")
    yield made
    made.stop()


def plate_picture(index: int) -> Any:
    """What frame `index` of the plate shows: its number, and a ramp."""
    height, width = SIZE[1], SIZE[0]
    picture = np.zeros((height, width, 3), np.uint8)
    picture[..., 0] = np.linspace(20, 200, width, dtype=np.uint8)
    picture[..., 1] = np.linspace(30, 180, height, dtype=np.uint8)[:, None]
    picture[..., 2] = 8 * index + 4
    return picture


def dub_picture(index: int) -> Any:
    """What frame `index` of the plate shows in a take: nowhere what the plate shows."""
    return 255 - plate_picture(index)


def sounds(shot: Shot, hz: float, frames: int) -> list[tuple[str, int, Any]]:
    """The sound tracks of a shot's plate or take."""
    return [("pcm_s16le", SAMPLE_RATE_HZ, tone(hz, float(frames / shot.rate)))] if shot.sound else []


MakeShot = Callable[..., Shot]


@pytest.fixture
def make_shot(tmp_path: Path, make_movie: Callable[..., Path]) -> MakeShot:
    """`make_shot(start=2, stop=14, record_in=5, …)`: a shot of 16 frames, its plate a lossless RGB movie."""

    def make(**changes: Any) -> Shot:
        values: dict[str, Any] = {"start": 0, "stop": FRAMES, "size": SIZE, "frames": FRAMES, **changes}
        name = values.pop("name", "plate.mov")
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shot = Shot(plate=tmp_path / name, **values)
        make_movie(
            name, codec="png", pixel_format="rgb24", rate=shot.rate, frames=FRAMES, size=SIZE,
            timecode=shot.timecode, reel=shot.reel, picture=plate_picture,
            sounds=sounds(shot, PLATE_HZ, FRAMES),
        )  # fmt: skip
        return shot

    return make


MakeTake = Callable[..., FinishedTake]


@pytest.fixture
def make_take(tmp_path: Path, make_movie: Callable[..., Path]) -> MakeTake:
    """`make_take(shot, name="line", start=0, stop=16)`: a take on disk as `julnet redub` leaves it."""

    def make(shot: Shot, *, name: str = "line", start: int = 0, stop: int | None = None) -> FinishedTake:
        stop = shot.frames if stop is None else stop
        folder = tmp_path / "takes" / name
        folder.mkdir(parents=True)
        make_movie(
            f"takes/{name}/dub.mov", codec="png", pixel_format="rgb24", rate=shot.rate, frames=stop - start, size=SIZE,
            timecode=shot.timecode, picture=lambda index: dub_picture(start + index),
            sounds=sounds(shot, DUB_HZ, stop - start),
        )  # fmt: skip
        manifest = {
            "schema": "julnet.take",
            "version": "1.0",
            "plate": {
                "frame_range": [start, stop], "rate": str(shot.rate), "first_number": start,
                "start_timecode": shot.timecode, "width": SIZE[0], "height": SIZE[1],
            },
            "files": {"prores": "dub.mov"},
            "review": [
                {"start": 9, "stop": 11, "peak": 9, "expected_cv": 21.5, "reasons": ["fast head turn"]},
                {"start": 3, "stop": 6, "peak": 4, "expected_cv": 14.0, "reasons": ["low light"]},
            ],
        }  # fmt: skip
        (folder / "take.json").write_text(json.dumps(manifest), "utf-8")
        return read_take(str(folder))

    return make


@pytest.fixture
def make_matte(tmp_path: Path, make_sequence: Callable[..., Path]) -> Callable[..., MatteFile]:
    """`make_matte(take, white_shows="dub")`: 8-bit PNGs, white on the left half and black on the right."""

    def make(take: FinishedTake, **options: Any) -> MatteFile:
        half = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
        half[:, : SIZE[0] // 2] = 255
        name = f"mattes/{take.name}/matte.######.png"
        (tmp_path / name).parent.mkdir(parents=True)
        make_sequence(
            name.replace("######", "%06d"), first=take.frames.start.index, frames=len(take.frames), size=SIZE,
            picture=lambda _: half,
        )  # fmt: skip
        path = str(tmp_path / name)
        return MatteFile(path=path, first_number=take.frames.start.index, **options)

    return make


@pytest.fixture
def session(bench: Bench, make_shot: MakeShot) -> HostSession:
    """A project with a clip that shows frames 2 to 13 of the plate from frame 5 of the timeline on."""
    return bench.open(make_shot(start=2, stop=14, record_in=5))
