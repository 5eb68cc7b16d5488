"""The report as text for people."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from trainer.evaluation.summary import Table


class Column(NamedTuple):
    """One score in the table of methods."""

    key: str
    heading: str  #: "{distance}" stands for the picture distance's name
    arrow: str  #: ↑ = higher is better
    digits: int


COLUMNS = (
    Column("square.psnr", "PSNR dB", "↑", 2),
    Column("square.ssim", "SSIM", "↑", 4),
    Column("square.distance", "{distance}", "↓", 4),
    Column("mask.psnr", "PSNR dB (mask)", "↑", 2),
    Column("mask.distance", "{distance} (mask)", "↓", 4),
    Column("mask.flicker", "flicker", "↓", 4),
    Column("mouth_landmark_distance", "mouth landmarks %", "↓", 2),
    Column("lse_d", "LSE-D", "↓", 3),
    Column("lse_c", "LSE-C", "↑", 3),
)
INTERVALS = {
    "as_given": "as the model gives σ",
    "calibrated_on_other_speakers": "calibrated on the other speakers",
    "fitted_widths_on_other_speakers": "with interval widths fitted on the other speakers",
}
BASELINES = {"constant": "a constant", "gradient": "the picture's gradient", "motion": "its motion"}
FOLLOWING = {
    "drawn_with_dub_lips": "drawn lips with the lips of who made the sound",
    "drawn_with_plate_lips": "drawn lips with the plate's own lips",
    "dub_with_plate_lips": "those two with each other (chance)",
    "drawn_with_dub_loudness": "drawn lips with the dub's loudness",
    "drawn_with_plate_loudness": "drawn lips with the plate's own loudness",
    "dub_with_plate_loudness": "the two loudnesses with each other (chance)",
    "true_with_own_loudness": "true lips with their own loudness (a real speaker)",
}


def markdown(report: Table, pictures: Sequence[str] = ()) -> str:
    """The whole report; `pictures` are file names beside it."""
    lines = [f"# {report['title']}", ""]
    lines += [f"- {name}: {value}" for name, value in report.get("about", {}).items()] + [""]
    if report.get("methods"):
        lines += _methods(report["methods"], report["judges"])
    if report.get("uncertainty"):
        lines += _uncertainty(report["uncertainty"])
    if report.get("dubbing", {}).get("summary"):
        lines += _dubbing(report["dubbing"]["summary"])
    if report.get("following"):
        lines += _following(report["following"])
    if report.get("sync_table"):
        lines += ["## True sound or moved sound", "", "```", report["sync_table"], "```", ""]
    if report.get("skipped"):
        lines += ["## Not scored", "", *(f"- {name}: {why}" for name, why in report["skipped"].items()), ""]
    lines += [f"![{Path(name).stem}]({name})\n" for name in pictures]
    return "\n".join(lines)


def _methods(methods: Table, judges: Table) -> list[str]:
    shown = [c for c in COLUMNS if any(c.key in m["scores"] for m in methods.values())]
    heads = [c.heading.format(**judges) for c in shown]
    rows = []
    for name, table in methods.items():
        cells = [interval(table["scores"].get(c.key), c.digits) for c in shown]
        rows.append([name, *cells, number(table["population"].get("frechet"), 2)])
    first_name, first = next(iter(methods.items()))
    truth = [interval(first["scores"].get(f"truth_{c.key}"), c.digits) for c in shown]
    if any(cell != NOTHING for cell in truth):
        rows.append(["*ground truth*", *truth, ""])
    lines = [
        "## Pictures and sync",
        "",
        "Means over speakers with their 95 % bootstrap interval; in the mouth square unless said.",
        "",
        *_table(["", *(f"{h} {c.arrow}" for h, c in zip(heads, shown, strict=True)), f"{judges['frechet']} ↓"], rows),
        "",
    ]
    for name, table in methods.items():
        difference = table.get("first_minus_this", {})
        parts = [
            f"{head} {interval(difference[c.key], c.digits, sign=True)}"
            for head, c in zip(heads, shown, strict=True)
            if c.key in difference
        ]
        if parts:
            lines.append(f"- {first_name} minus {name}, clip by clip: {'; '.join(parts)}")
    known = first["scores"].get("truth_sync_accuracy")
    if known and _known(known["mean"]):
        lines.append(
            f"- the SyncNet tells the truth's own sound from sound 10 frames off in {percent(known['mean'], 1)} of "
            "one-second windows (guessing: 50 %); judge LSE by it accordingly"
        )
    found = first["population"].get("identity_proxy_found")
    if found is not None:
        lines.append(
            f"- identity proxy (no face recogniser): {percent(found)} of clips are nearest to their own speaker"
        )
    return [*lines, ""]


def _uncertainty(u: Table) -> list[str]:
    pooled, gradient, motion, frames = u["pooled"], u["baselines"]["gradient"], u["baselines"]["motion"], u["frames"]
    ceiling, constant = number(pooled["spearman_ceiling"], 3), number(pooled["ause_constant"], 4)
    scores = [
        [
            "Spearman with the error, per pixel ↑",
            *_row("spearman", pooled, gradient, motion),
            f"a perfect σ: {ceiling}",
        ],
        ["AUSE ↓", *_row("ause", pooled, gradient, motion, digits=4), f"a constant: {constant}"],
        ["error in the top 10 % of pixels ↑", *_row("error_share_top10", pooled, gradient, motion), "blind: 0.1"],
        [
            "the same, of the whole mouth square ↑",
            *_row("error_share_of_square", pooled, gradient, motion),
            f"the error itself: {number(pooled['error_share_of_square_at_best'], 3)}",
        ],
        [
            "the same, of the finished picture ↑",
            *(number(u["finished"]["error_share_of_square"], 3), NOTHING, NOTHING),
            f"the error itself: {number(u['finished']['error_share_of_square_at_best'], 3)}",
        ],
    ]
    covered = [
        [title, *(percent(v, 1) for v in u["intervals"][key].values())]
        for key, title in INTERVALS.items()
        if key in u["intervals"]
    ]
    speakers = u["over_speakers"]
    top = number(frames["error_of_top10_over_rest"], 2)
    below = [f"{percent(u[f'ause_gain_over_{n}'])} below that of {what}" for n, what in BASELINES.items()]
    remarks = [
        f"- over speakers: Spearman {interval(speakers['spearman'], 3)}, AUSE {interval(speakers['ause'], 4)}",
        f"- AUSE is {', '.join(below)}",
        f"- frames: Spearman of mean σ with mean error {number(frames['spearman'], 3)}",
        f"- the tenth of frames with the highest σ has {top} times the error of the rest",
    ]
    return [
        "## Uncertainty",
        "",
        *_table(["", "σ", "picture gradient", "motion", "to compare"], scores),
        "",
        *remarks,
        "",
        *_table(["coverage of nominal", *(percent(float(level)) for level in u["intervals"]["as_given"])], covered),
        "",
    ]


def _dubbing(d: Table) -> list[str]:
    return [
        "## Dubbed with another speaker's sound",
        "",
        f"{d['clips']} clips; {d['clips_following_the_dub']} follow the dub more than the plate.",
        "",
        *_table(["correlation", "mean over speakers"], [[t, interval(d.get(k), 3)] for k, t in FOLLOWING.items()]),
        "",
        f"Under silence the lips are {interval(d['silent_opening'], 2)} open (0 = closed, 1 = open), for the speaker.",
        f"{percent(d['silent_open_frames']['mean'], 1)} of frames count as open.",
        "",
    ]


def _following(f: Table) -> list[str]:
    rows = [[title, number(f[key], 3)] for key, title in FOLLOWING.items() if key in f]
    silent = " The dub is silent, so the mouth should be closed." if f["dub_is_silent"] else ""
    return [
        "## Do the lips follow the sound",
        "",
        *_table(["correlation of lip opening", f"over {f['frames']} frames"], rows),
        "",
        f"The lips are {number(f['mean_opening'], 2)} open on average (0 = the plate's closed mouth, 1 = open).",
        f"{percent(f['open_frames'], 1)} of frames count as open.{silent}",
        "",
    ]


def _row(key: str, *tables: Table, digits: int = 3) -> list[str]:
    return [number(t[key], digits) for t in tables]


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads), *(f"| {' | '.join(row)} |" for row in rows)]


NOTHING = "–"


def interval(value: Table | None, digits: int, *, sign: bool = False) -> str:
    """Mean and interval as text."""
    if not value or not _known(value["mean"]):
        return NOTHING
    form = f"{'+' if sign else ''}.{digits}f"
    return f"{value['mean']:{form}} [{value['low']:{form}}, {value['high']:{form}}]"


def number(value: float | None, digits: int) -> str:
    """A number as text."""
    return f"{value:.{digits}f}" if value is not None and _known(value) else NOTHING


def percent(value: float | None, digits: int = 0) -> str:
    """A share as text."""
    return f"{100 * value:.{digits}f} %" if value is not None and _known(value) else NOTHING


def _known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
