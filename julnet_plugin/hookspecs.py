"""Every hook that a JULNet plugin may implement: the contract, without code.

A plugin is any object or module with functions marked `@julnet_plugin.hookimpl`, registered through the entry-point
group `julnet` or `Manager.register`. Functions may take any subset of a hook's parameters, by name.
Hooks are called in the process and on the thread that runs the job; never on a GUI thread. A plugin that fails is
reported (`julnet plugins` shows it) and skipped; it costs nobody else anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from julnet_plugin.interfaces import (
        AudioFeatures,
        CliVerb,
        FaceTracker,
        GeneratorFactory,
        HostEntry,
        MatteOperator,
        TakeWriter,
    )
    from julnet_plugin.manager import Manager
    from julnet_plugin.types import ProgressFn, RedubRequest, Take

hookspec = pluggy.HookspecMarker("julnet")


@hookspec(firstresult=True)
def julnet_redub_clip(request: RedubRequest, progress: ProgressFn | None, manager: Manager) -> Take | None:
    """Re-dub one clip.

    The first plugin that returns a take wins; the built-in effect is registered last and always answers.

    Args:
        request: what to render.
        progress: `progress(stage, done, total)`, or None.
        manager: the plugins of this run, for an effect that uses trackers, features or writers of others.

    Returns:
        The finished take, or None to leave the request to the next plugin.

    Raises:
        JulnetError: any of the tree in `errors`, which ends the job; a plugin that raises anything else is reported
            and the next one is asked.
        RedubCancelled: from `progress`.
    """


@hookspec
def julnet_face_trackers() -> Sequence[FaceTracker]:  # type: ignore[empty-body]
    """Contribute face trackers; the one named by `face.tracker` in the settings is used."""


@hookspec
def julnet_audio_features() -> Sequence[AudioFeatures]:  # type: ignore[empty-body]
    """Contribute audio feature extractors; a weights file names the one that it was trained with."""


@hookspec
def julnet_generators() -> Sequence[GeneratorFactory]:  # type: ignore[empty-body]
    """Contribute generator architectures; a weights file names the one that it belongs to."""


@hookspec
def julnet_matte_operators() -> Sequence[MatteOperator]:  # type: ignore[empty-body]
    """Contribute steps of the matte chain, run in their `order` between σ and the painted strokes."""


@hookspec
def julnet_writers() -> Sequence[TakeWriter]:  # type: ignore[empty-body]
    """Contribute ways to write a take to disk; `--deliver NAME` chooses among them."""


@hookspec
def julnet_hosts() -> Sequence[HostEntry]:  # type: ignore[empty-body]
    """Contribute host applications that `julnet hosts` lists and installs clients into."""


@hookspec
def julnet_cli_verbs() -> Sequence[CliVerb]:  # type: ignore[empty-body]
    """Contribute verbs of the `julnet` command; asked at every start, so import late."""


@hookspec(firstresult=True)
def julnet_adapt_model(
    model: str,
    clips: Sequence[Path],
    output: Path,
    minutes: float,
    device: str,
    progress: ProgressFn | None,
    manager: Manager,
) -> Path | None:
    """Teach a copy of a model one person before they are dubbed: what `julnet redub --adapt` asks for.

    The first plugin that answers wins; the trainer does, where it is installed.

    Args:
        model: name or file of the model to start from, which is not touched.
        clips: of the person, speaking; the plate first.
        output: weights file to write. What is needed to go on after an interruption may lie beside it.
        minutes: time budget.
        device: auto, cpu or cuda.
        progress: `progress(stage, done, total)`, or None.
        manager: the plugins of this run.

    Returns:
        The file, or None to leave it to the next plugin.

    Raises:
        JulnetError: any of the tree in `errors`; a `ModelError` means that the result did not measure better.
        RedubCancelled: from `progress`; the same call goes on.
    """


@hookspec
def julnet_after_take(take: Take, request: RedubRequest) -> None:
    """Act on a finished take: register it, copy it, notify.

    Called once for every plugin after everything is on disk; an exception is reported and changes nothing.
    """
