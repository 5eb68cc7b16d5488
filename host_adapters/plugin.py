"""The hosts as a plugin of JULNet: what `julnet hosts` knows, and the verb itself.

Imports late: verbs are asked for at every start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from julnet_plugin import hookimpl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from julnet_plugin.interfaces import CliVerb, HostEntry


@hookimpl
def julnet_hosts() -> Sequence[HostEntry]:
    """Contribute the hosts that come with JULNet."""
    from host_adapters.blender.setup import HOST as BLENDER
    from host_adapters.mlt.setup import HOST as MLT
    from host_adapters.nuke.setup import HOST as NUKE
    from host_adapters.resolve.setup import HOST as RESOLVE
    from host_adapters.standalone.setup import HOST as EDITOR

    return [RESOLVE, NUKE, BLENDER, MLT, EDITOR]


@hookimpl
def julnet_cli_verbs() -> Sequence[CliVerb]:
    """Contribute `julnet hosts`."""
    from host_adapters.verb import Hosts

    return [Hosts()]
