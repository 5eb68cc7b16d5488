"""What is Nuke's own: the fake against the published stubs, the tree, colour spaces, TCL, the node, headless."""

from __future__ import annotations

import ast
import importlib.metadata
import inspect
import json
import sys
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import fake_nuke
import numpy as np
import OpenEXR
import pytest
from bench import pictures_of
from bench_nuke import FIRST, NukeBench, make
from fake_nuke import ProgressTask

from host_adapters.base import (
    ClipRefused,
    FinishedTake,
    HostGone,
    HostRefused,
    MatteFile,
    MediaMissing,
    SourceRange,
    read_take,
    refuse_retimed,
)
from host_adapters.nuke import headless, menu, nodes
from host_adapters.nuke.session import NukeSession
from host_adapters.values import replace
from host_adapters.worker_client import WorkerClient

MakeTake = Callable[..., FinishedTake]


@pytest.fixture(scope="module")
def stubs() -> tuple[set[str], dict[str, set[str]]]:
    """Functions of the module, and methods of its classes with those that they inherit."""
    try:
        files = importlib.metadata.files("types-nuke") or []
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("types-nuke is not installed")
    path = next(file.locate() for file in files if file.name == "_nuke.pyi")
    body = ast.parse(Path(str(path)).read_text("utf-8")).body
    functions = {node.name for node in body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    threads = {"executeInMainThread", "executeInMainThreadWithResult"}  # of nuke.executeInMain
    methods = {
        cls.name: {node.name for node in cls.body if isinstance(node, ast.FunctionDef)}
        for cls in body
        if isinstance(cls, ast.ClassDef)
    }
    return functions | threads, methods


def public(cls: type) -> set[str]:
    return {name for name in vars(cls) if not name.startswith("_")}


def test_the_fake_has_nothing_that_nuke_lacks(stubs: Any) -> None:
    functions, methods = stubs
    assert set(fake_nuke.FUNCTIONS) <= functions
    assert public(fake_nuke.Node) <= methods["Node"]
    assert public(fake_nuke.Knob) <= methods["Knob"]
    assert public(ProgressTask) - {"cancelled", "said"} <= methods["ProgressTask"]
    kinds = {"String_Knob", "File_Knob", "Double_Knob", "Int_Knob", "Tab_Knob", "Text_Knob", "PyScript_Knob", "Layer"}
    assert kinds | {"Enumeration_Knob"} <= functions


Signature = tuple[list[str], int, bool]  #: names of arguments, how many are needed, whether any may follow


def signatures() -> dict[str, list[Signature]]:
    """Of every function and method in the stubs, by "name" or "Class.name"; several where it is overloaded."""
    found: dict[str, list[Signature]] = {}
    for file in importlib.metadata.files("types-nuke") or []:
        if file.suffix != ".pyi":
            continue
        for node in ast.parse(Path(str(file.locate())).read_text("utf-8")).body:
            methods = node.body if isinstance(node, ast.ClassDef) else [node]
            for method in methods:
                if isinstance(method, ast.FunctionDef):
                    owner = f"{node.name}." if isinstance(node, ast.ClassDef) else ""
                    names = [argument.arg for argument in method.args.args][1 if owner else 0 :]
                    needed = len(names) - len(method.args.defaults)
                    found.setdefault(owner + method.name, []).append((names, needed, method.args.vararg is not None))
    return found


def test_the_fake_takes_the_arguments_that_nuke_takes(stubs: Any) -> None:
    theirs = signatures()
    ours = {name: getattr(fake_nuke.Nuke, name) for name in fake_nuke.FUNCTIONS}
    for cls in (fake_nuke.Node, fake_nuke.Knob, ProgressTask):
        ours |= {f"{cls.__name__}.{name}": vars(cls)[name] for name in public(cls) if callable(vars(cls)[name])}
    for name, function in ours.items():
        names = list(inspect.signature(function).parameters)[1:]
        fits = [more or (names == known[: len(names)] and len(names) >= n) for known, n, more in theirs[name]]
        assert any(fits), (name, names, theirs[name])


def test_the_adapter_calls_nothing_that_nuke_lacks(stubs: Any) -> None:
    functions, methods = stubs
    known = functions | {"env", "nodes"}
    for file in Path(nodes.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("nuke", "self._nuke"):
                assert node.attr in known, f"{file.name}: nuke.{node.attr}"
    assert {"addCommand", "addMenu"} <= methods["Menu"]


@pytest.fixture
def bench(tmp_path: Path) -> NukeBench:
    return make(tmp_path / "project")


@pytest.fixture
def shot(make_shot: Callable[..., Any]) -> Any:
    return make_shot(start=2, stop=14, record_in=5)


@pytest.mark.parametrize(
    ("misuse", "error"),
    [
        (lambda nuke, read: nuke.nodes.Blurr(), RuntimeError),
        (lambda nuke, read: read["colourspace"], NameError),
        (lambda nuke, read: read["first"].setValue("1"), TypeError),
        (lambda nuke, read: read["frame_mode"].setValue("begin at"), ValueError),
        (lambda nuke, read: read.setName("2nd read"), ValueError),
        (lambda nuke, read: nuke.execute(read, 1, 2), RuntimeError),
    ],
)
def test_what_nuke_refuses_the_fake_refuses(bench: NukeBench, shot: Any, misuse: Any, error: type) -> None:
    bench.open(shot)
    with pytest.raises(error):
        misuse(bench.nuke, bench.nuke.toNode("Read1"))
    assert not bench.nuke.toNode("Read1").setInput(0, bench.nuke.toNode("NoOp1"))


def test_what_hung_on_the_plate_shows_the_take_and_hangs_on_the_plate_again_after_undo(
    bench: NukeBench, shot: Any, make_take: MakeTake
) -> None:
    session = bench.open(shot)
    before = bench.app.text()
    session.place_take(session.selection()[0], make_take(shot))
    behind = bench.nuke.toNode("NoOp1").input(0)
    assert (behind.Class(), behind["which"].value(), behind.input(0).name()) == ("Switch", 1, "Read1")
    session.undo()
    assert bench.app.text() == before


def test_reads_of_the_take_have_the_plate_s_colour_space_and_mattes_are_raw(
    bench: NukeBench, shot: Any, make_take: MakeTake, make_matte: Callable[..., MatteFile]
) -> None:
    session = bench.open(shot)
    take = make_take(shot)
    ref = session.place_take(session.selection()[0], take)
    session.attach_matte(ref, make_matte(take))
    dub, matte = bench.nuke.toNode(ref.id), bench.nuke.toNode(f"{ref.id}_matte")
    assert (dub["colorspace"].value(), dub["raw"].value(), matte["raw"].value()) == ("rec709", False, True)


def test_a_take_with_layers_brings_sigma_into_the_stream(bench: NukeBench, shot: Any, make_take: MakeTake) -> None:
    session = bench.open(shot)
    take = with_layers(make_take(shot))
    folder = Path(take.folder)
    (clip,) = session.selection()
    ref = session.place_take(clip, take)
    image = bench.app.image(bench.nuke.toNode("Read1_takes"), FIRST + 5)
    assert image["uncertainty.sigma"].max() == pytest.approx(0.02, abs=1e-6)
    assert np.array_equal(np.rint(image["rgba.red"] * 255), pictures_of(take.picture)[2][..., 0])
    session.attach_matte(ref, MatteFile(str(folder / "exr" / "layers.######.exr"), "plate"))
    mixed = bench.app.image(bench.nuke.toNode("Read1_takes"), FIRST + 5)["rgba.red"]
    plate, dub = pictures_of(str(shot.plate))[2][..., 0] / 255, pictures_of(take.picture)[2][..., 0] / 255
    np.testing.assert_allclose(mixed, dub + (plate - dub) * 0.02, atol=1e-6)
    session.undo()
    session.undo()
    assert {node.Class() for node in bench.nuke.allNodes()} == {"Read", "NoOp"}


def test_the_touched_up_matte_is_numbered_as_the_matte(
    bench: NukeBench, shot: Any, make_take: MakeTake, make_matte: Callable[..., MatteFile]
) -> None:
    session = bench.open(shot)
    take = make_take(shot, start=1, stop=15)
    matte = session.attach_matte(session.place_take(session.selection()[0], take), make_matte(take))
    assert session.read_matte(matte) == matte.path
    bench.paint(matte, 2, (40, 10, 52, 20), white=True)
    session.read_matte(matte)
    files = sorted(path.name for path in (Path(take.folder) / "edited").iterdir())
    assert files == [f"matte.{number:06d}.png" for number in range(1, 15)]


@pytest.mark.parametrize("expression", ["frame/2+3", "1000-frame", "frame*frame", "int(frame)", "x", "frame +"])
def test_reads_that_an_expression_drives_are_refused(bench: NukeBench, shot: Any, expression: str) -> None:
    session = bench.open(shot)
    read = bench.nuke.toNode("Read1")
    read["frame_mode"].setValue("expression")
    read["frame"].setValue(expression)
    with pytest.raises(ClipRefused, match="a clip at 100 % is needed"):
        refuse_retimed(session.list_clips()[0])


def test_an_offset_is_no_retime(bench: NukeBench, shot: Any) -> None:
    session = bench.open(shot)
    read = bench.nuke.toNode("Read1")
    read["frame_mode"].setValue("expression")
    read["frame"].setValue(f"frame - {FIRST + 5} + 3")
    (clip,) = session.list_clips()
    refuse_retimed(clip)
    assert (clip.record.start.index, clip.source) == (5, SourceRange.of(2, 14))


def test_a_file_name_that_is_computed_is_refused(bench: NukeBench, shot: Any) -> None:
    session = bench.open(shot)
    bench.nuke.toNode("Read1")["file"].setValue("[getenv SHOT]/plate.mov")
    with pytest.raises(ClipRefused, match="computes its file name"):
        session.list_clips()


def test_a_sequence_is_read_with_its_own_numbers(bench: NukeBench, shot: Any) -> None:
    session = bench.open(shot)
    read = bench.nuke.toNode("Read1")
    for knob, value in {"first": 1003, "last": 1010, "origfirst": 1001, "origlast": 1020}.items():
        read[knob].setValue(value)
    read["file"].setValue("//server/share/my plates/shot.%04d.exr")
    (clip,) = session.list_clips()
    assert (clip.path, clip.first_number) == ("//server/share/my plates/shot.####.exr", 1001)
    assert (clip.source, clip.media) == (SourceRange.of(2, 10), SourceRange.of(0, 20))


def test_a_take_that_nuke_does_not_connect_leaves_the_script_as_it_was(
    bench: NukeBench, shot: Any, make_take: MakeTake, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = bench.open(shot)
    before = bench.app.text()
    monkeypatch.setitem(fake_nuke.INPUTS, "Switch", 1)
    with pytest.raises(HostRefused, match="did not connect"):
        session.place_take(session.selection()[0], make_take(shot))
    assert bench.app.text() == before


def test_a_node_that_was_deleted_meanwhile_is_said(bench: NukeBench, shot: Any, make_take: MakeTake) -> None:
    session = bench.open(shot)
    (clip,) = session.selection()
    ref = session.place_take(clip, make_take(shot))
    bench.nuke.delete(bench.nuke.toNode(ref.id))
    assert session.takes(clip) == []
    session.undo()
    bench.nuke.delete(bench.nuke.toNode("Read1"))
    with pytest.raises(HostGone, match="Read1 is not in the script any more"):
        session.place_take(clip, make_take(shot, name="again"))


def test_a_script_without_a_name_is_not_saved(bench: NukeBench) -> None:
    with pytest.raises(HostRefused, match="save it once in Nuke"):
        NukeSession(bench.nuke).save()


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Callable[[str], WorkerClient]]:
    """A client whose worker is a script that is given `job`."""
    made: list[WorkerClient] = []

    def use(script: str) -> WorkerClient:
        path = tmp_path / "worker.py"
        head = (
            "import json, os, sys\nsay = lambda **e: print(json.dumps(e), flush=True)\nsay(event='ready', protocol=1)\n"
        )
        path.write_text(head + "job = json.loads(sys.stdin.readline())\n" + script)
        made.append(WorkerClient([sys.executable, "-S", "-E", str(path)]))
        return made[-1]

    yield use
    for one in made:
        one.close(5)


def renders(take: FinishedTake) -> str:
    """A worker that takes a ready take for what it rendered."""
    return (
        "folder = job['request']['take_dir']\n"
        "say(event='progress', id=job['id'], stage='render', done=3, total=12)\n"
        f"os.makedirs(os.path.dirname(folder), exist_ok=True), os.rename({take.folder!r}, folder)\n"
        "say(event='result', id=job['id'], take=folder + '/take.json')\nsys.stdin.read()\n"
    )


def test_the_node_has_knobs_that_become_wishes(bench: NukeBench, shot: Any) -> None:
    bench.open(shot)
    group = nodes.create(bench.nuke)
    group["julnet_dub"].setValue("/dubs/my line.wav")
    group["julnet_offset"].setValue(0.5)
    group["julnet_quality"].setValue("movie and EXR layers")
    wishes = nodes.wishes_of(group)
    assert (wishes.dub, wishes.offset_s, wishes.face, wishes.model) == ("/dubs/my line.wav", 0.5, "auto", "rt")
    assert wishes.deliver == ("prores", "exr")
    assert wishes.settings == {"matte.low_cv": 8.0, "matte.high_cv": 32.0, "matte.gamma": 1.0}


def test_render_runs_out_of_process_with_nuke_s_own_progress(
    bench: NukeBench, shot: Any, make_take: MakeTake, make_sound: Any, client: Any
) -> None:
    session = bench.open(shot)
    bench.app.env["gui"] = True
    group = nodes.create(bench.nuke)
    group.setInput(0, bench.nuke.toNode("NoOp1"))
    group["julnet_dub"].setValue(str(make_sound("line.wav")))
    began = time.monotonic()
    redub = nodes.render(group, bench.nuke, client(renders(make_take(shot, name="made"))))
    assert time.monotonic() - began < 0.5, "the button returns at once"
    assert redub is not None
    for _ in range(200):
        if group["julnet_status"].value():
            break
        time.sleep(0.05)
    assert group["julnet_status"].value() == "Read1 line is placed"
    assert ("Read1 line is placed", 100) in ProgressTask.said
    (take,) = session.takes(session.list_clips()[0])
    assert take.active


def test_cancel_in_nuke_s_progress_bar_stops_the_worker(
    bench: NukeBench, shot: Any, make_sound: Any, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.open(shot)
    bench.app.env["gui"] = True
    monkeypatch.setattr(ProgressTask, "cancelled", True)
    group = nodes.create(bench.nuke)
    group.setInput(0, bench.nuke.toNode("Read1"))
    group["julnet_dub"].setValue(str(make_sound("line.wav")))
    stops = "assert json.loads(sys.stdin.readline())['job'] == job['id']\n"
    stops += "say(event='error', id=job['id'], type='RedubCancelled', message='stopped')\nsys.stdin.read()\n"
    nodes.render(group, bench.nuke, client(stops))
    for _ in range(200):
        if group["julnet_status"].value():
            break
        time.sleep(0.05)
    assert group["julnet_status"].value() == "Stopped"


def test_a_node_on_nothing_says_so(bench: NukeBench, shot: Any) -> None:
    bench.open(shot)
    group = nodes.create(bench.nuke)
    assert nodes.render(group, bench.nuke, WorkerClient([])) is None
    assert "hangs on no Read" in group["julnet_status"].value()


def test_a_take_is_redubbed_and_the_script_saved_without_a_window(
    bench: NukeBench, shot: Any, make_take: MakeTake, make_sound: Any, client: Any, tmp_path: Path
) -> None:
    bench.open(shot)
    out, dub = tmp_path / "out.nk", make_sound("line.wav")
    worker = client(renders(make_take(shot, name="made")))
    takes = str(tmp_path / "takes of mine")
    words = [str(bench.script), "Read1", str(dub), str(out), "--takes", takes, "--range", f"{FIRST + 5}-{FIRST + 9}"]
    assert headless.main(words, bench.nuke, worker) == 0
    bench.nuke.scriptOpen(str(out))
    session = NukeSession(bench.nuke)
    (take,) = session.takes(session.list_clips()[0])
    assert Path(take.folder).parent == Path(takes)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["a.nk"], "usage"),
        (["a.nk", "R", "d", "o", "--size", "1"], "usage"),
        (["a.nk", "R", "d", "o", "--range", "7"], "usage"),
        (["a.nk", "R", "d", "o", "--offset", "soon"], "usage"),
        (["gone.nk", "R", "d", "o"], "no such file"),
    ],
)
def test_headless_refuses_with_a_sentence(
    bench: NukeBench, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert headless.main(words, bench.nuke, WorkerClient([])) == 2
    assert said in capsys.readouterr().err


def test_headless_names_a_read_that_is_not_there(
    bench: NukeBench, shot: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.open(shot)
    assert headless.main([str(bench.script), "Read7", "d", "o"], bench.nuke, WorkerClient([])) == 2
    assert "no Read called Read7" in capsys.readouterr().err


def test_the_menu_s_commands_are_python_that_runs(bench: NukeBench, shot: Any, make_take: MakeTake) -> None:
    session = bench.open(shot)
    (clip,) = session.selection()
    session.place_take(clip, make_take(shot))
    menu.start_up(bench.nuke)
    for _, command in bench.app.commands:
        compile(command, "menu", "exec")
    menu.show_next(bench.nuke)
    assert [take.active for take in session.takes(clip)] == [False]
    menu.show_next(bench.nuke)
    assert [take.active for take in session.takes(clip)] == [True]
    menu.show_original(bench.nuke)
    assert [take.active for take in session.takes(clip)] == [False]


def test_the_menu_places_a_finished_take_and_hands_its_touched_up_matte_back(
    bench: NukeBench, shot: Any, make_take: MakeTake, make_matte: Callable[..., MatteFile], client: Any, tmp_path: Path
) -> None:
    session = bench.open(shot)
    (clip,) = session.selection()
    take = make_take(shot, start=1, stop=15)
    bench.app.chosen = None
    menu.place(bench.nuke)
    assert session.takes(clip) == []
    bench.app.chosen = str(Path(take.folder) / "take.json")
    menu.place(bench.nuke)
    (ref,) = session.takes(clip)
    assert len(session.marks(clip)) == 2
    worker = client(
        f"open({str(tmp_path / 'asked')!r}, 'w').write(json.dumps(job))\n"
        "say(event='result', id=job['id'])\nsys.stdin.read()\n"
    )
    assert nodes.hand_matte_back(bench.nuke, worker) is None
    assert "has no matte" in bench.app.printed[-1]
    bench.paint(session.attach_matte(ref, make_matte(take)), 2, (40, 10, 52, 20), white=True)
    job = nodes.hand_matte_back(bench.nuke, worker)
    assert job is not None
    assert job.status.sentence == "the painted matte is part of line now"
    asked = json.loads((tmp_path / "asked").read_text())
    assert (asked["verb"], asked["override_start"]) == ("matte", 1)
    assert asked["override"].endswith("matte.######.png")
    bench.nuke.toNode("NoOp1").setSelected(False)
    bench.nuke.toNode("Read1").setSelected(False)
    menu.place(bench.nuke)
    assert "0 clips are selected and one is needed" in bench.app.printed[-1]


def test_one_control_z_takes_a_take_back_and_our_own_undo_does_no_harm(
    bench: NukeBench, shot: Any, make_take: MakeTake
) -> None:
    session = bench.open(shot)
    (clip,) = session.selection()
    before = bench.app.text()
    session.place_take(clip, make_take(shot))
    bench.nuke.Undo.undo()
    assert bench.app.text() == before
    session.undo()
    assert (bench.app.text(), session.takes(clip)) == (before, [])


@pytest.mark.parametrize(("wanted", "frames"), [("script range", (9, 14)), ("frames", (4, 7))])
def test_a_take_of_a_part_shows_the_plate_elsewhere(
    bench: NukeBench, shot: Any, make_take: MakeTake, make_matte: Callable[..., MatteFile], tmp_path: Path,
    wanted: str, frames: tuple[int, int],
) -> None:  # fmt: skip
    session = bench.open(shot)
    (whole,) = session.selection()
    group = nodes.create(bench.nuke)
    group.setInput(0, bench.nuke.toNode("Read1"))
    assert nodes.asked_of(session, group) == whole
    group["julnet_range"].setValue(wanted)
    group["julnet_first"].setValue(FIRST + 5 + 2)
    group["julnet_last"].setValue(FIRST + 5 + 4)
    if wanted == "script range":
        bench.nuke.root()["first_frame"].setValue(FIRST + 5 + 7)
        session = NukeSession(bench.nuke)
    clip = nodes.asked_of(session, group)
    assert clip.source == SourceRange.of(*frames)
    take = make_take(shot, start=frames[0], stop=frames[1])
    ref = session.place_take(clip, take)
    session.attach_matte(ref, make_matte(take, enabled=False))
    session.save()
    session = NukeSession(bench.nuke)
    bench.nuke.root()["first_frame"].setValue(FIRST)
    got = pictures_of(session.render(whole.record, str(tmp_path / "out")))
    expected = pictures_of(str(shot.plate))[2:14]
    expected[frames[0] - 2 : frames[1] - 2] = pictures_of(take.picture)
    assert np.array_equal(got, expected)
    session.undo()


def test_a_range_beside_the_clip_is_refused_with_a_sentence(bench: NukeBench, shot: Any) -> None:
    session = bench.open(shot)
    with pytest.raises(ClipRefused, match=f"lies on frames {FIRST + 5} to {FIRST + 16} and 1 to 20 are asked for"):
        session.narrowed(session.selection()[0], 1, 20)


def test_a_plate_in_exr_gets_the_take_s_layers_merged_over_it_in_its_own_values(
    bench: NukeBench, shot: Any, make_take: MakeTake, tmp_path: Path
) -> None:
    """A movie holds what a display shows; read in the plate's scene-linear space it would be another picture."""
    session = bench.open(shot)
    (tmp_path / "seq").mkdir()
    for number in range(1, 17):
        plane = np.full((48, 64), 4.5 * number, np.float32)  # beyond what a movie holds
        OpenEXR.File({}, dict.fromkeys("RGB", plane)).write(str(tmp_path / "seq" / f"p.{number:04d}.exr"))
    read = bench.nuke.toNode("Read1")
    read["file"].setValue(str(tmp_path / "seq" / "p.%04d.exr"))
    read["colorspace"].setValue("scene_linear")
    (clip,) = session.list_clips()
    take = make_take(shot)
    with pytest.raises(HostRefused, match="needs the take's EXR layers: deliver exr"):
        session.place_take(clip, take)
    assert session.takes(clip) == []
    take = with_layers(take)
    ref = session.place_take(clip, take)
    patch = bench.nuke.toNode(ref.id)
    assert (patch["colorspace"].value(), patch["premultiplied"].value()) == ("scene_linear", True)
    image = bench.app.image(bench.nuke.toNode("Read1_takes"), FIRST + 5)
    alpha, number = 2 / 100, 3
    np.testing.assert_allclose(image["rgba.red"], 2 / 100 + 4.5 * number * (1 - alpha), rtol=1e-5)
    assert image["uncertainty.sigma"].max() == pytest.approx(0.02, abs=1e-6)
    before = {node.name() for node in bench.nuke.allNodes()}
    session.undo()
    assert before - {node.name() for node in bench.nuke.allNodes()} >= {ref.id, f"{ref.id}_over", f"{ref.id}_sigma"}


def test_a_take_with_nothing_but_layers_is_merged_over_any_plate(
    bench: NukeBench, shot: Any, make_take: MakeTake
) -> None:
    session = bench.open(shot)
    take = with_layers(make_take(shot), only=True)
    read = read_take(take.folder, patches=True)
    session.place_take(session.selection()[0], read)
    assert bench.nuke.toNode("Read1_take_over").Class() == "Merge2"
    with pytest.raises(MediaMissing, match="deliver one of these"):
        read_take(take.folder)


def test_an_exr_plate_asks_for_layers_whatever_the_node_says(bench: NukeBench, shot: Any) -> None:
    session = bench.open(shot)
    group = nodes.create(bench.nuke)
    group["julnet_colour"].setValue("ACEScct")
    wishes = nodes.wishes_of(group)
    (clip,) = session.selection()
    assert (wishes.colour_space, nodes.fitting(wishes, clip).deliver) == ("ACEScct", ("prores",))
    assert nodes.fitting(wishes, replace(clip, path="/p/s.####.EXR")).deliver == ("prores", "exr")


def with_layers(take: FinishedTake, only: bool = False) -> FinishedTake:
    """A take with EXR layers too: frame n is n/100 in every channel."""
    folder = Path(take.folder)
    (folder / "exr").mkdir()
    for number in range(16):
        plane = np.full((48, 64), number / 100, np.float32)
        channels = dict.fromkeys(["R", "G", "B", "A", "uncertainty.sigma", "uncertainty.matte"], plane)
        OpenEXR.File({}, channels).write(str(folder / "exr" / f"layers.{number:06d}.exr"))
    manifest = json.loads((folder / "take.json").read_text("utf-8"))
    manifest["files"] = {**({} if only else manifest["files"]), "exr": "exr/layers.######.exr"}
    (folder / "take.json").write_text(json.dumps(manifest), "utf-8")
    return take


def test_the_rate_of_a_movie_is_its_own_whatever_the_script_s(bench: NukeBench, make_shot: Callable[..., Any]) -> None:
    (clip,) = bench.open(make_shot(start=2, stop=14, rate=Fraction(30000, 1001))).list_clips()
    assert (clip.source_rate, clip.record_rate) == (Fraction(30000, 1001), Fraction(25))
