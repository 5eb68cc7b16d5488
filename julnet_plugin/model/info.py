"""What a weights file says about itself."""

from __future__ import annotations

import json
import typing
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal, Self

import julnet_plugin
from julnet_plugin.model.strict import dataclass_from, values_of

SCHEMA = 1  #: of the JSON below; raised when an older reader would misunderstand a file
PAPER = "JULNet: joint uncertainty learning for talking-face generation (ICMR 2025), with DINet (AAAI 2023) as its base"

Kind = Literal["generator", "syncnet"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointInfo:
    """The header of a weights file: what is built, what it must be fed, what is known about it."""

    kind: Kind
    architecture: str  #: name of the factory that builds it
    config: dict[str, object]  #: its configuration dataclass
    crop_size: tuple[int, int]  #: h, w
    audio_feature: str  #: name of the extractor it was trained with; no other may feed it
    audio_size: int  #: D
    audio_window: int  #: W
    n_refs: int  #: N; 0 for a SyncNet
    name: str = ""  #: what people call these weights
    licence: str = "unknown"
    paper: str = PAPER
    step: int = 0  #: optimiser steps taken
    data: str = ""  #: what it was trained on
    scores: dict[str, float] = field(default_factory=dict)
    #: (σ, expected |error|) knots of the fitted calibration, both rising; empty = σ is taken as it is
    calibration: tuple[tuple[float, float], ...] = ()
    #: half width of the interval that holds a share ("0.8") of the errors, in expected errors; empty = Laplace's
    interval_factors: dict[str, float] = field(default_factory=dict)
    created_by: str = f"julnet {julnet_plugin.__version__}"
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        if self.kind not in typing.get_args(Kind):
            msg = f"kind must be one of {', '.join(typing.get_args(Kind))}, got {self.kind!r}"
            raise ValueError(msg)
        if min(*self.crop_size, self.audio_size, self.audio_window) < 1 or min(self.n_refs, self.step) < 0:
            msg = "a size in its header is not positive"
            raise ValueError(msg)
        _check_rising(self.calibration)

    @classmethod
    def of(cls, network: Any, *, kind: Kind = "generator", architecture: str, audio_feature: str, **known: Any) -> Self:
        """The header of a network of ours: sizes and configuration are read off the network itself.

        Args:
            network: has `config`, `crop_size`, `audio_size`, `audio_window` and, as a generator, `n_refs`.
            kind: generator or syncnet.
            architecture: name of the factory that builds it.
            audio_feature: name of the extractor it was trained with.
            known: the other fields of this class, as far as they are known.
        """
        return cls(
            kind=kind,
            architecture=architecture,
            config=values_of(network.config),
            crop_size=network.crop_size,
            audio_feature=audio_feature,
            audio_size=network.audio_size,
            audio_window=network.audio_window,
            n_refs=getattr(network, "n_refs", 0),
            **known,
        )

    def to_json(self) -> str:
        """One line of JSON, the same for equal headers."""
        return json.dumps(values_of(self), sort_keys=True, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> CheckpointInfo:
        """Read what `to_json` wrote; unknown fields of the same schema are ignored.

        Raises:
            ValueError: not such a header, or one of a newer schema.
        """
        try:
            values = json.loads(text)
        except RecursionError as exc:
            msg = "its header is nested too deeply"
            raise ValueError(msg) from exc
        if not isinstance(values, dict):
            msg = "its header is not a table"
            raise ValueError(msg)  # noqa: TRY004 - the file's content is wrong, not the caller's type
        if values.get("schema") != SCHEMA:
            msg = f"its header has schema {values.get('schema')!r}, and this version reads {SCHEMA}; update JULNet"
            raise ValueError(msg)
        try:
            return dataclass_from(cls, values, ignore_unknown=True)
        except ValueError as exc:
            msg = f"its header is wrong: {exc}"
            raise ValueError(msg) from exc


def _check_rising(knots: tuple[tuple[float, float], ...]) -> None:
    for (sigma, error), (next_sigma, next_error) in pairwise(knots):
        if not (sigma < next_sigma and error <= next_error):
            msg = f"the calibration knots do not rise from ({sigma}, {error}) to ({next_sigma}, {next_error})"
            raise ValueError(msg)
