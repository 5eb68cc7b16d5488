"""Every hook is called by the manager, and every hook is documented."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from julnet_plugin import hookimpl, hookspecs, interfaces
from julnet_plugin.errors import SettingsError
from julnet_plugin.guard import CONTRIBUTIONS, members
from julnet_plugin.manager import Manager
from julnet_plugin.types import RedubRequest, Take

HOOKS = {name: value for name, value in vars(hookspecs).items() if name.startswith("julnet_")}
REQUEST = RedubRequest(plate=Path("p"), dub=Path("d"), take_dir=Path("t"))

#: How a user of the manager reaches each hook.
CALLS: dict[str, Callable[[Manager], Any]] = {
    "julnet_redub_clip": lambda manager: manager.redub_clip(REQUEST),
    "julnet_adapt_model": lambda manager: manager.adapt_model("rt", [Path("p")], Path("x"), 1.0),
    "julnet_after_take": lambda manager: manager.redub_clip(REQUEST),
    "julnet_face_trackers": lambda manager: manager.face_tracker("x"),
    "julnet_audio_features": lambda manager: manager.audio_features("x"),
    "julnet_generators": lambda manager: manager.generator("x"),
    "julnet_matte_operators": lambda manager: manager.matte_operators()[0],
    "julnet_writers": lambda manager: manager.writers()["x"],
    "julnet_hosts": lambda manager: manager.hosts()["x"],
    "julnet_cli_verbs": lambda manager: manager.verbs()["x"],
}


def thing(hook: str) -> SimpleNamespace:
    """Something with all that one contribution of a hook must have."""
    return SimpleNamespace(**dict.fromkeys(members(CONTRIBUTIONS[hook])) | {"name": "x", "order": 0.0})


class Everything:
    """A plugin with all hooks; it remembers which were called, and with what."""

    def __init__(self) -> None:
        self.called: dict[str, tuple[Any, ...]] = {}

    @hookimpl
    def julnet_redub_clip(self, request: object, progress: object, manager: object) -> Take:
        self.called["julnet_redub_clip"] = (request, progress, manager)
        return Take(path=Path("t"), manifest={})

    @hookimpl
    def julnet_after_take(self, take: object, request: object) -> None:
        self.called["julnet_after_take"] = (take, request)

    @hookimpl
    def julnet_adapt_model(self, clips: object, output: Path) -> Path:
        self.called["julnet_adapt_model"] = (clips, output)
        return output

    def _give(self, hook: str) -> list[object]:
        self.called[hook] = ()
        return [thing(hook)]

    julnet_face_trackers = hookimpl(lambda self: self._give("julnet_face_trackers"))
    julnet_audio_features = hookimpl(lambda self: self._give("julnet_audio_features"))
    julnet_generators = hookimpl(lambda self: self._give("julnet_generators"))
    julnet_matte_operators = hookimpl(lambda self: self._give("julnet_matte_operators"))
    julnet_writers = hookimpl(lambda self: self._give("julnet_writers"))
    julnet_hosts = hookimpl(lambda self: self._give("julnet_hosts"))
    julnet_cli_verbs = hookimpl(lambda self: self._give("julnet_cli_verbs"))


def test_this_file_knows_every_hook() -> None:
    assert set(CALLS) == set(HOOKS)
    assert set(CONTRIBUTIONS) == set(HOOKS) - {"julnet_redub_clip", "julnet_adapt_model", "julnet_after_take"}


@pytest.mark.parametrize("hook", HOOKS)
def test_the_hook_is_called_and_its_answer_is_used(hook: str) -> None:
    manager, plugin = Manager(), Everything()
    assert manager.register(plugin, "everything")
    answer = CALLS[hook](manager)
    assert hook in plugin.called
    assert isinstance(answer, Take) or answer.name == "x"
    assert not manager.problems


def test_arguments_reach_the_hooks_that_take_any() -> None:
    manager, plugin = Manager(), Everything()
    manager.register(plugin, "everything")
    take = manager.redub_clip(REQUEST, print)
    assert plugin.called["julnet_redub_clip"] == (REQUEST, print, manager)
    assert plugin.called["julnet_after_take"] == (take, REQUEST)


def test_matte_operators_run_in_their_order() -> None:
    class Two:
        @hookimpl
        def julnet_matte_operators(self) -> list[object]:
            late, early = thing("julnet_matte_operators"), thing("julnet_matte_operators")
            late.name, late.order, early.name, early.order = "late", 30.0, "early", 10.0
            return [late, early]

    manager = Manager()
    manager.register(Two(), "two")
    assert [operator.name for operator in manager.matte_operators()] == ["early", "late"]


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_says_what_it_is_for(hook: str) -> None:
    assert len((HOOKS[hook].__doc__ or "").split()) > 8


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_on_the_plugin_page_with_its_parameters(hook: str) -> None:
    page = (Path(__file__).parents[2] / "docs" / "plugins.md").read_text("utf-8")
    documented = re.search(rf"`{hook}\(([^)]*)\)`", page)
    assert documented, f"docs/plugins.md does not describe {hook}"
    named = [name.strip() for name in documented[1].split(",") if name.strip()]
    assert named == list(inspect.signature(HOOKS[hook]).parameters)


@pytest.mark.parametrize("protocol", CONTRIBUTIONS.values(), ids=lambda protocol: protocol.__name__)
def test_every_contribution_is_on_the_plugin_page_with_its_members(protocol: type) -> None:
    page = (Path(__file__).parents[2] / "docs" / "plugins.md").read_text("utf-8")
    rows = [line for line in page.splitlines() if f"`{protocol.__name__}`" in line]
    assert any(all(f"`{name}`" in row for name in members(protocol)) for row in rows)


def test_what_a_contribution_must_offer_is_read_off_its_protocol() -> None:
    assert members(interfaces.FaceTracker) == {"name", "detect", "close"}


def test_the_tracker_of_the_settings_is_looked_up_by_name() -> None:
    manager = Manager()
    manager.register(Everything(), "everything")
    with pytest.raises(SettingsError, match="there is x"):
        manager.face_tracker("mediapipe")
