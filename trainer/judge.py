"""The SyncNet that scores, where there is one."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from julnet_plugin.errors import CheckpointError, InputError
from julnet_plugin.model.checkpoint import load_checkpoint
from julnet_plugin.model.info import CheckpointInfo
from julnet_plugin.model.syncnet import SyncNet

log = logging.getLogger(__name__)

SHIPPED_SYNCNET = Path(__file__).parent / "weights" / "syncnet.safetensors"


def find_syncnet() -> Path | None:
    """The SyncNet that judges unless another is given: of `JULNET_SYNCNET`, or the one that comes with the trainer."""
    named = os.environ.get("JULNET_SYNCNET")
    if named:
        return Path(named)
    return SHIPPED_SYNCNET if SHIPPED_SYNCNET.is_file() else None


def load_syncnet(path: Path) -> tuple[CheckpointInfo, SyncNet]:
    """A SyncNet and its header.

    Raises:
        CheckpointError: there is none in the file.
    """
    info, network = load_checkpoint(path)
    if not isinstance(network, SyncNet):
        msg = f"{path} holds a {info.kind}, and a SyncNet's weights are needed to judge lip-sync"
        raise CheckpointError(msg, path)
    return info, network


def judging_syncnet(given: Path | None, features: str) -> SyncNet | None:
    """The SyncNet that scores clips of some audio features; None where there is none that hears those.

    Args:
        given: by the user, or None.
        features: that the clips were prepared with; "" where their sound is still to be described.

    Raises:
        InputError: the one that was given hears other features.
    """
    path = given or find_syncnet()
    if path is None:
        return None
    info, network = load_syncnet(path)
    if features and info.audio_feature != features:
        msg = f"{path} hears {info.audio_feature!r} and the clips were prepared with {features!r}"
        if given is not None:
            raise InputError(msg + "; give a SyncNet that was trained with those")
        log.warning("%s: sync is not scored", msg)
        return None
    return network
