"""From stored crops to patches: matte, drive, composite. The same road for a first render and for every later comp."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from julnet_plugin.compose.paste import Compositor, CropLayers
from julnet_plugin.config import ComposeSettings
from julnet_plugin.matte.chain import MatteChain
from julnet_plugin.pipeline.references import frame_crop
from julnet_plugin.types import CropMaps, Rect

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from julnet_plugin.compose.paste import DisplayTransform
    from julnet_plugin.interfaces import MatteOperator
    from julnet_plugin.matte.calibration import Calibration
    from julnet_plugin.matte.document import MatteDocument
    from julnet_plugin.matte.overrides import MattePixels
    from julnet_plugin.matte.settings import DriveState
    from julnet_plugin.media.reader import PlateFrame, PlateReader
    from julnet_plugin.pipeline.lips import LipWatcher
    from julnet_plugin.pipeline.overrides import Overrides
    from julnet_plugin.pipeline.takedata import TakeData
    from julnet_plugin.types import FrameRange, Patch, PixelArray

Float32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrameLayers:
    """Everything about one frame in crop space that its patch is made from, but for the plate itself."""

    frame: int  #: plate frame
    image: Float32
    coverage: Float32
    region: Float32
    sigma: Float32  #: of `image`, before any of it is laid into the plate
    error: Float32  #: the same
    matte: Float32
    plate_from_crop: NDArray[np.float64]
    drive: DriveState  #: what the matte does to the picture
    held: Float32 | None = None  #: the clean reference that it holds
    edits: MattePixels | None = None  #: matte pixels of the plate that were set in another program

    def finished(self, values: Float32) -> Float32:
        """σ or error of the finished picture, which errs by no more of what was drawn than it shows of it."""
        return values * self.coverage


@dataclass(slots=True, kw_only=True, eq=False)
class PatchMaker:
    """Makes the patches of a take.

    `layers` is for one thread and, for speed, in order; `patch` may run in several threads at once.

    Args:
        data: the take's stored crops.
        plate: open for reading, for the reference frames that a drive may hold.
        transform: between plate values and display RGB.
        document: matte parameters, strokes, and what the matte drives.
        operators: steps of the matte chain.
        calibration: σ to expected error.
        settings: how the crop is laid into the plate.
        seed: of the grain.
        overrides: matte pixels that came back from another program.
        watcher: looks where the lips of the finished pictures are; None where that is known already.
    """

    data: TakeData
    plate: PlateReader
    transform: DisplayTransform
    document: MatteDocument
    operators: Sequence[MatteOperator]
    calibration: Calibration | None
    settings: ComposeSettings
    seed: int
    overrides: Overrides | None = None
    watcher: LipWatcher | None = None
    chain: MatteChain = field(init=False)
    _compositor: Compositor = field(init=False)
    _held: dict[int, Float32 | None] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        calibrate = None if self.calibration is None else self.calibration.apply
        self.chain = MatteChain(self.data, self.document, operators=self.operators, calibrate=calibrate)
        self._compositor = Compositor(self.transform, self.settings, self.seed)

    def frames(self, span: FrameRange) -> Iterator[PlateFrame]:
        """The plate's frames, in order."""
        return self.plate.frames(span)

    def layers(self, frame: int) -> FrameLayers | None:
        """The layers of one plate frame; None where the plate passes through."""
        sigma, region = self.data.drawn_sigma(frame), self.data.region(frame)
        state = self.document.drive.at(frame)
        matte = None if sigma is None else self._matte(frame, sigma, state)
        if sigma is None or matte is None or region is None:
            return None
        edits = None if self.overrides is None else self.overrides.frame(frame)
        if edits is not None and edits.crop is not None:
            matte = matte.copy()
            edits.crop.put_into(matte, Rect(x0=0, y0=0, x1=matte.shape[1], y1=matte.shape[0]))
        return FrameLayers(
            frame=frame,
            image=self.data.image(frame),
            coverage=self.data.coverage(frame),
            region=region,
            sigma=sigma,
            error=self.data.error(frame),
            matte=matte,
            plate_from_crop=self.data.plate_from_crop(frame),
            drive=state,
            held=self._reference(state),
            edits=None if edits is None else edits.plate,
        )

    def patch(self, frame: PlateFrame, layers: FrameLayers, source: Float32 | None = None) -> Patch | None:
        """Composite one frame; None where nothing of it lies on the plate.

        Args:
            frame: decoded.
            layers: of the frame.
            source: its crop (h, w, 3) in display RGB, where it was cut already.
        """
        size = (layers.image.shape[0], layers.image.shape[1])
        if source is None:
            source = frame_crop(frame, self.transform, layers.plate_from_crop, size)
        crop = CropLayers(
            image=layers.image,
            coverage=layers.coverage,
            region=layers.region,
            sigma=layers.finished(layers.sigma),
            error=layers.finished(layers.error),
            matte=layers.matte,
            doubt=layers.sigma,
            source=source,
            held=layers.held,
            drive=layers.drive,
            edits=layers.edits,
        )
        noise = self.data.noise(frame.index)
        patch = self._compositor.composite(frame.view, crop, layers.plate_from_crop, frame.index, noise)
        return None if patch is None else replace(patch, crop=_maps(layers))

    def _matte(self, frame: int, sigma: Float32, state: DriveState) -> Float32 | None:
        """The matte of a frame with this σ (h, w), before edits; None where the frame passes through."""
        return self.chain.matte(frame)

    def _reference(self, state: DriveState) -> Float32 | None:
        """The plate's own crop on the frame that is held, read once; None where nothing is held or has no face."""
        frame = state.reference_frame
        if state.mode != "hold_reference" or frame is None:
            return None
        if frame not in self._held:
            self._held[frame] = None
            if frame in self.data.frames and self.data.plan.found[self.data.position(frame)]:
                affine, size = self.data.plate_from_crop(frame), self.data.crop_size()
                self._held[frame] = frame_crop(self.plate.frame(frame), self.transform, affine, size)
        return self._held[frame]


class PictureMaker(PatchMaker):
    """Makes patches of which only the picture is wanted: a matte that moves nothing in it is not derived."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._compositor = Compositor(self.transform, self.settings, self.seed, maps=False)

    def _matte(self, frame: int, sigma: Float32, state: DriveState) -> Float32 | None:
        return super()._matte(frame, sigma, state) if state.moves else np.zeros_like(sigma)


class MatteMaker(PatchMaker):
    """Makes patches of which only the coverage and the matte are wanted: the plate is neither decoded nor composited.

    Their maps are those of a full patch, bit for bit, because the same code warps them.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        self._compositor = Compositor(_Black(), ComposeSettings(colour_match=0.0, grain=0.0, st_map=False), self.seed)

    def frames(self, span: FrameRange) -> Iterator[PlateFrame]:
        """Black frames that take no memory, numbered as the plate's."""
        from julnet_plugin.media.reader import PlateFrame

        info = self.plate.info
        black = np.broadcast_to(np.uint8(0), (info.height, info.width, 3))
        for index in range(span.start, span.stop):
            yield PlateFrame(index, info.time_of(index), rgb=black)

    def patch(self, frame: PlateFrame, layers: FrameLayers, source: Float32 | None = None) -> Patch | None:
        """The patch of one frame, on black."""
        crop = CropLayers(
            image=np.zeros((*layers.matte.shape, 3), np.float32),
            coverage=layers.coverage,
            region=layers.region,
            sigma=layers.finished(layers.sigma),
            error=layers.finished(layers.error),
            matte=layers.matte,
            drive=layers.drive,
            edits=layers.edits,
        )
        patch = self._compositor.composite(frame.view, crop, layers.plate_from_crop, frame.index)
        return None if patch is None else replace(patch, crop=_maps(layers))


def _maps(layers: FrameLayers) -> CropMaps:
    """What the writers of crop pictures get."""
    return CropMaps(
        image=layers.image,
        coverage=layers.coverage,
        sigma=layers.sigma,
        error=layers.error,
        matte=layers.matte,
    )


class _Black:
    """A transform for pictures that nobody looks at."""

    def to_display(self, pixels: PixelArray) -> Float32:
        """Black."""
        return np.zeros(pixels.shape, np.float32)

    def to_plate(self, display: Float32) -> PixelArray:
        """Black."""
        return np.zeros(display.shape, np.float32)
