"""σ to matte, one frame on demand: levels, operators in their order, painted strokes last.

Results do not depend on the order in which frames are asked for, nor on how a render is cut into chunks.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from julnet_plugin.matte.document import MatteDocument
from julnet_plugin.matte.levels import SigmaHistogram
from julnet_plugin.matte.masks import MaskCache
from julnet_plugin.matte.operators import ContextOperator, MatteContext, builtin_operators
from julnet_plugin.matte.rasterise import StrokeCanvas, paint
from julnet_plugin.types import FrameRange

if TYPE_CHECKING:
    from julnet_plugin.interfaces import MatteOperator
    from julnet_plugin.types import FloatArray

Float32 = NDArray[np.float32]


class MatteSource(Protocol):
    """Where the chain gets a take's maps from; any frame of the plate may be asked for, in any order.

    A source may also have a `follow.Follower` named `follow`: painted strokes then go with the lips.
    """

    def sigma(self, frame: int) -> FloatArray | None:
        """(h, w) expected |error| of the finished picture, display values; None where the frame passes through."""
        ...

    def region(self, frame: int) -> FloatArray | None:
        """(h, w) coverage before any drive; σ counts where it is above 0. None counts everywhere."""
        ...

    def guide(self, frame: int) -> FloatArray | None:
        """(h, w) luma of the picture in the crop, display values; None switches refinement off."""
        ...

    def plate_px_per_crop_px(self, frame: int) -> float:
        """Plate pixels per pixel of these maps."""
        ...

    def shot(self, frame: int) -> FrameRange:
        """The shot that the frame belongs to."""
        ...


@dataclass(slots=True, kw_only=True)
class ArraySource:
    """A source over arrays in memory.

    Shape:
        sigmas: (T, h, w).
        regions: (T, h, w), (h, w) or None.
        guides: (T, h, w) or None.
        scale: (T,) plate pixels per map pixel, or one number.
        found: (T,) or None for all.
        cuts: first frames of shots after the first.
        first: plate frame of sigmas[0].
    """

    sigmas: FloatArray
    regions: FloatArray | None = None
    guides: FloatArray | None = None
    scale: float | FloatArray = 1.0
    found: NDArray[np.bool_] | None = None
    cuts: tuple[int, ...] = ()
    first: int = 0

    def sigma(self, frame: int) -> FloatArray | None:
        """See `MatteSource`."""
        index = frame - self.first
        if not 0 <= index < len(self.sigmas) or (self.found is not None and not self.found[index]):
            return None
        return np.asarray(self.sigmas[index])

    def region(self, frame: int) -> FloatArray | None:
        """See `MatteSource`."""
        if self.regions is None or self.regions.ndim == 2:
            return self.regions
        return np.asarray(self.regions[frame - self.first])

    def guide(self, frame: int) -> FloatArray | None:
        """See `MatteSource`."""
        return None if self.guides is None else np.asarray(self.guides[frame - self.first])

    def plate_px_per_crop_px(self, frame: int) -> float:
        """See `MatteSource`."""
        return float(np.broadcast_to(self.scale, len(self.sigmas))[frame - self.first])

    def shot(self, frame: int) -> FrameRange:
        """See `MatteSource`."""
        edges = sorted({self.first, *self.cuts, self.first + len(self.sigmas)})
        start = max((e for e in edges if e <= frame), default=edges[0])
        stop = min((e for e in edges if e > frame), default=max(edges[-1], start))
        return FrameRange(start=start, stop=stop)


class MatteChain:
    """Derives mattes from σ.

    Args:
        source: the take's maps.
        document: parameters, holds and strokes.
        operators: steps of the chain; the built-in ones when None.
        calibrate: σ to expected error, both in display values; identity when None.
        cache_frames: how many intermediate mattes are kept for neighbours and for painting.
    """

    def __init__(
        self,
        source: MatteSource,
        document: MatteDocument | None = None,
        *,
        operators: Sequence[MatteOperator] | None = None,
        calibrate: Callable[[FloatArray], FloatArray] | None = None,
        cache_frames: int = 64,
    ) -> None:
        self.source = source
        self.document = document or MatteDocument()
        self._operators = sorted(builtin_operators() if operators is None else operators, key=lambda o: o.order)
        self._contextual = [isinstance(operator, ContextOperator) for operator in self._operators]  # dear to ask
        self._calibrate = calibrate
        self._cache = _Recent(cache_frames)
        self._masks = MaskCache(follow=getattr(source, "follow", None))
        self._levels: dict[tuple[int, int], tuple[float, float]] = {}

    def expected_error(self, frame: int) -> Float32 | None:
        """(h, w) calibrated expected |error| in display values, 0 outside the region; None without a face."""
        sigma = self.source.sigma(frame)
        if sigma is None:
            return None
        expected = sigma if self._calibrate is None else self._calibrate(sigma)
        region = self.source.region(frame)
        return np.asarray(expected if region is None else np.where(region > 0, expected, 0), np.float32)

    def automatic(self, frame: int) -> Float32 | None:
        """The matte before painted strokes, frame holds included; None without a face."""
        return self._stage(len(self._operators), self._held(frame))

    def matte(self, frame: int) -> Float32 | None:
        """The finished matte (h, w) in [0, 1]; None where the frame passes through."""
        base = self.automatic(frame)
        if base is None:
            return None
        return paint(base, self.document.strokes, frame, clone=self.automatic, masks=self._masks)

    def canvas(self, frame: int) -> StrokeCanvas | None:
        """The frame's matte ready for painting, dab by dab; None where the frame passes through."""
        base = self.automatic(frame)
        if base is None:
            return None
        return StrokeCanvas(base, self.document.strokes, frame, clone=self.automatic, masks=self._masks)

    def with_document(self, document: MatteDocument) -> MatteChain:
        """A chain with other edits; what still holds of the cache is kept, so that painting recomputes nothing else."""
        chain = MatteChain(self.source, document, operators=self._operators, calibrate=self._calibrate)
        chain._masks, chain._levels = self._masks, self._levels  # levels are of σ: no setting changes them
        if document.settings == self.document.settings:
            chain._cache = self._cache
        return chain

    def _held(self, frame: int) -> int:
        for hold in reversed(self.document.holds):
            if hold.start <= frame < hold.stop and self.source.sigma(hold.source) is not None:
                return hold.source
        return frame

    def _stage(self, step: int, frame: int) -> Float32 | None:
        """The matte after the first `step` operators; step 0 is the expected error."""
        known = self._cache.get((step, frame))
        if known is not None:
            return known
        if step == 0:
            return self.expected_error(frame)
        before = self._stage(step - 1, frame)
        if before is None:
            return None
        result = np.clip(self._applied(self._operators[step - 1], step, before, frame), 0, 1)
        result.flags.writeable = False  # it is shared: by neighbours, by painting, by whoever asks again
        if step == len(self._operators) or self._contextual[step]:
            self._cache.put((step, frame), result)
        return result

    def _applied(self, operator: MatteOperator, step: int, before: Float32, frame: int) -> Float32:
        settings = self.document.settings.at(frame)
        settings["plate_px_per_crop_px"] = max(self.source.plate_px_per_crop_px(frame), 1e-3)
        if operator.name == "levels" and self.document.settings.levels == "auto":
            settings["low_cv"], settings["high_cv"] = self.auto_levels(frame)
        if not self._contextual[step - 1]:
            return np.asarray(operator.apply(before, frame, settings), np.float32)
        shot = self.source.shot(frame)

        def neighbour(other: int) -> FloatArray | None:
            return self._stage(step - 1, other) if other in shot else None

        context = MatteContext(guide=lambda: self.source.guide(frame), neighbour=neighbour)
        return np.asarray(
            cast("ContextOperator", operator).apply_in_context(before, frame, settings, context), np.float32
        )

    def auto_levels(self, frame: int) -> tuple[float, float]:
        """(low_cv, high_cv) from the σ of the frame's whole shot."""
        shot = self.source.shot(frame)
        key = (shot.start, shot.stop)
        if key not in self._levels:
            histogram = SigmaHistogram()
            for index in range(shot.start, shot.stop):
                expected = self.expected_error(index)
                if expected is not None:
                    histogram.add(expected, self.source.region(index))
            self._levels[key] = histogram.levels()
        return self._levels[key]


class _Recent:
    """The most recently used mattes, never more than `size`."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._items: OrderedDict[tuple[int, int], Float32] = OrderedDict()

    def get(self, key: tuple[int, int]) -> Float32 | None:
        if key in self._items:
            self._items.move_to_end(key)
        return self._items.get(key)

    def put(self, key: tuple[int, int], matte: Float32) -> None:
        self._items[key] = matte
        if len(self._items) > self._size:
            self._items.popitem(last=False)
