from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pytest

from julnet_plugin.model.architectures import BUILT_IN, SYNCNET
from julnet_plugin.model.strict import dataclass_from, values_of


@dataclass(frozen=True, kw_only=True)
class Everything:
    count: int
    share: float = 0.5
    on: bool = False
    mode: Literal["a", "b"] = "a"
    size: tuple[int, int] = (1, 2)
    knots: tuple[tuple[float, float], ...] = ()
    limit: float | None = None


def test_a_dataclass_survives_the_round_trip() -> None:
    value = Everything(count=3, on=True, mode="b", size=(4, 5), knots=((0.0, 1.0), (2.0, 3.0)), limit=2.0)
    assert dataclass_from(Everything, values_of(value)) == value


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"count": 1.0}, "count must be int, got '1.0'"),
        ({"count": True}, "count must be int"),
        ({"count": 1, "on": 1}, "on must be bool"),
        ({"count": 1, "share": float("nan")}, "share must be float"),
        ({"count": 1, "mode": "c"}, "mode must be"),
        ({"count": 1, "size": [1, 2, 3]}, "size must be"),
        ({"count": 1, "size": [1, "2"]}, "size must be int"),
        ({"count": 1, "knots": [[1]]}, "knots must be"),
        ({"count": 1, "limit": "high"}, "limit must be float"),
        ({"count": 1, "shear": 1}, "did you mean 'share'"),
        ({}, "'count' is lacking"),
    ],
)
def test_what_does_not_fit_is_named(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclass_from(Everything, values)


def test_whole_numbers_and_nothing_are_read_where_they_fit() -> None:
    assert dataclass_from(Everything, {"count": 1, "share": 1, "limit": None}).share == 1.0


@pytest.mark.parametrize("architecture", [*BUILT_IN, SYNCNET], ids=lambda a: a.name)
def test_every_built_in_architecture_is_built_from_its_own_configuration(architecture: object) -> None:
    import torch

    with torch.device("meta"):
        network = architecture.build({})  # type: ignore[attr-defined]
        again = architecture.build(values_of(network.config))  # type: ignore[attr-defined]
    assert network.config == again.config
