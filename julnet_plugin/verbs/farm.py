"""`julnet farm`: one task of a take that a farm renders in chunks. Job templates call it, people call `submit`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from julnet_plugin.errors import SettingsError
from julnet_plugin.requestio import request_from_json
from julnet_plugin.types import FrameRange

if TYPE_CHECKING:
    import argparse

    from julnet_plugin.console import Console
    from julnet_plugin.types import ProgressFn, RedubRequest

_TASKS = ("track", "paint", "write", "assemble")
_MOST_BYTES = 4 * 1024 * 1024  #: of a request file

#: Share of a task's time that a stage ends at, for farms that show one bar.
_WEIGHTS = {"track": 90, "audio": 100, "render": 100, "deliver": 100}


class Farm:
    """Do one task of a farm job."""

    name = "farm"
    help = "do one task of a farm job: job templates that julnet submit wrote call it"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options."""
        verbs = parser.add_subparsers(dest="task", metavar="TASK", required=True)
        for task in _TASKS:
            one = verbs.add_parser(task, help=f"the {task} step")
            one.add_argument("request", type=Path, metavar="REQUEST", help="JSON file with the request")
            for name in ("plate", "dub", "take-dir", "model", "consent"):
                one.add_argument(f"--{name}", metavar="PATH", help=f"{name} of the request, where the farm maps it")
            one.add_argument("--session", type=Path, metavar="DIR", help="folder that farm enter was given")
            if task in ("paint", "write"):
                one.add_argument("--frames", metavar="A-B", help="do the chunks that begin in these frames")
        training = verbs.add_parser("training", help="write a job template for training with torchrun")
        training.add_argument("folder", type=Path, metavar="FOLDER", help="where to write it")
        for task, help_text in _SESSION.items():
            one = verbs.add_parser(task, help=help_text)
            one.add_argument("session", type=Path, metavar="DIR", help="folder of the worker's session")

    def run(self, args: argparse.Namespace) -> int:
        """Do the task."""
        if args.task in _SESSION:
            return _session(args)
        if args.task == "training":
            from julnet_plugin.farm.training import write_training

            path = write_training(args.folder)
            args.console.result({"template": str(path)}, f"job   {path}")
            return 0
        from julnet_plugin.farm.session import run_task

        request = _read_request(args)
        frames = parse_frames(args.frames) if getattr(args, "frames", None) else None
        with args.console.cancellable():
            progress = openjd_progress(args.task, args.console)
            run_task(args.session, args.task, request, frames, progress, lambda: args.manager)
        args.console.result({"step": args.task, "take": str(request.take_dir)}, "openjd_progress: 100")
        return 0


_SESSION = {
    "enter": "load the model and keep it for this session",
    "leave": "let it go",
    "serve": "be the process that keeps it",
}


def _session(args: argparse.Namespace) -> int:
    from julnet_plugin.farm import session

    if args.task == "serve":
        session.Server(args.session, args.manager).serve()
    elif args.task == "enter":
        session.start(args.session)
        args.console.result({"session": str(args.session)}, "openjd_status: ready")
    else:
        session.stop(args.session)
    return 0


def parse_frames(text: str) -> FrameRange:
    """The frames in "48-95" or "48", the last one included, as farms write them.

    Raises:
        SettingsError: not a range.
    """
    first, _, last = text.strip().partition("-")
    if not (first.isdecimal() and (last or first).isdecimal()) or int(last or first) < int(first):
        raise SettingsError(f'"{text}" is not a range of frames: give the first and the last, such as 48-95', "frames")
    return FrameRange(start=int(first), stop=int(last or first) + 1)


def openjd_progress(task: str, console: Console) -> ProgressFn:
    """Progress in the words of Open Job Description on stdout, or as events with `--json`."""
    if console.as_json:
        return console.progress
    from julnet_plugin.console import STAGES, Throttle

    throttle, told = Throttle(), [""]

    def progress(stage: str, done: int, total: int) -> None:
        console.check_cancelled()
        if not throttle.passes(stage, done, total):
            return
        if stage != told[0]:
            told[0] = stage
            console.result({}, f"openjd_status: {STAGES.get(stage, stage)}")
        share = _WEIGHTS.get(stage, 100) if task == "track" else 100
        console.result({}, f"openjd_progress: {min(99.0, share * done / max(total, 1)):.1f}")

    return progress


def _read_request(args: argparse.Namespace) -> RedubRequest:
    """The request in the file, with the paths that the farm gave."""
    from julnet_plugin.untrusted import read_json_object

    values = read_json_object(args.request, "a request", most_bytes=_MOST_BYTES)
    given = {
        "plate": args.plate,
        "dub": args.dub,
        "take_dir": args.take_dir,
        "model": args.model,
        "consent": args.consent,
    }
    return request_from_json({**values, **{name: value for name, value in given.items() if value}})
