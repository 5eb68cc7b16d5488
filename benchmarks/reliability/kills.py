"""Kill every verb that writes at random moments, go on, and compare with what nobody disturbed.

    python -m benchmarks.reliability.kills --kills 200 --seed 1 --json out.json

A render is killed again and again at random moments, each time resumed, and at last finished: its files must have the
bytes of the unbroken render. An edit (matte, comp) is killed, then the take must still open, and the edit repeated must
give the bytes of the undisturbed edit. The plate and the dub must never change.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from benchmarks.reliability import media
from benchmarks.reliability.children import End, run
from benchmarks.reliability.verbs import Verb, contents, other_verbs

_ROUNDS = 5  #: most kills of one render before it may finish


@dataclass(slots=True)
class Tally:
    """What was counted, and what was wrong."""

    kills: Counter[str] = field(default_factory=Counter)
    finished_first: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)


Contents = Callable[[Path], dict[str, str]]


class Trial:
    """Verbs on small media, and what they give when nobody disturbs them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log = folder, folder / "child.log"
        self.inputs = folder / "inputs"
        self.inputs.mkdir()
        self.plate = media.write_plate(self.inputs / "plate.mov", frames=12, size=(160, 120))
        self.line = media.write_line(self.inputs / "line.wav")
        self.model = media.write_model(self.inputs / "tiny.safetensors")
        self.before = contents(self.inputs)
        self.took: dict[str, float] = {}
        self.expected: dict[str, dict[str, str]] = {}
        self._undisturbed("redub", self.redub(folder / "whole"), folder / "whole")
        for verb in ("matte", "comp"):
            shutil.copytree(folder / "whole", folder / f"edit-{verb}")
            self._undisturbed(verb, self.edit(verb, folder / f"edit-{verb}"), folder / f"edit-{verb}")

    def _undisturbed(self, verb: str, action: Callable[[], object], take: Path, compare: Contents = contents) -> None:
        begun = time.monotonic()
        end = run(action, self.log, timeout_s=300)
        if end.code:
            raise RuntimeError(f"{verb} fails undisturbed: {end.said}")
        self.took[verb] = time.monotonic() - begun
        self.expected[verb] = compare(take)

    def redub(self, take: Path) -> Callable[[], object]:
        """Render, or go on."""
        from julnet_plugin import RedubRequest, redub

        settings = {"render.chunk_frames": 3, "render.threads": 1, "face.min_mouth_px": 8}
        request = RedubRequest(
            plate=self.plate,
            dub=self.line,
            take_dir=take,
            model=str(self.model),
            device="cpu",
            deliver=("h264", "png"),
            settings=settings,
            resume=True,
        )
        return lambda: redub(request)

    def edit(self, verb: str, take: Path) -> Callable[[], object]:
        """Derive the matte again, or composite again after the strokes' file was changed."""
        from julnet_plugin.recomp import recomposite, rederive_matte

        if verb == "matte":
            return lambda: rederive_matte(take, {"matte.gamma": 2.0})
        return lambda: recomposite(take)

    def killed_render(self, rng: random.Random, tally: Tally, most: int) -> None:
        """One render, killed up to `most` times."""
        take = self.folder / "take"
        for _ in range(rng.randint(1, min(most, _ROUNDS))):
            end = run(self.redub(take), self.log, timeout_s=300, kill_after_s=rng.uniform(0, 1.05 * self.took["redub"]))
            if not self._count("redub", end, tally):
                break
            if (take / "take.json").exists() and contents(take).keys() < self.expected["redub"].keys():
                tally.violations.append("redub: a take that was killed looks whole and is not")
        self._finish("redub", run(self.redub(take), self.log, timeout_s=300), take, tally)

    def killed_edit(self, verb: str, rng: random.Random, tally: Tally) -> None:
        """One edit, killed once."""
        from julnet_plugin.take import load_take

        take = self.folder / "take"
        shutil.copytree(self.folder / "whole", take)
        end = run(self.edit(verb, take), self.log, timeout_s=300, kill_after_s=rng.uniform(0, 1.05 * self.took[verb]))
        self._count(verb, end, tally)
        load_take(take)
        self._finish(verb, run(self.edit(verb, take), self.log, timeout_s=300), take, tally)

    def undisturbed(self, verb: Verb) -> None:
        """Run a verb as it is meant to run, and keep what it gives."""
        out = self.folder / verb.out
        if verb.before is not None:
            verb.before(out)
        self._undisturbed(verb.name, verb.run(out, False), out, verb.compare)
        self.remove(out)

    def killed_other(self, verb: Verb, rng: random.Random, tally: Tally) -> None:
        """One verb, killed once and then run again as its user would."""
        out = self.folder / verb.out
        if verb.before is not None:
            verb.before(out)
        kill_at = rng.uniform(0, 1.05 * self.took[verb.name])
        end = run(verb.run(out, False), self.log, timeout_s=300, kill_after_s=kill_at)
        if self._count(verb.name, end, tally):
            for sentence in verb.after_the_kill(out):
                tally.violations.append(f"{verb.name}: {sentence}")
            end = run(verb.run(out, True), self.log, timeout_s=300)
        self._finish(verb.name, end, out, tally, verb.compare)

    def remove(self, out: Path) -> None:
        """Take away what a verb made."""
        for path in (out, out.with_suffix(".finetune")):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    def _count(self, verb: str, end: End, tally: Tally) -> bool:
        """Whether the child was killed, rather than having finished before."""
        if end.code == 0:
            tally.finished_first[verb] += 1
            return False
        tally.kills[verb] += 1
        if end.code > 0 or end.violation == "hang":
            tally.violations.append(f"{verb}: {end.violation or end.said}")
        return True

    def _finish(self, verb: str, end: End, take: Path, tally: Tally, compare: Contents = contents) -> None:
        if end.code:
            tally.violations.append(f"{verb}: it cannot go on after a kill: {end.said or end.violation}")
        elif (found := compare(take)) != self.expected[verb]:
            wrong = [
                name for name in {*found, *self.expected[verb]} if found.get(name) != self.expected[verb].get(name)
            ]
            tally.violations.append(f"{verb}: other bytes in {', '.join(sorted(wrong)[:4])}")
        if contents(self.inputs) != self.before:
            tally.violations.append(f"{verb}: an input was changed")
        self.remove(take)
        for left in (*self.folder.glob(f".{take.name}.*"), *self.folder.glob(".*.lock")):
            tally.violations.append(f"{verb}: {left.name} is left")
            shutil.rmtree(left) if left.is_dir() else left.unlink()


def kill(count: int, seed: int, only: str = "") -> dict[str, Any]:
    """Kill until `count` children were killed; what came of it."""
    torch.set_num_threads(1)  # a pool of threads does not live on in a child that is forked
    rng, tally, begun = random.Random(seed), Tally(), time.monotonic()
    wanted = only.split(",")
    with tempfile.TemporaryDirectory() as name:
        trial = Trial(Path(name))
        others = {verb.name: verb for verb in other_verbs(trial, Path(name)) if _is(verb.name, wanted)}
        for verb in others.values():
            trial.undisturbed(verb)
        weights = {name: weight for name, weight in (("redub", 3), ("matte", 2), ("comp", 2)) if _is(name, wanted)}
        weights |= dict.fromkeys(others, 2)
        while (left := count - sum(tally.kills.values())) > 0:
            verb_name = rng.choices(list(weights), list(weights.values()))[0]
            if verb_name == "redub":
                trial.killed_render(rng, tally, left)
            elif verb_name in others:
                trial.killed_other(others[verb_name], rng, tally)
            else:
                trial.killed_edit(verb_name, rng, tally)
    return {
        "verbs": list(weights),
        "kills": dict(tally.kills),
        "finished_first": dict(tally.finished_first),
        "violations": tally.violations,
        "seed": seed,
        "seconds": round(time.monotonic() - begun, 1),
    }


def _is(name: str, wanted: list[str]) -> bool:
    return wanted == [""] or name in wanted


def main(arguments: list[str] | None = None) -> int:
    """Run, print the table; 0 when nothing was violated."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="these verbs, after commas")
    parser.add_argument("--json", type=Path, help="also write the result here")
    args = parser.parse_args(arguments)
    result = kill(args.kills, args.seed, args.only)
    print("| verb | kills | finished before the kill |")
    for verb in result["verbs"]:
        print(f"| {verb} | {result['kills'].get(verb, 0)} | {result['finished_first'].get(verb, 0)} |")
    for violation in result["violations"]:
        print(f"VIOLATION {violation}")
    total = sum(result["kills"].values())
    print(f"{total} kills, {len(result['violations'])} violations, {result['seconds']} s, seed {args.seed}")
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    return int(bool(result["violations"]))


if __name__ == "__main__":
    sys.exit(main())
