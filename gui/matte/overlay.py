"""The map over the picture: pixels in face space that Qt warps onto the plate, so that a dab recolours a few tiles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QImage, QTransform

from gui.matte.colours import TINT, coloured

if TYPE_CHECKING:
    from collections.abc import Iterable

    from PySide6.QtGui import QPainter

    from gui.matte.work import MapKind, Prepared
    from julnet_plugin.types import Rect


class Overlay:
    """What of a prepared frame is laid over the picture, and how."""

    def __init__(self) -> None:
        self.kind: MapKind = "matte"
        self.colour_map = TINT
        self._prepared: Prepared | None = None
        self._pixels: NDArray[np.uint32] = np.zeros((1, 1), np.uint32)
        self._image = QImage()

    def show(self, prepared: Prepared | None) -> None:
        """Another frame, another map or other colours."""
        self._prepared = prepared
        if prepared is None:
            return
        pixels = coloured(prepared.values(self.kind), prepared.region, self.colour_map)
        self._pixels = np.ascontiguousarray(pixels, np.uint32)
        height, width = self._pixels.shape
        # the image shares the array's memory: what is written to the array is drawn
        self._image = QImage(self._pixels.data, width, height, 4 * width, QImage.Format.Format_ARGB32_Premultiplied)

    def update(self, tiles: Iterable[Rect]) -> QRectF:
        """Recolour some tiles, map pixels; returns what they cover of the plate."""
        prepared, covered = self._prepared, QRectF()
        if prepared is None:
            return covered
        values = prepared.values(self.kind)
        to_plate = transform_of(prepared.plate_from_map)
        for tile in tiles:
            part = tile.slices
            self._pixels[part] = coloured(values[part], prepared.region[part], self.colour_map)
            covered = covered.united(to_plate.mapRect(QRectF(tile.x0, tile.y0, tile.width, tile.height)))
        return covered

    def paint(self, painter: QPainter, opacity: float) -> None:
        """Draw the map; the painter's coordinates are plate pixels."""
        if self._prepared is None or opacity <= 0:
            return
        painter.save()
        painter.setRenderHint(painter.RenderHint.SmoothPixmapTransform)
        painter.setTransform(transform_of(self._prepared.plate_from_map), combine=True)
        painter.setOpacity(painter.opacity() * min(opacity, 1.0))
        painter.drawImage(QPointF(0, 0), self._image)
        painter.restore()


def transform_of(affine: NDArray[np.float64]) -> QTransform:
    """An affine between pixel centres as one between Qt's continuous coordinates, in which centres lie at halves."""
    (a, b, tx), (c, d, ty) = np.asarray(affine, np.float64).tolist()
    shift_x = tx + 0.5 - 0.5 * (a + b)
    shift_y = ty + 0.5 - 0.5 * (c + d)
    return QTransform(a, c, b, d, shift_x, shift_y)
