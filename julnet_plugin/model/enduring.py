"""A render goes on where a device cannot: in smaller batches, and at last on the CPU."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypeVar

from julnet_plugin.errors import DeviceError, DeviceMemoryError
from julnet_plugin.model.engine import Engine, EngineOutput, Float32

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

log = logging.getLogger(__name__)


class EnduringEngine(Engine):
    """Runs another engine; when that one's memory runs out or its device is lost, it goes on with less.

    First with half as many frames at once, down to one; then on the CPU. Each step back is logged as a warning and kept
    in `setbacks`, for the take: pictures of two devices differ in their last bits.

    Args:
        build: makes the engine on a device. Called once for `device`, and once for "cpu" when that is needed.
        device: "auto", "cuda" or "cuda:N".

    Raises:
        DeviceError: the CPU failed as well.
    """

    def __init__(self, build: Callable[[str], Engine], device: str) -> None:
        self._build = build
        self._shot: tuple[Float32, Float32 | None] | None = None
        self._quiet: Float32 | None = None
        self._size: tuple[int, int] | None = None
        try:
            self._adopt(build(device))
        except DeviceMemoryError as exc:
            self._to_cpu(exc)

    def use_crops(self, size: tuple[int, int]) -> None:
        """As `Engine.use_crops`; kept, because another engine must draw the same size."""
        self._size = size
        self._engine.use_crops(size)
        self._adopt(self._engine)

    def hear_silence(self, quiet: Float32) -> None:
        """As `Engine.hear_silence`; kept, because another engine must hear it too."""
        self._quiet = quiet
        self._enduring(lambda: self._engine.hear_silence(quiet))

    def hear_lips(self, audio: Float32) -> tuple[Float32, Float32] | None:
        """As `Engine.hear_lips`."""
        return self._enduring(lambda: self._engine.hear_lips(audio))

    def set_references(self, refs: Float32, lips: Float32 | None = None) -> None:
        """As `Engine.set_references`; kept, because another engine may need them."""
        self._shot = refs, lips
        self._enduring(lambda: self._engine.set_references(refs, lips))

    def run(self, masked: Float32, mask: Float32, audio: Float32) -> EngineOutput:
        """As `Engine.run`."""
        return self._enduring(lambda: self._engine.run(masked, mask, audio))

    def _encode(self, refs: Float32, lips: Float32 | None) -> None:
        self._engine._encode(refs, lips)

    def _generate(self, masked: Float32, mask: Float32, audio: Float32) -> tuple[Float32, Float32, Float32]:
        return self._engine._generate(masked, mask, audio)

    def _enduring(self, work: Callable[[], T]) -> T:
        """Do something until it succeeds or nothing smaller is left."""
        behind = False  # whether the engine was changed and does not know the references yet
        while True:
            try:
                if behind and self._shot is not None:
                    self._engine.set_references(*self._shot)
                return work()
            except DeviceError as exc:
                if self._engine.device == "cpu":
                    raise
                self._step_back(exc)
                behind = True

    def _step_back(self, exc: DeviceError) -> None:
        if isinstance(exc, DeviceMemoryError) and self._engine.batch > 1:
            self._engine.batch //= 2
            self._adopt(self._engine)
            frames = f"{self.batch} frames" if self.batch > 1 else "one frame"
            self._say(f"the device {self.device} ran out of memory: going on with {frames} at once")
        else:
            self._to_cpu(exc)

    def _to_cpu(self, exc: DeviceError) -> None:
        self._adopt(self._build("cpu"))
        if self._size is not None:
            self.use_crops(self._size)
        if self._quiet is not None:
            self._engine.hear_silence(self._quiet)
        self._say(f"{exc.reason}: going on on the CPU, which is slower")

    def _adopt(self, engine: Engine) -> None:
        self._engine = engine
        self.info, self.crop_sizes, self.lip_basis = engine.info, engine.crop_sizes, engine.lip_basis
        self.device, self.precision, self.batch = engine.device, engine.precision, engine.batch

    def _say(self, sentence: str) -> None:
        log.warning("%s", sentence)
        self.setbacks = (*self.setbacks, sentence)
