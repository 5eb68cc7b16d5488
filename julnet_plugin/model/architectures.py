"""Which networks there are: built-in architectures, registered through the same hook as a plugin's.

A weights file names its architecture and carries its configuration; nothing else decides what is built. torch and the
network's module are imported when one is built, not before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, cast

import julnet_plugin
from julnet_plugin.model.strict import dataclass_from

if TYPE_CHECKING:
    from torch import nn

    from julnet_plugin.interfaces import GeneratorFactory


@dataclass(slots=True, kw_only=True)
class Architecture:
    """A network of ours: its name in weights headers, and where its classes are. Satisfies `GeneratorFactory`."""

    name: str
    module: str  #: dotted name, imported when the network is built
    config_class: str
    network_class: str

    def build(self, config: dict[str, object]) -> nn.Module:
        """An untrained network.

        Args:
            config: fields of the configuration dataclass; the rest keep their defaults.

        Raises:
            ValueError: an unknown field, or a value of the wrong type or out of range.
        """
        module = import_module(self.module)
        settings = dataclass_from(getattr(module, self.config_class), config)
        return cast("nn.Module", getattr(module, self.network_class)(settings))


BUILT_IN = (
    Architecture(name="rt", module="julnet_plugin.model.rt", config_class="RtConfig", network_class="RtGenerator"),
    Architecture(
        name="paper", module="julnet_plugin.model.paper", config_class="PaperConfig", network_class="PaperGenerator"
    ),
    Architecture(
        name="wav2lip",
        module="julnet_plugin.model.wav2lip",
        config_class="Wav2LipConfig",
        network_class="Wav2LipGenerator",
    ),
)
SYNCNET = Architecture(
    name="syncnet", module="julnet_plugin.model.syncnet", config_class="SyncNetConfig", network_class="SyncNet"
)


@julnet_plugin.hookimpl
def julnet_generators() -> Sequence[GeneratorFactory]:
    """The built-in architectures."""
    return BUILT_IN
