"""What must hold for any document: undo∘do is the identity, edits commute with save and load, damage costs nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from julnet_plugin.errors import SettingsError
from julnet_plugin.matte import edits
from julnet_plugin.matte.document import MatteDocument, load_document, parse_document, save_document
from julnet_plugin.matte.edits import History
from julnet_plugin.matte.keyframes import INTERPOLATIONS, Key
from julnet_plugin.matte.settings import PARAMETERS
from julnet_plugin.matte.strokes import STROKE_KINDS, Shape, Stroke

Edit = Callable[[MatteDocument], MatteDocument]
FRAMES = st.integers(0, 300)
POINTS = st.lists(
    st.tuples(st.floats(-50, 400), st.floats(-50, 500), st.floats(0, 1)), min_size=1, max_size=5
).map(tuple)  # fmt: skip


@st.composite
def strokes(draw: st.DrawFn) -> Stroke:
    frames = draw(st.lists(FRAMES, min_size=1, max_size=3, unique=True).map(sorted))
    start = draw(FRAMES)
    return Stroke(
        id=draw(st.sampled_from(["", "s1", "s2", "mine"])),
        kind=draw(st.sampled_from(STROKE_KINDS)),
        shapes=tuple(Shape(frame=frame, points=draw(POINTS)) for frame in frames),
        start=start,
        stop=start + draw(st.integers(1, 50)),
        size_px=draw(st.floats(0, 200)),
        hardness=draw(st.floats(0, 1)),
        opacity=draw(st.floats(0, 1)),
        fade_in=draw(st.integers(0, 9)),
        fade_out=draw(st.integers(0, 9)),
        clone_offset=draw(st.integers(-20, 20)),
    )


@st.composite
def parameter_edits(draw: st.DrawFn) -> Edit:
    known = PARAMETERS[draw(st.sampled_from(sorted(PARAMETERS)))]
    value = draw(st.floats(known.low, known.high))
    frame = draw(FRAMES)
    kind = draw(st.sampled_from(["value", "key", "no key"]))
    if kind == "value":
        return lambda document: edits.set_value(document, known.name, value)
    if kind == "no key":
        return lambda document: edits.remove_key(document, known.name, frame)
    key = Key(frame=frame, value=value, interpolation=draw(st.sampled_from(INTERPOLATIONS)))
    return lambda document: edits.set_key(document, known.name, key)


@st.composite
def any_edits(draw: st.DrawFn) -> Edit:
    kind = draw(st.sampled_from(["parameter", "stroke", "copy", "hold", "remove"]))
    if kind == "parameter":
        return draw(parameter_edits())
    if kind == "stroke":
        stroke = draw(strokes())
        return lambda document: edits.add_stroke(document, stroke)
    frame, count = draw(FRAMES), draw(st.integers(1, 3))
    if kind == "copy":
        return lambda document: edits.copy_to_next(document, frame, count)
    if kind == "hold":
        return lambda document: edits.hold_frame(document, frame, frame, frame + count)
    return lambda document: (
        edits.remove_stroke(document, document.strokes[frame % len(document.strokes)].id)
        if document.strokes
        else document
    )


def through_json(document: MatteDocument) -> MatteDocument:
    return parse_document(json.dumps(document.to_json()))


@given(st.lists(any_edits(), max_size=6))
@settings(max_examples=60, deadline=None)
def test_undo_after_do_is_the_identity_and_redo_brings_back(steps: list[Edit]) -> None:
    history = History(document=MatteDocument())
    seen = [history.document]
    for step in steps:
        history = history.do(step(history.document))
        assert history.undo().document == seen[-1]
        assert history.undo().redo() == history
        seen.append(history.document)
    for document in reversed(seen[:-1]):
        history = history.undo()
        assert history.document == document
    assert history.undo() == history
    for document in seen[1:]:
        history = history.redo()
        assert history.document == document


@given(st.lists(any_edits(), max_size=5), any_edits())
@settings(max_examples=60, deadline=None)
def test_edits_commute_with_save_and_load(steps: list[Edit], last: Edit) -> None:
    document = MatteDocument()
    for step in steps:
        document = step(document)
    assert through_json(document) == document
    assert through_json(last(document)) == last(through_json(document))


@given(st.lists(any_edits(), max_size=4), FRAMES)
@settings(max_examples=40, deadline=None)
def test_every_parameter_has_the_same_value_on_every_frame_after_save_and_load(steps: list[Edit], frame: int) -> None:
    document = MatteDocument()
    for step in steps:
        document = step(document)
    assert through_json(document).settings.at(frame) == document.settings.at(frame)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where in a document something can be put in the place of what is there."""
    inside: list[tuple[Any, ...]] = []
    if isinstance(value, dict):
        inside = [place for key, item in value.items() for place in _places(item, (*path, key))]
    elif isinstance(value, list):
        inside = [place for index, item in enumerate(value) for place in _places(item, (*path, index))]
    return [path, *inside] if path else inside


@given(st.lists(any_edits(), min_size=1, max_size=4), st.data())
@settings(max_examples=150, deadline=None)
def test_a_document_with_anything_anywhere_opens_or_is_refused_in_one_sentence(
    steps: list[Edit], data: st.DataObject
) -> None:
    document = MatteDocument()
    for step in steps:
        document = step(document)
    values = document.to_json()
    *way, last = data.draw(st.sampled_from(_places(values)))
    target = values
    for key in way:
        target = target[key]
    target[last] = data.draw(JSON)
    _opens_or_is_refused(json.dumps(values).encode())


@given(st.binary(max_size=40), st.integers(0, 2000), st.integers(0, 40))
@settings(max_examples=150, deadline=None)
def test_a_file_with_bytes_torn_out_or_put_in_opens_or_is_refused_in_one_sentence(
    junk: bytes, place: int, torn: int
) -> None:
    text = json.dumps(edits.set_value(MatteDocument(), "gamma", 2.0).to_json()).encode()
    place %= len(text)
    _opens_or_is_refused(text[:place] + junk + text[place + torn :])


def _opens_or_is_refused(data: bytes) -> None:
    try:
        document = parse_document(data)
    except SettingsError as refused:
        sentence = str(refused)
        assert sentence
        assert "\n" not in sentence
        assert len(sentence) < 400
    else:
        again = through_json(document)
        assert through_json(again) == again


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    path = tmp_path / "strokes.json"
    path.write_bytes(b'{"schema": "julnet.matte", "strokes": [{"id": 3')
    return path


def test_a_file_that_is_refused_is_still_there_untouched(damaged: Path) -> None:
    before = damaged.read_bytes()
    with pytest.raises(SettingsError):
        load_document(damaged)
    assert damaged.read_bytes() == before
    assert [path.name for path in damaged.parent.iterdir()] == ["strokes.json"]


@given(st.lists(any_edits(), max_size=3))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_saved_is_what_is_loaded(tmp_path: Path, steps: list[Edit]) -> None:
    document = MatteDocument()
    for step in steps:
        document = step(document)
    save_document(tmp_path / "strokes.json", document)
    assert load_document(tmp_path / "strokes.json") == document
