"""The take's picture as the edited matte would make it, one frame at a time, before its files are written anew.

What a decision holds (the plate, a reference) is seen at once. Works from the take's stored crops; no model runs.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pathlib import Path

    from gui.session import Session
    from julnet_plugin.matte.document import MatteDocument
    from julnet_plugin.media.reader import PlateReader

Pixels = NDArray[np.uint8]


class LivePicture:
    """A source of the renderer's "dub" pictures. `frame` is for the renderer's thread, the rest for the GUI's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._folder: Path | None = None
        self._written: MatteDocument | None = None  # what the take's files were composited with
        self._document: MatteDocument | None = None
        self._plate: PlateReader | None = None
        self._made_for: tuple[Path, MatteDocument] | None = None
        self._maker: object = None

    def show(self, folder: Path | None, written: MatteDocument | None, document: MatteDocument | None) -> None:
        """Another take, or another document of it."""
        with self._lock:
            self._folder, self._written, self._document = folder, written, document

    def wanted(self, frame: int) -> bool:
        """Whether the files do not show what the document says of a frame: where it holds something, or did."""
        written, document = self._written, self._document
        if written is None or document is None or written is document or written == document:
            return False
        return document.drive.at(frame).mode != "flag" or written.drive.at(frame).mode != "flag"

    def frame(self, session: Session) -> Pixels | None:
        """The picture of a session's frame; None where the take's file shows it."""
        with self._lock:
            folder, document = self._folder, self._document
        take = session.take
        if take is None or take.folder != folder or document is None or not self.wanted(session.frame):
            return None
        if session.frame not in take.frames or session.plate is None:
            return None
        return self._composited(session, folder, document)

    def _composited(self, session: Session, folder: Path, document: MatteDocument) -> Pixels:
        from julnet_plugin.config import load_settings
        from julnet_plugin.manager import make_manager
        from julnet_plugin.matte.calibration import calibration_of
        from julnet_plugin.media.colour import DisplayTransform
        from julnet_plugin.media.reader import PlateReader
        from julnet_plugin.pipeline.patches import PatchMaker
        from julnet_plugin.pipeline.takedata import TakeData
        from julnet_plugin.take import frames_of, load_take

        assert session.plate is not None
        if self._made_for is None or self._made_for[0] != folder or self._made_for[1] is not document:
            if self._plate is None or self._plate.info is not session.plate:
                self._plate = PlateReader(session.plate)
            take = load_take(folder)
            job, model = take.manifest["job"], take.manifest["model"]
            settings = load_settings(job["settings"])
            self._maker = PatchMaker(
                data=TakeData(folder, frames_of(take), chunk_frames=settings.render.chunk_frames),
                plate=self._plate,
                transform=DisplayTransform(session.plate, job["colour_space"]),
                document=document,
                operators=make_manager().matte_operators(),
                calibration=calibration_of(model.get("calibration", ()), model.get("interval_factors")),
                settings=settings.compose,
                seed=job["seed"],
            )
            self._made_for = (folder, document)
        maker = self._maker
        assert isinstance(maker, PatchMaker)
        decoded, layers = maker.plate.frame(session.frame), maker.layers(session.frame)
        patch = None if layers is None else maker.patch(decoded, layers)
        pixels = decoded.rgb.copy()
        if patch is not None:
            pixels[patch.rect.slices] = patch.pixels
        transform = maker.transform
        assert isinstance(transform, DisplayTransform)
        return np.ascontiguousarray(transform.to_preview(pixels), np.uint8)
