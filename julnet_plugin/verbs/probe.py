"""`julnet probe`: what a plate is, and who is in it."""

from __future__ import annotations

import argparse
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from julnet_plugin.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from julnet_plugin.console import Console
    from julnet_plugin.face.boxes import Box
    from julnet_plugin.face.tracks import Tracking
    from julnet_plugin.interfaces import FaceTracker
    from julnet_plugin.manager import Manager
    from julnet_plugin.types import MediaInfo

_TRACKED_S = 60.0  #: faces are followed through plates up to this length; in longer ones, samples are looked at
_SAMPLES = 16


class Probe:
    """Say what a plate is, and who is in it."""

    name = "probe"
    help = "say what a movie or sequence is: rate, frames, timecode, colour tags, faces per shot"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("media", type=Path, metavar="MEDIA", help="movie, or image sequence (shot.####.exr)")
        parser.add_argument("--rate", metavar="R", help="frames per second of a sequence that does not say: 24000/1001")
        parser.add_argument(
            "--faces",
            action=argparse.BooleanOptionalAction,
            help="follow every face; without it, that is done up to a minute and longer plates are sampled",
        )

    def run(self, args: argparse.Namespace) -> int:
        """Probe, and look for faces unless told not to."""
        from julnet_plugin.media.probe import probe

        info = probe(args.media, parse_rate(args.rate))
        values = describe(info)
        if args.faces is not False and not info.interlaced:
            values |= _faces(info, args.faces is True, args.manager, args.console)
        args.console.result(values, "\n".join(_table(values)))
        return 0


def parse_rate(text: str | None) -> Fraction | None:
    """Frames per second as a user writes them: 25, 23.976, 24000/1001.

    Raises:
        SettingsError: not a rate.
    """
    if text is None:
        return None
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not 1 <= rate <= 1000:
        raise SettingsError(f"{text!r} is not a frame rate; write 25, 23.976 or 24000/1001", key="rate")
    broadcast = Fraction(round(rate * 1001 / 1000) * 1000, 1001)
    return broadcast if rate.denominator != 1 and abs(rate - broadcast) < Fraction(1, 1000) else rate


def describe(info: MediaInfo) -> dict[str, Any]:
    """What is known about a plate, as plain values."""
    return {
        "path": str(info.path),
        "kind": info.kind,
        "width": info.width,
        "height": info.height,
        "rate": str(info.rate),
        "rate_assumed": info.rate_assumed,
        "vfr": info.vfr,
        "frames": info.frame_count,
        "first_number": info.first_number,
        "duration_s": round(info.duration_s, 6),
        "timecode": info.start_timecode,
        "codec": info.codec,
        "pixel_format": info.pixel_format,
        "bit_depth": info.bit_depth,
        "float": info.is_float,
        "alpha": info.has_alpha,
        "interlaced": info.interlaced,
        "rotation": info.rotation,
        "pixel_aspect": str(info.pixel_aspect),
        "reel": info.reel,
        "colour": {
            name: getattr(info.colour, name) for name in ("matrix", "range", "primaries", "transfer", "space", "tagged")
        },
        "audio": [
            {
                "index": a.index,
                "codec": a.codec,
                "sample_rate_hz": a.sample_rate_hz,
                "channels": a.channels,
                "layout": a.layout,
                "duration_s": round(a.duration_s, 6),
                "language": a.language,
            }
            for a in info.audio
        ],
    }


def _faces(info: MediaInfo, everywhere: bool, manager: Manager, console: Console) -> dict[str, Any]:
    """Faces by shot where the plate is short or the user wants it; else faces in a few frames."""
    from julnet_plugin.config import Settings

    tracker = manager.face_tracker(Settings().face.tracker)
    try:
        with console.cancellable():
            if not everywhere and info.duration_s > _TRACKED_S:
                return {"samples": list(_sampled(info, tracker, console))}
            from julnet_plugin.face.track import track_plate

            pictures = _pictures(info)
            return {"shots": _by_shot(track_plate(pictures, info, tracker, progress=console.progress))}
    finally:
        tracker.close()


def _sampled(info: MediaInfo, tracker: FaceTracker, console: Console) -> Iterator[dict[str, int]]:
    from julnet_plugin.media.colour import DisplayTransform
    from julnet_plugin.media.reader import open_plate

    display = DisplayTransform(info)
    with open_plate(info) as plate:
        for k in range(_SAMPLES):
            index = (2 * k + 1) * info.frame_count // (2 * _SAMPLES)
            picture = display.to_preview(plate.frame(index).rgb)
            console.progress("track", k + 1, _SAMPLES)
            yield {"frame": index, "faces": len(tracker.detect(picture, 8))}


def _pictures(info: MediaInfo) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    from julnet_plugin.media.colour import DisplayTransform
    from julnet_plugin.media.reader import open_plate

    display = DisplayTransform(info)
    with open_plate(info) as plate:
        for frame in plate.frames():
            yield frame.index, display.to_preview(frame.rgb)


def _by_shot(tracking: Tracking) -> list[dict[str, Any]]:
    return [
        {
            "start": shot.start,
            "stop": shot.stop,
            "faces": [
                {
                    "index": track.index,
                    "frames": int(track.found.sum()),
                    "mouth_px": round(track.typical("mouth_px"), 1),
                    "first_frame": track.frames.start,
                    "box": _edges(track.box(0)),
                }
                for track in tracking.in_shot(number)
            ],
        }
        for number, shot in enumerate(tracking.shots)
    ]


def _edges(box: Box) -> list[float]:
    return [round(edge, 1) for edge in (box.x0, box.y0, box.x1, box.y1)]


def _table(values: dict[str, Any]) -> Iterator[str]:
    """The same for people."""
    depth = f"{values['bit_depth']}-bit{' float' if values['float'] else ''}{', alpha' if values['alpha'] else ''}"
    vfr = ", variable" if values["vfr"] else ""
    rate = f"{float(Fraction(values['rate'])):.6g} fps ({values['rate']}{vfr})"
    notes = [
        "assumed" if values["rate_assumed"] else "",
        f"rotated {values['rotation']} degrees" if values["rotation"] else "",
        "INTERLACED" if values["interlaced"] else "",
    ]
    yield f"{values['path']}"
    yield f"  picture   {values['width']}x{values['height']}, {values['codec']} {values['pixel_format']}, {depth}"
    yield f"  rate      {', '.join([rate, *filter(None, notes)])}"
    yield f"  frames    {values['frames']} from {values['first_number']}, {values['duration_s']:.3f} s"
    yield f"  timecode  {values['timecode'] or 'none'}"
    colour = values["colour"]
    tags = " / ".join(colour[name] for name in ("primaries", "transfer", "matrix", "range"))
    yield f"  colour    {tags}{'' if colour['tagged'] else ' (assumed)'}"
    for audio in values["audio"] or [None]:
        yield "  audio     none" if audio is None else _audio_line(audio)
    for number, shot in enumerate(values.get("shots", [])):
        faces = "; ".join(_face_words(face) for face in shot["faces"]) or "no face"
        yield f"  shot {number:<4} frames {shot['start']} to {shot['stop'] - 1}: {faces}"
    if "samples" in values:
        counts = ", ".join(f"{sample['faces']} at {sample['frame']}" for sample in values["samples"])
        yield f"  faces     {counts} (samples; --faces follows them all)"


def _audio_line(audio: dict[str, Any]) -> str:
    language = f", {audio['language']}" if audio["language"] else ""
    sound = f"{audio['codec']} {audio['sample_rate_hz']} Hz {audio['layout'] or audio['channels']}"
    return f"  audio {audio['index']:<3} {sound}, {audio['duration_s']:.3f} s{language}"


def _face_words(face: dict[str, Any]) -> str:
    return f"face {face['index']} on {face['frames']} frames, mouth {face['mouth_px']:.0f} px"
