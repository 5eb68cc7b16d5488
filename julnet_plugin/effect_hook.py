"""The built-in effect as a plugin. It loads the effect, and torch with it, only when no other plugin takes the clip."""

from __future__ import annotations

from typing import TYPE_CHECKING

from julnet_plugin import hookimpl

if TYPE_CHECKING:
    from julnet_plugin.manager import Manager
    from julnet_plugin.types import ProgressFn, RedubRequest, Take


@hookimpl(trylast=True)
def julnet_redub_clip(request: RedubRequest, progress: ProgressFn | None, manager: Manager) -> Take:
    """Re-dub one clip with the effect in `effect.py`."""
    from julnet_plugin.effect import redub_clip

    return redub_clip(request, progress or _silent, manager)


def _silent(stage: str, done: int, total: int) -> None:
    """Progress that nobody wants."""
