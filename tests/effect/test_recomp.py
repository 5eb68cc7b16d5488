"""Matte and comp of a finished take, without the model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import OpenEXR
import pytest

from julnet_plugin.config import ComposeSettings
from julnet_plugin.errors import MediaError, RedubCancelled, SettingsError, TakeError
from julnet_plugin.manager import make_manager
from julnet_plugin.matte.calibration import calibration_of
from julnet_plugin.matte.document import MatteDocument, load_document
from julnet_plugin.media.colour import DisplayTransform
from julnet_plugin.media.reader import open_plate
from julnet_plugin.pipeline.patches import PatchMaker
from julnet_plugin.pipeline.takedata import TakeData
from julnet_plugin.recomp import recomposite, rederive_matte
from julnet_plugin.take import frames_of
from julnet_plugin.types import Take

Contents = Callable[[Path], dict[str, str]]
DELIVER = ("h264", "png", "exr")


@pytest.fixture(scope="module")
def rendered(render: Callable[..., Take], tmp_path_factory: pytest.TempPathFactory) -> Take:
    return render(tmp_path_factory.mktemp("recomp") / "take", deliver=DELIVER, out_point="12")


@pytest.fixture
def take(rendered: Take, tmp_path: Path) -> Path:
    return Path(shutil.copytree(rendered.path, tmp_path / "take"))


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    """Names of files that differ, frame numbers left out."""
    names = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    return {".".join(part for part in name.split(".") if not part.isdecimal()) for name in names}


def test_compositing_again_without_edits_gives_the_same_bytes(take: Path, contents: Contents) -> None:
    before = contents(take)
    recomposite(take)
    assert contents(take) == before
    assert [path.name for path in take.parent.iterdir()] == ["take"]


def test_a_new_matte_changes_only_what_shows_it(take: Path, contents: Contents) -> None:
    before = contents(take)
    rederive_matte(take, {"matte.low_cv": 60.0, "matte.high_cv": 200.0, "matte.gamma": 2.0})
    assert changed(before, contents(take)) == {
        "matte.mov",
        "png/uncertainty.png",
        "exr/layers.exr",
        "report.png",
        "report.html",
        "strokes.json",
        "take.json",
    }
    assert load_document(take / "strokes.json").settings.at(3)["gamma"] == 2.0


def test_the_matte_alone_equals_the_one_of_a_whole_comp(take: Path, contents: Contents) -> None:
    rederive_matte(take, {"matte.low_cv": 60.0, "matte.high_cv": 200.0, "matte.blur_px": 2.0})
    after_matte = contents(take)
    recomposite(take)
    assert changed(after_matte, contents(take)) == {"take.json"}, "which now says that the picture is up to date too"


def test_holding_the_plate_gives_it_back_where_the_matte_is_white(take: Path, rendered: Take) -> None:
    white = {"matte.low_cv": 0.0, "matte.high_cv": 0.001, "matte.blur_px": 0.0, "matte.temporal_frames": 0.0}
    white["matte.grow_px"] = 3.0  # over the rim's last thousandth, in which nothing that could be seen is uncertain
    rederive_matte(take, {"drive.mode": "hold_plate", **white})
    made = recomposite(take)
    assert all(row["coverage_px"] == 0 for row in made.manifest["frames"])
    with open_plate(Path(made.manifest["inputs"]["plate"]["path"])) as plate:
        whole = [frame.rgb for frame in plate.frames(frames_of(rendered))]
    with open_plate(take / "png" / "dub.######.png") as reader:
        assert all(np.array_equal(frame.rgb, whole[frame.index]) for frame in reader.frames())


def test_a_clean_reference_can_be_held(take: Path, contents: Contents) -> None:
    before = contents(take)
    rederive_matte(take, {"drive.mode": "hold_reference", "drive.reference_frame": 3, "matte.low_cv": 0.0})
    recomposite(take)
    assert {"dub.mov", "png/dub.png"} <= changed(before, contents(take))


def test_strokes_of_another_file_are_taken_in(take: Path, tmp_path: Path) -> None:
    other = rederive_matte(take, {"matte.grow_px": 3.0}).path / "strokes.json"
    shutil.copy(other, tmp_path / "mine.json")
    rederive_matte(take, {"matte.grow_px": 0.0})
    rederive_matte(take, strokes=tmp_path / "mine.json")
    assert load_document(take / "strokes.json").settings.at(0)["grow_px"] == 3.0


def test_what_belongs_to_the_render_is_refused(take: Path, contents: Contents) -> None:
    before = contents(take)
    for settings, words in (({"compose.grain": 0.0}, "not a setting of the matte"), ({"matte.gama": 1}, "matte.gamma")):
        with pytest.raises(SettingsError, match=words):
            rederive_matte(take, settings)
    assert contents(take) == before


def test_another_plate_is_refused_and_the_take_stays(
    render: Callable[..., Take], plate: Path, tmp_path: Path, contents: Contents
) -> None:
    mine = tmp_path / "plate.mov"
    shutil.copy(plate, mine)
    made = render(tmp_path / "take", plate=mine, out_point="3")
    before = contents(made.path)
    mine.write_bytes(mine.read_bytes() + b"\0" * 8)
    with pytest.raises(MediaError, match="not the plate"):
        recomposite(made.path)
    mine.unlink()
    with pytest.raises(MediaError):
        rederive_matte(made.path)
    assert contents(made.path) == before


def test_a_cancelled_comp_leaves_the_take_as_it_was(take: Path, contents: Contents) -> None:
    before = contents(take)

    def progress(stage: str, done: int, total: int) -> None:
        if done == 8:
            raise RedubCancelled

    with pytest.raises(RedubCancelled):
        rederive_matte(take, {"matte.gamma": 3.0}, progress)
    assert contents(take) == before


def test_damaged_data_is_one_sentence(take: Path) -> None:
    (take / "data" / "plan.npz").write_bytes(b"")
    with pytest.raises(TakeError, match="render it again"):
        recomposite(take)
    with pytest.raises(TakeError, match="holds no take"):
        recomposite(take.parent)


@pytest.mark.parametrize("key", ["plate.frame_range", "model.calibration", "model.crop_size", "job.settings"])
def test_a_field_that_is_missing_is_the_takes_damage_and_an_error_of_ours_is_not(
    key: str, take: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (take / "take.json").read_text()
    manifest = json.loads(text)
    outer, inner = key.split(".")
    del manifest[outer][inner]
    (take / "take.json").write_text(json.dumps(manifest))
    with pytest.raises(TakeError, match=f"lacks {inner}: the take is damaged"):
        recomposite(take)
    (take / "take.json").write_text(text)
    monkeypatch.setattr("julnet_plugin.recomp.write_reports", lambda *_: {}["ours"])
    with pytest.raises(KeyError, match="ours"):
        recomposite(take)


def test_sigma_in_the_exr_is_the_stored_one_to_the_bit(rendered: Take) -> None:
    manifest, frames = rendered.manifest, frames_of(rendered)
    data = TakeData(rendered.path, frames, chunk_frames=7)
    with open_plate(Path(manifest["inputs"]["plate"]["path"])) as plate:
        maker = PatchMaker(
            data=data,
            plate=plate,
            transform=DisplayTransform(plate.info),
            document=MatteDocument(),
            operators=make_manager(third_party=False).matte_operators(),
            calibration=calibration_of(manifest["model"]["calibration"]),
            settings=ComposeSettings(),
            seed=0,
        )
        layers = maker.layers(8)
        assert layers is not None
        patch = maker.patch(plate.frame(8), layers)
        assert patch is not None
    with OpenEXR.File(str(rendered.path / "exr" / "layers.000008.exr"), separate_channels=True) as file:
        (x0, y0), (x1, y1) = file.header()["dataWindow"]
        sigma = file.channels()["uncertainty.sigma"].pixels
        assert (patch.rect.x0, patch.rect.y0, patch.rect.x1, patch.rect.y1) == (x0, y0, x1 + 1, y1 + 1)
        assert sigma.dtype == np.float32
        assert np.array_equal(sigma, patch.sigma)
        assert np.array_equal(file.channels()["A"].pixels, patch.coverage.astype(np.float16))
