"""MLT projects: what is not ours stays byte for byte, what melt renders is exact, hostile files are refused."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from bench import Shot
from bench_mlt import missing, project_of

from host_adapters.base import HostGone, HostRefused, MatteFile, SourceRange, Span
from host_adapters.mlt.project import clock, parse_time
from host_adapters.mlt.session import MELT_VARIABLE, MltSession, melt_program

KDENLIVE = """<?xml version='1.0' encoding='utf-8'?>
<mlt LC_NUMERIC="C" producer="main_bin" root="{folder}" version="7.13.0">
 <profile colorspace="601" display_aspect_den="3" display_aspect_num="4" frame_rate_den="1" frame_rate_num="25" height="48" progressive="1" sample_aspect_den="1" sample_aspect_num="1" width="64"/>
 <producer id="black"><property name="length">2147483647</property><property name="resource">black</property><property name="mlt_service">color</property></producer>
 <chain id="chain0" out="00:00:00.600"><property name="length">16</property><property name="resource">plate.mov</property><property name="mlt_service">avformat-novalidate</property><property name="kdenlive:id">4</property></chain>
 <playlist id="main_bin"><property name="kdenlive:docproperties.position">6</property><property name="kdenlive:docproperties.version">1.04</property><entry in="00:00:00.000" out="00:00:00.600" producer="chain0"/></playlist>
 <playlist id="playlist0"><property name="kdenlive:audio_track">1</property></playlist>
 <tractor id="tractor0"><property name="kdenlive:audio_track">1</property><track hide="video" producer="playlist0"/></tractor>
 <playlist id="playlist2"><blank length="00:00:00.200"/><entry in="00:00:00.080" out="00:00:00.520" producer="chain0"><filter id="filter1"><property name="mlt_service">brightness</property><property name="level">1</property></filter></entry></playlist>
 <playlist id="playlist3"/>
 <tractor id="tractor1"><track hide="audio" producer="playlist2"/><track hide="audio" producer="playlist3"/></tractor>
 <tractor id="tractor4">
  <track producer="black"/>
  <track producer="tractor0"/>
  <track producer="tractor1"/>
  <transition id="transition1"><property name="a_track">0</property><property name="b_track">2</property><property name="mlt_service">composite</property><property name="internal_added">237</property></transition>
 </tractor>
</mlt>
"""  # noqa: E501 - as Kdenlive writes it


@pytest.fixture
def project(tmp_path: Path, make_shot: Callable[..., Shot]) -> MltSession:
    """A project with a clip of frames 2 to 13 from frame 5 of the timeline on."""
    shot = make_shot(start=2, stop=14, record_in=5)
    (tmp_path / "cut.mlt").write_text(project_of(shot), "utf-8")
    return MltSession(str(tmp_path / "cut.mlt"))


def planes_of(path: Path) -> list[Any]:
    """Luma and both chromas of every frame, as stored: three arrays (T, rows, columns)."""
    with av.open(str(path)) as container:
        frames = [frame.planes for frame in container.decode(video=0)]
        return [np.stack([_plane(planes[k]) for planes in frames]) for k in range(3)]


def _plane(plane: Any) -> Any:
    rows = np.frombuffer(bytes(plane), np.uint8).reshape(plane.height, plane.line_size)
    return rows[:, : plane.width]


@pytest.mark.skipif(bool(missing()), reason=missing())
def test_what_melt_renders_in_its_own_format_is_exact_in_and_outside_the_matte(
    tmp_path: Path, make_movie: Callable[..., Path], make_shot: Any, make_take: Any, make_matte: Any
) -> None:
    shot = make_shot(start=2, stop=14, record_in=5)
    take = make_take(shot)
    lossless: dict[str, Any] = {"codec": "ffv1", "pixel_format": "yuv422p", "frames": 16, "size": (64, 48)}
    plate = make_movie("p422.mkv", **lossless)
    dub = make_movie("d422.mkv", **lossless, picture=lambda k: np.full((48, 64, 3), (40 + 9 * k, 200, 90), np.uint8))
    path = tmp_path / "cut.mlt"
    path.write_text(project_of(shot).replace(str(shot.plate), str(plate)), "utf-8")
    session = MltSession(str(path))
    (clip,) = session.list_clips()
    ref = session.place_take(clip, type(take)(**{**vars(take), "picture": str(dub)}))
    session.attach_matte(ref, make_matte(take))
    got, source, wanted = (planes_of(p) for p in (Path(session.render(clip.record, str(tmp_path / "o"))), plate, dub))
    for rendered, original, generated in zip(got, source, wanted, strict=True):
        half = original.shape[2] // 2
        assert np.array_equal(rendered[..., :half], generated[2:14, :, :half])
        assert np.array_equal(rendered[..., half:], original[2:14, :, half:])


def test_undo_gives_the_same_bytes_and_what_is_not_ours_is_never_changed(
    project: MltSession, make_shot: Any, make_take: Any
) -> None:
    before = Path(project.path).read_bytes()
    (clip,) = project.list_clips()
    take = make_take(make_shot(start=2, stop=14, record_in=5))
    project.place_take(clip, take)
    project.mark(clip, [Span(SourceRange.of(4, 6), 12.0, "low light")])
    project.save()
    after = Path(project.path).read_bytes()
    assert [line for line in after.splitlines() if line in before.splitlines()] == before.splitlines()
    again = MltSession(project.path)
    again.select_take(clip, None)
    assert again.project.data.splitlines()[-1] == b"</mlt>"
    project.undo()
    project.undo()
    project.save()
    assert Path(project.path).read_bytes() == before


def test_a_kdenlive_project_keeps_its_tracks_filters_and_bin(tmp_path: Path, make_shot: Any, make_take: Any) -> None:
    shot = make_shot(start=2, stop=14, record_in=5)
    path = tmp_path / "film.kdenlive"
    path.write_text(KDENLIVE.format(folder=tmp_path), "utf-8")
    session = MltSession(str(path))
    (clip,) = session.selection()
    assert (clip.path, clip.source, clip.record.start.index) == (str(shot.plate), SourceRange.of(2, 14), 5)
    session.place_take(clip, make_take(shot))
    session.save()
    text = path.read_text("utf-8")
    bin_ = text[text.index('<playlist id="main_bin">') :]
    assert '<entry producer="julnet_take_1"' in bin_[: bin_.index("</playlist>")]
    assert text.count('<property name="mlt_service">brightness</property>') == 2
    assert '<property name="a_track">0</property><property name="b_track">3</property>' in text
    assert [take.name for take in MltSession(str(path)).takes(clip)] == ["line"]


@pytest.mark.skipif(bool(missing()), reason=missing())
def test_a_kdenlive_project_with_a_take_is_rendered_by_melt(tmp_path: Path, make_shot: Any, make_take: Any) -> None:
    shot = make_shot(start=2, stop=14, record_in=5)
    path = tmp_path / "film.kdenlive"
    path.write_text(KDENLIVE.format(folder=tmp_path), "utf-8")
    session = MltSession(str(path))
    (clip,) = session.selection()
    before = planes_of(Path(session.render(clip.record, str(tmp_path / "a"))))[0].astype(int)
    session.place_take(clip, make_take(shot))
    after = planes_of(Path(session.render(clip.record, str(tmp_path / "b"))))[0].astype(int)
    assert np.abs(before + after - 251).max() <= 2  # the dub is the plate's negative: 16 + 235


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('<!DOCTYPE m [<!ENTITY a "x"><!ENTITY b "&a;&a;">]><mlt>&b;</mlt>', "declares XML entities"),
        ('<!DOCTYPE m [<!ENTITY a SYSTEM "file:///etc/passwd">]><mlt>&a;</mlt>', "declares XML entities"),
        ("<mlt><tractor></mlt>", "not a readable MLT project"),
        ("no xml", "not a readable MLT project"),
        ("<fcpxml/>", "an MLT project is needed"),
        ("<mlt><tractor/></mlt>", "does not say its frame rate"),
        ('<mlt><profile frame_rate_num="25" frame_rate_den="0"/></mlt>', "does not say its frame rate"),
        ('<mlt><profile frame_rate_num="25" frame_rate_den="1"/></mlt>', "holds no timeline"),
        ('<?xml version="1.0" encoding="utf-16"?><mlt/>', "MLT project|UTF-8"),
    ],
)
def test_a_file_that_is_no_project_is_refused_in_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "odd.mlt"
    path.write_text(text, "utf-8")
    with pytest.raises(HostRefused, match=said):
        MltSession(str(path))


def test_a_project_that_another_program_saved_meanwhile_is_not_written_over(project: MltSession) -> None:
    Path(project.path).write_text(Path(project.path).read_text("utf-8").replace("V1", "V2"), "utf-8")
    with pytest.raises(HostGone, match="saved by another program"):
        project.save()


def test_a_clip_whose_medium_is_gone_is_still_listed(project: MltSession) -> None:
    (clip,) = project.list_clips()
    Path(clip.path).unlink()
    assert MltSession(project.path).list_clips()[0].source == clip.source


@pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(25), Fraction(30000, 1001), Fraction(60)])
def test_a_time_that_was_written_is_read_as_the_same_frame(rate: Fraction) -> None:
    for frame in (0, 1, 7, 24, 1439, 107_892):
        assert parse_time(clock(frame, rate), rate) == frame


def test_matte_needs_a_take(project: MltSession, make_shot: Any, make_take: Any, make_matte: Any) -> None:
    (clip,) = project.list_clips()
    shot = make_shot(start=2, stop=14, record_in=5)
    take = make_take(shot)
    ref = project.place_take(clip, take)
    project.undo()
    with pytest.raises(HostGone, match="place it again"):
        project.attach_matte(ref, MatteFile(make_matte(take).path))


@pytest.mark.skipif(bool(missing()), reason=missing())
def test_a_render_that_melt_left_empty_is_made_again(
    project: MltSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (clip,) = project.selection()
    real, tried = melt_program(), tmp_path / "tried"
    leave_empty_once(tmp_path / "melt", then=f'exec {real} "$@"', tried=tried)
    monkeypatch.setenv(MELT_VARIABLE, str(tmp_path / "melt"))
    rendered = project.render(clip.record, str(tmp_path / "out"))
    assert tried.exists()
    assert len(planes_of(Path(rendered))[0]) == len(clip.record)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["render.mkv"]


def test_a_render_that_stays_empty_is_refused_and_the_last_one_kept(
    project: MltSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (clip,) = project.selection()
    leave_empty_once(tmp_path / "melt", then="", tried=tmp_path / "tried")
    monkeypatch.setenv(MELT_VARIABLE, str(tmp_path / "melt"))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "render.mkv").write_bytes(b"yesterday's")
    with pytest.raises(HostRefused, match="no movie that can be read"):
        project.render(clip.record, str(tmp_path / "out"))
    assert (tmp_path / "out" / "render.mkv").read_bytes() == b"yesterday's"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["render.mkv"]


def leave_empty_once(program: Path, then: str, tried: Path) -> None:
    """A `melt` that makes an empty file and claims success, as the real one rarely does; afterwards it does `then`."""
    program.write_text(
        f"""#!/bin/sh
if [ ! -e '{tried}' ]; then
    touch '{tried}'
    for word in "$@"; do case "$word" in avformat:*) : > "${{word#avformat:}}";; esac; done
    exit 0
fi
{then}
""",
        "utf-8",
    )
    program.chmod(0o755)
