"""CPU threads: settled before torch is loaded, because its OpenMP reads the environment once."""

from __future__ import annotations

import logging
import os
import sys

log = logging.getLogger(__name__)


def calm_threads(threads: int | None = None) -> None:
    """Let idle threads sleep, and limit how many there are. Call it before anything imports torch.

    Between two parallel pieces of a network, OpenMP's threads wait. By default they wait by spinning, at full load. If
    the machine also decodes, scores, or does other people's work, that steals the cores from what would end the wait.
    PASSIVE makes them sleep instead.
    What the user set in the environment is left as it is.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if threads is not None:
        os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    if "torch" in sys.modules:
        log.info("torch is loaded already, so the waiting of its threads stays as it is")
