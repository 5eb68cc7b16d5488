"""The new line of a take on an audio track of ours in Resolve, and the clip's own sound, switched off meanwhile.

A clip's own sound is what is linked to it and lies within it. Which of its items we switched off is noted with the
clip's media, so that what a person switched off stays off.
"""

from __future__ import annotations

import json
from typing import Any, Sequence

from host_adapters.base import ClipRef
from host_adapters.resolve.tracks import lay, new_track, record_start
from host_adapters.resolve.values import BIN, whole

HUSHED_KEY = "julnet.hushed"  #: third-party metadata of a clip's own media: ids of the sound items that we switched off


def lay_line(pool: Any, timeline: Any, clip: ClipRef, media: Any, start: int) -> Any:
    """A take's sound from a frame of its media on, under a clip; None where it has none or Resolve takes none."""
    if not whole(media.GetClipProperty("Audio Ch")):
        return None
    first = record_start(timeline, clip)
    tracks = range(1, whole(timeline.GetTrackCount("audio")) + 1)
    ours = [index for index in tracks if timeline.GetTrackName("audio", index) == BIN]
    index = next((i for i in ours if _is_free(timeline, i, first, first + len(clip.record))), 0)
    index = index or new_track(timeline, "audio")
    laid = lay(pool, timeline, clip, media, start, "audio", index)
    item = next((item for item in laid if whole(item.GetStart()) == first), None)
    if item is None and not laid:
        timeline.DeleteTrack("audio", index)
    return item


def switch_sound(timeline: Any, clip: ClipRef, item: Any, media: Any, lines: Sequence[tuple[Any, bool]]) -> None:
    """Let a line be heard, or else a clip's own sound.

    Args:
        timeline: the clip's.
        clip: where it lies.
        item: the clip.
        media: of its original.
        lines: the items of its takes' sound, each with whether it is to be heard.
    """
    for line, wanted in lines:
        line.SetClipEnabled(wanted)
    heard = any(wanted for _, wanted in lines)
    first = record_start(timeline, clip)
    hushed = _hushed(media)
    for own in item.GetLinkedItems() or []:
        begin, name = whole(own.GetStart()), str(own.GetUniqueId())
        inside = first <= begin and begin + whole(own.GetDuration()) <= first + len(clip.record)
        if own.GetTrackTypeAndIndex()[0] != "audio" or not inside:
            continue
        if heard and own.GetClipEnabled():
            own.SetClipEnabled(False)
            hushed.add(name)
        elif not heard and name in hushed:
            own.SetClipEnabled(True)
            hushed.discard(name)
    if media and hushed != _hushed(media):
        media.SetThirdPartyMetadata(HUSHED_KEY, json.dumps(sorted(hushed)))


def _is_free(timeline: Any, index: int, start: int, stop: int) -> bool:
    """Whether nothing lies on these frames of an audio track."""
    items = timeline.GetItemListInTrack("audio", index) or []
    return all(stop <= whole(i.GetStart()) or whole(i.GetStart()) + whole(i.GetDuration()) <= start for i in items)


def _hushed(media: Any) -> set[str]:
    """Ids of the sound items of a clip's own that we switched off."""
    try:
        return {str(name) for name in json.loads(media.GetThirdPartyMetadata(HUSHED_KEY) or "[]")} if media else set()
    except (ValueError, TypeError):
        return set()
