"""A matte goes out, is painted in another program, and comes back: only what was painted changes, as the mode says."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from julnet_plugin.cli import main
from julnet_plugin.errors import MediaError, RedubCancelled, SettingsError, TimeRangeError
from julnet_plugin.matte.document import load_document, save_document
from julnet_plugin.media.mattes import MatteFootage
from julnet_plugin.media.probe import probe
from julnet_plugin.media.reader import open_plate
from julnet_plugin.pipeline.readback import ReadBack, place
from julnet_plugin.recomp import recomposite, rederive_matte
from julnet_plugin.types import FrameRange, MediaInfo, Take

oiio = pytest.importorskip("OpenImageIO")

Contents = Callable[[Path], dict[str, str]]
DELIVER = ("png", "exr", "matte-exr", "matte-png", "matte-tiff", "matte-luma", "matte-prores4444", "crop-exr")
FRAMES = range(3, 7)


@pytest.fixture(scope="module")
def held(render: Callable[..., Take], tmp_path_factory: pytest.TempPathFactory) -> Take:
    """A take of four frames from the middle of a plate with timecode; the matte holds the plate."""
    settings = {
        "render.chunk_frames": 7,
        "render.threads": 1,
        "drive.mode": "hold_plate",
        "matte.low_cv": 100.0,
        "matte.high_cv": 255.0,
        "compose.grain": 0.0,
    }
    folder = tmp_path_factory.mktemp("held") / "take"
    return render(folder, deliver=DELIVER, in_point="3", out_point="7", settings=settings)


@pytest.fixture
def take(held: Take, tmp_path: Path) -> Path:
    return Path(shutil.copytree(held.path, tmp_path / "take"))


def mouth_of(take: Path, frame: int) -> tuple[int, int]:
    """A pixel in the middle of what is covered: x, y."""
    kept = (
        take.parent / f"coverage.{frame:06d}.before.png"
    )  # the disc lies where it was painted, not where it would be now
    if not kept.exists():
        shutil.copy(take / "png" / f"coverage.{frame:06d}.png", kept)
    coverage = read(kept)[..., 0]
    rows, columns = np.nonzero(coverage > 0.8 * coverage.max())
    return int(columns.mean()), int(rows.mean())


def read(path: Path) -> np.ndarray:
    """A whole picture over its display window, float."""
    buffer = oiio.ImageBuf(str(path))
    whole = oiio.ImageBufAlgo.crop(buffer, buffer.roi_full)
    return np.asarray(whole.get_pixels(oiio.FLOAT))


def paint_disc(source: Path, target: Path, x: int, y: int, radius: int = 4, *, channel: str | None = None) -> None:
    """Paint a white disc with OpenImageIO, and save as the same kind of picture."""
    buffer = oiio.ImageBuf(str(source))
    spec = oiio.ImageSpec(buffer.spec())
    whole = oiio.ImageBufAlgo.crop(buffer, buffer.roi_full)
    pixels = np.asarray(whole.get_pixels(oiio.FLOAT))
    rows, columns = np.mgrid[: pixels.shape[0], : pixels.shape[1]]
    disc = (columns - x) ** 2 + (rows - y) ** 2 <= radius**2
    which = slice(None) if channel is None else spec.channelindex(channel)
    pixels[disc, which] = 1.0
    spec.x, spec.y, spec.width, spec.height = 0, 0, pixels.shape[1], pixels.shape[0]
    out = oiio.ImageOutput.create(str(target))
    assert out.open(str(target), spec), oiio.geterror()
    assert out.write_image(pixels)
    out.close()


def edited(take: Path, folder: Path, kind: str, suffix: str, offset: int = 0, channel: str | None = None) -> Path:
    """The delivered matte with a disc on the mouth of every frame, in another folder, perhaps under other numbers."""
    target = folder / "edited"
    target.mkdir()
    for frame in FRAMES:
        x, y = mouth_of(take, frame)
        name = f".{frame:06d}.{suffix}"
        source = next((take / kind).glob(f"*{name}"))
        paint_disc(source, target / f"matte.{frame + offset:04d}.{suffix}", x, y, channel=channel)
    return target


def disc_of(take: Path, frame: int, shape: tuple[int, ...], radius: int = 4) -> np.ndarray:
    x, y = mouth_of(take, frame)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return np.asarray((columns - x) ** 2 + (rows - y) ** 2 <= radius**2)


def dubs(take: Path) -> list[np.ndarray]:
    with open_plate(take / "png" / "dub.######.png") as reader:
        return [frame.rgb.copy() for frame in reader.frames()]


def plates(take: Take) -> list[np.ndarray]:
    with open_plate(Path(take.manifest["inputs"]["plate"]["path"])) as plate:
        return [frame.rgb.copy() for frame in plate.frames(FrameRange(start=3, stop=7))]


@pytest.mark.parametrize(
    ("kind", "suffix", "channel"),
    [
        ("matte/exr", "exr", None),
        ("matte/png", "png", None),
        ("matte/tif", "tif", None),
        ("exr", "exr", "uncertainty.matte"),
    ],
)
def test_a_painted_disc_gives_back_the_plate_there_and_nowhere_else(
    take: Path, held: Take, tmp_path: Path, kind: str, suffix: str, channel: str | None
) -> None:
    before, sigma = dubs(take), (take / "data" / "chunk.000000.npz").read_bytes()
    target = edited(take, tmp_path, kind, suffix, channel=channel)
    rederive_matte(take, read_back=ReadBack(path=target))
    assert all(np.array_equal(a, b) for a, b in zip(before, dubs(take), strict=True)), "the picture waits for comp"
    recomposite(take)
    for frame, old, new, plate in zip(FRAMES, before, dubs(take), plates(held), strict=True):
        disc = disc_of(take, frame, old.shape)
        moved = (old != new).any(axis=2)
        assert moved.any()
        assert not moved[~disc].any(), "only those pixels"
        assert np.array_equal(new[disc], plate[disc]), "and they are the plate's"
    assert (take / "data" / "chunk.000000.npz").read_bytes() == sigma, "σ is what the network said"


def test_an_untouched_matte_changes_not_one_byte(take: Path, contents: Contents) -> None:
    before = contents(take)
    for kind in ("matte/exr", "matte/png", "matte/tif", "matte.luma.mp4", "matte.prores4444.mov", "crop", "exr"):
        made = rederive_matte(take, read_back=ReadBack(path=take / kind))
        assert made.manifest["override"]["changed_pixels"] == 0, kind
    recomposite(take)
    rederive_matte(take, drop_override=True)
    assert {name for name, value in contents(take).items() if before.get(name) != value} == set()


def test_flag_changes_the_matte_and_no_picture(take: Path, tmp_path: Path) -> None:
    rederive_matte(take, {"drive.mode": "flag"})
    recomposite(take)
    before = dubs(take)
    rederive_matte(take, read_back=ReadBack(path=edited(take, tmp_path, "matte/png", "png")))
    recomposite(take)
    assert all(np.array_equal(a, b) for a, b in zip(before, dubs(take), strict=True))
    matte = read(take / "matte" / "png" / "matte.000005.png")[..., 0]
    assert (matte[disc_of(take, 5, matte.shape)] == 1).all()


def test_a_reference_is_held_where_the_disc_is(take: Path, tmp_path: Path) -> None:
    rederive_matte(take, {"drive.mode": "hold_reference", "drive.reference_frame": 6})
    recomposite(take)
    before = dubs(take)
    rederive_matte(take, read_back=ReadBack(path=edited(take, tmp_path, "matte/exr", "exr")))
    recomposite(take)
    moved = [(a != b).any(axis=2) for a, b in zip(before, dubs(take), strict=True)]
    assert all(m.any() for m in moved)
    for frame, where in zip(FRAMES, moved, strict=True):
        assert not where[~disc_of(take, frame, where.shape)].any()


def test_the_layer_stays_over_later_edits_and_can_be_taken_away(take: Path, tmp_path: Path, contents: Contents) -> None:
    before = contents(take)
    rederive_matte(take, read_back=ReadBack(path=edited(take, tmp_path, "matte/exr", "exr")))
    rederive_matte(take, {"matte.low_cv": 101.0})
    document = load_document(take / "strokes.json")
    matte = read(take / "matte" / "exr" / "matte.000005.exr")[..., 0]
    assert (matte[disc_of(take, 5, matte.shape)] == 1).all()
    assert document.settings.at(0)["low_cv"] == 101.0
    rederive_matte(take, {"matte.low_cv": 100.0}, drop_override=True)
    recomposite(take)
    assert contents(take) == before


def test_movies_come_back_too(take: Path, tmp_path: Path, held: Take) -> None:
    import av

    before = dubs(take)
    with open_plate(take / "matte.luma.mp4") as reader:
        pictures = [frame.rgb.copy() for frame in reader.frames()]
    for frame, picture in zip(FRAMES, pictures, strict=True):
        picture[disc_of(take, frame, picture.shape)] = 255
    path = tmp_path / "painted.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "gray"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture[..., 0].copy(), "gray")))
        container.mux(stream.encode(None))
    made = rederive_matte(take, read_back=ReadBack(path=path))
    assert made.manifest["override"]["placed_by"] == "its length, which is the take's"
    recomposite(take)
    for frame, old, new, plate in zip(FRAMES, before, dubs(take), plates(held), strict=True):
        disc = disc_of(take, frame, old.shape)
        assert np.abs(plate.astype(int) - new)[disc].max() <= 1, "8 bits cannot tell white from nearly white"
        beside = ~disc_of(take, frame, old.shape, 8)
        assert np.abs(old.astype(int) - new)[beside].max() <= 16, "8-bit video wobbles, as the encoder likes"


def test_a_matte_of_the_crop_is_painted_where_the_head_stays_still(take: Path, tmp_path: Path) -> None:
    before = dubs(take)
    target = tmp_path / "crop"
    target.mkdir()
    for frame in FRAMES:
        picture = read(take / "crop" / f"layers.{frame:06d}.exr")
        matte = np.clip(picture[..., 4 + 1], 0, 1)  # R G B A, then error, matte, sigma
        matte[150:156, 76:84] = 1
        cv2.imwrite(str(target / f"m.{frame:04d}.png"), np.rint(matte * 65535).astype(np.uint16))
    made = rederive_matte(take, read_back=ReadBack(path=target))
    assert made.manifest["override"]["changed_frames"] == 4
    recomposite(take)
    moved = [(a != b).any(axis=2) for a, b in zip(before, dubs(take), strict=True)]
    assert all(0 < m.sum() < 200 for m in moved), "a small patch on every frame"


def test_frames_that_were_not_exported_keep_what_they_had(take: Path, tmp_path: Path) -> None:
    target = edited(take, tmp_path, "matte/png", "png")
    for frame in (3, 5):
        (target / f"matte.{frame:04d}.png").unlink()
    made = rederive_matte(take, read_back=ReadBack(path=target))
    assert made.manifest["override"]["changed_frames"] == 2
    rest = tmp_path / "rest"
    rest.mkdir()
    x, y = mouth_of(take, 5)
    paint_disc(take / "matte/png/matte.000005.png", rest / "matte.0005.png", x, y)
    rederive_matte(take, read_back=ReadBack(path=rest))
    for frame, painted in ((3, False), (4, True), (5, True), (6, True)):
        matte = read(take / "matte" / "png" / f"matte.{frame:06d}.png")[..., 0]
        assert (matte[disc_of(take, frame, matte.shape)] == 1).all() == painted, frame


def footage(numbers: range, *, movie: bool = False, timecode: str | None = None) -> MatteFootage:
    return MatteFootage(
        name="m",
        width=4,
        height=4,
        numbers=numbers,
        movie=movie,
        rate=None,
        timecode=timecode,
        tolerance=0,
        read=lambda wanted: iter(()),
    )


INFO = MediaInfo(
    path=Path("p"),
    kind="sequence",
    width=4,
    height=4,
    rate=Fraction(24),
    frame_count=100,
    first_number=1001,
    start_timecode="01:00:00:00",
)
TAKE = FrameRange(start=10, stop=20)


@pytest.mark.parametrize(
    ("given", "first_frame", "why"),
    [
        (footage(range(1011, 1021)), 10, "frame numbers"),
        (footage(range(1015, 1018)), 14, "frame numbers"),
        (footage(range(1, 11)), 10, "its length, which is the take's"),
        (footage(range(1, 101)), 0, "its length, which is the plate's"),
        (footage(range(1, 11), timecode="01:00:00:12"), 12, "timecode"),
        (footage(range(10), movie=True, timecode="01:00:00:10"), 10, "timecode"),
        (footage(range(10), movie=True), 10, "its length, which is the take's"),
        (footage(range(10), movie=True, timecode="00:00:00:00"), 10, "its length, which is the take's"),
        (footage(range(1011, 1021), timecode="10:00:00:00"), 10, "frame numbers"),
    ],
)
def test_timecode_then_numbers_then_length_say_which_frames_they_are(
    given: MatteFootage, first_frame: int, why: str
) -> None:
    offset, said = place(given, INFO, TAKE, None)
    assert (given.numbers[0] + offset, said) == (first_frame, why)


def test_a_given_start_wins_over_everything(take: Path, tmp_path: Path) -> None:
    assert place(footage(range(1011, 1021)), INFO, TAKE, 15)[0] == 15 - 1011
    target = edited(take, tmp_path, "matte/png", "png", offset=500)
    (target / "matte.0503.png").unlink()
    with pytest.raises(TimeRangeError, match=r"no frame in common .* --override-start"):
        rederive_matte(take, read_back=ReadBack(path=target))
    made = rederive_matte(take, read_back=ReadBack(path=target, start=4))
    assert made.manifest["override"]["frames"] == [4, 7]


def test_what_does_not_fit_is_one_sentence_and_changes_nothing(
    take: Path, tmp_path: Path, contents: Contents, make_movie: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(take)
    small, colour, text = tmp_path / "small.0003.png", tmp_path / "colour.0003.png", tmp_path / "notes.0003.exr"
    cv2.imwrite(str(small), np.zeros((100, 100), np.uint8))
    cv2.imwrite(str(colour), np.random.default_rng(0).integers(0, 255, (240, 320, 3)).astype(np.uint8))
    text.write_text("not a picture")
    fast = make_movie("fast.mov", size=(320, 240), frames=4, rate=50)
    bad = {
        small: "100x100",
        colour: "in colour",
        text: "not an OpenEXR file",
        fast: "50 frames a second",
        tmp_path / "none.mov": "none.mov",
        tmp_path / "none.####.exr": "no file matches",
    }
    for path, words in bad.items():
        assert main(["matte", str(take), "--override", str(path)]) == 2
        said = capsys.readouterr().err.strip().splitlines()
        assert words in said[-1], said
        assert not any("Traceback" in line for line in said)
    assert main(["matte", str(take), "--override-start", "3"]) == 2
    assert main(["matte", str(take), "--deliver", "matte-exe"]) == 2
    assert "did you mean matte-exr?" in capsys.readouterr().err
    with pytest.raises(MediaError, match="no alpha"):
        rederive_matte(take, read_back=ReadBack(path=take / "matte" / "png", channel="alpha"))
    with pytest.raises(SettingsError, match="unknown delivery"):
        rederive_matte(take, deliver=("tape",))
    assert contents(take) == before


def test_a_cancelled_read_leaves_the_take_as_it_was(take: Path, tmp_path: Path, contents: Contents) -> None:
    target, before = edited(take, tmp_path, "matte/png", "png"), contents(take)

    def progress(stage: str, done: int, total: int) -> None:
        if stage == "read" and done == 3:
            raise RedubCancelled

    with pytest.raises(RedubCancelled):
        rederive_matte(take, progress=progress, read_back=ReadBack(path=target))
    assert contents(take) == before


def test_the_command_says_what_it_read(take: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = edited(take, tmp_path, "matte/exr", "exr")
    assert main(["--json", "matte", str(take), "--override", str(target)]) == 0
    output = capsys.readouterr()
    assert "read back frames 3 to 6" in output.err
    stages = [json.loads(line).get("stage") for line in output.out.splitlines()]
    assert {"read", "deliver"} <= set(stages)
    assert main(["matte", str(take), "--clear-override"]) == 0
    assert not list((take / "data").glob("override.*"))


def test_an_edit_between_two_paintings_is_kept(take: Path, tmp_path: Path) -> None:
    target = edited(take, tmp_path, "matte/exr", "exr")
    rederive_matte(take, read_back=ReadBack(path=target))
    document = load_document(take / "strokes.json")
    save_document(take / "strokes.json", document)
    again = tmp_path / "again"
    again.mkdir()
    paint_disc(
        take / "matte/exr/matte.000005.exr", again / "m.0005.exr", mouth_of(take, 5)[0] + 9, mouth_of(take, 5)[1]
    )
    rederive_matte(take, read_back=ReadBack(path=again))
    matte = read(take / "matte" / "exr" / "matte.000005.exr")[..., 0]
    assert (matte[disc_of(take, 5, matte.shape)] == 1).all(), "the first disc is in the second file"
    assert probe(take / "matte" / "exr").frame_count == 4
