"""What the saved answers of a study add up to: opinion scores and preferences of systems, with intervals."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from julnet_plugin.errors import InputError
from trainer.metrics import Estimate, over_speakers
from trainer.study.page import CRITERIA


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """How often one system was preferred to another."""

    first: str
    second: str
    wins: int
    losses: int
    ties: int
    p_value: float  #: two-sided sign test, ties left out


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A study's result."""

    participants: int
    opinions: dict[str, dict[str, Estimate]]  #: system to criterion
    preferences: tuple[Preference, ...]

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)

    def markdown(self) -> str:
        """For people."""
        lines = ["# Study", "", f"- participants: {self.participants}", ""]
        if self.opinions:
            lines += [f"| | {' | '.join(CRITERIA.values())} |", "|---" * (len(CRITERIA) + 1) + "|"]
            for system, scores in self.opinions.items():
                cells = [f"{e.mean:.2f} [{e.low:.2f}, {e.high:.2f}]" for e in (scores[c] for c in CRITERIA)]
                lines.append(f"| {system} | {' | '.join(cells)} |")
            lines += ["", "Mean opinion scores, 1 to 5, with 95 % bootstrap intervals over participants.", ""]
        for p in self.preferences:
            lines.append(
                f"- {p.first} preferred to {p.second}: {p.wins} of {p.wins + p.losses + p.ties}, "
                f"the other {p.losses}, no difference {p.ties} (sign test p = {p.p_value:.3g})"
            )
        return "\n".join([*lines, ""])


def summarise_study(key: Path, files: Sequence[Path]) -> Summary:
    """Add up answers.

    Args:
        key: `NAME.key.json` of the page.
        files: what participants saved.

    Raises:
        InputError: a file that is not what it should be, or of another study.
    """
    known = _read(key)
    movies = known.get("movies")
    if not isinstance(movies, dict):
        msg = f"{key} is not the key of a study; give the .key.json that was written beside the page"
        raise InputError(msg)
    opinions: dict[str, dict[str, dict[str, list[float]]]] = {}
    counts: dict[tuple[str, str], list[int]] = {}
    people: set[str] = set()
    for file in files:
        scores = _read(file)
        if scores.get("study") != known.get("study") or not isinstance(scores.get("answers"), list):
            msg = f"{file} holds no answers of this study; give the files that participants saved from its page"
            raise InputError(msg)
        who = f"{scores.get('participant', '')}|{file.name}"
        people.add(who)
        for answer in scores["answers"]:
            try:
                _count(answer, movies, who, opinions, counts)
            except (KeyError, TypeError, ValueError, IndexError) as exc:
                msg = f"{file} holds an answer that the page does not write ({exc!r}); ask for the file again"
                raise InputError(msg) from exc
    if not people:
        msg = "no answers were given; give the files that participants saved"
        raise InputError(msg)
    return Summary(
        participants=len(people),
        opinions={
            system: {criterion: over_speakers(by_person) for criterion, by_person in criteria.items()}
            for system, criteria in sorted(opinions.items())
        },
        preferences=tuple(
            Preference(first=a, second=b, wins=w, losses=lost, ties=t, p_value=sign_test(w, lost))
            for (a, b), (w, lost, t) in sorted(counts.items())
        ),
    )


def sign_test(wins: int, losses: int) -> float:
    """Two-sided probability of so uneven a count if both were as good."""
    n, k = wins + losses, min(wins, losses)
    if n == 0:
        return 1.0
    tail = sum(math.comb(n, i) for i in range(k + 1)) / 2**n
    return float(min(1.0, 2 * tail))


def _count(
    answer: Mapping[str, Any],
    movies: Mapping[str, Mapping[str, str]],
    who: str,
    opinions: dict[str, dict[str, dict[str, list[float]]]],
    counts: dict[tuple[str, str], list[int]],
) -> None:
    systems = [movies[name]["system"] for name in answer["movies"]]
    if answer["kind"] == "mos":
        for criterion in CRITERIA:
            value = float(answer[criterion])
            if not 1 <= value <= 5:
                raise ValueError(value)
            opinions.setdefault(systems[0], {}).setdefault(criterion, {}).setdefault(who, []).append(value)
        return
    left, right = systems
    first, second = sorted((left, right))
    tally = counts.setdefault((first, second), [0, 0, 0])
    if answer["choice"] == "none":
        tally[2] += 1
    else:
        better = {"left": left, "right": right}[answer["choice"]]
        tally[0 if better == first else 1] += 1


def _read(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as exc:
        msg = f"{path} cannot be read as JSON; give the files of one study"
        raise InputError(msg) from exc
    if not isinstance(values, dict):
        msg = f"{path} is not of a study; give the files of one study"
        raise InputError(msg)
    return values
