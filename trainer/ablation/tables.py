"""An ablation's tables beside the paper's, and whether the paper's directions reproduce."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from trainer.ablation.plan import SCORES, Comparison, Plan, PlannedTable, Score, Variant
from trainer.evaluation.report import finite


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A number over seeds."""

    mean: float
    std: float  #: of a sample; 0 for a single seed
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread | None:
        """None where there is nothing finite."""
        known = [v for v in values if math.isfinite(v)]
        if not known:
            return None
        return cls(
            mean=statistics.fmean(known), std=statistics.stdev(known) if len(known) > 1 else 0.0, count=len(known)
        )

    def text(self, digits: int, sign: str = "") -> str:
        """Mean ± deviation; a single seed has no deviation to tell."""
        mean = f"{self.mean:{sign}.{digits}f}"
        return f"{mean} ± {self.std:.{digits}f}" if self.count > 1 else f"{mean} (one seed)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One variant's numbers."""

    name: str
    scores: dict[str, Spread]
    by_seed: dict[str, dict[str, float]]
    paper: dict[str, float]
    why: str = ""  #: it was not run, or diverged


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One expected direction in one score."""

    better: str
    worse: str
    score: str
    difference: Spread | None  #: first minus second, seed by seed
    paper: float | None
    verdict: str  #: "reproduces", "does not reproduce", "undecided"


@dataclass(frozen=True, slots=True, kw_only=True)
class AblationTable:
    """One table."""

    name: str
    title: str
    rows: tuple[Row, ...]
    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AblationReport:
    """All tables."""

    plan: str
    about: dict[str, str]
    judges: dict[str, str]
    truth: dict[str, float]
    tables: tuple[AblationTable, ...]

    @classmethod
    def of(
        cls, plan: Plan, found: Mapping[int, Mapping[str, Any]], judges: dict[str, str], about: dict[str, str]
    ) -> AblationReport:
        """From the scores of the runs, by the `id` of their variant."""
        tables = tuple(_table(table, found) for table in plan.tables)
        truth = {}
        for score in ("truth_lse_d", "truth_lse_c"):
            values = [s[score] for t in tables for r in t.rows for s in r.by_seed.values() if score in s]
            if values:
                truth[score.removeprefix("truth_")] = values[0]
        return cls(plan=plan.name, about=about, judges=judges, truth=truth, tables=tables)

    def markdown(self) -> str:
        """For people."""
        lines = ["# Ablation", "", *(f"- {name}: {value}" for name, value in self.about.items())]
        lines += [f"- picture distance: {self.judges['distance']} (the paper: LPIPS)"]
        lines += [f"- Fréchet distance: {self.judges['frechet']} (the paper: FID)"]
        if self.truth:
            own = ", ".join(f"{k.upper().replace('_', '-')} {v:.3f}" for k, v in self.truth.items())
            lines.append(f"- the ground truth's own {own} by this SyncNet; in the paper 6.398 and 9.033 by another")
        lines += ["", "Each cell: mean ± standard deviation over seeds, and the paper's number on HDTF below it."]
        lines += ["Different data, size and judges: compare differences within a column, not the columns.", ""]
        for table in self.tables:
            lines += _markdown_table(table, self.judges)
        return "\n".join(lines)


def written_report(report: AblationReport, folder: Path) -> list[Path]:
    """Write `ablation.json` and `ablation.md`, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(finite(asdict(report)), indent=1, ensure_ascii=False) + "\n"
    files = []
    for name, content in (("ablation.json", text), ("ablation.md", report.markdown())):
        partial = folder / f"{name}.partial"
        partial.write_text(content, "utf-8")
        partial.replace(folder / name)
        files.append(folder / name)
    return files


def _table(table: PlannedTable, found: Mapping[int, Mapping[str, Any]]) -> AblationTable:
    rows = tuple(_row(variant, found[id(variant)]) for variant in table.variants)
    by_name = {row.name: row for row in rows}
    verdicts = [judged(c, by_name, score) for c in table.comparisons for score in SCORES]
    return AblationTable(name=table.name, title=table.title, rows=rows, verdicts=tuple(v for v in verdicts if v))


def _row(variant: Variant, found: Mapping[str, Any]) -> Row:
    seeds: dict[str, dict[str, float]] = {}
    why = str(found.get("why", ""))
    for seed, scores in found.get("seeds", {}).items():
        if "diverged" in scores:
            why = f"diverged with seed {seed}"
        else:
            seeds[seed] = {k: float(v) for k, v in scores.items() if v is not None}
    names = dict.fromkeys(name for scores in seeds.values() for name in scores)
    spreads = {n: s for n in names if (s := Spread.of([v[n] for v in seeds.values() if n in v])) is not None}
    return Row(name=variant.name, scores=spreads, by_seed=seeds, paper=variant.paper, why=why)


def judged(comparison: Comparison, rows: Mapping[str, Row], score: Score) -> Verdict | None:
    """Whether a difference has the expected sign in all that seeds leave to chance; None where one was not run."""
    better, worse = rows[comparison.better], rows[comparison.worse]
    seeds = [s for s in better.by_seed if s in worse.by_seed]
    pairs = [(better.by_seed[s], worse.by_seed[s]) for s in seeds]
    difference = Spread.of([a[score.key] - b[score.key] for a, b in pairs if score.key in a and score.key in b])
    if difference is None:
        return None
    paper = None
    if score.key in better.paper and score.key in worse.paper:
        paper = better.paper[score.key] - worse.paper[score.key]
    gain = difference.mean if score.higher else -difference.mean
    # One standard error of the mean difference: with three seeds no test can promise more.
    doubt = difference.std / math.sqrt(difference.count) if difference.count > 1 else math.inf
    verdict = "undecided" if abs(gain) <= doubt else "reproduces" if gain > 0 else "does not reproduce"
    if paper is not None and (paper if score.higher else -paper) < 0 and verdict != "undecided":
        verdict = "does not reproduce" if gain > 0 else "reproduces"  # the paper itself found the other direction
    return Verdict(
        better=comparison.better,
        worse=comparison.worse,
        score=score.key,
        difference=difference,
        paper=paper,
        verdict=verdict,
    )


def _markdown_table(table: AblationTable, judges: Mapping[str, str]) -> list[str]:
    title = f"## Table {table.name}: {table.title}" if table.name.isdigit() else f"## {table.title}"
    heads = [f"{s.heading.format(**judges)} {'↑' if s.higher else '↓'}" for s in SCORES] + ["Spearman(σ, error)"]
    lines = [title, "", f"| | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for row in table.rows:
        cells = [_cell(row.scores.get(s.key), s.digits) for s in SCORES] + [_cell(row.scores.get("spearman"), 3)]
        lines.append(f"| {row.name}{f' ({row.why})' if row.why else ''} | {' | '.join(cells)} |")
        if row.paper:
            paper = [f"{row.paper[s.key]:.{s.digits}f}" if s.key in row.paper else "" for s in SCORES]
            lines.append(f"| *paper* | {' | '.join(f'*{p}*' if p else '' for p in paper)} | |")
    lines.append("")
    digits = {s.key: s for s in SCORES}
    for verdict in table.verdicts:
        score, difference = digits[verdict.score], verdict.difference
        if difference is None:
            continue
        known = "" if verdict.paper is None else f", paper {verdict.paper:+.{score.digits}f}"
        lines.append(
            f"- {verdict.better} minus {verdict.worse}: {score.heading.format(**judges)} "
            f"{difference.text(score.digits, '+')}{known}: **{verdict.verdict}**"
        )
    return [*lines, ""]


def _cell(value: Spread | None, digits: int) -> str:
    return "–" if value is None else value.text(digits)
