"""The contract's values: frames that know what they count, half-open ranges, takes read from disk."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_adapters.base import (
    ClipRef,
    ClipRefused,
    MediaMissing,
    RecordFrame,
    RecordRange,
    SourceFrame,
    SourceRange,
    TakeRef,
    percent_pattern,
    read_take,
    refuse_retimed,
    sequence_files,
    split_pattern,
)
from host_adapters.values import replace

NTSC = Fraction(24000, 1001)


def clip(source: int = 24, record: int = 24, rate: Fraction = NTSC, speed: Fraction | None = None) -> ClipRef:
    return ClipRef(
        id="1", name="shot", path="shot.mov", source=SourceRange.of(10, 10 + source), speed=speed,
        record=RecordRange.of(5, 5 + record), source_rate=rate, record_rate=Fraction(24), media=SourceRange.of(0, 1000),
    )  # fmt: skip


@pytest.mark.parametrize(
    "mix",
    [
        lambda: SourceFrame(1) < RecordFrame(2),
        lambda: SourceFrame(1) - RecordFrame(2),
        lambda: SourceFrame(1) + SourceFrame(2),
        lambda: SourceRange.of(0, 3).covers(RecordRange.of(0, 3)),
        lambda: SourceFrame(1) < 2,
    ],
)
def test_source_and_record_frames_do_not_mix(mix: object) -> None:
    with pytest.raises(TypeError):
        mix()  # type: ignore[operator]


def test_equal_numbers_of_another_kind_are_not_equal() -> None:
    assert SourceFrame(1) != RecordFrame(1)
    assert SourceFrame(1) != 1


@given(st.integers(1, 400), st.sampled_from([NTSC, Fraction(24), Fraction(25), Fraction(30000, 1001), Fraction(50)]))
def test_every_record_frame_of_a_span_shows_a_frame_of_it(frames: int, rate: Fraction) -> None:
    whole = clip(source=frames, record=max(1, int(frames * 24 / rate)), rate=rate)
    span = SourceRange.of(10 + frames // 3, 10 + frames // 3 + max(1, frames // 4))
    shown = {whole.source_of(frame).index for frame in whole.record_of(span)}
    assert all(span.start.index <= index < span.stop.index for index in shown)
    elsewhere = [whole.source_of(f) for f in whole.record if not (span.start <= whole.source_of(f) < span.stop)]
    assert len(elsewhere) + len(whole.record_of(span)) == len(whole.record)


def test_a_value_does_not_change_and_equals_another_with_the_same_fields() -> None:
    one, other = clip(), clip()
    assert one == other
    assert hash(one) == hash(other)
    assert one.hints is not other.hints
    assert replace(one, hints={"colour_space": "x"}) == one  # a hint says how, not what
    assert replace(one, reel="A001") != one
    assert repr(SourceRange.of(1, 2)) == "SourceRange(start=SourceFrame(index=1), stop=SourceFrame(index=2))"
    with pytest.raises(AttributeError, match=r"ClipRef\.name cannot change"):
        one.name = "other"  # type: ignore[misc]
    with pytest.raises(AttributeError, match="cannot change"):
        del one.reel  # type: ignore[misc]


@pytest.mark.parametrize(
    "made",
    [
        lambda: TakeRef("1", "2", "line"),
        lambda: TakeRef("1", "2", "line", "/t", True, "too much"),
        lambda: TakeRef("1", "2", "line", "/t", id="again"),
        lambda: TakeRef("1", "2", "line", "/t", nobody=1),
        lambda: replace(TakeRef("1", "2", "line", "/t"), nobody=1),
    ],
)
def test_a_value_is_made_of_its_fields_and_nothing_else(made: Callable[[], object]) -> None:
    with pytest.raises(TypeError, match=r"TakeRef (needs folder|has the fields id, clip_id, name, folder, active)"):
        made()


@pytest.mark.parametrize("record", [23, 24, 25])
def test_a_frame_more_or_less_between_rates_is_no_retime(record: int) -> None:
    refuse_retimed(clip(record=record))


@pytest.mark.parametrize(("record", "speed"), [(12, None), (48, None), (24, Fraction(-1)), (24, Fraction(11, 10))])
def test_a_retime_is_refused(record: int, speed: Fraction | None) -> None:
    with pytest.raises(ClipRefused, match=r"is retimed to -?[0-9]+ % speed"):
        refuse_retimed(clip(record=record, speed=speed))


def test_handles_end_where_the_medium_ends() -> None:
    assert clip().with_handles(8) == SourceRange.of(2, 42)
    assert clip().with_handles(30) == SourceRange.of(0, 64)


@pytest.mark.parametrize("name", ["shot.######.png", "shot.%06d.png", "v2 100%.####.exr", "ü [a].%d.png"])
def test_a_pattern_finds_its_files_in_order_and_no_others(tmp_path: Path, name: str) -> None:
    before, digits, after = split_pattern(name)
    wanted = [tmp_path / f"{before}{number:0{max(digits, 1)}d}{after}" for number in (8, 9, 10, 11)]
    for path in [*wanted, tmp_path / f"{before}x{after}", tmp_path / "shot.000008.jpg"]:
        path.touch()
    assert sequence_files(str(tmp_path / name)) == [str(path) for path in wanted]
    assert split_pattern(percent_pattern(name)) == (before, digits, after)


def test_a_folder_without_a_take_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(MediaMissing, match="give a folder that julnet redub wrote"):
        read_take(str(tmp_path))
    (tmp_path / "take.json").write_text('{"files": {"png": "x"}}', "utf-8")
    with pytest.raises(MediaMissing, match="plate"):
        read_take(str(tmp_path))
