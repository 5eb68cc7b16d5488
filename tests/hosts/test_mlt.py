"""MLT projects: what is not ours stays byte for byte, what melt renders is exact, hostile files are refused."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from bench import DUB_HZ, PLATE_HZ, Shot, heard_hz
from bench_mlt import MltBench, missing, project_of

from host_adapters.base import HostGone, HostRefused, MatteFile, SourceRange, Span
from host_adapters.mlt.project import clock, parse_time
from host_adapters.mlt.session import MELT_VARIABLE, MltSession, melt_program, run_melt
from host_adapters.mlt.takes import remove_ours
from host_adapters.mlt.xmltext import Edits
from julnet_plugin.cli import main
from julnet_plugin.types import Take

KDENLIVE = """<?xml version='1.0' encoding='utf-8'?>
<mlt LC_NUMERIC="C" producer="main_bin" root="{folder}" version="7.13.0">
 <profile colorspace="601" display_aspect_den="3" display_aspect_num="4" frame_rate_den="1" frame_rate_num="25" height="48" progressive="1" sample_aspect_den="1" sample_aspect_num="1" width="64"/>
 <producer id="black"><property name="length">2147483647</property><property name="resource">black</property><property name="mlt_service">color</property></producer>
 <chain id="chain0" out="00:00:00.600"><property name="length">16</property><property name="resource">plate.mov</property><property name="mlt_service">avformat-novalidate</property><property name="kdenlive:id">4</property></chain>
 <playlist id="main_bin"><property name="kdenlive:docproperties.position">6</property><property name="kdenlive:docproperties.version">1.04</property><property name="kdenlive:docproperties.guides">[{{"comment": "check hair", "pos": 3, "type": 2}}]</property><property name="xml_retain">1</property><entry in="00:00:00.000" out="00:00:00.600" producer="chain0"/></playlist>
 <playlist id="playlist0"><property name="kdenlive:audio_track">1</property></playlist>
 <playlist id="playlist1"><property name="kdenlive:audio_track">1</property></playlist>
 <tractor id="tractor0"><property name="kdenlive:audio_track">1</property><track hide="video" producer="playlist0"/><track hide="video" producer="playlist1"/></tractor>
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
def test_a_take_in_an_editor_s_project_is_what_melt_renders(film: Path, line: Any, tmp_path: Path) -> None:
    session = MltSession(str(film))
    (clip,) = session.selection()
    before = planes_of(Path(session.render(clip.record, str(tmp_path / "a"))))[0].astype(int)
    session.place_take(clip, line)
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
    with pytest.raises(HostRefused, match="3 times and left no movie that can be read"):
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


def test_a_melt_that_hangs_is_ended_and_asked_again(
    project: MltSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (clip,) = project.selection()
    program, tried = tmp_path / "melt", tmp_path / "tried"
    program.write_text(f"#!/bin/sh\necho x >> '{tried}'\nexec sleep 60\n", "utf-8")
    program.chmod(0o755)
    monkeypatch.setenv(MELT_VARIABLE, str(program))
    monkeypatch.setattr("host_adapters.mlt.session._SILENT_S", 0.3)
    with pytest.raises(HostRefused, match="asked 3 times and left no movie that can be read and stood still"):
        project.render(clip.record, str(tmp_path / "out"))
    assert tried.read_text("utf-8").count("x") == 3


def test_a_melt_that_only_sleeps_is_ended_sooner_than_one_that_works(
    project: MltSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("host_adapters.mlt.session._ASLEEP_S", 1.5)  # what works may wait for a busy machine meanwhile
    program = tmp_path / "melt"
    monkeypatch.setenv(MELT_VARIABLE, str(program))
    working = "i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done"
    for what, ended in (
        ("exec sleep 60", False),
        (working, True),
        ("sleep 3; exit 0", True),
    ):  # the last one has a child
        program.write_text(f"#!/bin/sh\n{what}\n", "utf-8")
        program.chmod(0o755)
        assert run_melt([project.path], str(tmp_path / "movie.mkv")) is ended


SHOTCUT = """<?xml version="1.0" standalone="no"?>
<mlt LC_NUMERIC="C" version="7.12.0" title="Shotcut version 22.12.21" producer="main_bin">
  <profile description="automatic" width="64" height="48" progressive="1" sample_aspect_num="1" sample_aspect_den="1" display_aspect_num="4" display_aspect_den="3" frame_rate_num="25" frame_rate_den="1" colorspace="601"/>
  <playlist id="main_bin"><property name="xml_retain">1</property></playlist>
  <producer id="black" in="00:00:00.000" out="00:00:01.120"><property name="length">00:00:01.160</property><property name="resource">0</property><property name="mlt_service">color</property></producer>
  <playlist id="background"><entry producer="black" in="00:00:00.000" out="00:00:01.120"/></playlist>
  <chain id="chain0" out="00:00:00.600"><property name="length">00:00:00.640</property><property name="resource">plate.mov</property><property name="mlt_service">avformat-novalidate</property><property name="shotcut:caption">plate.mov</property></chain>
  <playlist id="playlist0"><property name="shotcut:video">1</property><property name="shotcut:name">V1</property><blank length="00:00:00.200"/><entry producer="chain0" in="00:00:00.080" out="00:00:00.520"/></playlist>
  <tractor id="tractor0" title="Shotcut version 22.12.21" in="00:00:00.000" out="00:00:01.120">
    <property name="shotcut">1</property>
    <properties name="shotcut:markers"><properties name="0"><property name="text">check hair</property><property name="start">00:00:00.120</property><property name="end">00:00:00.120</property><property name="color">#008000</property></properties></properties>
    <track producer="background"/>
    <track producer="playlist0"/>
    <transition id="transition1"><property name="a_track">0</property><property name="b_track">1</property><property name="mlt_service">frei0r.cairoblend</property><property name="disable">1</property></transition>
  </tractor>
</mlt>
"""  # noqa: E501 - as Shotcut writes it


@pytest.fixture(params=["film.kdenlive", "film.mlt"])
def film(request: pytest.FixtureRequest, tmp_path: Path, make_shot: Callable[..., Shot]) -> Path:
    """A project as Kdenlive, and one as Shotcut writes it, with a guide of the user's."""
    make_shot(start=2, stop=14, record_in=5)
    path: Path = tmp_path / request.param
    path.write_text(KDENLIVE.format(folder=tmp_path) if path.suffix == ".kdenlive" else SHOTCUT, "utf-8")
    return path


@pytest.fixture
def line(make_shot: Any, make_take: Any) -> Any:
    """A take of the whole plate."""
    return make_take(make_shot(start=2, stop=14, record_in=5))


def saved_by_the_editor(path: Path) -> None:
    """What the editors do to what is ours when they save: properties that are not theirs go, names are their own."""
    text = re.sub(r'<property name="julnet:(role">takes|marks">[^<]*)</property>', "", path.read_text("utf-8"))
    path.write_text(re.sub("julnet_takes_[12]", "playlist8", text), "utf-8")


def test_takes_and_marks_outlive_the_editor_s_own_save_and_stay_on_one_track(
    film: Path, line: Any, make_shot: Any, make_take: Any
) -> None:
    session = MltSession(str(film))
    (clip,) = session.list_clips()
    session.place_take(clip, line)
    session.mark(clip, line.spans)
    session.save()
    saved_by_the_editor(film)
    session = MltSession(str(film))
    assert [(take.name, take.active) for take in session.takes(clip)] == [("line", True)]
    assert [span.frames.start.index for span in session.marks(clip)] == [3, 9]
    session.place_take(clip, make_take(make_shot(start=2, stop=14, record_in=5), name="line 2"))
    session.save()
    session = MltSession(str(film))
    assert [(take.name, take.active) for take in session.takes(clip)] == [("line", False), ("line 2", True)]
    assert len(session.project.tracks) == (4 if film.suffix == ".kdenlive" else 3)
    assert session.list_clips() == [clip]


def test_worst_spans_are_guides_and_markers_of_the_editor_s_own_and_the_user_s_stay(film: Path, line: Any) -> None:
    session = MltSession(str(film))
    (clip,) = session.list_clips()
    before = film.read_text("utf-8").count("check hair")
    session.mark(clip, line.spans)
    session.mark(clip, line.spans[:1])
    session.save()
    text = film.read_text("utf-8")
    assert (text.count("check hair"), text.count("JULNet ±22: fast head turn")) == (before, 1)
    if film.suffix == ".kdenlive":
        (guides,) = re.findall(r'docproperties.guides">([^<]*)<', text)
        assert [(guide["pos"], guide["comment"]) for guide in json.loads(guides)] == [
            (3, "check hair"), (12, "JULNet ±22: fast head turn"),
        ]  # fmt: skip
    else:
        assert '<properties name="1"><property name="text">JULNet' in text
        assert '<property name="start">00:00:00.480</property>' in text


def test_a_kdenlive_project_with_sequences_gets_takes_and_guides_in_the_open_one(tmp_path: Path, line: Any) -> None:
    """Since 23.08 a timeline is a sequence, which has an id of its own, its own guides, and lies in the bin."""
    path, sequence = tmp_path / "film.kdenlive", "{0a8f2f4e-7c1b-4f3a-9d55-0c4b1a2e3d4f}"
    text = KDENLIVE.format(folder=tmp_path)
    known = '<property name="kdenlive:sequenceproperties.position">6</property>'
    text = text.replace('<tractor id="tractor4">', f'<tractor id="{sequence}">{known}')
    outer = (
        f'<tractor id="tractor9"><property name="kdenlive:projectTractor">1</property><track producer="{sequence}"/>'
    )
    bin_ = text[text.index(' <playlist id="main_bin">') : text.index(' <playlist id="playlist0">')]
    path.write_text(text.replace(bin_, "").replace("</mlt>", f"{bin_} {outer}</tractor>\n</mlt>"), "utf-8")
    session = MltSession(str(path))
    (clip,) = session.list_clips()
    session.place_take(clip, line)
    session.mark(clip, line.spans)
    session.save()
    session = MltSession(str(path))
    assert [(take.name, take.active) for take in session.takes(clip)] == [("line", True)]
    assert len(session.marks(clip)) == 2
    assert "JULNet ±22: fast head turn" in str(session.project.tractor.property("kdenlive:sequenceproperties.guides"))
    assert session.project.tractor.attributes["id"] == sequence


def test_a_take_goes_with_a_clip_that_was_trimmed_and_moved_since(film: Path, line: Any) -> None:
    session = MltSession(str(film))
    (clip,) = session.list_clips()
    session.place_take(clip, line)
    session.mark(clip, line.spans)
    session.save()
    text = film.read_text("utf-8")
    for entry in ('in="00:00:00.080" out="00:00:00.520" producer="chain0"', 'producer="chain0" in="00:00:00.080"'):
        text = text.replace(entry, entry.replace("080", "160"))
    film.write_text(text, "utf-8")
    session = MltSession(str(film))
    (now,) = session.list_clips()
    assert (now.source.start.index, now.id != clip.id) == (4, True)
    assert [(take.name, take.active, take.clip_id) for take in session.takes(now)] == [("line", True, now.id)]
    assert len(session.marks(now)) == 2
    session.select_take(now, session.takes(now)[0])
    entry = next(e for e in session.project.entries() if e.producer.attributes["id"] == "julnet_take_1")
    assert (entry.position, entry.first, entry.length) == (5, 4, len(now.record))


def test_the_matte_s_filter_names_a_file_that_is_there(film: Path, line: Any, make_matte: Any) -> None:
    """Shotcut looks for every file that a project names before it opens it."""
    session = MltSession(str(film))
    (clip,) = session.list_clips()
    session.attach_matte(session.place_take(clip, line), make_matte(line))
    (shape,) = [n for n in session.project.root.walk() if n.name == "filter" and n.property("mlt_service") == "shape"]
    assert Path(str(shape.property("resource"))).is_file()


def redub(*words: Any) -> int:
    return main(["redub", "--dub", "line.wav", "--no-plugins", *map(str, words)])


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch, line: Any) -> list[Any]:
    """The requests that would have been rendered; the take is there already."""
    asked: list[Any] = []

    def render(request: Any, manager: Any, console: Any) -> Take:
        asked.append(request)
        manifest = json.loads((Path(line.folder) / "take.json").read_text("utf-8"))
        return Take(path=Path(line.folder), manifest={"warnings": [], **manifest})

    monkeypatch.setattr("julnet_plugin.verbs.redub.render", render)
    return asked


def test_the_command_redubs_a_clip_of_a_project_and_writes_the_project_with_the_take(
    film: Path, rendered: list[Any], tmp_path: Path
) -> None:
    assert redub("--timeline", film, "--clip", "plate.mov", "-o", tmp_path / "t", "--handles", 1) == 0
    (request,) = rendered
    assert (request.plate, request.in_point, request.out_point) == (tmp_path / "plate.mov", "1", "15")
    assert request.dub_offset_s == pytest.approx(1 / 25)
    session = MltSession(str(film))
    (clip,) = session.list_clips()
    assert [take.name for take in session.takes(clip)] == ["line"]
    assert len(session.marks(clip)) == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--clip", "plat.mov"], "did you mean 'plate.mov'"),
        (["--clip", "plate.mov", "--place", "reference"], "leave out --place"),
        (["--clip", "plate.mov", "--deliver", "exr,matte-png"], "is no picture for an editor"),
        (["--clip", "plate.mov", "--timeline-out", "x.otio"], "choose a --timeline-out with ."),
        (["--clip", "plate.mov", "--timeline-out", "/nowhere/film{suffix}"], "is missing or read-only"),
    ],
)
def test_the_command_refuses_before_anything_is_rendered(
    film: Path, rendered: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    before = film.read_bytes()
    words = [word.format(suffix=film.suffix) for word in words]
    assert redub("--timeline", film, "-o", tmp_path / "t", *words) == 2
    assert said in capsys.readouterr().err
    assert (film.read_bytes(), rendered) == (before, [])


def test_a_project_that_was_saved_during_the_render_keeps_the_take_on_disk(
    film: Path, rendered: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import julnet_plugin.verbs.redub as verb

    first = verb.render

    def render(*words: Any) -> Take:
        film.write_text(film.read_text("utf-8") + "\n", "utf-8")
        return first(*words)

    monkeypatch.setattr(verb, "render", render)
    assert redub("--timeline", film, "--clip", "plate.mov", "-o", tmp_path / "t") == 2
    said = capsys.readouterr().err
    assert "saved by another program" in said
    assert "the take is finished and lies in" in said


def test_a_project_with_media_relative_to_itself_is_not_written_elsewhere(project: MltSession, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with pytest.raises(HostRefused, match="write it there"):
        project.save(str(tmp_path / "other" / "cut.mlt"))
    project.save(str(tmp_path / "copy.mlt"))
    assert (tmp_path / "copy.mlt").read_bytes() == (tmp_path / "cut.mlt").read_bytes()


@pytest.fixture
def sounding(tmp_path: Path, make_shot: Callable[..., Shot]) -> Callable[[str], Path]:
    """`sounding("film.kdenlive")`: a project whose clip has sound; in Kdenlive on a sound track, as it lays it."""
    make_shot(start=2, stop=14, record_in=5, sound=True)

    def make(name: str) -> Path:
        path, text = tmp_path / name, SHOTCUT
        if path.suffix == ".kdenlive":
            text = KDENLIVE.format(folder=tmp_path)
            known = '<property name="resource">plate.mov</property><property name="set.test_image">1</property>'
            chain = f' <chain id="chain1" out="00:00:00.600">{known}</chain>\n'
            text = text.replace(' <playlist id="playlist0">', f'{chain} <playlist id="playlist0">')
            track = '<property name="kdenlive:audio_track">1</property>'
            cut = '<blank length="00:00:00.200"/><entry in="00:00:00.080" out="00:00:00.520" producer="chain1"/>'
            text = text.replace(f"{track}</playlist>", f"{track}{cut}</playlist>", 1)
        mixed = (
            '<transition id="t0"><property name="a_track">0</property><property name="b_track">1</property>'
            '<property name="mlt_service">mix</property><property name="always_active">1</property>'
            '<property name="sum">1</property></transition>\n'
        )
        text = re.sub(r'(?m)^( +)(?=<transition id="transition1">)', rf"\g<1>{mixed}\g<1>", text)
        path.write_text(text, "utf-8")
        return path

    return make


@pytest.mark.parametrize("name", ["film.kdenlive", "film.mlt"])
def test_a_clip_s_own_sound_is_muted_as_its_editor_does_it_and_its_entry_comes_back_to_the_byte(
    sounding: Callable[[str], Path], make_take: Any, name: str
) -> None:
    path = sounding(name)
    before = [line for line in path.read_bytes().splitlines() if b"main_bin" not in line]
    session = MltSession(str(path))
    (clip,) = session.list_clips()
    shot = Shot(plate=Path(clip.path), frames=16, sound=True)
    session.place_take(clip, make_take(shot))
    session.save()
    text = path.read_text("utf-8")
    known = '"kdenlive_id">mute' if path.suffix == ".kdenlive" else '"shotcut:filter">muteVolume'
    assert text.count(known) == 1
    assert (("kdenlive:audio_track" if path.suffix == ".kdenlive" else "shotcut:audio") in text, clip) == (
        True,
        session.list_clips()[0],
    )
    session = MltSession(str(path))
    session.select_take(clip, None)
    session.save()
    after = path.read_bytes()
    assert [line for line in after.splitlines() if line in before] == before
    assert known.encode() not in after


@pytest.mark.skipif(bool(missing()), reason=missing())
@pytest.mark.parametrize("name", ["film.kdenlive", "film.mlt"])
def test_melt_plays_the_new_line_in_an_editor_s_project_and_music_goes_on(
    sounding: Callable[[str], Path], make_take: Any, tmp_path: Path, name: str
) -> None:
    bench = MltBench(tmp_path / "bench")
    bench.path = sounding(name)
    session = bench.reopen()
    (clip,) = session.list_clips()
    session.place_take(clip, make_take(Shot(plate=Path(clip.path), frames=16, sound=True)))
    bench.hear(session, clip.record, tmp_path / "heard.wav")
    assert heard_hz(tmp_path / "heard.wav", float(len(clip.record) / 25)) == {DUB_HZ}
    text = bench.path.read_text(
        "utf-8"
    )  # the same sound once more, from elsewhere in the medium: it is not the clip's own
    track = "playlist1" if name == "film.kdenlive" else "background"
    cut = '<blank length="00:00:00.200"/><entry producer="music" in="00:00:00.000" out="00:00:00.440"/>'
    medium = (
        '<producer id="music"><property name="length">16</property><property name="resource">plate.mov</property>'
        '<property name="mlt_service">avformat</property></producer>'
    )
    text = re.sub(rf'(<playlist id="{track}">)(.*?)(</playlist>)', rf"{medium}\1{cut}\3", text, count=1)
    bench.path.write_text(text, "utf-8")
    session = bench.reopen()
    session.select_take(clip, session.takes(clip)[0])
    bench.hear(session, clip.record, tmp_path / "both.wav")
    assert heard_hz(tmp_path / "both.wav", float(len(clip.record) / 25)) == {PLATE_HZ, DUB_HZ}


ODD = """\ufeff<?xml version="1.0" encoding="utf-8"?>
<!-- saved by hand: <tractor> &nothing; -->
<?editor keep="this"?>
<mlt LC_NUMERIC="C" version="7.12.0" producer="main" title='a > b &amp; "c"'>
  <profile width="64" height="48" frame_rate_num="25" frame_rate_den="1" progressive="1" sample_aspect_num="1"
           sample_aspect_den="1" display_aspect_num="4" display_aspect_den="3" colorspace="601"/>
  <consumer mlt_service="null" in="0" out="3"/>
  <producer id="plate"><property name="length">16</property><property name="resource"><![CDATA[plate.mov]]></property>
    <property name="note">&#228; &lt;entry/&gt;</property><property name="mlt_service">avformat</property>
    <unknown><deep a='1>2'/></unknown></producer>
  <producer id="red"><property name="resource">red</property><property name="mlt_service">color</property></producer>
  <playlist id="inner"><blank length="1"/><entry producer="red" in="0" out="2"/></playlist>
  <tractor id="nested" in="0" out="3"><multitrack><track producer="inner"/></multitrack></tractor>
  <playlist id="V1"><!-- <entry producer="plate"/> --><blank length="2"/><entry producer="nested" in="0" out="2"/>
    <entry  producer="plate"  in="2"  out="13" ><filter><property name="mlt_service">brightness</property>
      <property name="level"><![CDATA[1]]></property></filter>
      <filter id="f&apos;1"><property name="mlt_service">someone.elses</property></filter></entry>
    <blank length="3"/></playlist>
  <tractor id="main"><multitrack><track producer="V1"/></multitrack><!-- the end --></tractor>
</mlt>
<!-- after the end -->
"""


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("sound", [False, True])
def test_whatever_a_project_holds_stays_byte_for_byte(
    tmp_path: Path, make_shot: Any, make_take: Any, make_matte: Any, newline: str, sound: bool
) -> None:
    """A byte order mark, comments, CDATA, entities, unknown elements and filters, a nested timeline, a consumer."""
    shot = make_shot(start=2, stop=14, record_in=5, sound=sound)
    path = tmp_path / "odd.mlt"
    path.write_bytes(ODD.replace("\n", newline).encode())
    before = path.read_bytes()
    session = MltSession(str(path))
    (clip,) = session.list_clips()
    assert (Path(clip.path), clip.source, clip.record.start.index) == (shot.plate, SourceRange.of(2, 14), 5)
    take = make_take(shot)
    session.attach_matte(session.place_take(clip, take), make_matte(take))
    session.mark(clip, take.spans)
    session.save()
    session = MltSession(str(path))
    session.select_take(clip, None)
    session.save()
    bare = MltSession(str(path))
    edits = Edits(bare.project.data)
    remove_ours(bare.project, edits)
    assert edits.apply() == before


@pytest.mark.skipif(bool(missing()), reason=missing())
def test_melt_renders_the_take_in_a_project_of_odd_things(tmp_path: Path, make_shot: Any, make_take: Any) -> None:
    shot = make_shot(start=2, stop=14, record_in=5)
    (tmp_path / "odd.mlt").write_text(ODD, "utf-8")
    session = MltSession(str(tmp_path / "odd.mlt"))
    (clip,) = session.list_clips()
    session.place_take(clip, make_take(shot))
    luma = planes_of(Path(session.render(clip.record, str(tmp_path / "out"))))[0].astype(int)
    session.select_take(clip, None)
    plate = planes_of(Path(session.render(clip.record, str(tmp_path / "plain"))))[0].astype(int)
    assert np.abs(luma + plate - 251).max() <= 2  # the dub is the plate's negative: 16 + 235
