from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from julnet_plugin.cli import main
from julnet_plugin.face.crop import mouth_square
from julnet_plugin.model.checkpoint import save_checkpoint
from julnet_plugin.model.generator import Generator, GeneratorOutput, lay_over
from julnet_plugin.model.info import CheckpointInfo
from julnet_plugin.model.lips import LipBasis, inner_gap
from julnet_plugin.model.rt import RtConfig, RtGenerator
from julnet_plugin.model.syncnet import SyncNet, SyncNetConfig
from julnet_plugin.pipeline.rehearsal import in_cells, over_crop, sigma_gain, spread_out
from trainer.dataset import Clip, ClipHeader, encode_crop, write_clip
from trainer.distances import FilterBankDistance
from trainer.evaluate import silent_features
from trainer.evaluation.blocks import Block, choose_references, nearest_by_lips, plan_blocks
from trainer.evaluation.dubbing import follow_lips, loudness, openness, summarise_dubbing
from trainer.evaluation.landmarks import CropLandmarks
from trainer.evaluation.markdown import markdown
from trainer.evaluation.methods import (
    ClipView,
    Drawn,
    Method,
    NetworkMethod,
    lip_predictor,
    oracle_paste,
    reference_paste,
)
from trainer.evaluation.reconstruction import Protocol, reconstruct, usable_blocks
from trainer.evaluation.render import render_clip
from trainer.evaluation.report import finite
from trainer.evaluation.scores import Judges, score_sync
from trainer.evaluation.summary import summarise, summarise_sigma
from trainer.lipshape import windows_of
from trainer.populations import PooledFeatures

SIZE = (104, 80)
FPS = 10.0
OPEN_ROWS = 24  #: of the mouth square, that a wide open mouth darkens


@pytest.fixture(autouse=True)
def no_weights_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("JULNET_VGG19", "JULNET_LPIPS_BACKBONE", "JULNET_LPIPS_HEADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


def make_clip(
    name: str, speaker: str, seconds: float = 3.0, size: tuple[int, int] = SIZE, features: str = "phone-mel-82"
) -> Clip:
    """A face-coloured picture with a dark mouth that opens with a loud sound; the sound depends on the name."""
    rng = np.random.default_rng(sum(name.encode()))
    T = round(seconds * FPS)
    times = np.arange(T) / FPS
    opening = np.clip(0.5 + 0.5 * np.sin(2 * np.pi * times * rng.uniform(0.6, 1.4) + rng.uniform(0, 6)), 0, 1)
    lips = np.zeros((T, 48, 3), np.float32)
    lips[:, 23:28, 1] = 0.3 * opening[:, None]  # the facing points of the lower inner lip
    audio = np.zeros((round((seconds + 0.5) / 0.02), int(features[-2:])), np.float32)
    centres = (np.arange(len(audio)) + 0.5) * 0.02
    audio[:, 42:] = np.interp(centres, times, opening)[:, None] - 1
    skin = rng.uniform(0.4, 0.8, 3)
    outline = np.array([[48, 140], [271, 140], [271, 360], [48, 360]], np.float32)
    return Clip(
        header=ClipHeader(name=name, speaker=speaker, split="val", rate=FPS, crop_size=size, features=features,
                          feature_step_s=0.02),
        jpeg=[encode_crop(picture(skin, o, size, rng)) for o in opening],
        times_s=times,
        region=np.broadcast_to(outline, (T, 4, 2)).copy(),
        lips=lips,
        angles=np.zeros((T, 3), np.float32),
        mouth_px=np.full(T, 100, np.float32),
        sharpness=np.ones(T, np.float32),
        audio=audio,
    )  # fmt: skip


def picture(
    skin: NDArray[np.float64], opening: float, size: tuple[int, int], rng: np.random.Generator
) -> NDArray[np.float64]:
    crop = np.broadcast_to(skin, (*size, 3)) * 255 + rng.normal(0, 4, (*size, 3))
    rows, columns = mouth_square(size)
    middle, reach = (rows.start + rows.stop) // 2, round(OPEN_ROWS / 2 * opening * size[0] / SIZE[0])
    crop[middle - reach : middle + reach, columns.start + 12 : columns.stop - 12] *= 0.2
    return crop


class FakeLandmarks(CropLandmarks):
    """Reads the opening off the picture: how many rows of the mouth square are dark."""

    def __init__(self) -> None:
        pass

    def __call__(self, crops: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        size = (crops.shape[1], crops.shape[2])
        rows, columns = mouth_square(size)
        middle = (columns.start + columns.stop) // 2
        column = crops[:, rows, middle].mean(axis=2)
        bright = np.percentile(column, 95, axis=1)[:, None]
        dark = (column < 0.6 * bright).sum(axis=1)
        points = np.zeros((len(crops), 478, 3), np.float32)
        points[:, 263, 0] = 100  # the eyes' distance
        for lower in (87, 14, 317):
            points[:, lower, 1] = dark
        return points, np.ones(len(crops), np.bool_)


class Listener:
    """A method that opens the mouth with the loudness it hears, and knows nothing of its errors."""

    name = "listener"
    size = SIZE

    def draw(self, view: ClipView, block: Block, audio: NDArray[np.float32]) -> Drawn:
        mask = view.masks(block.frames)
        level = audio[:, audio.shape[1] // 2, 42:].mean(axis=1) + 1
        truth = view.pictures(block.frames)
        skin = np.median(truth[:, :20], axis=(1, 2)).astype(np.float64)
        rng = np.random.default_rng(0)
        drawn = np.stack([picture(s, o, SIZE, rng) for s, o in zip(skin, level, strict=True)]) / 255
        image = np.where(mask[..., None] > 0, drawn, truth).astype(np.float32)
        return Drawn(image)


class Honest(Listener):
    """A method whose error is noise of a known scale, and which says so."""

    name = "honest"

    def draw(self, view: ClipView, block: Block, audio: NDArray[np.float32]) -> Drawn:
        rng = np.random.default_rng(len(view.clip.header.name) + int(block.frames[0]))
        mask = view.masks(block.frames)
        rows = np.abs(np.arange(SIZE[0]) - 64.0)[:, None]
        sigma = np.broadcast_to(0.004 + 0.06 * np.exp(-rows / 6), mask.shape).astype(np.float32)
        noise = (rng.laplace(0, sigma) * mask).astype(np.float32)
        return Drawn(view.pictures(block.frames) + noise[..., None], sigma, sigma)


@pytest.fixture
def judges() -> Judges:
    distance = FilterBankDistance()
    return Judges(distance, PooledFeatures(distance.name))


@pytest.fixture
def dataset(tmp_path: Path) -> list[Path]:
    paths = []
    for name, speaker in (("a1", "a"), ("b1", "b"), ("c1", "c")):
        path = tmp_path / "data" / f"{name}.safetensors"
        path.parent.mkdir(exist_ok=True)
        write_clip(make_clip(name, speaker), path)
        paths.append(path)
    return paths


# ------------------------------------------------------------------------------------------------ references


@pytest.mark.parametrize("seconds", [2.2, 3.0, 8.0])
@pytest.mark.parametrize("gap", [0.6, 1.0])
def test_no_reference_is_nearer_than_the_gap_to_any_target(seconds: float, gap: float) -> None:
    clip = make_clip("r", "r", seconds)
    blocks = plan_blocks(clip.times_s, gap)
    assert blocks
    for block in blocks:
        for frames in (block.allowed, choose_references(clip, block, 5)):
            distance = np.abs(clip.times_s[frames][:, None] - clip.times_s[block.frames])
            assert distance.min() >= gap - 1e-6


def test_every_frame_of_a_long_clip_is_a_target_once_and_a_short_clip_has_none() -> None:
    long, short = make_clip("l", "l", 6.0), make_clip("s", "s", 1.0)
    frames = np.concatenate([b.frames for b in plan_blocks(long.times_s)])
    assert frames.tolist() == list(range(60))
    assert plan_blocks(short.times_s) == []
    assert "too short" in usable_blocks(short, Protocol())[1]


def test_references_go_from_the_closed_to_the_open_mouth_and_are_always_the_same() -> None:
    clip = make_clip("o", "o", 5.0)
    block = plan_blocks(clip.times_s)[0]
    chosen = choose_references(clip, block, 5)
    gaps = inner_gap(clip.lips)[chosen]
    assert np.all(np.diff(gaps) >= 0)
    assert gaps[-1] - gaps[0] > 0.5 * np.ptp(inner_gap(clip.lips))
    assert chosen.tolist() == choose_references(clip, block, 5).tolist()
    assert len(choose_references(clip, Block(block.frames, block.allowed[:2]), 5)) == 5


def test_blurred_frames_and_turned_heads_are_passed_over() -> None:
    clip = make_clip("p", "p", 6.0)
    block = plan_blocks(clip.times_s)[0]
    clip.sharpness[40] = 0.1
    clip.angles[::2, 0] = 0.6
    clip.angles[block.frames, 0] = 0
    chosen = choose_references(clip, block, 5)
    assert 40 not in chosen
    assert np.all(chosen % 2 == 1)


def test_the_oracle_pastes_the_frame_whose_true_lips_are_nearest() -> None:
    clip = make_clip("n", "n", 4.0)
    block = plan_blocks(clip.times_s)[0]
    chosen = nearest_by_lips(clip, block.frames, block.allowed)
    gap = inner_gap(clip.lips)
    for target, found in zip(block.frames, chosen, strict=True):
        assert abs(gap[found] - gap[target]) == pytest.approx(np.abs(gap[block.allowed] - gap[target]).min(), abs=1e-6)


def test_the_hearing_baseline_pastes_the_frame_whose_lips_the_sound_predicts() -> None:
    network = RtGenerator(RtConfig(width=24, crop_size=(208, 160), n_refs=2, audio_size=82)).eval()
    jaw = torch.zeros(48, 3)
    jaw[23:28, 1] = 5**-0.5  # the one motion that the clips have, of unit length
    network.lip_components[0] = jaw.flatten()

    class Loudness(torch.nn.Module):
        def forward(self, audio: torch.Tensor) -> torch.Tensor:
            opening = audio[:, audio.shape[1] // 2, 42:].mean(dim=1) + 1
            return torch.nn.functional.pad(opening[:, None] * 0.3 * 5**0.5, (0, 9))

    network.audio_encoder = Loudness()  # type: ignore[assignment]
    clip = make_clip("h", "h", 4.0)
    clip.lips[0] = 0  # a closed mouth to start from
    block = plan_blocks(clip.times_s)[3]
    predicted = lip_predictor(network)(clip, windows_of(clip)[block.frames])
    np.testing.assert_allclose(inner_gap(predicted), inner_gap(clip.lips)[block.frames], atol=0.04)


# ------------------------------------------------------------------------------------------------ reconstruction


def test_a_method_draws_every_target_and_leaves_the_rest_of_the_crop_alone(dataset: list[Path]) -> None:
    clip = make_clip("a1", "a")
    drawn = render_clip(clip, oracle_paste(SIZE), plan_blocks(clip.times_s))
    assert np.array_equal(drawn.image[~drawn.mask], drawn.truth[~drawn.mask])
    assert not np.array_equal(drawn.image[drawn.mask], drawn.truth[drawn.mask])
    assert np.isnan(drawn.frame_sigma).all()
    assert drawn.pixels is None


def test_the_reconstruction_report_says_that_hearing_beats_pasting(dataset: list[Path], judges: Judges) -> None:
    judges.landmarks = FakeLandmarks()
    methods: list[Method] = [Listener(), oracle_paste(SIZE), reference_paste(SIZE, 2)]
    results = reconstruct(dataset, methods, judges, Protocol())
    assert results.skipped == {}
    tables = summarise(results)
    scores = {name: table["scores"]["square.psnr"]["mean"] for name, table in tables.items()}
    assert scores["paste-oracle"] > scores["paste-reference"]
    assert tables["listener"]["scores"]["mouth_landmark_distance"]["mean"] < 3
    difference = tables["paste-reference"]["first_minus_this"]["square.psnr"]
    assert difference["mean"] == pytest.approx(scores["listener"] - scores["paste-reference"])
    assert difference["low"] <= difference["mean"] <= difference["high"]
    assert tables["paste-oracle"]["population"]["identity_proxy_found"] == 1.0
    assert set(tables["listener"]["per_speaker"]) == {"a", "b", "c"}


def test_the_scores_of_sigma_see_that_it_knows_where_the_mouth_is(dataset: list[Path], judges: Judges) -> None:
    results = reconstruct(dataset, [Honest()], judges, Protocol())
    table = summarise_sigma(results.sigma)
    assert table["pooled"]["spearman"] == pytest.approx(table["pooled"]["spearman_ceiling"], abs=0.02)
    assert table["pooled"]["spearman"] > max(b["spearman"] for b in table["baselines"].values())
    assert table["ause_gain_over_constant"] > 0.3
    # A tenth of the square is more than a tenth of the mask, which is all that can err.
    pooled = table["pooled"]
    assert 0 < table["mask_in_square"] < 1
    assert pooled["error_share_top10"] < pooled["error_share_of_square"] < pooled["error_share_of_square_at_best"] <= 1
    for name, baseline in table["baselines"].items():
        assert table[f"ause_gain_over_{name}"] == pytest.approx(
            1 - table["pooled"]["ause"] / baseline["ause"], abs=1e-6
        )
    assert table["intervals"]["as_given"]["0.8"] == pytest.approx(0.8, abs=0.02)
    assert set(table["over_speakers"]["spearman"]) == {"mean", "low", "high", "count"}
    assert set(table["intervals"]) == {"as_given", "calibrated_on_other_speakers", "fitted_widths_on_other_speakers"}
    for level, covered in table["intervals"]["fitted_widths_on_other_speakers"].items():
        assert covered == pytest.approx(float(level), abs=0.06)
    assert "Uncertainty" in markdown({"title": "t", "uncertainty": table})
    assert summarise_sigma([]) == {}


def test_only_the_middle_is_scored_when_seconds_are_limited() -> None:
    clip = make_clip("m", "m", 6.0)
    blocks, _ = usable_blocks(clip, Protocol(seconds=1.2))
    frames = np.concatenate([b.frames for b in blocks])
    assert len(frames) == 12
    assert abs(clip.times_s[frames].mean() - 2.95) < 0.4


def test_a_perfect_picture_scores_perfectly(dataset: list[Path], judges: Judges) -> None:
    class Perfect(Listener):
        name = "perfect"

        def draw(self, view: ClipView, block: Block, audio: NDArray[np.float32]) -> Drawn:
            return Drawn(view.pictures(block.frames))

    table = summarise(reconstruct(dataset, [Perfect()], judges, Protocol()))["perfect"]
    assert table["scores"]["square.psnr"]["mean"] == 100
    assert table["scores"]["mask.distance"]["mean"] == 0
    assert table["scores"]["mask.flicker"]["mean"] == 0
    assert table["population"]["frechet"] == pytest.approx(0, abs=1e-3)


class Echo(Generator):
    """Paints the mean of its references, and doubts what the sound tells it to."""

    def __init__(self) -> None:
        super().__init__()
        self.crop_size, self.audio_size, self.n_refs = SIZE, 82, 3
        self.anchor = torch.nn.Parameter(torch.zeros(1))

    def encode_references(self, refs: torch.Tensor, lips: torch.Tensor | None = None) -> tuple[torch.Tensor, ...]:
        assert lips is not None
        assert lips.shape == (1, self.n_refs + 1, 48, 3)
        return (refs.mean(dim=1),)

    def forward(
        self, masked_source: torch.Tensor, mask: torch.Tensor, audio: torch.Tensor, refs: tuple[torch.Tensor, ...]
    ) -> GeneratorOutput:
        image = lay_over(masked_source, mask, refs[0])
        tau = audio.mean(dim=(1, 2))[:, None, None, None].expand_as(mask)
        return GeneratorOutput(image, mask * 0.1, tau)


def test_a_network_in_memory_gets_references_sound_and_mask_as_it_will_in_the_effect() -> None:
    clip = make_clip("e", "e", 3.0)
    block = plan_blocks(clip.times_s)[0]
    view, audio = ClipView(clip, SIZE), np.full((len(block.frames), 21, 82), 0.5, np.float32)
    drawn = NetworkMethod(Echo()).draw(view, block, audio)
    expected = view.pictures(choose_references(clip, block, 3)).mean(axis=0)
    inside = view.masks(block.frames)[0] > 0
    np.testing.assert_allclose(drawn.image[0][inside], expected[inside], atol=1e-5)
    np.testing.assert_allclose(drawn.image[0][~inside], view.pictures(block.frames)[0][~inside], atol=1e-6)
    assert drawn.sigma is not None
    assert drawn.sigma[0, 0, 0] == pytest.approx(np.exp(0.5))
    deaf = NetworkMethod(Echo(), deaf_audio=np.zeros(82, np.float32)).draw(view, block, audio)
    assert deaf.sigma is not None
    assert deaf.sigma[0, 0, 0] == pytest.approx(1.0)


def test_the_finished_picture_errs_by_no_more_of_what_was_drawn_than_it_shows() -> None:
    clip = make_clip("f", "f", 3.0)
    pixels = render_clip(clip, Honest(), plan_blocks(clip.times_s)).pixels
    assert pixels is not None
    shown = pixels.finished_sigma / pixels.sigma
    assert shown.max() <= 1 + 1e-5
    assert (shown > 0.999).mean() > 0.3
    assert (shown < 0.5).any()
    whole = shown > 0.999  # there only the colour of the rim was matched
    assert pixels.finished_error[whole].mean() == pytest.approx(pixels.error[whole].mean(), rel=0.1)
    assert pixels.finished_error[shown < 0.5].mean() < 0.7 * pixels.error[shown < 0.5].mean()


class Grey(Generator):
    """Hears the opening of `make_clip`'s mouth, paints grey whatever it hears, and says σ = 0.1 everywhere."""

    BASIS = LipBasis(
        components=np.eye(144, dtype=np.float32)[[3 * 25 + 1]],
        spread=np.array([0.3], np.float32),
    )

    def __init__(self) -> None:
        super().__init__()
        self.crop_size, self.audio_size, self.n_refs = SIZE, 82, 3
        self.anchor = torch.nn.Parameter(torch.zeros(1))

    @property
    def lip_basis(self) -> LipBasis:
        return self.BASIS

    def hear_lips(self, audio: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        level = audio[:, audio.shape[1] // 2, 42:].mean(dim=1, keepdim=True) + 1
        return level, torch.ones_like(level)

    def encode_references(self, refs: torch.Tensor, lips: torch.Tensor | None = None) -> tuple[torch.Tensor, ...]:
        return (refs.mean(dim=1),)

    def forward(
        self, masked_source: torch.Tensor, mask: torch.Tensor, audio: torch.Tensor, refs: tuple[torch.Tensor, ...]
    ) -> GeneratorOutput:
        image = lay_over(masked_source, mask, torch.full_like(masked_source, 0.5))
        return GeneratorOutput(image, mask * 0.1, torch.full_like(mask, float(np.log(0.1))))


def test_sigma_is_scaled_by_what_the_network_gets_wrong_on_frames_that_a_block_may_see() -> None:
    clip = make_clip("g", "g", 6.0)
    view, blocks, method = ClipView(clip, SIZE), plan_blocks(clip.times_s), NetworkMethod(Grey())
    wrong = np.abs(view.pictures(np.arange(len(clip))) - 0.5).mean(axis=-1) * view.masks(np.arange(len(clip)))
    for block in (blocks[0], blocks[-1]):
        drawn = method.draw(view, block, windows_of(clip)[block.frames])
        tried = np.intersect1d(spread_out(np.arange(len(clip))), block.allowed)
        gain = sigma_gain(
            np.stack([in_cells(wrong[k]) for k in tried]), np.stack([in_cells(0.1 * m) for m in view.masks(tried)])
        )
        assert 4 <= len(tried) < 8
        assert abs(float(gain.mean()) - 1) > 0.1
        assert drawn.sigma is not None
        assert drawn.error is not None
        np.testing.assert_allclose(
            drawn.sigma, np.tile(0.1 * over_crop(gain, SIZE), (len(block.frames), 1, 1)), rtol=1e-4
        )
        np.testing.assert_allclose(drawn.error, drawn.sigma * view.masks(block.frames), rtol=1e-4)
    deaf = NetworkMethod(Grey(), deaf_audio=np.zeros(82, np.float32)).draw(view, blocks[0], windows_of(clip)[:4])
    assert deaf.sigma is not None
    np.testing.assert_allclose(deaf.sigma, 0.1, rtol=1e-5)


def test_sync_is_scored_for_the_drawn_clip_and_for_the_truth_beside_it() -> None:
    torch.manual_seed(0)
    clip = make_clip("y", "y", 4.0)
    drawn = render_clip(clip, oracle_paste(SIZE), plan_blocks(clip.times_s))
    syncnet = SyncNet(SyncNetConfig(image_size=(16, 16), width=4, embedding=8, audio_size=82)).eval()
    audio = np.random.default_rng(0).random((len(drawn.frames), 21, 82)).astype(np.float32)
    numbers = score_sync(drawn, audio, syncnet)
    assert {"lse_d", "lse_c", "truth_lse_d", "truth_lse_c"} <= set(numbers)
    assert numbers["lse_d"] > 0
    same = score_sync(replace(drawn, image=drawn.truth), audio, syncnet)
    assert same["lse_d"] == pytest.approx(same["truth_lse_d"])


# ------------------------------------------------------------------------------------------------ dubbing


def test_lips_that_listen_follow_the_dub_and_rest_in_silence(dataset: list[Path]) -> None:
    silence = np.zeros(82, np.float32)
    silence[42:] = -1
    scores, skipped = follow_lips(dataset, Listener(), FakeLandmarks(), silence)
    assert skipped == {}
    assert [s.dub for s in scores] == ["b1", "c1", "a1"]
    for score in scores:
        assert score.drawn_with_dub_lips > 0.9
        assert score.drawn_with_dub_loudness > 0.9
        assert score.true_with_own_loudness > 0.9
        assert score.drawn_with_plate_lips == pytest.approx(score.dub_with_plate_lips, abs=0.15)
        assert score.drawn_with_plate_loudness == pytest.approx(score.dub_with_plate_loudness, abs=0.15)
        assert score.silent_opening < 0.1
        assert score.silent_open_frames == 0
    table = summarise_dubbing(scores)
    assert table["clips_following_the_dub"] == 3
    assert "follow the dub" in markdown({"title": "t", "dubbing": {"summary": table}})


def test_lips_that_copy_the_plate_are_caught(dataset: list[Path]) -> None:
    class Copier(Listener):
        def draw(self, view: ClipView, block: Block, audio: NDArray[np.float32]) -> Drawn:
            return Drawn(view.pictures(block.frames))

    scores, _ = follow_lips(dataset, Copier(), FakeLandmarks(), np.zeros(82, np.float32))
    assert all(s.drawn_with_plate_lips == pytest.approx(1) for s in scores)
    assert all(s.drawn_with_plate_lips > s.drawn_with_dub_lips for s in scores)
    assert summarise_dubbing(scores)["clips_following_the_dub"] == 0
    assert all(s.silent_open_frames > 0.3 for s in scores)


def test_a_clip_without_a_partner_is_named(dataset: list[Path]) -> None:
    _, skipped = follow_lips(dataset[:1], Listener(), FakeLandmarks(), np.zeros(82, np.float32))
    assert "another speaker" in skipped["a1"]


def test_clips_without_loudness_are_judged_by_lips_alone(tmp_path: Path) -> None:
    paths = [tmp_path / "a1.safetensors", tmp_path / "b1.safetensors"]
    for path in paths:
        write_clip(make_clip(path.stem, path.stem[0], features="phone-42"), path)

    class Deaf(Listener):
        def draw(self, view: ClipView, block: Block, audio: NDArray[np.float32]) -> Drawn:
            return Drawn(view.pictures(block.frames))

    scores, skipped = follow_lips(paths, Deaf(), FakeLandmarks(), np.zeros(42, np.float32))
    assert skipped == {}
    assert scores[0].drawn_with_plate_lips == pytest.approx(1)
    assert np.isnan(scores[0].drawn_with_dub_loudness)
    text = markdown({"title": "t", "dubbing": {"summary": summarise_dubbing(scores)}})
    assert "drawn lips with the dub's loudness | –" in text


def test_loudness_is_read_at_the_moment_asked_for() -> None:
    clip = make_clip("q", "q", 4.0)
    gap = inner_gap(clip.lips)
    level = loudness(clip, clip.times_s)
    assert np.corrcoef(level, gap)[0, 1] > 0.98
    assert np.isnan(loudness(make_clip("q", "q", features="phone-42"), clip.times_s)).all()


def test_openness_is_relative_to_the_speakers_own_range() -> None:
    plate = np.linspace(0.1, 0.3, 101)
    assert openness(np.array([0.12, 0.29]), plate).tolist() == pytest.approx([0, 1])


# ------------------------------------------------------------------------------------------------ the verb


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    network = RtGenerator(RtConfig(width=24, crop_size=(208, 160), n_refs=2, audio_size=96))
    path = tmp_path / "tiny.safetensors"
    save_checkpoint(network, CheckpointInfo.of(network, architecture="rt", audio_feature="whisper-96"), path)
    return path


def test_the_verb_writes_json_markdown_and_pictures(
    tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, data = tmp_path / "report", tmp_path / "data"
    data.mkdir()
    for name in ("a1", "b1"):
        write_clip(make_clip(name, name[0], features="whisper-96"), data / f"{name}.safetensors")
    arguments = ["evaluate", str(weights), "--data", str(data), "-o", str(out)]
    code = main([*arguments, "--seconds", "0.8", "--no-landmarks", "--device", "cpu", "--json", "--no-plugins"])
    assert code == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert events[-1]["event"] == "result"
    assert events[-1]["headline"]["psnr"] > 5
    report = json.loads((out / "report.json").read_text())
    assert list(report["methods"]) == ["model", "paste-oracle", "paste-reference"]
    assert report["judges"]["distance"] == "filterbank-distance"
    assert report["info"]["architecture"] == "rt"
    text = (out / "report.md").read_text()
    assert "| paste-oracle |" in text
    assert "by a SyncNet of ours" in text
    for name in ("examples.png", "uncertainty.png"):
        assert (out / name).stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "either MODEL with --data"),
        (["model", "--movie", "x.mov", "--truth", "y.mov"], "either MODEL with --data"),
        (["--movie", "x.mov"], "with --truth or --plate"),
        (["model"], "give --data"),
        (["model", "--data", "nowhere.safetensors"], "there is no prepared clip"),
    ],
)
def test_what_cannot_be_scored_is_one_sentence_and_exit_code_2(
    arguments: list[str], reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", *arguments, "-o", str(tmp_path / "r"), "--no-plugins"]) == 2
    message = capsys.readouterr().err
    assert reason in message
    assert "Traceback" not in message
    assert not (tmp_path / "r").exists()


def test_clips_of_other_features_or_too_short_are_refused(
    tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = make_clip("short", "s", 1.0, features="whisper-96")
    write_clip(clip, tmp_path / "short.safetensors")
    base = ["evaluate", str(weights), "-o", str(tmp_path / "r"), "--device", "cpu", "--no-plugins", "--no-landmarks"]
    assert main([*base, "--data", str(tmp_path / "short.safetensors")]) == 2
    assert "too short for references" in capsys.readouterr().err
    clip.header = replace(clip.header, features="other-29")
    write_clip(clip, tmp_path / "other.safetensors")
    assert main([*base, "--data", str(tmp_path / "other.safetensors")]) == 2
    assert "prepare the footage again" in capsys.readouterr().err


def test_silence_is_what_the_extractor_makes_of_it() -> None:
    class Level:
        name, size, step_s = "level", 1, 0.02

        def extract(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
            return np.asarray(np.abs(samples).reshape(-1, 320).mean(axis=1, keepdims=True) - 1)

    assert silent_features(Level()).tolist() == [-1.0]


def test_json_has_no_nan() -> None:
    dirty = {"a": [float("nan"), np.float32(2.0)], 3: (float("inf"), "x")}
    assert finite(dirty) == {"a": [None, 2.0], "3": [None, "x"]}
