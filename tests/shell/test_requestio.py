"""A request survives JSON, and a wrong one is refused with the field's name."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import pytest

from julnet_plugin.errors import SettingsError
from julnet_plugin.requestio import _KINDS, request_from_json, request_to_json
from julnet_plugin.types import RedubRequest

FILES = {"plate": "p.mov", "dub": "d.wav", "take_dir": "take"}
LEAST = RedubRequest(plate=Path("p.mov"), dub=Path("d.wav"), take_dir=Path("take"))


def test_every_field_is_known() -> None:
    assert set(_KINDS) == {f.name for f in fields(RedubRequest)}


def test_the_least_request_is_its_files() -> None:
    assert request_to_json(LEAST) == FILES
    assert request_from_json(FILES) == LEAST


def test_a_full_request_comes_back_equal_through_text() -> None:
    request = RedubRequest(
        plate=Path("p.mov"), dub=Path("d.wav"), take_dir=Path("take"), in_point="10", out_point="2.5s",
        dub_offset_s=-0.5, dub_track=1, face="1,2@3", model="paper", refs="1,2", device="cpu",
        deliver=("exr", "png"), colour_space="ACEScct", seed=3, resume=True, settings={"matte.gamma": 2},
    )  # fmt: skip
    text = json.dumps(request_to_json(request))
    assert request_from_json(json.loads(text)) == request


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"plat": "p"}, "no field 'plat'; did you mean plate?"),
        ({**FILES, "plate": 3}, "plate is 3, but a path"),
        ({**FILES, "in_point": 10}, "in_point is 10, but a timecode"),
        ({**FILES, "seed": True}, "seed is True, but a whole number"),
        ({**FILES, "resume": 1}, "resume is 1, but true or false"),
        ({**FILES, "deliver": "prores"}, "a list of deliveries"),
        ({**FILES, "settings": ["x"]}, "an object of settings"),
        ({"plate": "p", "dub": ""}, "lacks dub, take_dir"),
    ],
)
def test_a_wrong_request_is_refused(values: dict[str, object], words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        request_from_json(values)
    assert words in str(caught.value)
