"""`probe`: what a plate is, before anything is done with it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from julnet_plugin.media.container import check_file
from julnet_plugin.media.movie import probe_movie
from julnet_plugin.media.sequence import is_image, is_pattern, probe_sequence
from julnet_plugin.types import MediaInfo


def probe(path: str | Path, rate: Fraction | None = None) -> MediaInfo:
    """Find out what a movie or an image sequence is.

    Args:
        path: a movie; or a sequence, as a pattern ("shot.%04d.exr", "shot.####.png"), any one of its frames, or the
            folder that holds it.
        rate: frames per second of a sequence, where its files do not say or are wrong; movies have their own.

    Raises:
        MediaError: there is no such file, or it cannot be a plate; the message says why and what to do.
    """
    path = Path(path)
    if path.is_dir() or is_pattern(path) or is_image(path):
        return probe_sequence(path, rate)
    check_file(path, "movie or image sequence")
    return probe_movie(path)
