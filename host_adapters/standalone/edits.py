"""Edits: functions from a timeline to a timeline. None changes what it is given; each result keeps every rule.

An edit that asks for more than there is (a trim past the end of the media, a roll past a neighbour) goes as far as it
can, as under the mouse; one that makes no sense (a clip that is not there, a locked track) raises `TimelineError`.
Edits act on one track and know nothing of links: the others stay where they are. What an editor does with linked
picture and sound, and with all tracks at once, is in `scene.py`, made of these.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import count

from host_adapters.standalone.timeline import Clip, Marker, TakeRef, Timeline, TimelineError, Track
from julnet_plugin.types import FrameRange


def add_track(timeline: Timeline, track: Track) -> Timeline:
    """One more track, above the others."""
    if any(other.id == track.id for other in timeline.tracks):
        raise TimelineError(f"there is a track {track.id!r} already")
    return replace(timeline, tracks=(*timeline.tracks, track))


def insert(timeline: Timeline, track_id: str, clip: Clip, at: int) -> Timeline:
    """Put a clip in; what lies there is cut, and everything behind moves back by the clip's length."""
    track = _open_track(timeline, track_id)
    _refuse_used_id(timeline, clip)
    at = max(at, 0)
    clips = _split(timeline, track.clips, at)
    before = [other for other in clips if other.record_in < at]
    behind = [_moved(other, len(clip.source)) for other in clips if other.record_in >= at]
    return _with_clips(timeline, track, [*before, replace(clip, record_in=at), *behind])


def overwrite(
    timeline: Timeline, track_id: str, clip: Clip, at: int, reserved: frozenset[str] = frozenset()
) -> Timeline:
    """Lay a clip over what is there; nothing else moves. What is cut off gets none of the reserved ids."""
    track = _open_track(timeline, track_id)
    _refuse_used_id(timeline, clip)
    placed = replace(clip, record_in=max(at, 0))
    return _with_clips(timeline, track, [*_cleared(timeline, track.clips, placed, reserved), placed])


def move(timeline: Timeline, clip_id: str, to: int, track_id: str | None = None) -> Timeline:
    """Lay a clip over what is at another place, perhaps on another track of its kind; a gap stays where it was."""
    track, place = _open_clip(timeline, clip_id)
    target = _open_track(timeline, track.id if track_id is None else track_id)
    if target.kind != track.kind:
        raise TimelineError(f"a clip of a {track.kind} track cannot go to the {target.kind} track {target.name}")
    lifted = _with_clips(timeline, track, [*track.clips[:place], *track.clips[place + 1 :]])
    placed = replace(track.clips[place], record_in=max(to, 0))
    target = lifted.track(target.id)
    return _with_clips(lifted, target, [*_cleared(timeline, target.clips, placed), placed])


def razor(timeline: Timeline, track_id: str, at: int) -> Timeline:
    """Cut the clip under a frame in two; between clips or at an edge there is nothing to cut."""
    track = _open_track(timeline, track_id)
    return _with_clips(timeline, track, _split(timeline, track.clips, at))


def trim_in(timeline: Timeline, clip_id: str, delta: int) -> Timeline:
    """Move a clip's in point; the picture stays where it is in time, the space before it grows or shrinks."""
    track, place = _open_clip(timeline, clip_id)
    clip = track.clips[place]
    free = clip.record_in - (track.clips[place - 1].record_out if place else 0)
    delta = _between(delta, -min(clip.head, free), len(clip.source) - 1)
    trimmed = replace(clip, source=_range(clip, delta, 0), record_in=clip.record_in + delta)
    return _with_clips(timeline, track, _replaced(track, place, trimmed))


def trim_out(timeline: Timeline, clip_id: str, delta: int) -> Timeline:
    """Move a clip's out point; the space behind it grows or shrinks."""
    track, place = _open_clip(timeline, clip_id)
    clip = track.clips[place]
    more = place + 1 < len(track.clips)
    free = track.clips[place + 1].record_in - clip.record_out if more else clip.tail
    delta = _between(delta, 1 - len(clip.source), min(clip.tail, free))
    return _with_clips(timeline, track, _replaced(track, place, replace(clip, source=_range(clip, 0, delta))))


def ripple_trim_in(timeline: Timeline, clip_id: str, delta: int) -> Timeline:
    """Move a clip's in point; the clip stays at its place, and everything behind it follows its end."""
    track, place = _open_clip(timeline, clip_id)
    clip = track.clips[place]
    delta = _between(delta, -clip.head, len(clip.source) - 1)
    behind = [_moved(other, -delta) for other in track.clips[place + 1 :]]
    clips = [*track.clips[:place], replace(clip, source=_range(clip, delta, 0)), *behind]
    return _with_clips(timeline, track, clips)


def ripple_trim_out(timeline: Timeline, clip_id: str, delta: int) -> Timeline:
    """Move a clip's out point; everything behind it follows."""
    track, place = _open_clip(timeline, clip_id)
    clip = track.clips[place]
    delta = _between(delta, 1 - len(clip.source), clip.tail)
    behind = [_moved(other, delta) for other in track.clips[place + 1 :]]
    clips = [*track.clips[:place], replace(clip, source=_range(clip, 0, delta)), *behind]
    return _with_clips(timeline, track, clips)


def roll(timeline: Timeline, clip_id: str, delta: int) -> Timeline:
    """Move the cut between a clip and the one that follows it at once: one grows as the other shrinks."""
    track, place = _open_clip(timeline, clip_id)
    left = track.clips[place]
    right = track.clips[place + 1] if place + 1 < len(track.clips) else None
    if right is None or right.record_in != left.record_out:
        raise TimelineError(f"behind clip {clip_id!r} there is no cut to roll: no clip follows it at once")
    delta = _between(delta, max(1 - len(left.source), -right.head), min(left.tail, len(right.source) - 1))
    rolled = replace(right, source=_range(right, delta, 0), record_in=right.record_in + delta)
    clips = [*track.clips[:place], replace(left, source=_range(left, 0, delta)), rolled, *track.clips[place + 2 :]]
    return _with_clips(timeline, track, clips)


def slip(timeline: Timeline, clip_id: str, delta: int) -> Timeline:
    """Show a later (or earlier) part of the media in the same place."""
    track, place = _open_clip(timeline, clip_id)
    clip = track.clips[place]
    delta = _between(delta, -clip.head, clip.tail)
    return _with_clips(timeline, track, _replaced(track, place, replace(clip, source=_range(clip, delta, delta))))


def delete(timeline: Timeline, clip_id: str) -> Timeline:
    """Take a clip away; a gap stays."""
    track, place = _open_clip(timeline, clip_id)
    return _with_clips(timeline, track, [*track.clips[:place], *track.clips[place + 1 :]])


def ripple_delete(timeline: Timeline, clip_id: str) -> Timeline:
    """Take a clip away; everything behind it closes up by its length."""
    track, place = _open_clip(timeline, clip_id)
    behind = [_moved(other, -len(track.clips[place].source)) for other in track.clips[place + 1 :]]
    return _with_clips(timeline, track, [*track.clips[:place], *behind])


def add_take(timeline: Timeline, clip_id: str, take: TakeRef) -> Timeline:
    """A finished take beside a clip's original, shown at once."""
    track, place = _open_clip(timeline, clip_id)
    clip = track.clips[place]
    if any(other.name == take.name for other in clip.takes):
        raise TimelineError(f"clip {clip_id!r} has a take {take.name!r} already")
    changed = replace(clip, takes=(*clip.takes, take), active_take=take.name)
    return _with_clips(timeline, track, _replaced(track, place, changed))


def show_take(timeline: Timeline, clip_id: str, name: str | None) -> Timeline:
    """Show a take, or with None the original."""
    track, place = _open_clip(timeline, clip_id)
    clip = track.clips[place]
    if name is not None and all(take.name != name for take in clip.takes):
        raise TimelineError(f"clip {clip_id!r} has no take {name!r}")
    return _with_clips(timeline, track, _replaced(track, place, replace(clip, active_take=name)))


def add_marker(timeline: Timeline, marker: Marker) -> Timeline:
    """A note at a frame."""
    if marker.frame < 0:
        raise TimelineError(f"a marker cannot lie at frame {marker.frame}, before the timeline")
    return replace(timeline, markers=tuple(sorted((*timeline.markers, marker), key=lambda other: other.frame)))


def _open_track(timeline: Timeline, track_id: str) -> Track:
    track = timeline.track(track_id)
    if track.locked:
        raise TimelineError(f"track {track.name} is locked; unlock it first")
    return track


def _open_clip(timeline: Timeline, clip_id: str) -> tuple[Track, int]:
    track, place = timeline.clip(clip_id)
    return _open_track(timeline, track.id), place


def _refuse_used_id(timeline: Timeline, clip: Clip) -> None:
    if clip.id in _ids(timeline):
        raise TimelineError(f"there is a clip {clip.id!r} already")


def _ids(timeline: Timeline) -> set[str]:
    return {clip.id for track in timeline.tracks for clip in track.clips}


def _with_clips(timeline: Timeline, track: Track, clips: list[Clip]) -> Timeline:
    changed = replace(track, clips=tuple(sorted(clips, key=lambda clip: clip.record_in)))
    return replace(timeline, tracks=tuple(changed if other.id == track.id else other for other in timeline.tracks))


def _replaced(track: Track, place: int, clip: Clip) -> list[Clip]:
    return [*track.clips[:place], clip, *track.clips[place + 1 :]]


def _moved(clip: Clip, delta: int) -> Clip:
    return replace(clip, record_in=clip.record_in + delta)


def _range(clip: Clip, start: int, stop: int) -> FrameRange:
    return FrameRange(start=clip.source.start + start, stop=clip.source.stop + stop)


def _between(value: int, low: int, high: int) -> int:
    return min(max(value, low), high)


def _split(timeline: Timeline, clips: tuple[Clip, ...], at: int) -> list[Clip]:
    """The clips, the one under a frame cut in two there; the left part keeps the id."""
    result: list[Clip] = []
    for clip in clips:
        if clip.record_in < at < clip.record_out:
            cut = at - clip.record_out
            right = replace(clip, id=_fresh_id(timeline, clip.id), source=_range(clip, at - clip.record_in, 0))
            right = replace(right, record_in=at)
            result += [replace(clip, source=_range(clip, 0, cut)), replace(right, link=_right_link(timeline, right))]
        else:
            result.append(clip)
    return result


def _cleared(
    timeline: Timeline, clips: tuple[Clip, ...], placed: Clip, reserved: frozenset[str] = frozenset()
) -> list[Clip]:
    """What is left of clips when another is laid over them."""
    kept: list[Clip] = []
    for clip in clips:
        before, behind = placed.record_in - clip.record_in, clip.record_out - placed.record_out
        if before >= len(clip.source) or behind >= len(clip.source):
            kept.append(clip)
            continue
        if before > 0:
            kept.append(replace(clip, source=_range(clip, 0, before - len(clip.source))))
        if behind > 0:
            name = _fresh_id(timeline, clip.id, reserved | {placed.id}) if before > 0 else clip.id
            shortened = replace(clip, id=name, source=_range(clip, len(clip.source) - behind, 0))
            shortened = replace(shortened, record_in=placed.record_out)
            kept.append(replace(shortened, link=_right_link(timeline, shortened)) if before > 0 else shortened)
    return kept


def _right_link(timeline: Timeline, right: Clip) -> str | None:
    """The link of what lies behind a cut: picture and sound cut at one frame get the same, and nobody else has it."""
    if right.link is None:
        return None
    others = {
        clip.link
        for track in timeline.tracks
        for clip in track.clips
        if (clip.record_in, clip.sync) != (right.record_in, right.sync)
    }
    name = f"{right.link.partition('@')[0]}@{right.source.start}"
    return name if name not in others else next(n for k in count(2) if (n := f"{name}.{k}") not in others)


def _fresh_id(timeline: Timeline, name: str, reserved: frozenset[str] = frozenset()) -> str:
    """An id that no clip has: the part of "a" behind a cut is "a.2", then "a.3", and so on."""
    used, stem = _ids(timeline) | reserved, name.partition(".")[0]
    return next(fresh for number in count(2) if (fresh := f"{stem}.{number}") not in used)
