"""What a plugin's contributions must offer. Protocols only; standard library at run time.

Shape letters are those of `julnet_plugin.model`: T frames, H W plate, h w crop, L landmarks, S audio steps, D audio
feature size, N reference frames.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from julnet_plugin.types import FloatArray, MediaInfo, Patch, PixelArray


class FaceTracker(Protocol):
    """Finds faces in one picture. Stateless between calls unless `reset` says otherwise."""

    name: str

    def detect(self, picture: NDArray[np.uint8], max_faces: int) -> list[FloatArray]:
        """Find faces.

        Args:
            picture: (H, W, 3) display-referred RGB.
            max_faces: most faces to return, the largest first.

        Returns:
            One (478, 3) float32 array a face, MediaPipe face-mesh topology with irises: x, y in pixels
            (x right, y down, origin at the centre of the top-left pixel) and z in pixels (towards the camera negative).
        """
        ...

    def close(self) -> None:
        """Free what the tracker holds."""
        ...


class AudioFeatures(Protocol):
    """Turns speech into class scores or embeddings at a fixed step."""

    name: str  #: written into weights files: a model runs only with the features it was trained on
    size: int  #: D
    step_s: float  #: time between feature vectors; vector k describes the sound around (k + 0.5) * step_s

    def extract(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Features of a whole utterance.

        Args:
            samples: mono, 16 kHz, in [-1, 1].

        Returns:
            (S, D) float32 with S = ceil(len(samples) / 16000 / step_s); finite for any input, silence included.
        """
        ...


class GeneratorFactory(Protocol):
    """Makes a generator network of one architecture."""

    name: str  #: architecture name in weights headers

    def build(self, config: dict[str, object]) -> object:
        """A `torch.nn.Module` with the interface of `julnet_plugin.model.generator.Generator`, untrained."""
        ...


class MatteOperator(Protocol):
    """One step of the matte chain, on one frame in face space."""

    name: str
    order: float  #: levels 10, grow 20, blur 30, temporal 40; strokes are always last

    def apply(self, matte: FloatArray, frame: int, settings: dict[str, float]) -> FloatArray:
        """(h, w) float32 in [0, 1] to the same."""
        ...


class TakeWriter(Protocol):
    """Writes one delivery of a take, frame by frame, in plate order."""

    name: str  #: what `--deliver` calls it

    def open(self, folder: Path, info: MediaInfo, dub: Path | None, settings: dict[str, object]) -> None:
        """Start writing under `folder` (a work folder; the effect renames finished files into the take)."""
        ...

    def write(self, index: int, plate: PixelArray, patch: Patch | None) -> None:
        """One plate frame (H, W, 3) in plate dtype and its patch; None where the frame passes through."""
        ...

    def close(self) -> list[Path]:
        """Finish and return the files written."""
        ...


class CliVerb(Protocol):
    """One verb of the `julnet` command."""

    name: str
    help: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the verb's options."""
        ...

    def run(self, args: argparse.Namespace) -> int:
        """Do it; return the exit code. `JulnetError` may be raised: the CLI turns it into one sentence."""
        ...


class HostEntry(Protocol):
    """A host application that JULNet can put its client into."""

    name: str
    title: str

    def install(self, dry_run: bool) -> Sequence[Path]:
        """Write the client where the host looks for it; return the files."""
        ...

    def uninstall(self, dry_run: bool) -> Sequence[Path]:
        """Remove what `install` wrote; return the files."""
        ...

    def check(self) -> Callable[[], str] | str:
        """One line: installed or not, and where."""
        ...
