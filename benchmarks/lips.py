"""Whether the lips of finished takes follow the dub and let go of the plate, on clips of your own.

Every clip is dubbed with a recording that is not its own, and with silence. The face mesh measures the opening of the
lips in the finished movie; it is compared with the loudness of the dub and of the plate's own sound.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.record import Measured, report

_LAG = 2  #: frames within which the best correlation is looked for
_SOUNDS = (".wav", ".flac", ".mp3", ".m4a", ".ogg")

Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """One clip. Correlations are Pearson's over time at the best lag of two frames either way."""

    clip: str
    dub: str
    frames: int  #: that were re-dubbed
    with_dub: float
    with_plate: float
    dub_with_plate: float  #: of the two sounds with each other: what chance gives `with_plate`
    real: float  #: of the plate's true lips with its own sound: what a person reaches
    silent_opening: float  #: mean opening under silence; 0 = the person's closed mouth, 1 = open
    silent_open: float  #: share of frames under silence whose mouth counts as open


def main(arguments: list[str]) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks lips", description=__doc__)
    parser.add_argument("clips", nargs="+", type=Path, help="movies of people speaking")
    parser.add_argument("--dubs", type=Path, nargs="+", required=True, help="recordings, or folders of them")
    parser.add_argument("--seconds", type=float, default=5.0, help="at most so much of each clip, from its beginning")
    parser.add_argument("--model", default="rt")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results"), help="folder of the JSON")
    options = parser.parse_args(arguments)
    dubs = [sound for path in options.dubs for sound in _sounds(path)]
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for number, clip in enumerate(options.clips):
            work = Path(folder) / str(number)
            work.mkdir()
            found.append(follow(clip, dubs[number % len(dubs)], work, options))
            print(f"{found[-1].clip}: {_line(found[-1])}", flush=True)
    settings = {k: str(v) for k, v in vars(options).items() if k not in ("output", "clips", "dubs")}
    report("lips", rows_of(found), options.output, settings)
    return 0


def follow(clip: Path, dub: Path, folder: Path, options: argparse.Namespace) -> Followed:
    """Dub one clip twice and measure the lips."""
    import soundfile  # type: ignore[import-untyped,unused-ignore]

    from julnet_plugin import RedubRequest, redub
    from julnet_plugin.manager import make_manager
    from julnet_plugin.media.probe import probe
    from trainer.evaluation.dubbing import OPEN_SHARE, openness
    from trainer.evaluation.following import envelope, lip_opening

    info = probe(clip)
    count = min(info.frame_count, round(options.seconds * float(info.rate)))
    silence = folder / "silence.wav"
    soundfile.write(silence, np.zeros(round(16_000 * (options.seconds + 1)), np.float32), 16_000)
    tracker = make_manager().face_tracker("mediapipe")

    def lips(sound: Path, name: str) -> tuple[Float64, int]:
        request = RedubRequest(
            plate=clip,
            dub=sound,
            take_dir=folder / name,
            out_point=str(count),
            model=options.model,
            device=options.device,
            deliver=("h264",),
        )
        take = redub(request)
        movie = take.path / take.files["h264"]
        drawn = lip_opening(movie, probe(movie), tracker)
        active = np.array([row["weight"] == 1 for row in take.manifest["frames"]])
        return np.where(active, drawn, np.nan), int(active.sum())

    (spoken, frames), (hushed, _) = lips(dub, "spoken"), lips(silence, "silent")
    true = lip_opening(clip, info, tracker)[:count]
    tracker.close()
    new, own = envelope(dub, info)[:count], envelope(clip, info)[:count]
    quiet = openness(hushed, true)
    quiet = quiet[np.isfinite(quiet)]
    return Followed(
        clip=clip.stem,
        dub=dub.stem,
        frames=frames,
        with_dub=_best(spoken, new),
        with_plate=_best(spoken, own),
        dub_with_plate=_best(new, own),
        real=_best(true, own),
        silent_opening=float(quiet.mean()) if len(quiet) else float("nan"),
        silent_open=float(np.mean(quiet > OPEN_SHARE)) if len(quiet) else float("nan"),
    )


def rows_of(found: Sequence[Followed]) -> list[Measured]:
    """Means over all clips, then each."""
    means = {
        name: float(np.nanmean([getattr(f, name) for f in found]))
        for name in ("with_dub", "with_plate", "dub_with_plate", "real", "silent_opening", "silent_open")
    }
    says = {
        "with_dub": "lips with the dub's loudness",
        "with_plate": "lips with the plate's own loudness",
        "dub_with_plate": "dub's with the plate's loudness",
        "real": "true lips with their own loudness",
        "silent_opening": "opening under a silent dub",
        "silent_open": "frames with an open mouth under a silent dub",
    }
    clips = f"mean of {len(found)} clips"
    rows = [
        Measured(says[name], value, "r" if name[:6] != "silent" else "share", clips) for name, value in means.items()
    ]
    follows = sum(f.with_dub > f.with_plate for f in found)
    rows.append(Measured("clips that follow the dub more than the plate", follows, f"of {len(found)}"))
    return [*rows, *(Measured(f.clip, f.with_dub, "r", f"{_line(f)}; dub {f.dub}") for f in found)]


def _line(f: Followed) -> str:
    return (
        f"dub {f.with_dub:.2f}, plate {f.with_plate:.2f} (chance {f.dub_with_plate:.2f}), real {f.real:.2f}, "
        f"silent {f.silent_opening:.2f} open, {f.silent_open:.0%} of frames; {f.frames} frames"
    )


def _best(a: Float64, b: Float64) -> float:
    from trainer.metrics import best_correlation

    return best_correlation(a, b, _LAG)[0]


def _sounds(path: Path) -> list[Path]:
    return sorted(p for p in path.iterdir() if p.suffix in _SOUNDS) if path.is_dir() else [path]
