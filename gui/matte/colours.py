"""Colour maps of the overlay: from a value in [0, 1] to a premultiplied pixel of Qt's ARGB32."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

LUT = NDArray[np.uint32]

#: Stops of each map, RGB. A tint shows the picture where the value is 0; the others cover the whole region.
TINT = "Red tint"
_STOPS: dict[str, tuple[tuple[int, int, int], ...]] = {
    TINT: ((255, 64, 32),),
    "Heat": ((18, 8, 30), (96, 16, 88), (190, 40, 60), (244, 128, 34), (252, 240, 160)),
    "Viridis": ((68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37)),
    "Grey": ((0, 0, 0), (255, 255, 255)),
}
COLOUR_MAPS: tuple[str, ...] = tuple(_STOPS)


@lru_cache(maxsize=8)
def lookup(name: str) -> LUT:
    """(256,) premultiplied ARGB32 of one colour map."""
    values = np.linspace(0, 1, 256)
    stops = np.array(_STOPS[name], np.float64)
    places = np.linspace(0, 1, len(stops))
    rgb = np.stack([np.interp(values, places, stops[:, k]) for k in range(3)], axis=1)
    alpha = values if name == TINT else np.ones(256)
    argb = np.concatenate([np.rint(255 * alpha)[:, None], np.rint(rgb * alpha[:, None])], axis=1).astype(np.uint32)
    return np.asarray(argb[:, 0] << 24 | argb[:, 1] << 16 | argb[:, 2] << 8 | argb[:, 3], np.uint32)


def coloured(values: NDArray[np.float32], region: NDArray[np.float32] | None, name: str) -> NDArray[np.uint32]:
    """A map as pixels; nothing where the region is 0.

    Shape:
        values, region, return: (h, w).
    """
    index = np.clip(values * np.float32(255) + np.float32(0.5), 0, 255).astype(np.uint8)
    pixels = lookup(name)[index]
    if region is not None and name != TINT:
        pixels = np.where(region > 0, pixels, np.uint32(0))
    return pixels
