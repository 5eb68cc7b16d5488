"""What docs/matte.md says is what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from julnet_plugin.matte.document import parse_document
from julnet_plugin.matte.settings import DRIVE_MODES, PARAMETERS
from julnet_plugin.matte.strokes import STROKE_KINDS, Stroke

PAGE = (Path(__file__).parents[2] / "docs" / "matte.md").read_text("utf-8")


@pytest.mark.parametrize("parameter", PARAMETERS.values(), ids=lambda p: p.name)
def test_every_parameter_is_in_the_table_with_its_default_and_range(parameter):
    row = f"| `{parameter.name}` | {parameter.default:g} | {parameter.low:g} to {parameter.high:g} |"
    assert row in PAGE


@pytest.mark.parametrize("word", [*DRIVE_MODES, *STROKE_KINDS])
def test_every_mode_and_kind_of_stroke_is_named(word):
    assert f"`{word}`" in PAGE


def test_every_field_of_a_stroke_is_named():
    fields = set(Stroke.__dataclass_fields__) - {"extra"}
    assert {name for name in fields if f"`{name}`" not in PAGE} == set()


def test_the_example_opens_and_loses_nothing():
    example = re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert example is not None
    document = parse_document(example[1])
    assert document.settings.at(25)["blur_px"] == pytest.approx(5)
    assert document.drive.at(35).mode == "hold_plate"
    assert document.strokes[0].weight_at(31) == pytest.approx(1 / 3)
    assert document.holds[0].source == 49
    assert document.extra == {}


def test_a_file_with_nothing_but_its_schema_is_the_default():
    from julnet_plugin.matte.document import MatteDocument

    assert parse_document('{"schema": "julnet.matte"}') == MatteDocument()
