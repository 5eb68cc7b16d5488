"""`python -m trainer.cover`: how often weights are right about held-out speakers, with things they never saw."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from julnet_plugin.errors import InputError


def main(arguments: Sequence[str] | None = None) -> int:
    """Print scores of each weights file; 2 if something that was given cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m trainer.cover", description=__doc__)
    parser.add_argument("dataset", type=Path, help="folder that `julnet prepare` wrote")
    parser.add_argument("--weights", type=Path, action="append", help="a file; may be repeated; default: those in use")
    parser.add_argument("--things", type=Path, help="folder of PNGs with alpha; hand*.png takes the tint of the face")
    parser.add_argument("--json", action="store_true", help="numbers for programs")
    args = parser.parse_args(arguments)
    from trainer.cover.measure import measure

    try:
        for path, by_kind in measure(args.dataset, args.weights, args.things):
            if args.json:
                print(json.dumps({"weights": str(path), **{kind: s.to_json() for kind, s in by_kind.items()}}))
                continue
            print(path)
            for kind, scores in by_kind.items():
                print(f"{kind}\n{scores.text()}\n")
    except InputError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
