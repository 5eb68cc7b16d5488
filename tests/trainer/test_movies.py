from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from julnet_plugin.cli import main
from julnet_plugin.errors import MediaError, NoFaceFoundError
from julnet_plugin.face.crop import mean_face
from trainer.distances import FilterBankDistance
from trainer.evaluation.following import envelope, follow_movie
from trainer.evaluation.movies import matching, score_movie
from trainer.evaluation.scores import Judges
from trainer.populations import PooledFeatures

Movie = Callable[..., Path]

WIDTH, HEIGHT, FRAMES, FPS = 320, 256, 24, 12
UPPER_LIP, LOWER_LIP = (82, 13, 312), (87, 14, 317)
LOSSLESS = {"codec": "ffv1", "pixel_format": "bgr0", "rate": FPS, "frames": FRAMES, "size": (WIDTH, HEIGHT)}


@pytest.fixture(autouse=True)
def no_weights_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("JULNET_VGG19", "JULNET_LPIPS_BACKBONE", "JULNET_LPIPS_HEADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


def opening(frame: int, cycles: float) -> float:
    return 0.5 - 0.5 * float(np.cos(2 * np.pi * cycles * frame / FRAMES))


def drawing(cycles: float) -> Callable[[int], NDArray[np.uint8]]:
    """A textured picture whose top-left corner says how far the mouth is open."""
    texture = np.random.default_rng(0).integers(80, 160, (HEIGHT, WIDTH, 3))

    def draw(frame: int) -> NDArray[np.uint8]:
        picture = texture.copy()
        picture[:16, :16] = round(255 * opening(frame, cycles))
        return picture.astype(np.uint8)

    return draw


class CornerTracker:
    """Sees one face in the middle of every picture, its lips as far apart as the corner says."""

    name = "corner"

    def detect(self, picture: NDArray[np.uint8], max_faces: int) -> list[NDArray[np.float32]]:
        face = mean_face().astype(np.float32)
        gap = 0.3 * float(picture[:16, :16].mean()) / 255
        face[list(LOWER_LIP), 1] = face[list(UPPER_LIP), 1] + gap
        return [face * 60 + np.array([WIDTH / 2, 70, 0], np.float32)]

    def close(self) -> None:
        pass


class BlindTracker(CornerTracker):
    def detect(self, picture: NDArray[np.uint8], max_faces: int) -> list[NDArray[np.float32]]:
        return []


def speech(cycles: float, rate: int = 16_000) -> NDArray[np.float32]:
    """A tone whose loudness in decibels goes with the opening of the mouth."""
    t = np.arange(round(FRAMES / FPS * rate)) / rate
    level = 10 ** (-2 + 1.5 * (0.5 - 0.5 * np.cos(2 * np.pi * cycles * t * FPS / FRAMES)))
    return (level * np.sin(2 * np.pi * 300 * t)).astype(np.float32)[:, None]


@pytest.fixture
def judges() -> Judges:
    distance = FilterBankDistance()
    return Judges(distance, PooledFeatures(distance.name))


def test_a_movie_is_scored_where_its_truth_shows_the_mouth(make_movie: Movie, judges: Judges) -> None:
    truth = make_movie("truth.mkv", picture=drawing(1), **LOSSLESS)

    def elsewhere(frame: int) -> NDArray[np.uint8]:
        picture = drawing(1)(frame)
        picture[-24:] = 0
        return picture

    def noisy(frame: int) -> NDArray[np.uint8]:
        picture = drawing(1)(frame).astype(np.int64)
        picture[60:220] += np.random.default_rng(frame).integers(-12, 13, (160, WIDTH, 3))
        return np.clip(picture, 0, 255).astype(np.uint8)

    same, spoilt = (
        score_movie(make_movie(name, picture=draw, **LOSSLESS), truth, judges, CornerTracker())
        for name, draw in (("elsewhere.mkv", elsewhere), ("noisy.mkv", noisy))
    )
    assert same.count == FRAMES
    assert same.frames["square.psnr"].min() > 60
    assert same.frames["frame.psnr"].max() < 25
    # Uniform noise of ±12 code values, smoothed a little where the crop is sampled between pixels.
    assert 26 < spoilt.frames["mask.psnr"].mean() < 36
    assert spoilt.frames["mask.flicker"].mean() > same.frames["mask.flicker"].mean() + 0.005


def test_movies_of_other_frames_are_refused_in_one_sentence(make_movie: Movie, judges: Judges) -> None:
    truth = make_movie("truth.mkv", picture=drawing(1), **LOSSLESS)
    small = make_movie("small.mkv", **(LOSSLESS | {"size": (160, 128)}))
    short = make_movie("short.mkv", picture=drawing(1), **(LOSSLESS | {"frames": FRAMES - 1}))
    fast = make_movie("fast.mkv", picture=drawing(1), **(LOSSLESS | {"rate": 25}))
    for movie, reason in ((small, "same pixels"), (short, "same frames"), (fast, "same frames")):
        with pytest.raises(MediaError, match=reason):
            matching(movie, truth)
    with pytest.raises(NoFaceFoundError, match="no face"):
        score_movie(truth, truth, judges, BlindTracker())


def test_a_dubbed_movies_lips_are_compared_with_both_sounds(make_movie: Movie) -> None:
    sound = {name: [("pcm_s16le", 16_000, speech(cycles))] for name, cycles in (("old", 1.0), ("new", 2.5))}
    plate = make_movie("plate.mkv", picture=drawing(1), sounds=sound["old"], **LOSSLESS)
    dubbed = make_movie("dubbed.mkv", picture=drawing(2.5), sounds=sound["new"], **LOSSLESS)
    copied = make_movie("copied.mkv", picture=drawing(1), sounds=sound["new"], **LOSSLESS)
    good = follow_movie(dubbed, plate, dubbed, CornerTracker())
    assert good["drawn_with_dub_loudness"] > 0.95
    assert good["true_with_own_loudness"] > 0.95
    assert good["drawn_with_plate_loudness"] == pytest.approx(good["dub_with_plate_loudness"], abs=0.1)
    bad = follow_movie(copied, plate, copied, CornerTracker())
    assert bad["drawn_with_plate_loudness"] > bad["drawn_with_dub_loudness"] + 0.5
    assert not bad["dub_is_silent"]


def test_a_silent_dub_is_recognised_and_an_open_mouth_counted(make_movie: Movie) -> None:
    quiet = [("pcm_s16le", 16_000, np.zeros((2 * 16_000, 1), np.float32))]
    plate = make_movie("plate.mkv", picture=drawing(1), **LOSSLESS)
    closed = make_movie("closed.mkv", picture=drawing(0), sounds=quiet, **LOSSLESS)
    found = follow_movie(closed, plate, closed, CornerTracker())
    assert found["dub_is_silent"]
    assert found["open_frames"] == 0
    assert abs(found["mean_opening"]) < 0.1
    assert follow_movie(plate, plate, closed, CornerTracker())["open_frames"] > 0.3
    assert envelope(plate, matching(plate, plate)).tolist() == [0.0] * FRAMES


def run(arguments: Sequence[str | Path], out: Path) -> int:
    return main(["evaluate", *map(str, arguments), "-o", str(out), "--no-plugins", "--no-landmarks", "--json"])


@pytest.mark.footage
@pytest.mark.slow
def test_the_verb_scores_a_real_movie_against_its_truth(
    footage: Path, tmp_path: Path, make_movie: Movie, capsys: pytest.CaptureFixture[str]
) -> None:
    import av

    with av.open(str(next((footage / "val").glob("*grid*")))) as container:
        pictures = [f.to_ndarray(format="rgb24") for f, _ in zip(container.decode(video=0), range(10), strict=False)]
    options = LOSSLESS | {"frames": len(pictures), "size": (pictures[0].shape[1], pictures[0].shape[0])}
    truth = make_movie("truth.mkv", picture=lambda k: pictures[k], **options)
    frozen = make_movie("frozen.mkv", picture=lambda k: pictures[0], **options)
    assert run(["--movie", frozen, "--truth", truth], tmp_path / "r") == 0
    report = json.loads((tmp_path / "r" / "report.json").read_text())
    scores = report["methods"]["movie"]["scores"]
    assert 15 < scores["square.psnr"]["mean"] < 50
    assert scores["mask.flicker"]["mean"] > 0
    assert "filterbank-distance" in (tmp_path / "r" / "report.md").read_text()
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["headline"]["psnr"] == scores["square.psnr"]["mean"]
