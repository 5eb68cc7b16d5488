"""`julnet verify`: what a file claims about its origin, and whether it still is what was signed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from julnet_plugin.outcome import BAD_INPUT, DONE

if TYPE_CHECKING:
    import argparse


class Verify:
    """Check content credentials."""

    name = "verify"
    help = "say what a movie, still or take claims about its origin, and whether it still is what was signed"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("file", type=Path, metavar="FILE|TAKE", help="movie, still, or take folder")

    def run(self, args: argparse.Namespace) -> int:
        """Judge the file, or every file of the take; 0 when all match."""
        from julnet_plugin.provenance.verify import verify_file, verify_take

        found = list(verify_take(args.file)) if args.file.is_dir() else [verify_file(args.file)]
        ok = bool(found) and all(one.verdict == "match" for one in found)
        values = {
            "ok": ok,
            "files": [
                {
                    "file": str(one.file),
                    "verdict": one.verdict,
                    "signer": one.signer,
                    "trusted": one.trusted,
                    "problems": list(one.problems),
                    "claims": one.claims,
                }
                for one in found
            ],
        }
        marks = {"match": "yes", "mismatch": "NO ", "none": "-  "}
        lines = [f"{marks[one.verdict]}  {one.text}" for one in found]
        args.console.result(values, "\n".join(lines) or f"{args.file} holds no picture and no movie")
        return DONE if ok else BAD_INPUT
