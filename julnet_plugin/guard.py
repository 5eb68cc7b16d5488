"""A shell around each plugin, so that one which fails is reported and the others go on.

The manager registers this shell instead of the plugin: pluggy sees the same hooks with the same parameters, but an
exception that a hook raises by mistake is kept as a `Problem` and answered with nothing.
"""

from __future__ import annotations

import functools
import inspect
import logging
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

from julnet_plugin import NAME, hookimpl, interfaces
from julnet_plugin.errors import JulnetError, PluginError, RedubCancelled
from julnet_plugin.foreign import translated
from julnet_plugin.types import Take

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    import pluggy

log = logging.getLogger(__name__)

#: Hooks that contribute things, and what each thing must offer.
CONTRIBUTIONS: dict[str, type] = {
    "julnet_face_trackers": interfaces.FaceTracker,
    "julnet_audio_features": interfaces.AudioFeatures,
    "julnet_generators": interfaces.GeneratorFactory,
    "julnet_matte_operators": interfaces.MatteOperator,
    "julnet_writers": interfaces.TakeWriter,
    "julnet_hosts": interfaces.HostEntry,
    "julnet_cli_verbs": interfaces.CliVerb,
}


#: Hooks that do a job, and what they answer; their errors end the job.
ANSWERS: dict[str, type] = {"julnet_redub_clip": Take, "julnet_adapt_model": Path}


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why a plugin, or a part of it, is not used."""

    plugin: str
    message: str  #: one sentence


@dataclass(slots=True, kw_only=True, eq=False)
class PluginRecord:
    """One registered plugin, as `julnet plugins` shows it."""

    name: str
    origin: str  #: "built-in", or the distribution and its version
    module: str  #: where its code is, as Python names it
    builtin: bool = False
    hooks: tuple[str, ...] = ()
    problems: list[Problem] = field(default_factory=list)

    def report(self, message: str, exc: BaseException | None = None) -> None:
        """Keep a problem once and log it as a warning; the traceback is for `-v` only."""
        if any(problem.message == message for problem in self.problems):
            return
        self.problems.append(Problem(plugin=self.name, message=message))
        log.warning("plugin %s: %s", self.name, message)
        if exc is not None:
            log.info("plugin %s failed", self.name, exc_info=exc)


class Contribution(NamedTuple):
    """One thing that a plugin contributes, and who contributes it."""

    plugin: PluginRecord
    item: Any


def shell(plugin: object, record: PluginRecord, pm: pluggy.PluginManager) -> SimpleNamespace:
    """What is registered in the plugin's place: its hooks, guarded. Fills in `record.hooks`.

    Raises:
        PluginError: it has no hooks, or wraps one that cannot be wrapped.
    """
    guarded = {}
    for name in dir(plugin):
        options = pm.parse_hookimpl_opts(plugin, name)
        if options is None:
            continue
        hook = options.get("specname") or name
        function = getattr(plugin, name)
        if options.get("hookwrapper") or (options.get("wrapper") and hook in CONTRIBUTIONS):
            message = f"{name} is a wrapper of a kind that {NAME} has no use for; only wrapper=True around a call works"
            raise PluginError(message, record.name)
        guard = _guard_wrapper if options.get("wrapper") else _guard_of(hook)
        function = _like(function, guard(function, record, hook))
        guarded[name] = hookimpl(**options)(function)
        record.hooks += (hook,)
    if not guarded:
        message = f"{record.module} has no function marked with julnet_plugin.hookimpl; mark its hooks"
        raise PluginError(message, record.name)
    return SimpleNamespace(**guarded)


def _like(function: Callable[..., Any], guarded: Callable[..., Any]) -> Callable[..., Any]:
    """Give the guarded function the name and the parameters that pluggy looks for."""
    functools.update_wrapper(guarded, function, updated=())
    guarded.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    return guarded


def _guard_of(hook: str) -> Callable[[Callable[..., Any], PluginRecord, str], Callable[..., Any]]:
    return _guard_contribution if hook in CONTRIBUTIONS else _guard_call


def _guard_contribution(function: Callable[..., Any], record: PluginRecord, hook: str) -> Callable[..., Any]:
    def guarded(*args: Any) -> list[Contribution]:
        try:
            items = list(function(*args))
        except (Exception, SystemExit) as exc:  # noqa: BLE001 - a plugin may fail in any way
            record.report(f"{hook} failed: {_in_words(exc)}", exc)
            return []
        return [Contribution(record, item) for item in items if _complete(item, record, hook)]

    return guarded


def _complete(item: object, record: PluginRecord, hook: str) -> bool:
    protocol = CONTRIBUTIONS[hook]
    missing = [name for name in sorted(members(protocol)) if not hasattr(item, name)]
    if missing:
        record.report(f"{hook} gave {item!r}, which lacks {', '.join(missing)} of {protocol.__name__}; it is skipped")
    return not missing


def members(protocol: type) -> set[str]:
    """Names that an implementation of one of our protocols must have."""
    return {name for name in (*vars(protocol), *inspect.get_annotations(protocol)) if not name.startswith("_")}


def _guard_call(function: Callable[..., Any], record: PluginRecord, hook: str) -> Callable[..., Any]:
    def guarded(*args: Any) -> Any:
        try:
            answer = function(*args)
        except (Exception, SystemExit) as exc:
            deliberate = isinstance(exc, (JulnetError, RedubCancelled))
            if hook in ANSWERS and deliberate:
                raise
            if hook in ANSWERS and record.builtin:
                raise _own(exc, record.name) from exc
            record.report(f"{hook} failed: {_in_words(exc)}", exc)
            return None
        wanted = ANSWERS.get(hook)
        if wanted is not None and not isinstance(answer, (wanted, type(None))):
            record.report(f"{hook} gave {answer!r}, but a {wanted.__name__} or None is needed")
            return None
        return answer

    return guarded


def _guard_wrapper(function: Callable[..., Any], record: PluginRecord, hook: str) -> Callable[..., Any]:
    """Run a wrapper around a call; one that fails by itself is left out, and the call's own answer stands."""

    def guarded(*args: Any) -> Generator[None, Any, Any]:
        inner = function(*args)
        try:
            next(inner)
        except (JulnetError, RedubCancelled):
            raise
        except (Exception, SystemExit) as exc:  # noqa: BLE001 - as above
            record.report(f"{hook} (wrapper) failed: {_in_words(exc)}", exc)
            return (yield)
        answer, failure = None, None
        try:
            answer = yield
        except BaseException as exc:  # noqa: BLE001 - handed to the wrapper, raised again below
            failure = exc
        try:
            inner.send(answer) if failure is None else inner.throw(failure)
        except StopIteration as stop:
            return stop.value
        except (JulnetError, RedubCancelled):
            raise
        except BaseException as exc:
            if exc is failure or not isinstance(exc, (Exception, SystemExit)):
                raise
            record.report(f"{hook} (wrapper) failed: {_in_words(exc)}", exc)
        else:
            record.report(f"{hook} (wrapper) yields twice; a wrapper yields once")
        if failure is not None:
            raise failure
        return answer

    return guarded


def _own(exc: BaseException, plugin: str) -> JulnetError:
    """The JULNet error for a foreign exception out of a built-in."""
    known = translated(exc)
    return known or PluginError(f"{plugin} failed with an unexpected error: {_in_words(exc)}", plugin)


def _in_words(exc: BaseException) -> str:
    """An exception as one line."""
    text = " ".join(str(exc).split())
    return f"{type(exc).__name__}: {text}" if text else type(exc).__name__
