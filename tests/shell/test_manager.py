"""Plugins are found, called and, where they are broken, reported and skipped."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from julnet_plugin import hookimpl
from julnet_plugin.errors import CheckpointError, MediaError, ModelError, PluginError, RedubCancelled, SettingsError
from julnet_plugin.manager import BUILT_INS, BuiltIn, Manager, make_manager
from julnet_plugin.types import RedubRequest, Take

REQUEST = RedubRequest(plate=Path("p.mov"), dub=Path("d.wav"), take_dir=Path("take"))
TAKE = Take(path=Path("take"), manifest={"files": {}})


class Named:
    """A face tracker, or anything else with a name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def detect(self, picture: object, max_faces: int) -> list[object]:
        return []

    def close(self) -> None:
        pass


class Trackers:
    def __init__(self, *names: str) -> None:
        self.trackers: list[Any] = [Named(name) for name in names]

    @hookimpl
    def julnet_face_trackers(self) -> list[Any]:
        return self.trackers


class Effect:
    def __init__(self, answer: Take | BaseException | None) -> None:
        self.answer = answer

    @hookimpl
    def julnet_redub_clip(self) -> Take | None:
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


def messages(manager: Manager) -> str:
    return " | ".join(f"{problem.plugin}: {problem.message}" for problem in manager.problems)


def test_managers_do_not_share_plugins() -> None:
    first, second = Manager(), Manager()
    first.register(Trackers("one"), "first")
    assert first.face_tracker("one").name == "one"
    with pytest.raises(SettingsError):
        second.face_tracker("one")


def test_an_unknown_tracker_is_refused_with_the_nearest_name() -> None:
    manager = Manager()
    manager.register(Trackers("mediapipe"), "faces")
    with pytest.raises(SettingsError, match="did you mean 'mediapipe'"):
        manager.face_tracker("mediapip")


def test_features_and_generators_that_weights_name_are_a_matter_of_the_checkpoint() -> None:
    with pytest.raises(CheckpointError, match="no audio features"):
        Manager().audio_features("deepspeech")
    with pytest.raises(CheckpointError, match="no generator"):
        Manager().generator("wav2lip")


def test_a_third_party_contribution_replaces_a_built_in_one_of_the_same_name() -> None:
    manager, ours, theirs = Manager(), Trackers("mesh"), Trackers("mesh")
    manager.register(theirs, "theirs")
    manager.register(ours, "ours", builtin=True)
    assert manager.face_tracker("mesh") is theirs.trackers[0]
    assert not manager.problems


def test_of_two_third_party_contributions_the_first_one_stays_and_the_second_is_reported_once() -> None:
    manager, first = Manager(), Trackers("mesh")
    manager.register(first, "first")
    manager.register(Trackers("mesh"), "second")
    assert manager.face_tracker("mesh") is first.trackers[0]
    assert manager.face_tracker("mesh") is first.trackers[0]
    assert messages(manager) == "second: julnet_face_trackers contributes 'mesh', which first has already"


def test_two_plugins_of_one_name_are_both_kept() -> None:
    manager = Manager()
    manager.register(Trackers("one"), "faces")
    manager.register(Trackers("two"), "faces")
    assert [record.name for record in manager.plugins()] == ["faces", "faces-2"]
    assert manager.face_tracker("two").name == "two"


class Misspelt:
    @hookimpl
    def julnet_face_tracker(self) -> list[Named]:
        return []


class WrongArgument:
    @hookimpl
    def julnet_redub_clip(self, clip: object) -> None: ...


class NoHooks:
    def julnet_redub_clip(self) -> None: ...


class OldWrapper:
    @hookimpl(hookwrapper=True)
    def julnet_redub_clip(self) -> Generator[None, Any, None]:
        yield


@pytest.mark.parametrize(
    ("plugin", "reason"),
    [
        (Misspelt(), "no hook julnet_face_tracker; did you mean julnet_face_trackers?"),
        (WrongArgument(), "clip"),
        (NoHooks(), "hookimpl"),
        (OldWrapper(), "wrapper=True"),
        (42, "hookimpl"),
    ],
)
def test_a_plugin_that_does_not_fit_the_hooks_is_left_out_with_the_reason(plugin: object, reason: str) -> None:
    manager = Manager()
    manager.register(Effect(TAKE), "good")
    assert manager.register(plugin, "bad") is False
    assert reason in messages(manager)
    assert manager.redub_clip(REQUEST) is TAKE


@pytest.mark.parametrize("error", [ValueError("broken"), SystemExit(3), MemoryError()])
def test_a_contribution_that_raises_costs_only_that_plugin(error: BaseException) -> None:
    class Broken:
        @hookimpl
        def julnet_face_trackers(self) -> list[Named]:
            raise error

    manager = Manager()
    manager.register(Trackers("good"), "good")
    manager.register(Broken(), "bad")
    assert manager.face_tracker("good").name == "good"
    assert type(error).__name__ in messages(manager)


def test_a_contribution_that_lacks_something_is_skipped_and_says_what() -> None:
    class Half:
        @hookimpl
        def julnet_face_trackers(self) -> list[object]:
            return [object(), Named("whole")]

    manager = Manager()
    manager.register(Half(), "half")
    assert manager.face_tracker("whole").name == "whole"
    assert "lacks close, detect, name of FaceTracker" in messages(manager)


def test_a_hook_that_returns_no_list_is_reported() -> None:
    class NoList:
        @hookimpl
        def julnet_writers(self) -> None: ...

    manager = Manager()
    manager.register(NoList(), "empty")
    assert manager.writers() == {}
    assert "julnet_writers failed" in messages(manager)


def test_an_effect_that_answers_none_leaves_the_clip_to_the_next() -> None:
    manager = Manager()
    manager.register(Effect(TAKE), "second")
    manager.register(Effect(None), "first")
    assert manager.redub_clip(REQUEST) is TAKE


def test_a_third_party_effect_that_breaks_is_reported_and_the_next_one_renders() -> None:
    manager = Manager()
    manager.register(Effect(TAKE), "good")
    manager.register(Effect(ZeroDivisionError("oops")), "bad")
    assert manager.redub_clip(REQUEST) is TAKE
    assert messages(manager) == "bad: julnet_redub_clip failed: ZeroDivisionError: oops"


def test_an_effect_that_answers_with_something_else_is_reported_and_the_next_one_renders() -> None:
    manager = Manager()
    manager.register(Effect(TAKE), "good")
    manager.register(Effect("a path"), "bad")  # type: ignore[arg-type]
    assert manager.redub_clip(REQUEST) is TAKE
    assert "bad: julnet_redub_clip gave 'a path', but a Take or None is needed" in messages(manager)


def test_a_wrapper_that_loses_the_take_is_an_error_and_no_crash() -> None:
    class Wrapper:
        @hookimpl(wrapper=True)
        def julnet_redub_clip(self) -> Generator[None, Take, None]:
            yield

    manager = Manager()
    manager.register(Wrapper(), "wrapper")
    manager.register(Effect(TAKE), "effect")
    with pytest.raises(PluginError, match="no effect plugin answered"):
        manager.redub_clip(REQUEST)


@pytest.mark.parametrize("error", [MediaError("no such file"), RedubCancelled("stop"), ModelError("shape")])
def test_an_effect_s_deliberate_errors_reach_the_caller(error: Exception) -> None:
    manager = Manager()
    manager.register(Effect(TAKE), "other")
    manager.register(Effect(error), "refuses")
    with pytest.raises(type(error), match=str(error)):
        manager.redub_clip(REQUEST)
    assert not manager.problems


def test_a_foreign_error_of_the_built_in_effect_becomes_ours() -> None:
    manager = Manager()
    manager.register(Effect(KeyError("frame")), "julnet_plugin.effect", builtin=True)
    with pytest.raises(PluginError, match="unexpected error: KeyError") as caught:
        manager.redub_clip(REQUEST)
    assert isinstance(caught.value.__cause__, KeyError)


def test_no_effect_at_all_is_an_error_that_names_the_broken_ones() -> None:
    manager = Manager()
    manager.register(Effect(ZeroDivisionError("oops")), "bad")
    with pytest.raises(PluginError, match=r"no effect plugin answered.*oops"):
        manager.redub_clip(REQUEST)


def test_a_wrapper_sees_the_call_from_both_sides() -> None:
    seen: list[object] = []

    class Wrapper:
        @hookimpl(wrapper=True)
        def julnet_redub_clip(self, request: RedubRequest) -> Generator[None, Take, Take]:
            seen.append(request)
            take = yield
            seen.append(take)
            return take

    manager = Manager()
    manager.register(Wrapper(), "wrapper")
    manager.register(Effect(TAKE), "effect")
    assert manager.redub_clip(REQUEST) is TAKE
    assert seen == [REQUEST, TAKE]


def wrapper_that_fails_before() -> Generator[None, Take, Take]:
    if True:
        raise KeyError("before")
    return (yield)  # type: ignore[unreachable]  # makes this a generator


def wrapper_that_fails_after() -> Generator[None, Take, Take]:
    yield
    raise KeyError("after")


def wrapper_that_yields_twice() -> Generator[None, Take, Take]:
    take = yield
    yield
    return take


@pytest.mark.parametrize("body", [wrapper_that_fails_before, wrapper_that_fails_after, wrapper_that_yields_twice])
def test_a_broken_wrapper_does_not_cost_the_take(body: Callable[[], Generator[None, Take, Take]]) -> None:
    class Wrapper:
        @hookimpl(wrapper=True)
        def julnet_redub_clip(self) -> Generator[None, Take, Take]:
            return (yield from body())

    manager = Manager()
    manager.register(Wrapper(), "wrapper")
    manager.register(Effect(TAKE), "effect")
    assert manager.redub_clip(REQUEST) is TAKE
    assert "wrapper" in messages(manager)


def test_a_wrapper_that_only_watches_lets_the_effect_s_error_through() -> None:
    class Wrapper:
        @hookimpl(wrapper=True)
        def julnet_redub_clip(self) -> Generator[None, Take, Take]:
            try:
                return (yield)
            finally:
                closed.append(True)

    closed: list[bool] = []
    manager = Manager()
    manager.register(Wrapper(), "wrapper")
    manager.register(Effect(MediaError("no such file")), "effect")
    with pytest.raises(MediaError):
        manager.redub_clip(REQUEST)
    assert closed == [True]
    assert not manager.problems


def test_every_plugin_hears_of_a_finished_take_even_after_one_that_fails() -> None:
    heard: list[Take] = []

    class Deaf:
        @hookimpl
        def julnet_after_take(self) -> None:
            raise SettingsError("my server is down")

    class Hears:
        @hookimpl
        def julnet_after_take(self, take: Take) -> None:
            heard.append(take)

    manager = Manager()
    for name, plugin in (("hears", Hears()), ("deaf", Deaf()), ("effect", Effect(TAKE))):
        manager.register(plugin, name)
    assert manager.redub_clip(REQUEST) is TAKE
    assert heard == [TAKE]
    assert "my server is down" in messages(manager)


def test_built_ins_are_imported_only_for_the_hooks_they_implement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lazy_builtin.py").write_text(
        "from julnet_plugin import hookimpl\n@hookimpl\ndef julnet_writers():\n    return []\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    manager = Manager([BuiltIn("lazy_builtin", ("julnet_writers",))])
    manager.verbs()
    assert "lazy_builtin" not in sys.modules
    manager.writers()
    assert sys.modules.pop("lazy_builtin").__name__ == "lazy_builtin"
    assert [record.origin for record in manager.plugins()] == ["built-in"]


def test_a_built_in_whose_library_is_missing_is_reported_and_an_optional_one_may_be_absent() -> None:
    manager = Manager([BuiltIn("no_such_module_a", ("julnet_writers",)), BuiltIn("no.such.b", (), optional=True)])
    assert manager.writers() == {}
    assert [record.name for record in manager.plugins()] == ["no_such_module_a"]
    assert "cannot be imported" in messages(manager)


@pytest.mark.parametrize("builtin", BUILT_INS, ids=lambda b: b.module)
def test_each_built_in_implements_exactly_the_hooks_it_is_listed_with(builtin: BuiltIn) -> None:
    manager = Manager([builtin])
    records = manager.plugins()
    assert not manager.problems
    assert builtin.optional or records
    for record in records:
        assert set(record.hooks) == set(builtin.hooks)


def test_installed_third_party_plugins_can_be_left_out(plugin_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(plugin_path)
    assert "fake" in [record.name for record in make_manager().plugins()]
    assert "fake" not in [record.name for record in make_manager(third_party=False).plugins()]
    sys.modules.pop("julnet_fake")
