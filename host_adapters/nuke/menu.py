"""The JULNet menu, made by `menu.py` in a Nuke with a window."""

from __future__ import annotations

from typing import Any


def start_up_quietly() -> None:
    """What `init.py` calls: with the package found, the node's button works, in a window and on a farm."""


def start_up(nuke: Any = None) -> None:
    """Add the menu; what its entries need is loaded when they are chosen."""
    if nuke is None:
        import nuke
    menu = nuke.menu("Nodes").addMenu("JULNet")
    menu.addCommand("Re-dub clip", "import nuke, host_adapters.nuke.nodes as julnet; julnet.create(nuke)")
    menu.addCommand("Next take", "import nuke, host_adapters.nuke.menu as julnet; julnet.next_take(nuke)")
    menu.addCommand("Original", "import nuke, host_adapters.nuke.menu as julnet; julnet.next_take(nuke, original=True)")


def next_take(nuke: Any, original: bool = False) -> None:
    """Show the next take of the selected clip, or its original."""
    from host_adapters.base import HostProblem
    from host_adapters.nuke.session import NukeSession

    try:
        session = NukeSession(nuke)
        for clip in session.selection():
            takes = session.takes(clip)
            shown = next((index for index, take in enumerate(takes) if take.active), -1)
            wanted = None if original or shown + 1 >= len(takes) else takes[shown + 1]
            session.select_take(clip, wanted)
    except HostProblem as exc:
        nuke.message(str(exc))
