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
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.reliability import media
from benchmarks.reliability.children import run

_TEXT = (".json", ".csv", ".toml", ".otio")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of file: a whole one, and what reads it."""

    name: str
    file: Path
    read: Callable[[Path], object]
    weight: int = 4


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


def kinds(folder: Path) -> list[Kind]:
    """Whole files of every kind, made in a folder."""
    from julnet_plugin import RedubRequest, redub
    from julnet_plugin.batch.lines import read_lines
    from julnet_plugin.config import load_settings
    from julnet_plugin.matte.document import load_document
    from julnet_plugin.model.checkpoint import load_checkpoint
    from julnet_plugin.provenance.consent import read_consent
    from julnet_plugin.provenance.verify import verify_file

    plate, line = media.write_plate(folder / "plate.mov"), media.write_line(folder / "line.wav")
    model = media.write_model(folder / "tiny.safetensors")
    settings = {"render.threads": 1, "render.chunk_frames": 4}
    request = RedubRequest(
        plate=plate, dub=line, take_dir=folder / "take", model=str(model), device="cpu", deliver=("png", "exr"),
        settings=settings,
    )  # fmt: skip
    take = redub(request).path
    texts = {
        "lines.csv": f"name,plate,dub,in,out\na,{plate},{line},0,5\nb,{plate},{line},,\n",
        "lines.json": json.dumps({"defaults": {"seed": 1}, "lines": [{"plate": str(plate), "dub": str(line)}]}),
        "consent.json": json.dumps({"who": "A", "what": "b", "until": "2999-12-31"}),
        "consent.toml": 'who = "A"\nwhat = "b"\nuntil = 2999-12-31\n',
        "settings.toml": "[render]\nbatch = 4\n[matte]\ngamma = 1.5\nblur_px = { keys = [{ frame = 0, value = 2 }] }\n",
        "request.json": json.dumps({"plate": str(plate), "dub": str(line), "take_dir": "t", "settings": settings}),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, "utf-8")
    _write_timeline(folder / "cut.otio", plate, line)
    return [
        Kind("movie h264 (decode)", plate, _decode, 8),
        Kind("movie prores (decode)", media.write_plate(folder / "plate2.mov", 4, (128, 96), "prores_ks"), _decode, 6),
        Kind("movie mkv (decode)", media.write_plate(folder / "plate.mkv", 6, (128, 96)), _decode, 6),
        Kind("sound wav", line, _listen),
        Kind("sound flac", media.write_line(folder / "line.flac"), _listen),
        Kind("still png", next(iter(sorted((take / "png").glob("dub*.png")))), _decode),
        Kind("still exr", next(iter(sorted((take / "exr").glob("*.exr")))), _decode, 6),
        Kind("weights", model, load_checkpoint),
        Kind("credentials", next(iter(sorted((take / "png").glob("dub*.png")))), verify_file),
        Kind("lines csv", folder / "lines.csv", lambda path: read_lines(path, path.parent, {})),
        Kind("lines json", folder / "lines.json", lambda path: read_lines(path, path.parent, {})),
        Kind("timeline otio", folder / "cut.otio", lambda path: read_lines(path, path.parent, {}), 6),
        Kind("consent json", folder / "consent.json", read_consent, 2),
        Kind("consent toml", folder / "consent.toml", read_consent, 2),
        Kind("settings toml", folder / "settings.toml", lambda path: load_settings(file=path)),
        Kind("request json", folder / "request.json", _request),
        Kind("strokes", take / "strokes.json", load_document),
        Kind("take.json (matte)", take / "take.json", _matte_of, 3),
        Kind("take data (matte)", take / "data" / "plan.npz", _matte_of, 2),
        Kind("take crops (matte)", take / "data" / "chunk.000000.npz", _matte_of, 2),
    ]


def _decode(path: Path) -> None:
    from julnet_plugin.media.probe import probe
    from julnet_plugin.media.reader import open_plate
    from julnet_plugin.types import FrameRange

    info = probe(path)
    with open_plate(info) as plate:
        for _ in plate.frames(FrameRange(start=0, stop=min(info.frame_count, 50))):
            pass


def _listen(path: Path) -> None:
    from julnet_plugin.pipeline.dub import read_mono_16k

    read_mono_16k(path, 0)


def _request(path: Path) -> None:
    from julnet_plugin.requestio import request_from_json
    from julnet_plugin.untrusted import read_json_object

    request_from_json(read_json_object(path, "a request"))


def _matte_of(path: Path) -> None:
    """Edit the take that a damaged file belongs to. Whatever happens, the rest of the take stays as it was."""
    from julnet_plugin.recomp import rederive_matte

    folder = path.parent if path.name == "take.json" else path.parent.parent
    rederive_matte(folder, {"matte.gamma": 2.0})


def _write_timeline(path: Path, plate: Path, line: Path) -> None:
    import opentimelineio as otio

    clip = otio.schema.Clip(
        name="a",
        media_reference=otio.schema.ExternalReference(target_url=str(plate)),
        source_range=otio.opentime.TimeRange(otio.opentime.RationalTime(0, 25), otio.opentime.RationalTime(5, 25)),
        metadata={"julnet": {"dub": str(line)}},
    )
    timeline = otio.schema.Timeline(tracks=[otio.schema.Track(children=[clip])])
    path.write_text(otio.adapters.write_to_string(timeline, "otio_json"), "utf-8")


def fuzz(count: int, seed: int, keep: Path, only: str = "") -> dict[str, Any]:
    """Try mutants; the table of outcomes by kind."""
    rng = random.Random(seed)
    table: dict[str, Counter[str]] = {}
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        known = [kind for kind in kinds(folder) if only in kind.name]
        for kind in known:  # a reader that refuses the whole file would prove nothing
            path = _place(kind, folder / "mutant", kind.file.read_bytes())
            whole = run(partial(kind.read, path), folder / "child.log")
            if whole.code:
                raise RuntimeError(f"{kind.name}: the undamaged file is not read: {whole.said}")
            shutil.rmtree(folder / "mutant")
        for number in range(count):
            kind = rng.choices(known, [k.weight for k in known])[0]
            mutant = _place(
                kind, folder / "mutant", mutate(kind.file.read_bytes(), rng, text=kind.file.suffix in _TEXT)
            )
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
    """Lay the mutant where its reader looks for it: alone, or in a copy of its take."""
    take = next((p for p in kind.file.parents if (p / "take.json").is_file()), None)
    if take is None or "matte" not in kind.name:
        folder.mkdir()
        path = folder / kind.file.name
    else:
        shutil.copytree(take, folder)
        path = folder / kind.file.relative_to(take)
    path.write_bytes(data)
    return path


def main(arguments: list[str] | None = None) -> int:
    """Run, print the table; 0 when nothing was violated."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--mutants", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="kinds whose name contains this")
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
