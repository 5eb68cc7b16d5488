"""The plugin manager: finds plugins, calls their hooks, and keeps a broken one from breaking anything else.

Built-ins are plugins like all others, named by module and imported when one of their hooks is first needed, so that a
host can make a manager in milliseconds. Third-party plugins come from the entry-point group `julnet`. Where two
contributions have one name, a third-party one replaces a built-in one.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.metadata
import importlib.util
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pluggy

from julnet_plugin import NAME, hookspecs
from julnet_plugin.errors import CheckpointError, InputError, PluginError, SettingsError
from julnet_plugin.guard import CONTRIBUTIONS, Contribution, PluginRecord, Problem, shell
from julnet_plugin.types import Take

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from julnet_plugin.interfaces import (
        AudioFeatures,
        CliVerb,
        FaceTracker,
        GeneratorFactory,
        HostEntry,
        MatteOperator,
        ProjectFile,
        TakeWriter,
    )
    from julnet_plugin.types import ProgressFn, RedubRequest

log = logging.getLogger(__name__)


class BuiltIn(NamedTuple):
    """A plugin that comes with JULNet, and the hooks for which it must be imported."""

    module: str
    hooks: tuple[str, ...]
    optional: bool = False  #: its package may be left out of an installation, as inside a host


BUILT_INS = (
    BuiltIn("julnet_plugin.effect_hook", ("julnet_redub_clip",)),
    BuiltIn("julnet_plugin.face.track", ("julnet_face_trackers",)),
    BuiltIn("julnet_plugin.audio.phones", ("julnet_audio_features",)),
    BuiltIn("julnet_plugin.audio.speech", ("julnet_audio_features",)),
    BuiltIn("julnet_plugin.model.architectures", ("julnet_generators",)),
    BuiltIn("julnet_plugin.matte.operators", ("julnet_matte_operators",)),
    BuiltIn("julnet_plugin.media.writer", ("julnet_writers",)),
    BuiltIn("julnet_plugin.verbs", ("julnet_cli_verbs",)),
    BuiltIn("trainer.plugin", ("julnet_cli_verbs", "julnet_adapt_model"), optional=True),
    BuiltIn("host_adapters.plugin", ("julnet_hosts", "julnet_cli_verbs"), optional=True),
)


def make_manager(*, third_party: bool = True) -> Manager:
    """A manager with the built-ins and, unless told otherwise, every installed third-party plugin."""
    manager = Manager(BUILT_INS)
    if third_party:
        manager.load_entry_points()
    return manager


class Manager:
    """Typed access to what plugins offer.

    Args:
        builtins: plugins to import when one of their hooks is first called.
    """

    def __init__(self, builtins: Iterable[BuiltIn] = ()) -> None:
        self._pm = pluggy.PluginManager(NAME)
        self._pm.add_hookspecs(hookspecs)
        self._waiting = list(builtins)
        self._records: list[PluginRecord] = []

    # -- registering ---------------------------------------------------------------------------------------------

    @property
    def problems(self) -> list[Problem]:
        """What is wrong with plugins, so far."""
        return [problem for record in self._records for problem in record.problems]

    def plugins(self) -> list[PluginRecord]:
        """Every plugin, built-ins imported, in the order of registration."""
        self._import_builtins(None)
        return list(self._records)

    def register(self, plugin: object, name: str, origin: str = "registered by hand", *, builtin: bool = False) -> bool:
        """Register a plugin; one that does not fit the hooks is reported and left out.

        Returns:
            Whether it is in use.
        """
        module = getattr(plugin, "__module__", None) or getattr(plugin, "__name__", None) or type(plugin).__module__
        record = PluginRecord(name=self._free(name), origin=origin, module=str(module), builtin=builtin)
        self._records.append(record)
        try:
            guarded = shell(plugin, record, self._pm)
            self._pm.register(guarded, record.name)
            self._pm.check_pending()
        except PluginError as exc:
            record.report(str(exc))
        except pluggy.PluginValidationError as exc:
            self._forget(record)
            record.report(_mismatch(record, exc))
        except (Exception, SystemExit) as exc:  # noqa: BLE001 - looking at a foreign object can raise anything
            self._forget(record)
            record.report(f"it cannot be registered: {type(exc).__name__}: {exc}", exc)
        else:
            return True
        record.hooks = ()
        return False

    def load_entry_points(self) -> None:
        """Import and register every plugin of the entry-point group `julnet`, in the order of their names."""
        seen = set()
        for entry in sorted(importlib.metadata.entry_points(group=NAME), key=lambda e: (e.name, e.value)):
            if (entry.name, entry.value) in seen:  # one distribution, found twice on the path
                continue
            seen.add((entry.name, entry.value))
            origin = f"{entry.dist.name} {entry.dist.version}" if entry.dist else "unknown distribution"
            try:
                plugin = entry.load()
            except (Exception, SystemExit) as exc:  # noqa: BLE001 - importing foreign code can raise anything
                self._broken(entry.name, origin, entry.value, exc)
            else:
                self.register(plugin, entry.name, origin)

    def _import_builtins(self, hook: str | None) -> None:
        """Import and register the built-ins that implement a hook, or all of them."""
        wanted = [b for b in self._waiting if hook is None or hook in b.hooks]
        self._waiting = [b for b in self._waiting if b not in wanted]
        for builtin in wanted:
            if builtin.optional and not _exists(builtin.module):
                continue
            try:
                module = importlib.import_module(builtin.module)
            except Exception as exc:  # noqa: BLE001 - a missing library shall not take the others along
                self._broken(builtin.module, "built-in", builtin.module, exc)
            else:
                self.register(module, builtin.module, "built-in", builtin=True)

    def _broken(self, name: str, origin: str, module: str, exc: BaseException) -> None:
        record = PluginRecord(name=self._free(name), origin=origin, module=module, builtin=origin == "built-in")
        self._records.append(record)
        record.report(f"it cannot be imported: {type(exc).__name__}: {exc}", exc)

    def _free(self, name: str) -> str:
        """The name itself, or with a number behind it when it is taken."""
        taken = {record.name for record in self._records}
        return next(n for n in (name, *(f"{name}-{i}" for i in range(2, len(taken) + 3))) if n not in taken)

    def _forget(self, record: PluginRecord) -> None:
        if self._pm.has_plugin(record.name):
            self._pm.unregister(name=record.name)

    # -- calling -------------------------------------------------------------------------------------------------

    def redub_clip(self, request: RedubRequest, progress: ProgressFn | None = None) -> Take:
        """Have the first effect that answers re-dub a clip, then tell every plugin about the take.

        Raises:
            JulnetError: what the effect raised; see `errors`.
            RedubCancelled: `progress` asked to stop.
        """
        self._import_builtins("julnet_redub_clip")
        take: object = self._pm.hook.julnet_redub_clip(request=request, progress=progress, manager=self)
        if not isinstance(take, Take):  # a wrapper may have put anything in its place
            raise PluginError(_with_reasons("no effect plugin answered", self.problems))
        self._pm.hook.julnet_after_take(take=take, request=request)
        return take

    def adapt_model(
        self,
        model: str,
        clips: Sequence[Path],
        output: Path,
        minutes: float,
        device: str = "auto",
        progress: ProgressFn | None = None,
    ) -> Path:
        """Have the first plugin that can teach a copy of a model one person.

        Returns:
            The weights file.

        Raises:
            JulnetError: what it raised; a `ModelError` where the copy did not measure better.
            SettingsError: no plugin can.
        """
        self._import_builtins("julnet_adapt_model")
        found: object = self._pm.hook.julnet_adapt_model(
            model=model,
            clips=list(clips),
            output=output,
            minutes=minutes,
            device=device,
            progress=progress,
            manager=self,
        )
        if not isinstance(found, Path):
            msg = "a model can only be adapted where the trainer is installed; install julnet[train], or leave it out"
            raise SettingsError(_with_reasons(msg, self.problems), key="adapt")
        return found

    def face_tracker(self, name: str) -> FaceTracker:
        """The face tracker that the setting `face.tracker` names.

        Raises:
            SettingsError: nobody contributes it.
        """
        tracker: FaceTracker = self._named("julnet_face_trackers", name, "face tracker", SettingsError)
        return tracker

    def audio_features(self, name: str) -> AudioFeatures:
        """The audio features that a weights file names.

        Raises:
            CheckpointError: nobody contributes them.
        """
        features: AudioFeatures = self._named("julnet_audio_features", name, "audio features", CheckpointError)
        return features

    def generator(self, name: str) -> GeneratorFactory:
        """The generator architecture that a weights file names.

        Raises:
            CheckpointError: nobody contributes it.
        """
        factory: GeneratorFactory = self._named("julnet_generators", name, "generator", CheckpointError)
        return factory

    def matte_operators(self) -> list[MatteOperator]:
        """Every step of the matte chain, in the order in which they run."""
        return sorted(self.contributed("julnet_matte_operators").values(), key=lambda operator: operator.order)

    def writers(self) -> dict[str, TakeWriter]:
        """Deliveries by the name that `--deliver` takes."""
        return self.contributed("julnet_writers")

    def hosts(self) -> dict[str, HostEntry]:
        """Host applications by name."""
        return self.contributed("julnet_hosts")

    def open_project(self, path: Path) -> ProjectFile | None:
        """A project file of a host that edits it itself; None where no host knows it.

        Raises:
            InputError: it is a host's, and cannot be used.
        """
        for host in self.hosts().values():
            if (opened := getattr(host, "open_project", None)) is not None:
                project: ProjectFile | None = opened(path)
                if project is not None:
                    return project
        return None

    def verbs(self) -> dict[str, CliVerb]:
        """Verbs of the `julnet` command by name."""
        return self.contributed("julnet_cli_verbs")

    def contributed(self, hook: str) -> dict[str, Any]:
        """What plugins contribute through one of the hooks in `CONTRIBUTIONS`, by name."""
        return {name: contribution.item for name, contribution in self.contributions(hook).items()}

    def contributions(self, hook: str) -> dict[str, Contribution]:
        """The same, with the plugin that each comes from."""
        assert hook in CONTRIBUTIONS
        self._import_builtins(hook)
        order = {record.name: index for index, record in enumerate(self._records)}
        found = [c for contributions in getattr(self._pm.hook, hook)() for c in contributions]
        chosen: dict[str, Contribution] = {}
        for contribution in sorted(found, key=lambda c: (not c.plugin.builtin, order[c.plugin.name])):
            name = str(contribution.item.name)
            earlier = chosen.get(name)
            if earlier is None or (earlier.plugin.builtin and not contribution.plugin.builtin):
                chosen[name] = contribution
            else:
                contribution.plugin.report(f"{hook} contributes {name!r}, which {earlier.plugin.name} has already")
        return chosen

    def _named(self, hook: str, name: str, what: str, error: type[InputError]) -> Any:
        found = self.contributed(hook)
        if name in found:
            return found[name]
        near = difflib.get_close_matches(name, found, n=1, cutoff=0.4)
        advice = f"did you mean {near[0]!r}?" if near else f"there is {', '.join(sorted(found)) or 'none'}"
        raise error(_with_reasons(f"no {what} is called {name!r}; {advice}", self.problems))


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # its package isn't there
        return False


def _mismatch(record: PluginRecord, exc: pluggy.PluginValidationError) -> str:
    """Why pluggy refuses a plugin, with the hook that was probably meant."""
    known = [name for name in vars(hookspecs) if name.startswith(f"{NAME}_")]
    unknown = [hook for hook in record.hooks if hook not in known]
    if unknown:
        near = difflib.get_close_matches(unknown[0], known, n=1)
        advice = f"did you mean {near[0]}?" if near else f"the hooks are {', '.join(known)}"
        return f"there is no hook {unknown[0]}; {advice}"
    return " ".join(str(exc).split())


def _with_reasons(message: str, problems: list[Problem]) -> str:
    """Add what is wrong with plugins, since it may be the reason."""
    reasons = "; ".join(f"{problem.plugin}: {problem.message}" for problem in problems[:3])
    return f"{message} ({reasons})" if reasons else message
