"""How a run ends, told the same way to shells, programs and hosts: an exit code, one sentence, the facts."""

from __future__ import annotations

from typing import Any

from julnet_plugin.errors import InputError, JulnetError, RedubCancelled
from julnet_plugin.foreign import translated

DONE, FAILED, BAD_INPUT, CANCELLED = 0, 1, 2, 130


def known_error(exc: BaseException) -> BaseException:
    """What an exception means in our own words; itself where nobody can say."""
    if isinstance(exc, KeyboardInterrupt):
        return RedubCancelled("stopped")
    return translated(exc) or exc


def exit_code_of(exc: BaseException) -> int:
    """Exit code of a run that ended with a `known_error`."""
    if isinstance(exc, RedubCancelled):
        return CANCELLED
    return BAD_INPUT if isinstance(exc, InputError) else FAILED


def sentence_of(exc: BaseException) -> str:
    """One line about a `known_error`."""
    text = " ".join(str(exc).split())
    if isinstance(exc, RedubCancelled):
        return text or "stopped"
    if isinstance(exc, JulnetError):
        return text
    return f"unexpected {type(exc).__name__}: {text}; run it again with --debug and report what it prints"


def error_values(exc: BaseException) -> dict[str, Any]:
    """A `known_error` as the fields of an "error" event."""
    facts = exc.facts() if isinstance(exc, JulnetError) else {}
    if "frame_index" in facts:
        facts["frame"] = facts.pop("frame_index")
    return {"type": type(exc).__name__, "message": sentence_of(exc), **facts}
