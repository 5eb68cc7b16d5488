"""Tracks of ours in Resolve, and what is laid on them."""

from __future__ import annotations

from typing import Any

from host_adapters.base import ClipRef
from host_adapters.resolve.values import BIN, whole

_MEDIA_TYPES = {"video": 1, "audio": 2}  #: Resolve's numbers


def new_track(timeline: Any, kind: str) -> int:
    """Add a track of ours, above or below all others; its number. `kind` is "video" or "audio"."""
    timeline.AddTrack(kind, *(["stereo"] if kind == "audio" else []))
    index = whole(timeline.GetTrackCount(kind))
    timeline.SetTrackName(kind, index, BIN)
    return index


def record_start(timeline: Any, clip: ClipRef) -> int:
    """The frame that a clip begins at, as Resolve counts them."""
    return whole(timeline.GetStartFrame()) + clip.record.start.index


def lay(pool: Any, timeline: Any, clip: ClipRef, media: Any, start: int, kind: str, index: int) -> list[Any]:
    """Lay media on a track, over or under a clip, from a frame of theirs on; what lies on the track now.

    What Resolve's call returns may be a husk, so the track is asked.
    """
    request = {
        "mediaPoolItem": media,
        "startFrame": start,
        "endFrame": start + len(clip.source),
        "mediaType": _MEDIA_TYPES[kind],
        "trackIndex": index,
        "recordFrame": record_start(timeline, clip),
    }
    pool.AppendToTimeline([request])
    return list(timeline.GetItemListInTrack(kind, index) or [])
