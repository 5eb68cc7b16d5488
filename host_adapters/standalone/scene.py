"""Edits of a scene: picture and sound that belong together, and all tracks at once. Functions, as in `edits.py`.

A link holds clips of one shot in sync: an edit of one is done to all, as far as every one of them allows. What ripples
moves all tracks that are not locked, so that the scene behind the edit stays in sync; where a clip of another track is
in the way the edit is refused, and nothing is pushed over anything.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Literal

from host_adapters.standalone import edits
from host_adapters.standalone.timeline import Clip, Marker, Timeline, TimelineError, Track
from julnet_plugin.types import FrameRange

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    Raw = Callable[[Timeline, str, int], Timeline]

Switch = Literal["locked", "muted", "solo", "hidden"]
Placed = tuple[str, Clip]  #: a track's id, and a clip for it


def get(timeline: Timeline, clip_id: str) -> Clip:
    """A clip by its id.

    Raises:
        TimelineError: there is none.
    """
    track, place = timeline.clip(clip_id)
    return track.clips[place]


def group(timeline: Timeline, ids: Iterable[str], linked: bool = True) -> tuple[str, ...]:
    """These clips, and those that are linked to them, each once."""
    found = dict.fromkeys(ids)
    if linked:
        links = {get(timeline, name).link for name in found} - {None}
        found |= dict.fromkeys(clip.id for track in timeline.tracks for clip in track.clips if clip.link in links)
    return tuple(found)


def heal(timeline: Timeline) -> Timeline:
    """Links that hold: of one link's clips those that are in sync, one a track; what is linked to nothing is free."""
    members: dict[str, dict[int, list[tuple[str, Clip]]]] = {}
    for track in timeline.tracks:
        for clip in track.clips:
            if clip.link is not None:
                members.setdefault(clip.link, {}).setdefault(clip.sync, []).append((track.id, clip))
    used = set(members)
    named: dict[str, str] = {}
    for link, parts in members.items():
        kept = 0
        for sync, clips in parts.items():
            one_a_track: dict[str, Clip] = {}
            for track_id, clip in clips:
                one_a_track.setdefault(track_id, clip)
            if len(one_a_track) < 2:
                continue
            name = link if kept == 0 else _unused(f"{link}#{sync}", used)
            used.add(name)
            kept += 1
            named |= {clip.id: name for clip in one_a_track.values()}

    def healed(track: Track) -> Track:
        if all(clip.link == named.get(clip.id) for clip in track.clips):
            return track
        return replace(track, clips=tuple(replace(clip, link=named.get(clip.id)) for clip in track.clips))

    return replace(timeline, tracks=tuple(healed(track) for track in timeline.tracks))


# Trims


def trim_in(timeline: Timeline, clip_id: str, delta: int, linked: bool = True) -> Timeline:
    """Move in points; nothing else moves."""
    return _together(timeline, clip_id, delta, linked, edits.trim_in, lambda clip: clip.source.start)


def trim_out(timeline: Timeline, clip_id: str, delta: int, linked: bool = True) -> Timeline:
    """Move out points; nothing else moves."""
    return _together(timeline, clip_id, delta, linked, edits.trim_out, lambda clip: clip.source.stop)


def slip(timeline: Timeline, clip_id: str, delta: int, linked: bool = True) -> Timeline:
    """Show a later part of the media in the same place."""
    return _together(timeline, clip_id, delta, linked, edits.slip, lambda clip: clip.source.start)


def roll(timeline: Timeline, clip_id: str, delta: int, linked: bool = True) -> Timeline:
    """Move the cut behind a clip, on every track of its link that has the same cut."""
    at = get(timeline, clip_id).record_out
    ids = [name for name in group(timeline, [clip_id], linked) if name == clip_id or _cut_behind(timeline, name) == at]
    return _common(timeline, ids, delta, edits.roll, lambda clip: clip.source.stop)


def slide(timeline: Timeline, clip_id: str, delta: int, linked: bool = True) -> Timeline:
    """Move a clip between its neighbours: the one before grows or shrinks, the one behind does the opposite."""
    return _together(timeline, clip_id, delta, linked, _slide, lambda clip: clip.record_in)


def ripple_trim_in(timeline: Timeline, clip_id: str, delta: int, linked: bool = True) -> Timeline:
    """Move in points; the clips stay, everything behind follows on all tracks."""
    return _ripple_trim(timeline, clip_id, delta, linked, edits.ripple_trim_in, lambda clip: -clip.source.start)


def ripple_trim_out(timeline: Timeline, clip_id: str, delta: int, linked: bool = True) -> Timeline:
    """Move out points; everything behind follows on all tracks."""
    return _ripple_trim(timeline, clip_id, delta, linked, edits.ripple_trim_out, lambda clip: clip.source.stop)


# Putting in, moving, taking away


def insert(timeline: Timeline, placed: Sequence[Placed], at: int) -> Timeline:
    """Put clips in at a frame; all tracks are cut there, and what is behind moves back by the longest of them."""
    at, length = max(at, 0), max((len(clip.source) for _, clip in placed), default=0)
    opened = _shifted(_razored(timeline, at, None), at, length, set())
    return heal(_laid(opened, [(track, replace(clip, record_in=at)) for track, clip in placed]))


def overwrite(timeline: Timeline, placed: Sequence[Placed], at: int) -> Timeline:
    """Lay clips over what is there; nothing else moves."""
    return heal(_laid(timeline, [(track, replace(clip, record_in=max(at, 0))) for track, clip in placed]))


def move(
    timeline: Timeline, ids: Sequence[str], delta: int, steps: dict[str, int] | None = None, linked: bool = True
) -> Timeline:
    """Lay clips over what is `delta` frames further on, and `steps` tracks up (by kind of track).

    Raises:
        TimelineError: a track is locked, or there is none so far up or down.
    """
    names = group(timeline, ids, linked)
    clips = [(timeline.clip(name)[0], get(timeline, name)) for name in names]
    delta = max(delta, -min((clip.record_in for _, clip in clips), default=0))
    placed = [
        (_stepped(timeline, track, (steps or {}).get(track.kind, 0)), replace(clip, record_in=clip.record_in + delta))
        for track, clip in clips
    ]
    return heal(_laid(_lifted(timeline, names), placed))


def delete(timeline: Timeline, ids: Sequence[str], linked: bool = True) -> Timeline:
    """Take clips away; gaps stay."""
    return heal(_lifted(timeline, group(timeline, ids, linked)))


def ripple_delete(timeline: Timeline, ids: Sequence[str], linked: bool = True) -> Timeline:
    """Take clips away and close up, on all tracks.

    Raises:
        TimelineError: a clip of another track lies over what would be closed.
    """
    names = group(timeline, ids, linked)
    spans = _merged([(get(timeline, name).record_in, get(timeline, name).record_out) for name in names])
    timeline = _lifted(timeline, names)
    for start, stop in reversed(spans):
        timeline = close_gap(timeline, start, stop)
    return heal(timeline)


def close_gap(timeline: Timeline, start: int, stop: int) -> Timeline:
    """Everything behind an empty stretch moves up by its length, on all tracks that are not locked.

    Raises:
        TimelineError: the stretch is not empty on one of them.
    """
    for track in timeline.tracks:
        over = [clip for clip in track.clips if clip.record_in < stop and clip.record_out > start]
        if over and not track.locked:
            message = f"{over[0].title} on track {track.name} is in the way; lock the track, or cut the clip first"
            raise TimelineError(message)
    return heal(_shifted(timeline, stop, start - stop, set()))


def razor(timeline: Timeline, at: int, ids: Sequence[str] | None = None) -> Timeline:
    """Cut at a frame: these clips and those linked to them, or with None everything that is not locked."""
    tracks = None if ids is None else {timeline.clip(name)[0].id for name in group(timeline, ids)}
    return heal(_razored(timeline, at, tracks))


def copies(timeline: Timeline, ids: Sequence[str]) -> tuple[Placed, ...]:
    """Clips for the clipboard, the first at frame 0."""
    names = group(timeline, ids)
    first = min((get(timeline, name).record_in for name in names), default=0)
    return tuple(
        (track.id, replace(clip, record_in=clip.record_in - first))
        for track in timeline.tracks
        for clip in track.clips
        if clip.id in names
    )


def paste(timeline: Timeline, clips: Sequence[Placed], at: int, inserted: bool = False) -> Timeline:
    """Lay copied clips over what is at a frame, or insert them there, with ids and links of their own."""
    length = max((clip.record_out for _, clip in clips), default=0)
    if inserted:
        timeline = _shifted(_razored(timeline, max(at, 0), None), max(at, 0), length, set())
    used = {clip.id for track in timeline.tracks for clip in track.clips}
    links = {clip.link for track in timeline.tracks for clip in track.clips if clip.link}
    renamed: dict[str, str] = {}
    placed: list[Placed] = []
    for track_id, clip in clips:
        name = _unused(clip.id.partition(".")[0], used)
        used.add(name)
        link = clip.link
        if link is not None and link not in renamed:
            renamed[link] = _unused(link.partition("@")[0].partition("#")[0], links)
            links.add(renamed[link])
        own = None if link is None else renamed[link]
        placed.append((track_id, replace(clip, id=name, link=own, record_in=clip.record_in + max(at, 0))))
    return heal(_laid(timeline, placed))


# Clips, links, tracks, markers


def change(timeline: Timeline, clip_id: str, **values: object) -> Timeline:
    """Set what does not touch time: `name`, `enabled`, `takes`, `active_take`."""
    if not set(values) <= {"name", "enabled", "takes", "active_take"}:
        raise ValueError(sorted(values))
    track, place = timeline.clip(clip_id)
    if track.locked:
        raise TimelineError(f"track {track.name} is locked; unlock it first")
    changed = replace(track.clips[place], **values)  # type: ignore[arg-type]
    return _with_clips(timeline, track, (*track.clips[:place], changed, *track.clips[place + 1 :]))


def link(timeline: Timeline, ids: Sequence[str]) -> Timeline:
    """Tie clips together.

    Raises:
        TimelineError: they cannot be: fewer than two, two on one track, or out of sync.
    """
    clips = [get(timeline, name) for name in ids]
    if len(clips) < 2 or len({timeline.clip(name)[0].id for name in ids}) < len(clips):
        raise TimelineError("a link needs two clips or more, each on a track of its own")
    if len({clip.sync for clip in clips}) > 1 or len({clip.media.path for clip in clips}) > 1:
        raise TimelineError("clips can be linked when they are of one medium and in sync; slip one of them first")
    used = {clip.link for track in timeline.tracks for clip in track.clips if clip.link}
    return heal(_relinked(timeline, set(ids), _unused("link", used)))


def unlink(timeline: Timeline, ids: Sequence[str]) -> Timeline:
    """Set clips free of each other."""
    return heal(_relinked(timeline, set(group(timeline, ids)), None))


def add_track(timeline: Timeline, kind: Literal["video", "audio"]) -> Timeline:
    """One more track: of pictures above the others, of sound below them."""
    number = next(n for n in count(1) if all(track.id != f"{kind[0]}{n}" for track in timeline.tracks))
    track = Track(id=f"{kind[0]}{number}", kind=kind, name=f"{kind[0].upper()}{number}")
    return replace(timeline, tracks=(*timeline.tracks, track))


def rename_track(timeline: Timeline, track_id: str, name: str) -> Timeline:
    """Give a track another name.

    Raises:
        TimelineError: the name is empty.
    """
    if not name.strip():
        raise TimelineError("a track needs a name")
    return _with_track(timeline, replace(timeline.track(track_id), name=name.strip()))


def switch_track(timeline: Timeline, track_id: str, switch: Switch, on: bool) -> Timeline:
    """Lock, mute, solo or hide a track."""
    changed = replace(timeline.track(track_id), **{switch: on})  # type: ignore[arg-type]
    return _with_track(timeline, changed)


def remove_track(timeline: Timeline, track_id: str) -> Timeline:
    """Take a track away, with what is on it.

    Raises:
        TimelineError: it is locked, or the last of its kind.
    """
    track = timeline.track(track_id)
    if track.locked:
        raise TimelineError(f"track {track.name} is locked; unlock it first")
    if sum(other.kind == track.kind for other in timeline.tracks) < 2:
        raise TimelineError(f"{track.name} is the last {track.kind} track; a timeline needs one")
    return heal(replace(timeline, tracks=tuple(other for other in timeline.tracks if other.id != track_id)))


def set_marker(timeline: Timeline, marker: Marker) -> Timeline:
    """Put a marker at its frame, in place of one that is there."""
    return edits.add_marker(remove_marker(timeline, marker.frame), marker)


def remove_marker(timeline: Timeline, frame: int) -> Timeline:
    """Take the markers at a frame away."""
    return replace(timeline, markers=tuple(marker for marker in timeline.markers if marker.frame != frame))


def shown_clip(timeline: Timeline, frame: int) -> tuple[Track, Clip] | None:
    """The clip whose picture is seen at a frame: of the highest video track that shows one there."""
    soloed = any(track.solo for track in timeline.tracks if track.kind == "video")
    for track in reversed(timeline.tracks):
        if track.kind != "video" or track.hidden or (soloed and not track.solo):
            continue
        for clip in track.clips:
            if clip.record_in <= frame < clip.record_out and clip.enabled:
                return track, clip
    return None


def heard_clips(timeline: Timeline) -> list[tuple[Track, Clip]]:
    """The clips that sound: of audio tracks that are not muted, or of the soloed ones alone."""
    soloed = any(track.solo for track in timeline.tracks if track.kind == "audio")
    return [
        (track, clip)
        for track in timeline.tracks
        if track.kind == "audio" and not track.muted and (track.solo or not soloed)
        for clip in track.clips
        if clip.enabled
    ]


def edges(timeline: Timeline, without: frozenset[str] = frozenset()) -> list[int]:
    """The frames that an edit snaps to: where clips begin and end, and markers."""
    found = {0, *(marker.frame for marker in timeline.markers)}
    for track in timeline.tracks:
        for clip in track.clips:
            if clip.id not in without:
                found |= {clip.record_in, clip.record_out}
    return sorted(found)


def snapped(frame: int, targets: Iterable[int], within: float) -> int:
    """The nearest target that is at most so many frames away; without one the frame itself."""
    nearest = min(targets, key=lambda target: (abs(target - frame), target), default=frame)
    return nearest if abs(nearest - frame) <= within else frame


# Inside


def _together(
    timeline: Timeline, clip_id: str, delta: int, linked: bool, raw: Raw, measure: Callable[[Clip], int]
) -> Timeline:
    return _common(timeline, group(timeline, [clip_id], linked), delta, raw, measure)


def _common(timeline: Timeline, ids: Sequence[str], delta: int, raw: Raw, measure: Callable[[Clip], int]) -> Timeline:
    """The same edit on several tracks, as far as all of them allow."""
    reached = [measure(get(raw(timeline, name, delta), name)) - measure(get(timeline, name)) for name in ids]
    common = min(reached, key=abs)
    for name in ids:
        timeline = raw(timeline, name, common)
    return heal(timeline)


def _ripple_trim(
    timeline: Timeline, clip_id: str, delta: int, linked: bool, raw: Raw, measure: Callable[[Clip], int]
) -> Timeline:
    ids = group(timeline, [clip_id], linked)
    reached = [measure(get(raw(timeline, name, delta), name)) - measure(get(timeline, name)) for name in ids]
    sign = -1 if raw is edits.ripple_trim_in else 1
    longer = min(reached, key=abs)
    at = get(timeline, clip_id).record_out
    moved = {timeline.clip(name)[0].id for name in ids}
    for name in ids:
        timeline = raw(timeline, name, sign * longer)
    return heal(_shifted(timeline, at, longer, moved))


def _slide(timeline: Timeline, clip_id: str, delta: int) -> Timeline:
    track, place = timeline.clip(clip_id)
    if track.locked:
        raise TimelineError(f"track {track.name} is locked; unlock it first")
    clips = list(track.clips)
    clip = clips[place]
    left = clips[place - 1] if place else None
    right = clips[place + 1] if place + 1 < len(clips) else None
    touches_left = left is not None and left.record_out == clip.record_in
    touches_right = right is not None and right.record_in == clip.record_out
    low, high = -clip.record_in, 1 << 30
    if left is not None:
        low = 1 - len(left.source) if touches_left else left.record_out - clip.record_in
        high = min(high, left.tail) if touches_left else high
    if right is not None:
        high = min(high, len(right.source) - 1 if touches_right else right.record_in - clip.record_out)
        low = max(low, -right.head) if touches_right else low
    delta = min(max(delta, low), high)
    if left is not None and touches_left:
        source = FrameRange(start=left.source.start, stop=left.source.stop + delta)
        clips[place - 1] = replace(left, source=source)
    if right is not None and touches_right:
        source = FrameRange(start=right.source.start + delta, stop=right.source.stop)
        clips[place + 1] = replace(right, source=source, record_in=right.record_in + delta)
    clips[place] = replace(clip, record_in=clip.record_in + delta)
    return _with_clips(timeline, track, tuple(clips))


def _cut_behind(timeline: Timeline, clip_id: str) -> int | None:
    """Where a clip ends, if another follows at once."""
    track, place = timeline.clip(clip_id)
    follows = place + 1 < len(track.clips) and track.clips[place + 1].record_in == track.clips[place].record_out
    return track.clips[place].record_out if follows else None


def _razored(timeline: Timeline, at: int, tracks: set[str] | None) -> Timeline:
    for track in timeline.tracks:
        if not track.locked and (tracks is None or track.id in tracks):
            timeline = edits.razor(timeline, track.id, at)
    return timeline


def _shifted(timeline: Timeline, at: int, delta: int, without: set[str]) -> Timeline:
    """Move everything from a frame on, on all tracks that are not locked."""
    tracks = []
    for track in timeline.tracks:
        if track.locked or track.id in without:
            tracks.append(track)
            continue
        before = [clip for clip in track.clips if clip.record_in < at]
        behind = [replace(clip, record_in=clip.record_in + delta) for clip in track.clips if clip.record_in >= at]
        if before and behind and behind[0].record_in < before[-1].record_out:
            message = f"{before[-1].title} on track {track.name} is in the way; lock the track, or cut the clip first"
            raise TimelineError(message)
        tracks.append(replace(track, clips=(*before, *behind)))
    markers = (
        replace(marker, frame=max(marker.frame + delta, at + min(delta, 0))) if marker.frame >= at else marker
        for marker in timeline.markers
    )
    in_order = tuple(sorted(markers, key=lambda marker: marker.frame))
    return replace(timeline, tracks=tuple(tracks), markers=in_order)


def _lifted(timeline: Timeline, ids: Iterable[str]) -> Timeline:
    for name in ids:
        timeline = edits.delete(timeline, name)
    return timeline


def _laid(timeline: Timeline, placed: Sequence[Placed]) -> Timeline:
    """Lay clips down. What they cut off is named anew: neither as one that follows nor as one that is covered here."""
    reserved = frozenset(clip.id for _, clip in placed) | {c.id for track in timeline.tracks for c in track.clips}
    for track_id, clip in placed:
        timeline = edits.overwrite(timeline, track_id, clip, clip.record_in, reserved)
    return timeline


def _stepped(timeline: Timeline, track: Track, step: int) -> str:
    same = [other.id for other in timeline.tracks if other.kind == track.kind]
    place = same.index(track.id) + step
    if not 0 <= place < len(same):
        raise TimelineError(
            f"there is no {track.kind} track {abs(step)} {'above' if step > 0 else 'below'} {track.name}"
        )
    return same[place]


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, stop in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
        else:
            merged.append((start, stop))
    return merged


def _relinked(timeline: Timeline, ids: set[str], link_id: str | None) -> Timeline:
    tracks = (
        replace(track, clips=tuple(replace(c, link=link_id) if c.id in ids else c for c in track.clips))
        for track in timeline.tracks
    )
    return replace(timeline, tracks=tuple(tracks))


def _with_track(timeline: Timeline, track: Track) -> Timeline:
    return replace(timeline, tracks=tuple(track if other.id == track.id else other for other in timeline.tracks))


def _with_clips(timeline: Timeline, track: Track, clips: tuple[Clip, ...]) -> Timeline:
    return _with_track(timeline, replace(track, clips=clips))


def _unused(stem: str, used: set[str]) -> str:
    if stem not in used:
        return stem
    return next(name for number in count(2) if (name := f"{stem}.{number}") not in used)
