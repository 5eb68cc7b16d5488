"""What a plugin's contributions must offer. Protocols only; standard library at run time.

Shape letters are those of `julnet_plugin.model`: T frames, H W plate, h w crop, L landmarks, S audio steps, D audio
feature size, N reference frames.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from fractions import Fraction
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from julnet_plugin.media.reader import PlateFrame
    from julnet_plugin.types import DeliveryJob, FloatArray, FrameRange, Patch, Take


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
    """One way to deliver a take: `--deliver NAME`."""

    name: str  #: what `--deliver` calls it
    #: A movie carries the dub's sound and comes with one `matte.mov` beside it; a matte shows nothing but the matte, so
    #: that it can be written again without the plate, unless it also has a `shows_picture` that is true.
    kind: Literal["movie", "sequence", "matte"]

    def open(self, job: DeliveryJob) -> DeliverySession:
        """Start, or go on with, one delivery.

        Raises:
            InputError: this plate cannot be delivered this way; said before the first frame is rendered.
        """
        ...


class DeliverySession(Protocol):
    """One delivery being written, chunk by chunk. Chunks may come in any order; frames inside one come in plate order.

    The bytes of a finished delivery do not depend on how often it was interrupted between chunks.
    """

    def finished(self, chunk: FrameRange) -> bool:
        """Whether this chunk is already whole on disk, from now or from an interrupted run."""
        ...

    def begin(self, chunk: FrameRange) -> None:
        """Start a chunk; what an interrupted run left of it is written over."""
        ...

    def write(self, frame: PlateFrame, patch: Patch | None) -> None:
        """One plate frame and what changes in it; None where the frame passes through.

        Raises:
            MediaError: it cannot be written (full disk, no permission).
        """
        ...

    def end(self) -> None:
        """Finish the chunk: after this it survives a crash."""
        ...

    def abort(self) -> None:
        """Drop the chunk that was begun, if any, and let go of files. Finished chunks stay."""
        ...

    def close(self) -> dict[str, str]:
        """Finish the delivery; every chunk must be finished.

        Returns:
            What was written, by kind, relative to the job's folder; a sequence as a pattern: "png/dub.######.png".
        """
        ...


class CliVerb(Protocol):
    """One verb of the `julnet` command."""

    name: str
    help: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the verb's options."""
        ...

    def run(self, args: argparse.Namespace) -> int:
        """Do it; return the exit code. `JulnetError` may be raised: the CLI turns it into one sentence.

        Args:
            args: the options; `args.manager` holds the plugins of this run, `args.console` is where output goes
                (`julnet_plugin.console.Console`: `result`, `note`, `progress`).
        """
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

    def check(self) -> str:
        """One line: installed or not, and where."""
        ...


class ProjectClip(Protocol):
    """A clip in a project file that can be re-dubbed."""

    @property
    def plate(self) -> Path:
        """Movie, or pattern of a sequence."""
        ...

    @property
    def rate(self) -> Fraction:
        """Of the plate."""
        ...

    @property
    def shown(self) -> FrameRange:
        """Plate frames that the clip shows."""
        ...

    @property
    def frames(self) -> FrameRange:
        """Those and handles: what a take should hold."""
        ...


class ProjectFile(Protocol):
    """A project file of a program, which a host edits itself; `julnet redub --timeline` asks for it.

    A host that has some offers `open_project(path: Path) -> ProjectFile | None` beside what `HostEntry` has; None where
    the file is none of its own.
    """

    def find(self, name: str, handles: int) -> ProjectClip:
        """The clip of that name; "NAME#2" is the second of that name.

        Raises:
            InputError: there is none, there are several, it is retimed, or its medium is not there.
        """
        ...

    def check_out(self, out: Path) -> None:
        """Refuse a place that the project cannot be written to, before anything is rendered.

        Raises:
            InputError: it is one.
        """
        ...

    def place(self, clip: Any, take: Take, out: Path) -> None:
        """Put a take beside a clip that `find` gave and write the project, whole or not at all.

        Raises:
            InputError: the file was changed meanwhile, or cannot be written; the message says where the take lies.
        """
        ...
