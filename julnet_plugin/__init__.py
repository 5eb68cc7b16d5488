"""JULNet: re-dub a shot, and say where the picture is unsure.

Importing this package is cheap on purpose (no torch, no Qt, no codecs), so that any host's Python can do it.
`redub` loads the effect when it is first called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

from julnet_plugin.types import FrameRange, RedubRequest, Take

if TYPE_CHECKING:
    from julnet_plugin.types import ProgressFn

NAME = "julnet"  #: hook namespace and entry-point group
__version__ = "0.1.0"

hookimpl = pluggy.HookimplMarker(NAME)


def redub(request: RedubRequest, progress: ProgressFn | None = None) -> Take:
    """Re-dub one clip with whatever effect plugin answers first; the built-in one answers last.

    Args:
        request: what to render; see `RedubRequest`.
        progress: called as `progress(stage, done, total)`; raising `RedubCancelled` from it stops the job and
            leaves a take that `resume=True` continues.

    Returns:
        The finished take, on disk at `request.take_dir`.

    Raises:
        InputError: the user can mend it (missing file, no face, bad range …).
        ModelError: weights, shapes or devices do not fit.
        RedubCancelled: `progress` asked to stop.
    """
    from julnet_plugin.manager import make_manager

    return make_manager().redub_clip(request, progress)


__all__ = ["NAME", "FrameRange", "RedubRequest", "Take", "__version__", "hookimpl", "redub"]
