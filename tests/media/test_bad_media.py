"""Whatever is wrong with a file is said in one sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from julnet_plugin.errors import MediaError
from julnet_plugin.media.audio import read_audio
from julnet_plugin.media.probe import probe

Make = Callable[..., Path]


def refusal(call: Callable[[Path], object], path: Path) -> str:
    with pytest.raises(MediaError) as caught:
        call(path)
    message = str(caught.value)
    assert "\n" not in message
    assert not message.endswith(".")
    assert caught.value.path is not None
    return message


def test_a_missing_file(tmp_path: Path) -> None:
    assert "there is no file" in refusal(probe, tmp_path / "nope.mov")
    assert "there is no file" in refusal(read_audio, tmp_path / "nope.wav")


def test_a_pattern_that_matches_nothing(tmp_path: Path) -> None:
    assert "no file matches" in refusal(probe, tmp_path / "shot.%04d.exr")


def test_a_folder_without_pictures(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    assert "holds no numbered pictures" in refusal(probe, tmp_path)
    assert "is a folder" in refusal(read_audio, tmp_path)


@pytest.mark.parametrize("name", ["a.mov", "a.mp4", "a.0001.png", "a.0001.exr"])
def test_an_empty_file(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert "is empty (0 bytes)" in refusal(probe, tmp_path / name)


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.txt", "a.0001.png", "a.0001.exr", "a.0001.dpx"])
def test_text_renamed(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("Dear diary, today I renamed a file.\n" * 50)
    assert name in refusal(probe, tmp_path / name)


@pytest.mark.parametrize(
    "text", ["#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1\nb.ts\n", "ffconcat version 1.0\nfile b\n"]
)
def test_a_playlist_is_not_followed(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.mp4").write_text(text)
    refusal(probe, tmp_path / "a.mp4")


def test_noise(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(np.random.default_rng(0).bytes(20_000))
    refusal(probe, tmp_path / "a.mp4")
    refusal(read_audio, tmp_path / "a.mp4")


def cut(path: Path, share: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def test_an_mp4_cut_before_its_index(make_movie: Make) -> None:
    assert "cut off or damaged" in refusal(probe, cut(make_movie("a.mp4", frames=40), 0.7))


@pytest.mark.parametrize("codec", ["libx264", "mjpeg"])
def test_an_mp4_with_its_index_first_says_how_much_of_it_is_there(make_movie: Make, codec: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (40, 96, 128, 3)).astype(np.uint8)
    path = make_movie(
        "a.mov",
        codec=codec,
        pixel_format="yuv420p" if codec == "libx264" else "yuvj420p",
        frames=40,
        picture=noise.__getitem__,
        container_options={"movflags": "faststart"},
    )
    message = refusal(probe, cut(path, 0.5))
    present = int(message.split("cut off: ")[1].split(" of its 40 frames")[0])
    assert 15 <= present <= 25


def test_a_matroska_cut_short(make_movie: Make) -> None:
    assert "is cut off" in refusal(probe, cut(make_movie("a.mkv", frames=60), 0.6))


def test_an_avi_cut_short(make_movie: Make) -> None:
    path = make_movie("a.avi", codec="mjpeg", pixel_format="yuvj420p", frames=40)
    assert "is cut off" in refusal(probe, cut(path, 0.6))


@pytest.mark.parametrize("share", [0.02, 0.2, 0.5, 0.99])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_a_cut_exr(make_exr_sequence: Make, capfd: pytest.CaptureFixture[str], share: float, dtype: type) -> None:
    pattern = make_exr_sequence(frames=1, dtype=dtype)
    cut(pattern.parent / "shot.1001.exr", share)
    assert "cut off or was never finished" in refusal(probe, pattern)
    assert capfd.readouterr().out == ""


def test_an_exr_whose_writing_was_interrupted(make_exr_sequence: Make) -> None:
    path = make_exr_sequence(frames=1).parent / "shot.1001.exr"
    data = bytearray(path.read_bytes())
    table = data.index(b"type\0string\0") + len(b"type\0string\0") + 4 + len("scanlineimage") + 1
    data[table : table + 8] = bytes(8)  # the first chunk has no place yet
    path.write_bytes(data)
    assert "was never finished" in refusal(probe, path)


def test_sound_alone_is_no_plate(make_sound: Make) -> None:
    assert "holds sound but no moving picture" in refusal(probe, make_sound("a.wav"))


def test_cover_art_is_no_moving_picture(make_sound: Make, tmp_path: Path) -> None:
    import av

    song = make_sound("song.m4a", codec="aac")
    with av.open(str(song)) as source, av.open(str(tmp_path / "cover.m4a"), "w", format="mp4") as target:
        sound = target.add_stream_from_template(source.streams.audio[0])
        art = target.add_stream("mjpeg", rate=25)
        art.width, art.height, art.pix_fmt = 32, 32, "yuvj420p"
        art.disposition = av.stream.Disposition.attached_pic
        frame = av.VideoFrame(32, 32, "yuvj420p")
        frame.pts = 0
        target.mux([*art.encode(frame), *art.encode(None)])
        for packet in source.demux():
            if packet.size:
                packet.stream = sound
                target.mux(packet)
    assert "no moving picture" in refusal(probe, tmp_path / "cover.m4a")


def test_a_picture_alone_is_no_dub(make_movie: Make) -> None:
    assert "holds no sound" in refusal(read_audio, make_movie())


def test_a_track_that_is_not_there(make_sound: Make) -> None:
    assert "there is no track 2" in refusal(lambda path: read_audio(path, track=2), make_sound())


def test_a_wav_without_samples(tmp_path: Path) -> None:
    import wave

    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
    refusal(read_audio, tmp_path / "a.wav")


def test_an_unreadable_file(make_movie: Make) -> None:
    import os

    path = make_movie()
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    assert "cannot be" in refusal(probe, path)
