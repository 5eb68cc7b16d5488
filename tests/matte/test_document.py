from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from julnet_plugin.errors import InputError, SettingsError
from julnet_plugin.matte import edits
from julnet_plugin.matte.document import MatteDocument, load_document, parse_document, save_document
from julnet_plugin.matte.edits import History
from julnet_plugin.matte.keyframes import INTERPOLATIONS, Curve, Key
from julnet_plugin.matte.settings import (
    DRIVE_MODES,
    PARAMETERS,
    Drive,
    DriveRange,
    MatteSettings,
    parse_level,
)
from julnet_plugin.matte.strokes import STROKE_KINDS, Shape, Stroke

frames = st.integers(0, 500)
points = st.tuples(st.floats(-50, 400), st.floats(-50, 450), st.floats(0, 1))


@st.composite
def strokes(draw):
    at = sorted(draw(st.sets(frames, min_size=1, max_size=3)))
    return Stroke(
        id=draw(st.sampled_from(["", "s1", "s7", "lip"])),
        kind=draw(st.sampled_from(STROKE_KINDS)),
        shapes=tuple(Shape(frame=f, points=tuple(draw(st.lists(points, min_size=1, max_size=5)))) for f in at),
        start=draw(frames),
        stop=draw(frames),
        size_px=draw(st.floats(0, 200)),
        hardness=draw(st.floats(0, 1)),
        opacity=draw(st.floats(0, 1)),
        fade_in=draw(st.integers(0, 9)),
        fade_out=draw(st.integers(0, 9)),
        clone_offset=draw(st.integers(-9, 9)),
        filled=draw(st.booleans()),
    )


@st.composite
def edits_of(draw):
    """One edit, as a function from document to document."""
    parameter = PARAMETERS[draw(st.sampled_from(sorted(PARAMETERS)))]
    value = draw(st.floats(parameter.low, parameter.high))
    key = Key(frame=draw(frames), value=value, interpolation=draw(st.sampled_from(INTERPOLATIONS)))
    stroke, frame = draw(strokes()), draw(frames)
    choice = draw(st.integers(0, 7))
    if choice == 0:
        return lambda d: edits.set_value(d, parameter.name, value)
    if choice == 1:
        return lambda d: edits.set_key(d, parameter.name, key)
    if choice == 2:
        return lambda d: edits.remove_key(d, parameter.name, frame)
    if choice == 3:
        return lambda d: edits.copy_to_next(d, frame)
    if choice == 4:
        return lambda d: edits.hold_frame(d, frame, frame, frame + 5)
    if choice == 5:
        return lambda d: edits.remove_stroke(d, d.strokes[0].id) if d.strokes else d
    return lambda d: edits.add_stroke(d, stroke)


@st.composite
def documents(draw):
    document = MatteDocument(
        drive=Drive(
            mode=draw(st.sampled_from(DRIVE_MODES)),
            amount=Curve(draw(st.floats(0, 1))),
            reference_frame=draw(st.none() | frames),
            ranges=tuple(
                DriveRange(start=draw(frames), stop=draw(frames), mode=draw(st.sampled_from(DRIVE_MODES)))
                for _ in range(draw(st.integers(0, 2)))
            ),
        )
    )
    for edit in draw(st.lists(edits_of(), max_size=5)):
        document = edit(document)
    return document


@given(document=documents())
def test_saving_and_loading_gives_the_same_document(document):
    assert parse_document(json.dumps(document.to_json())) == document


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=25)
@given(document=documents())
def test_a_file_on_disk_gives_the_same_document(document, tmp_path):
    save_document(tmp_path / "strokes.json", document)
    assert load_document(tmp_path / "strokes.json") == document
    assert [p.name for p in tmp_path.iterdir()] == ["strokes.json"]


@given(document=documents(), frame=frames)
def test_parameters_commute_with_saving_and_loading(document, frame):
    """Evaluate then save, or save, load and evaluate: the same numbers, and the same edit gives the same document."""
    loaded = parse_document(json.dumps(document.to_json()))
    assert loaded.settings.at(frame) == document.settings.at(frame)
    assert loaded.drive.at(frame) == document.drive.at(frame)
    key = Key(frame=frame, value=7.5)
    then = parse_document(json.dumps(edits.set_key(document, "low_cv", key).to_json()))
    assert then == edits.set_key(loaded, "low_cv", key)


@given(document=documents(), changes=st.lists(edits_of(), min_size=1, max_size=6))
def test_undo_after_do_is_the_identity_and_redo_brings_everything_back(document, changes):
    history = History(document=document)
    states = [document]
    for change in changes:
        history = history.do(change(history.document))
        states.append(history.document)
    for state in reversed(states):
        assert history.document is state
        history = history.undo()
    for state in states:
        assert history.document is state
        history = history.redo()


def test_a_new_edit_forgets_what_was_undone():
    history = History(document=MatteDocument())
    history = history.do(edits.set_value(history.document, "gamma", 2)).undo()
    history = history.do(edits.set_value(history.document, "gamma", 3))
    assert history.redo() is history


def test_a_newer_minor_version_opens_and_loses_nothing():
    values = MatteDocument(strokes=(line(),)).to_json()
    values |= {"version": "1.7", "lighting": {"sun": [1, 2]}}
    values["settings"] |= {"sparkle_px": {"keys": [], "tangent": 3}, "gamma": 2}
    values["drive"]["ease"] = "slow"
    values["strokes"][0]["texture"] = "paper"
    again = parse_document(json.dumps(parse_document(json.dumps(values)).to_json())).to_json()
    assert again == values


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not valid JSON"),
        ("[1, 2]", "instead of an object"),
        ("{}", "not a matte file"),
        ('{"schema": "other"}', "not a matte file"),
        ('{"schema": "julnet.matte", "version": "2.0"}', "version 2.0"),
        ('{"schema": "julnet.matte", "version": "soon"}', "not a version"),
        ('{"schema": "julnet.matte", "version": 1.0}', "text is needed"),
        ('{"schema": "julnet.matte", "settings": {"gamma": "wide"}}', "settings.gamma is 'wide', but a number from"),
        ('{"schema": "julnet.matte", "settings": {"gamma": NaN}}', "not valid JSON"),
        ('{"schema": "julnet.matte", "settings": {"gamma": 1e999}}', "settings.gamma is inf"),
        ('{"schema": "julnet.matte", "settings": {"low_cv": {"keys": [{"frame": 1.5, "value": 1}]}}}', "whole frame"),
        ('{"schema": "julnet.matte", "strokes": [{"kind": "add", "start": 0, "stop": 5}]}', "no shapes"),
        ('{"schema": "julnet.matte", "strokes": [7]}', "strokes[0] is 7, but an object is needed"),
        ('{"schema": "julnet.matte", "drive": {"mode": "explode"}}', "one of flag, hold_plate, hold_reference"),
        ("[" * 100_000, "matte file"),
        ('{"schema": "julnet.matte", "holds": [{"start": ' + "9" * 5000 + "}]}", "matte file"),
        (b"\xff\xfe\x00", "matte file"),
    ],
)  # fmt: skip
def test_garbage_is_refused_in_one_sentence(text, says):
    with pytest.raises(SettingsError) as caught:
        parse_document(text)
    message = str(caught.value)
    assert says in message
    assert "\n" not in message
    assert len(message) < 260


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def places(value, path=()):
    yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from places(child, (*path, key))


def with_replaced(value, path, new):
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = with_replaced(copy[path[0]], path[1:], new)
    return copy


@settings(max_examples=150)
@given(document=documents(), new=json_values, data=st.data())
def test_a_document_with_anything_anywhere_opens_or_is_refused_in_one_sentence(document, new, data):
    values = json.loads(json.dumps(document.to_json()))
    damaged = with_replaced(values, data.draw(st.sampled_from(list(places(values)))), new)
    opens_or_refuses(json.dumps(damaged))


@settings(max_examples=100)
@given(document=documents(), start=st.integers(0, 4000), length=st.integers(0, 40), junk=st.binary(max_size=20))
def test_a_document_with_damaged_bytes_opens_or_is_refused_in_one_sentence(document, start, length, junk):
    data = json.dumps(document.to_json()).encode()
    opens_or_refuses(data[:start] + junk + data[start + length :])


@given(data=st.binary(max_size=200) | st.text(max_size=200))
def test_random_bytes_are_refused_in_one_sentence(data):
    opens_or_refuses(data)


def opens_or_refuses(data):
    message = ""
    try:
        document = parse_document(data)
    except InputError as error:
        message = str(error)
    else:
        assert parse_document(json.dumps(document.to_json())) == document
        document.settings.at(10)
        document.drive.at(10)
        for stroke in document.strokes:
            stroke.weight_at(10)
            stroke.points_at(10)
    assert "\n" not in message
    assert len(message) < 400


def test_a_missing_file_a_folder_and_an_unwritable_place_are_one_sentence(tmp_path):
    with pytest.raises(SettingsError, match="cannot read"):
        load_document(tmp_path / "nothing.json")
    with pytest.raises(SettingsError, match="cannot read"):
        load_document(tmp_path)
    with pytest.raises(SettingsError, match="cannot write"):
        save_document(tmp_path / "no" / "folder.json", MatteDocument())


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "strokes.json"
    save_document(path, MatteDocument(strokes=(line(),)))
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(SettingsError, match="No space left"):
        save_document(path, MatteDocument())
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["strokes.json"]


def line(**more):
    shape = Shape(frame=10, points=((100.0, 200.0, 1.0), (140.0, 210.0, 0.5)))
    return Stroke(**{"id": "s1", "kind": "add", "shapes": (shape,), "start": 10, "stop": 11} | more)


def test_copy_to_next_makes_a_stroke_that_can_be_edited_alone():
    document = edits.copy_to_next(MatteDocument(strokes=(line(),)), 10, count=2)
    assert [(s.id, s.start, s.stop) for s in document.strokes] == [("s1", 10, 11), ("s2", 11, 12), ("s3", 12, 13)]
    assert document.strokes[2].points_at(12).tolist() == line().points_at(10).tolist()
    moved = edits.replace_stroke(document, line(id="s2", start=11, stop=12, opacity=0.1))
    assert moved.strokes[0] == line()


def test_copy_to_next_leaves_strokes_alone_that_reach_the_next_frame():
    document = MatteDocument(strokes=(line(stop=20),))
    assert edits.copy_to_next(document, 10) == document


def test_two_strokes_on_different_frames_join_into_one_that_travels():
    late = line(id="s2", start=20, stop=21, shapes=(Shape(frame=20, points=((120.0, 240.0, 1.0),)),))
    document = edits.interpolate(MatteDocument(strokes=(line(), late)), "s1", "s2")
    (stroke,) = document.strokes
    assert (stroke.id, stroke.start, stroke.stop) == ("s1", 10, 21)
    halfway = stroke.points_at(15)
    assert halfway[0].tolist() == pytest.approx([110, 220, 1])
    assert halfway[-1].tolist() == pytest.approx([130, 225, 0.75])


def test_strokes_on_one_frame_cannot_be_interpolated():
    with pytest.raises(SettingsError, match="same frame"):
        edits.interpolate(MatteDocument(strokes=(line(), line(id="s2"))), "s1", "s2")


def test_an_unknown_stroke_is_named():
    with pytest.raises(SettingsError, match="no stroke 's9'"):
        edits.remove_stroke(MatteDocument(), "s9")


def test_fades_rise_and_fall_inside_the_range():
    stroke = line(start=10, stop=20, fade_in=2, fade_out=3, opacity=0.5)
    weights = [stroke.weight_at(f) for f in range(9, 21)]
    wanted = [0, 1 / 3, 2 / 3, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25, 0]
    assert weights == pytest.approx([0.5 * w for w in wanted])


def test_unknown_settings_suggest_the_nearest():
    with pytest.raises(SettingsError, match=r"unknown setting matte\.blur; did you mean matte\.blur_px\?"):
        MatteSettings().with_value("blur", 3)


def test_values_out_of_range_are_refused_with_the_range():
    with pytest.raises(SettingsError, match=r"matte\.gamma is 0, but it must lie between 0.05 and 20"):
        MatteSettings().with_value("gamma", 0)


@pytest.mark.parametrize(("text", "value"), [("6", 6), ("6.5", 6.5), ("10%", 25.5), (" 2.5% ", 6.375)])
def test_levels_are_written_in_code_values_or_per_cent(text, value):
    assert parse_level(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "six", "%", "-3", "120%", "nan", "inf"])
def test_levels_that_are_none_are_refused(text):
    with pytest.raises(SettingsError):
        parse_level(text)


def test_drive_ranges_win_over_the_take_and_later_ones_over_earlier():
    drive = Drive(
        mode="flag",
        reference_frame=7,
        ranges=(
            DriveRange(start=10, stop=30, mode="hold_plate"),
            DriveRange(start=20, stop=25, mode="hold_reference"),
        ),
    )
    assert [drive.at(f).mode for f in (9, 10, 20, 25, 30)] == [
        "flag", "hold_plate", "hold_reference", "hold_plate", "flag"]  # fmt: skip
    assert drive.at(22).reference_frame == 7


def test_a_decision_about_a_stretch_replaces_the_last_one_and_can_be_taken_back():
    document = edits.decide(MatteDocument(), 10, 20, "hold_plate")
    document = edits.decide(document, 15, 30, "flag")
    document = edits.decide(document, 10, 20, "hold_reference", reference_frame=4)
    assert len(document.drive.ranges) == 2
    assert document.drive.at(16).mode == "hold_reference"
    found = edits.decision_of(document, 10, 20)
    assert found is not None
    assert (found.mode, found.reference_frame) == ("hold_reference", 4)
    document = edits.undecide(document, 10, 20)
    assert edits.decision_of(document, 10, 20) is None
    assert document.drive.at(12).mode == "flag"


def test_a_moved_key_leaves_nothing_behind():
    document = edits.set_key(MatteDocument(), "low_cv", Key(frame=3, value=6))
    document = edits.set_key(document, "low_cv", Key(frame=9, value=12))
    document = edits.move_key(document, "low_cv", 3, Key(frame=9, value=7, interpolation="smooth"))
    assert document.settings.curve("low_cv").keys == (Key(frame=9, value=7, interpolation="smooth"),)
