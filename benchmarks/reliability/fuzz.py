"""Damage every kind of file that JULNet reads, and see what it makes of it.

    python -m benchmarks.reliability.fuzz --mutants 2000 --seed 1 --json out.json

Each mutant is read in a child of its own: it must end in success or in one sentence with exit code 2. Tracebacks,
crashes of the interpreter, hangs over 60 s and takes that were written by half are violations; the mutants that caused
them are kept.
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
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.reliability.children import run
from benchmarks.reliability.kinds import Kind, kinds

_TEXT = (".json", ".csv", ".toml", ".otio", ".xml", ".edl", ".mlt", ".tsv", ".pem")


def mutate(data: bytes, rng: random.Random, *, text: bool) -> bytes:
    """One damaged copy: bits, bytes, blocks, lengths; in texts also numbers and words."""
    if not data:
        return bytes(rng.randrange(256) for _ in range(8))
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        at, size = rng.randrange(len(out) or 1), rng.choice((1, 2, 4, 8, 64, 512))
        change = rng.randrange(8 if text else 7)
        if change == 0 and out:
            out[at % len(out)] ^= 1 << rng.randrange(8)
        elif change == 1 and out:
            out[at : at + size] = bytes(rng.randrange(256) for _ in range(size))
        elif change == 2:
            del out[at : at + size]
        elif change == 3:
            out[at:at] = out[at : at + size]
        elif change == 4:
            out = out[: max(1, at)]
        elif change == 5:
            out[at : at + size] = rng.choice((b"\x00", b"\xff", b"\x7f")) * size
        elif change == 6 and len(out) > 64:  # headers matter most
            out[rng.randrange(64)] = rng.randrange(256)
        elif change == 7:
            words = (
                b"null",
                b"-1",
                b"1e999",
                b"NaN",
                b"[]",
                b"{}",
                b'""',
                b"9" * 30,
                b'"../../x"',
                b"true",
                b"[" * 2000,
            )
            out[at : at + rng.randrange(6)] = rng.choice(words)
    return bytes(out)


def _mutant_of(kind: Kind, rng: random.Random) -> bytes:
    data = kind.file.read_bytes()
    head = kind.head or len(data)
    return mutate(data[:head], rng, text=kind.file.suffix in _TEXT) + data[head:]


def fuzz(count: int, seed: int, keep: Path, only: str = "") -> dict[str, Any]:
    """Try mutants; the table of outcomes by kind."""
    rng = random.Random(seed)
    table: dict[str, Counter[str]] = {}
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wanted = only.split(",")
        known = [kind for kind in kinds(folder) if any(part in kind.name for part in wanted)]
        for kind in known:  # a reader that refuses the whole file would prove nothing
            path = _place(kind, folder / "mutant", kind.file.read_bytes())
            whole = run(partial(kind.read, path), folder / "child.log")
            if whole.code:
                raise RuntimeError(f"{kind.name}: the undamaged file is not read: {whole.said}")
            shutil.rmtree(folder / "mutant")
        for number in range(count):
            kind = rng.choices(known, [k.weight for k in known])[0]
            mutant = _place(kind, folder / "mutant", _mutant_of(kind, rng))
            end = run(partial(kind.read, mutant), folder / "child.log")
            outcome = end.violation or ("read" if end.code == 0 else "refused")
            if not end.violation and list(mutant.parent.parent.glob(".*.partial")):
                outcome = "half-written take"
            table.setdefault(kind.name, Counter())[outcome] += 1
            if outcome not in ("read", "refused"):
                keep.mkdir(parents=True, exist_ok=True)
                shutil.copy(mutant, keep / f"{number:05d}.{mutant.name}")
                shutil.copy(folder / "child.log", keep / f"{number:05d}.log")
            shutil.rmtree(folder / "mutant")
    violations = sum(n for row in table.values() for what, n in row.items() if what not in ("read", "refused"))
    took = round(time.monotonic() - begun, 1)
    return {"mutants": count, "seed": seed, "violations": violations, "seconds": took, "table": table}


def _place(kind: Kind, folder: Path, data: bytes) -> Path:
    """Lay the mutant where its reader looks for it: alone, or in a copy of its folder."""
    if kind.within is None:
        folder.mkdir()
        path = folder / kind.file.name
    else:
        shutil.copytree(kind.within, folder)
        path = folder / kind.file.relative_to(kind.within)
    path.write_bytes(data)
    return path


def main(arguments: list[str] | None = None) -> int:
    """Run, print the table; 0 when nothing was violated."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--mutants", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="kinds whose name contains one of these, after commas")
    parser.add_argument("--keep", type=Path, default=Path("runs/fuzz"), help="where violating mutants are kept")
    parser.add_argument("--json", type=Path, help="also write the result here")
    args = parser.parse_args(arguments)
    np.seterr(all="ignore")
    result = fuzz(args.mutants, args.seed, args.keep, args.only)
    others = sorted({what for row in result["table"].values() for what in row} - {"read", "refused"})
    print("| file | mutants | read | refused |", " | ".join(others) + " |" if others else "")
    for name, row in sorted(result["table"].items()):
        print(f"| {name} | {sum(row.values())} | {row['read']} | {row['refused']} |", *(f"{row[o]} |" for o in others))
    print(f"{result['mutants']} mutants, {result['violations']} violations, {result['seconds']} s, seed {args.seed}")
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    return int(result["violations"] > 0)


if __name__ == "__main__":
    sys.exit(main())
