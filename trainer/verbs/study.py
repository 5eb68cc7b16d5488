"""`julnet study`: let people judge, blind."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from julnet_plugin.errors import InputError

if TYPE_CHECKING:
    import argparse


class StudyVerb:
    """Write a blind rating page, or add up what people saved from it."""

    name = "study"
    help = "a blind A/B and opinion-score page for people, and what their scores add up to"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("systems", nargs="*", metavar="NAME=FOLDER", help="movies of each system, named alike")
        parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.html|DIR", help="page, or report")
        page = parser.add_argument_group("the page")
        page.add_argument("--title", default="Which looks real?", metavar="TEXT", help="at the top of the page")
        page.add_argument("--no-pairs", action="store_true", help="do not ask which of two is better")
        page.add_argument("--no-mos", action="store_true", help="do not ask for opinion scores")
        page.add_argument("--seed", type=int, default=0, help="of the names that hide who made what")
        result = parser.add_argument_group("the result")
        result.add_argument("--scores", type=Path, nargs="+", metavar="FILE", help="what participants saved")
        result.add_argument("--key", type=Path, metavar="FILE", help="the .key.json that was written beside the page")

    def run(self, args: argparse.Namespace) -> int:
        """Write one or the other."""
        if bool(args.scores) == bool(args.systems):
            msg = "give either NAME=FOLDER of two systems to make a page, or --scores and --key to add scores up"
            raise InputError(msg)
        return self._summary(args) if args.scores else self._page(args)

    def _page(self, args: argparse.Namespace) -> int:
        from trainer.study.page import parse_systems, write_study

        if args.output.suffix.lower() not in (".html", ".htm"):
            msg = f"the page {args.output} has the suffix {args.output.suffix!r}; give a name that ends in .html"
            raise InputError(msg)
        if args.no_mos and args.no_pairs:
            msg = "nothing would be asked; leave out --no-mos or --no-pairs"
            raise InputError(msg)
        done = write_study(
            parse_systems(args.systems),
            args.output,
            title=args.title,
            mos=not args.no_mos,
            pairs=not args.no_pairs,
            seed=args.seed,
        )
        values = {"page": str(done.page), "key": str(done.key), "movies": done.movies, "questions": done.questions}
        text = f"page  {done.page}  ({done.movies} movies, {done.questions} questions)\nkey   {done.key}  (keep it)"
        args.console.result(values, text)
        return 0

    def _summary(self, args: argparse.Namespace) -> int:
        from julnet_plugin.pipeline.workfolder import write_json, write_text
        from trainer.study.scores import summarise_study

        if args.key is None:
            msg = "the scores name no system; give --key, the .key.json that was written beside the page"
            raise InputError(msg)
        summary = summarise_study(args.key, args.scores)
        args.output.mkdir(parents=True, exist_ok=True)
        files = [args.output / "study.json", args.output / "study.md"]
        write_json(files[0], summary.to_json())
        write_text(files[1], summary.markdown())
        args.console.result({"report": str(files[0]), "files": [str(f) for f in files]}, summary.markdown())
        return 0
