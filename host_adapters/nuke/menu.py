"""The JULNet menu, made by `menu.py` in a Nuke with a window."""

from __future__ import annotations

from typing import Any, Callable

from host_adapters.base import ClipRef, HostProblem, read_take
from host_adapters.redub import lay_take, next_take


def start_up_quietly() -> None:
    """What `init.py` calls: with the package found, the node's button works, in a window and on a farm."""


def start_up(nuke: Any = None) -> None:
    """Add the menu; what its entries need is loaded when they are chosen."""
    if nuke is None:
        import nuke
    menu = nuke.menu("Nodes").addMenu("JULNet")
    head = "import nuke, host_adapters.nuke.menu as julnet; julnet."
    menu.addCommand("Re-dub clip", "import nuke, host_adapters.nuke.nodes as julnet; julnet.create(nuke)")
    menu.addCommand("Place a take", head + "place(nuke)")
    menu.addCommand("Next take", head + "show_next(nuke)")
    menu.addCommand("Original", head + "show_original(nuke)")
    menu.addCommand("Hand matte back", "import nuke, host_adapters.nuke.nodes as julnet; julnet.hand_matte_back(nuke)")


def show_next(nuke: Any) -> None:
    """Show the next take of each selected clip; after the last one its original."""
    _each(nuke, next_take)


def show_original(nuke: Any) -> None:
    """Show the original of each selected clip."""
    _each(nuke, lambda session, clip: session.select_take(clip, None))


def place(nuke: Any) -> None:
    """Place a finished take beside the selected clip, with its matte and its marks."""
    from host_adapters.nuke.nodes import one_selected
    from host_adapters.nuke.session import NukeSession

    try:
        session = NukeSession(nuke)
        clip = one_selected(session)
        chosen = nuke.getFilename("the take's take.json", "take.json")
        if chosen:
            lay_take(session, clip, read_take(str(chosen), patches=True))
    except HostProblem as exc:
        nuke.message(str(exc))


def _each(nuke: Any, act: Callable[[Any, ClipRef], Any]) -> None:
    from host_adapters.nuke.session import NukeSession

    try:
        session = NukeSession(nuke)
        for clip in session.selection():
            act(session, clip)
    except HostProblem as exc:
        nuke.message(str(exc))
