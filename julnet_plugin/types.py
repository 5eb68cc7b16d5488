"""Values that cross a boundary between rooms, plugins, hosts and processes. Standard library only at run time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    FloatArray: TypeAlias = NDArray[np.floating[Any]]
    PixelArray: TypeAlias = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float16] | NDArray[np.float32]

#: `progress(stage, done, total)`; stages are "track", "audio", "render", "deliver". Raise `RedubCancelled` to stop.
ProgressFn: TypeAlias = Callable[[str, int, int], None]

Delivery: TypeAlias = Literal[
    "prores",
    "prores4444",
    "h264",
    "png",
    "exr",
    "matte-exr",
    "matte-png",
    "matte-tiff",
    "matte-prores4444",
    "matte-luma",
    "crop-exr",
]
DELIVERIES: tuple[Delivery, ...] = get_args(Delivery)


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameRange:
    """Half-open range of plate frames, counted from 0 at the plate's first frame: `start <= index < stop`."""

    start: int
    stop: int

    def __post_init__(self) -> None:
        if self.start < 0 or self.stop < self.start:
            msg = f"not a frame range: start {self.start}, stop {self.stop}"
            raise ValueError(msg)

    def __len__(self) -> int:
        return self.stop - self.start

    def __contains__(self, index: int) -> bool:
        return self.start <= index < self.stop


@dataclass(frozen=True, slots=True, kw_only=True)
class ColourTags:
    """How code values map to colour, in FFmpeg's names; "unknown" where the file does not say.

    `matrix` and `range` are what a YUV file is decoded with when it does not say: BT.709 at 720 lines and above,
    BT.601 below, limited range. `tagged` is False where these were assumed.
    """

    matrix: str = "unknown"  #: "bt709", "smpte170m", "bt2020nc", "gbr" …
    range: str = "unknown"  #: "tv" (limited) or "pc" (full)
    primaries: str = "unknown"
    transfer: str = "unknown"  #: "bt709", "smpte2084" (PQ), "arib-std-b67" (HLG), "linear" …
    space: str | None = None  #: OpenColorIO colour-space name when the user gave one (log, ACES, camera)
    tagged: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioInfo:
    """One audio stream of a file."""

    index: int  #: among the file's audio streams, from 0
    codec: str
    sample_rate_hz: int
    channels: int
    layout: str
    duration_s: float
    bits: int = 24  #: of one sample; 24 for codecs that decode to float
    language: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaInfo:
    """What `probe` finds out about a movie or an image sequence."""

    path: Path  #: the movie, or the first file of the sequence
    kind: Literal["movie", "sequence"]
    width: int  #: as shown: after rotation metadata
    height: int
    rate: Fraction  #: frames per second; the nominal rate for a VFR plate
    frame_count: int
    frame_times_s: tuple[float, ...] | None = None  #: VFR only: presentation time of each frame, first = 0
    first_number: int = 0  #: number of the first frame in file names: the sequence's own, 0 for a movie
    start_timecode: str | None = None  #: SMPTE label of the first frame, ";" before the frames when drop-frame
    drop_frame: bool = False
    bit_depth: int = 8  #: of one component as stored; 16 or 32 for float
    is_float: bool = False
    codec: str = ""
    pixel_format: str = ""  #: FFmpeg's name
    has_alpha: bool = False
    interlaced: bool = False
    rotation: int = 0  #: degrees, clockwise, already applied in width and height
    pixel_aspect: Fraction = Fraction(1)
    time_base: Fraction | None = None  #: tick of the file's clock in seconds; None for a sequence
    rate_assumed: bool = False  #: True for a sequence whose files do not say how fast they run
    colour: ColourTags = field(default_factory=ColourTags)
    audio: tuple[AudioInfo, ...] = ()
    reel: str | None = None

    @property
    def vfr(self) -> bool:
        """Whether the frames are not evenly spaced in time."""
        return self.frame_times_s is not None

    def time_of(self, index: int) -> float:
        """Presentation time of a frame in seconds from the plate's first frame."""
        if self.frame_times_s is not None:
            return self.frame_times_s[index]
        return float(index / self.rate)

    @property
    def duration_s(self) -> float:
        """Length in seconds, the last frame's own duration included."""
        if self.frame_times_s is not None:
            return self.frame_times_s[-1] + float(1 / self.rate)
        return float(self.frame_count / self.rate)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rect:
    """Half-open pixel rectangle of the plate: columns x0 ≤ x < x1, rows y0 ≤ y < y1; origin top left."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def width(self) -> int:
        """Columns."""
        return self.x1 - self.x0

    @property
    def height(self) -> int:
        """Rows."""
        return self.y1 - self.y0

    def holds(self, other: Rect) -> bool:
        """Whether another rectangle lies inside this one."""
        return self.x0 <= other.x0 and self.y0 <= other.y0 and other.x1 <= self.x1 and other.y1 <= self.y1

    @property
    def slices(self) -> tuple[slice, slice]:
        """(rows, columns), to index an (H, W, …) array."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """What the effect changes in one plate frame; everything outside `rect`, or where `coverage` is 0, is the plate.

    Shape:
        pixels: (rect.height, rect.width, 3) RGB in the decoded plate's own dtype and colour space, already composited.
        coverage: (rect.height, rect.width) float32 in [0, 1]; 1 = generated pixel, 0 = plate pixel, bit for bit.
        sigma: (rect.height, rect.width) float32, expected |error| on display-referred [0, 1] RGB; 0 outside the region.
        error: same shape and unit, the network's predicted error map.
        matte: same shape in [0, 1], the uncertainty matte; 1 = look here.
        st: (rect.height, rect.width, 2) float32, crop coordinates of each pixel in [0, 1] (s right, t up), 0 outside.
        unheld: pixels and coverage before the matte gave the plate back; None where it gives nothing back.
        crop: the same in crop space; None where nobody needs it.
    """

    rect: Rect
    pixels: PixelArray
    coverage: FloatArray
    sigma: FloatArray
    error: FloatArray
    matte: FloatArray
    st: FloatArray | None = None
    unheld: tuple[PixelArray, FloatArray] | None = None
    crop: CropMaps | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CropMaps:
    """The same frame in the stabilised crop, as the network drew it.

    Shape:
        image: (h, w, 3) float32 display RGB.
        coverage, sigma, error, matte: (h, w) float32, before the matte drives anything.
    """

    image: FloatArray
    coverage: FloatArray
    sigma: FloatArray
    error: FloatArray
    matte: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryJob:
    """What one delivery of a take is made from, and where it goes."""

    folder: Path  #: grows into the take folder; exists; finished files appear in it under their final names
    work: Path  #: for what only an unfinished job needs (chunks of a movie); exists; the caller removes it
    info: MediaInfo  #: the plate
    frames: FrameRange  #: the plate frames that the take holds
    chunks: tuple[FrameRange, ...]  #: how `frames` is cut for resuming; a resumed job cuts it in the same places
    dub: Path | None = None  #: None = no sound
    dub_offset_s: float = 0.0  #: where the dub starts relative to the first frame; negative skips its beginning
    dub_track: int = 0
    movie_name: str = "dub.mov"  #: what a movie delivery calls its file
    settings: dict[str, Any] = field(default_factory=dict)  #: the writer's own settings


@dataclass(frozen=True, slots=True, kw_only=True)
class RedubRequest:
    """Everything that decides what a take looks like. Two equal requests on equal files give equal bytes on one CPU."""

    plate: Path
    dub: Path
    take_dir: Path
    in_point: str | None = None  #: timecode ("01:00:01:05"), frame ("37") or seconds ("1.5s"); None = first frame
    out_point: str | None = None  #: same units, exclusive; None = after the last frame
    dub_offset_s: float = 0.0  #: where the dub starts relative to the in point; negative skips its beginning
    dub_track: int = 0  #: which audio stream, when the dub is a movie with several
    face: str = "auto"  #: "auto", a track index, or "X,Y@FRAME" in plate pixels
    model: str = "rt"  #: a shipped configuration's name or a weights file
    refs: str = "auto"  #: "auto", or frames of the plate: "12,40,77"
    device: str = "auto"  #: "auto", "cpu", "cuda"
    deliver: tuple[Delivery, ...] = ("prores",)
    colour_space: str | None = None  #: OpenColorIO name of the plate's space when its tags cannot say
    seed: int = 0
    consent: Path | None = None  #: note of consent (docs/provenance.md): checked, and carried along in the take
    resume: bool = False
    settings: dict[str, Any] = field(default_factory=dict)  #: overrides of `config.Settings`, by dotted key


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """A finished take on disk."""

    path: Path  #: the take folder
    manifest: dict[str, Any]  #: the contents of take.json

    @property
    def files(self) -> dict[str, str]:
        """Delivered files by kind, relative to the take folder."""
        return dict(self.manifest["files"])
