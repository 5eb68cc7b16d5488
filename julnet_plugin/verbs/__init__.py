"""The verbs of the `julnet` command that come with the effect, one module each.

A module here imports nothing heavy at its top: `julnet --help` imports all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from julnet_plugin import hookimpl
from julnet_plugin.verbs.batch import Batch
from julnet_plugin.verbs.comp import Comp
from julnet_plugin.verbs.demo import Demo
from julnet_plugin.verbs.doctor import Doctor
from julnet_plugin.verbs.farm import Farm
from julnet_plugin.verbs.matte import Matte
from julnet_plugin.verbs.plugins import Plugins
from julnet_plugin.verbs.probe import Probe
from julnet_plugin.verbs.redub import Redub
from julnet_plugin.verbs.submit import Submit
from julnet_plugin.verbs.verify import Verify
from julnet_plugin.verbs.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from julnet_plugin.interfaces import CliVerb


@hookimpl
def julnet_cli_verbs() -> Sequence[CliVerb]:
    """Contribute the built-in verbs."""
    return [
        Redub(),
        Demo(),
        Probe(),
        Matte(),
        Comp(),
        Doctor(),
        Plugins(),
        Worker(),
        Batch(),
        Verify(),
        Submit(),
        Farm(),
    ]
