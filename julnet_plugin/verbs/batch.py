"""`julnet batch`: many lines in one go."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from julnet_plugin.errors import RedubCancelled, TakeError
from julnet_plugin.outcome import BAD_INPUT, DONE, FAILED
from julnet_plugin.verbs.redub import add_redub_options, request_from

if TYPE_CHECKING:
    import argparse

    from julnet_plugin.batch.run import Result


class Batch:
    """Re-dub every line of a list."""

    name = "batch"
    help = "re-dub every line of a CSV, JSON or OTIO file; a bad line never stops the rest"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("lines", type=Path, metavar="LINES", help="list of lines: .csv, .json or .otio")
        parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER", help="of takes and results")
        add_redub_options(parser)

    def run(self, args: argparse.Namespace) -> int:
        """Do the lines, or what is left of them; 0 when all are done, 2 when some were refused, 1 when some failed."""
        from julnet_plugin.batch.lines import read_lines
        from julnet_plugin.batch.run import TABLE, run_lines

        if args.output.exists() and not args.output.is_dir():
            raise TakeError(f"{args.output} is a file, and takes need a folder: choose another output", args.output)
        lines = read_lines(args.lines, args.output, _defaults(args))
        console = args.console

        def say(result: Result) -> None:
            text = result.message or result.take
            console.note(f"{result.number:>4}  {result.status:<8} {result.name}  {text}")

        try:
            with console.cancellable():
                third_party = not getattr(args, "no_plugins", False)
                results = run_lines(lines, args.output, console.progress, say, plugins=third_party)
        except (RedubCancelled, KeyboardInterrupt) as exc:
            message = f"stopped; the same command goes on, and {args.output / TABLE} says how far it is"
            raise RedubCancelled(message) from exc
        counts = {status: sum(r.status == status for r in results) for status in ("done", "refused", "failed")}
        values: dict[str, Any] = {"table": str(args.output / TABLE), **counts, "lines": [asdict(r) for r in results]}
        told = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
        console.result(values, f"{told} of {len(results)} lines\ntable  {args.output / TABLE}")
        return FAILED if counts["failed"] else BAD_INPUT if counts["refused"] else DONE


def _defaults(args: argparse.Namespace) -> dict[str, Any]:
    """The options of the command line, for lines that do not say otherwise."""
    from julnet_plugin.requestio import request_to_json

    request = request_from(args, plate=Path("plate"), dub=Path("dub"), take_dir=Path("take"))
    if request.consent is not None:
        args.consent = request.consent.absolute()
        request = request_from(args, plate=Path("plate"), dub=Path("dub"), take_dir=Path("take"))
    values = request_to_json(request)
    for name in ("plate", "dub", "take_dir"):
        values.pop(name)
    return values
