"""A take as an OpenTimelineIO timeline: the plate, the dub over it, the matte, the new sound, and what to review.

Shaped as Resolve reads it: clips on their media's own timecode, `media_references` by name, plain paths, tracks named
"Video 1", "Video 2". Stretches worth a look are markers on the dub, red where the most error is expected.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from julnet_plugin.interchange.comp import joined

if TYPE_CHECKING:
    from collections.abc import Mapping

_SOUND_CODECS = ("prores", "prores4444", "h264")  #: deliveries that carry the new sound
_COLOURS = ("RED", "ORANGE", "YELLOW")  #: of markers, most uncertain first; the rest stay yellow


def timeline_text(manifest: Mapping[str, Any], name: str, root: str = "") -> str:
    """The timeline as the text of an `.otio` file; see `take_timeline`."""
    import opentimelineio as otio

    text = otio.adapters.write_to_string(take_timeline(manifest, name, root), "otio_json")
    return str(text).rstrip() + "\n"


def take_timeline(manifest: Mapping[str, Any], name: str, root: str = "") -> Any:
    """The timeline of a take.

    Args:
        manifest: the contents of `take.json`.
        name: of the take, for people.
        root: folder of the take, for its own files; "" keeps them relative to the timeline.
    """
    import opentimelineio as otio

    shot = _Shot(manifest, root)
    timeline = otio.schema.Timeline(name=name)
    timeline.global_start_time = shot.time(0)
    timeline.metadata["julnet"] = {"take": name, "synthetic": dict(manifest.get("synthetic", {}))}
    files = manifest["files"]
    dub = next((files[kind] for kind in _SOUND_CODECS if kind in files), None)
    pictures = [("Video 1", shot.plate_clip(name))]
    if dub is not None:
        pictures.append(("Video 2", shot.clip(f"{name} (dub)", dub)))
    if "matte" in files:
        pictures.append(("Video 3", shot.clip(f"{name} (uncertainty matte)", files["matte"])))
    for track_name, clip in pictures:
        track = otio.schema.Track(name=track_name, kind=otio.schema.TrackKind.Video)
        track.append(clip)
        timeline.tracks.append(track)
    marked = pictures[1][1] if dub is not None else pictures[0][1]
    marked.markers.extend(shot.markers())
    marked.effects.append(otio.schema.Effect(name="julnet", effect_name="julnet.redub", metadata=shot.facts()))
    if dub is not None:
        sound = otio.schema.Track(name="Audio 1", kind=otio.schema.TrackKind.Audio)
        sound.append(shot.clip(f"{name} (dub)", dub))
        timeline.tracks.append(sound)
    return timeline


class _Shot:
    """Times and media of one take."""

    def __init__(self, manifest: Mapping[str, Any], root: str) -> None:
        self.manifest, self.root = manifest, root
        self.plate = manifest["plate"]
        self.rate = Fraction(self.plate["rate"])
        self.start, self.stop = self.plate["frame_range"]
        self.first = self._first()

    def time(self, position: int) -> Any:
        """A time on the plate's own timecode; position 0 is the take's first frame."""
        import opentimelineio as otio

        return otio.opentime.RationalTime(self.first + position, float(self.rate))

    def span(self, position: int, length: int) -> Any:
        """A range on the plate's own timecode."""
        import opentimelineio as otio

        return otio.opentime.TimeRange(self.time(position), otio.opentime.RationalTime(length, float(self.rate)))

    def clip(self, name: str, file: str) -> Any:
        """A clip of one of the take's own movies, which begin with the take."""
        return self._clip(name, joined(self.root, file), self.span(0, self.stop - self.start))

    def plate_clip(self, name: str) -> Any:
        """The plate, of which the take is a part."""
        count = int(self.plate.get("frame_count") or self.stop)
        path = str(self.plate.get("file") or self.manifest["inputs"]["plate"]["path"])
        return self._clip(f"{name} (plate)", path, self.span(-self.start, count))

    def markers(self) -> list[Any]:
        """One marker for each stretch worth a look."""
        import opentimelineio as otio

        made = []
        for rank, row in enumerate(self.manifest.get("review", ())):
            sentence = f"expect ±{row['expected_cv']:.0f} code values: {', '.join(row['reasons'])}"
            marker = otio.schema.Marker(
                name=f"JULNet {rank + 1}: ±{row['expected_cv']:.0f} code values",
                marked_range=self.span(row["start"] - self.start, row["stop"] - row["start"]),
                color=_COLOURS[min(rank, len(_COLOURS) - 1)],
                metadata={"julnet": {**row, "rank": rank + 1}},
            )
            marker.comment = sentence
            made.append(marker)
        return made

    def facts(self) -> dict[str, Any]:
        """What an editing program should keep with the clip."""
        model = self.manifest["model"]
        return {"julnet": {"model": model["id"], "frames": [self.start, self.stop], "plate": dict(self.plate)}}

    def _clip(self, name: str, path: str, available: Any) -> Any:
        import opentimelineio as otio

        media = otio.schema.ExternalReference(target_url=path, available_range=available)
        media.name = name
        return otio.schema.Clip(name=name, media_reference=media, source_range=self.span(0, self.stop - self.start))

    def _first(self) -> int:
        """The take's first frame on the plate's timecode; without one, on the plate's own count."""
        label = self.plate.get("start_timecode")
        if label is None:
            return int(self.start)
        from julnet_plugin.media.timecode import parse_timecode  # OTIO's own refuses rates that are nobody's standard

        return parse_timecode(label, self.rate).frame
