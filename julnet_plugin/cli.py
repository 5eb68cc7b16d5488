"""The `julnet` command: finds the verb, runs it, and turns every end into an exit code and one sentence.

Exit codes: 0 done, 1 our failure, 2 something the user can mend, 130 cancelled.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import sys
import traceback
from typing import TYPE_CHECKING, Any, NoReturn

from julnet_plugin import __version__
from julnet_plugin.console import Console, ConsoleHandler, private_stdout
from julnet_plugin.errors import InputError
from julnet_plugin.logfile import log_file
from julnet_plugin.manager import make_manager
from julnet_plugin.outcome import DONE, FAILED, exit_code_of, known_error, sentence_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from julnet_plugin.interfaces import CliVerb
    from julnet_plugin.manager import Manager

log = logging.getLogger(__name__)


class UsageError(InputError):
    """The command line cannot be understood."""


def main(argv: Sequence[str] | None = None, manager: Manager | None = None) -> int:
    """Run one command.

    Args:
        argv: arguments without the program's name; those of the process unless said.
        manager: plugins to use; the installed ones unless said.

    Returns:
        The exit code.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    as_json = "--json" in arguments
    with private_stdout() if as_json else contextlib.nullcontext(sys.stdout) as stdout:
        console = Console(as_json, stdout)
        with _logging_to(console, arguments), log_file(_option(arguments, "--log-file"), console) as end:
            try:
                manager = manager or make_manager(third_party="--no-plugins" not in arguments)
                code = _run(arguments, manager, console)
                log.info("took %s", console.clock)
            except SystemExit as exc:  # argparse after --help and --version
                code = exc.code if isinstance(exc.code, int) else DONE
            except BaseException as exc:  # noqa: BLE001 - the one place where everything ends
                code = _ended_by(exc, console, end, debug="--debug" in arguments)
            end["exit_code"] = code
            return code


def _run(arguments: list[str], manager: Manager, console: Console) -> int:
    verbs = manager.verbs()
    args = _parser(verbs).parse_args(arguments)
    args.manager, args.console = manager, console
    return verbs[args.verb].run(args)


def _ended_by(exc: BaseException, console: Console, end: dict[str, Any], *, debug: bool) -> int:
    """Say in one sentence why a verb ended early, also in the log's summary, and return its exit code."""
    story = "".join(traceback.format_exception(exc)).rstrip()
    if debug:
        console.note(story)
    known = known_error(exc)
    code = exit_code_of(known)
    end["error"] = sentence_of(known)
    if code == FAILED:
        end["traceback"] = story
    console.error(known)
    return code


def _option(arguments: list[str], name: str) -> str | None:
    """The value of an option that is needed before the command line can be parsed."""
    for index, argument in enumerate(arguments):
        if argument.startswith(f"{name}="):
            return argument.partition("=")[2]
        if argument == name:
            return arguments[index + 1] if index + 1 < len(arguments) else None
    return None


class _Parser(argparse.ArgumentParser):
    """Argparse with our errors: one sentence instead of the usage."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; {self.prog} --help shows how it is used")


def _parser(verbs: dict[str, CliVerb]) -> argparse.ArgumentParser:
    common = _Parser(add_help=False, argument_default=argparse.SUPPRESS)
    group = common.add_argument_group("output")
    group.add_argument("--json", action="store_true", help="one JSON object per line on stdout")
    group.add_argument("-v", "--verbose", action="count", help="say more on stderr; twice for everything")
    group.add_argument("--debug", action="store_true", help="print a traceback when something fails")
    group.add_argument("--log-file", metavar="FILE", help="append everything that is logged, one JSON object a line")
    group.add_argument("--no-plugins", action="store_true", help="use only what comes with JULNet")
    parser = _Parser(
        allow_abbrev=False,
        prog="julnet",
        parents=[common],
        description="Re-dub a shot: make the mouth say a new line, and say where the picture is unsure.",
    )
    parser.add_argument("--version", action="version", version=f"julnet {__version__}")
    commands = parser.add_subparsers(dest="verb", metavar="VERB", required=True, title="verbs")
    for name, verb in verbs.items():
        command = commands.add_parser(name, allow_abbrev=False, parents=[common], help=verb.help, description=verb.help)
        verb.add_arguments(command)
    return parser


@contextlib.contextmanager
def _logging_to(console: Console, arguments: list[str]) -> Iterator[None]:
    """Show warnings, or more with -v, while the command runs."""
    loudness = sum(a.count("v") for a in arguments if a.startswith("-v") and set(a[1:]) == {"v"})
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(loudness + ("--verbose" in arguments), 2)]
    root, handler = logging.getLogger(), ConsoleHandler(console)
    before = root.level
    handler.setLevel(level)
    root.addHandler(handler)
    root.setLevel(level)
    try:
        yield
    finally:
        root.setLevel(before)
        root.removeHandler(handler)


if __name__ == "__main__":
    sys.exit(main())
