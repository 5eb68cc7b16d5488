"""Colour tags: FFmpeg's numbers and names, and what is assumed where a file does not say.

Source:
    ITU-T H.273 (2021), tables 2 to 4: the code points that every container and codec shares.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from julnet_plugin.types import ColourTags

if TYPE_CHECKING:
    import av

MATRICES = {
    0: "gbr",
    1: "bt709",
    4: "fcc",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    8: "ycgco",
    9: "bt2020nc",
    10: "bt2020c",
    14: "ictcp",
}
RANGES = {1: "tv", 2: "pc"}
PRIMARIES = {
    1: "bt709",
    4: "bt470m",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    8: "film",
    9: "bt2020",
    10: "smpte428",
    11: "smpte431",
    12: "smpte432",
    22: "ebu3213",
}
TRANSFERS = {
    1: "bt709",
    4: "bt470m",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    8: "linear",
    9: "log100",
    10: "log316",
    11: "iec61966-2-4",
    12: "bt1361e",
    13: "iec61966-2-1",
    14: "bt2020-10",
    15: "bt2020-12",
    16: "smpte2084",
    17: "smpte428",
    18: "arib-std-b67",
}
UNKNOWN = 2  #: H.273's "unspecified", for every one of the four but the range
UNKNOWN_RANGE = 0

#: Luma weights (Kr, Kb) by matrix; SMPTE ST 170, 240, BT.601, BT.709 and BT.2020 as H.273 table 4 lists them.
LUMA_WEIGHTS = {
    "bt709": (0.2126, 0.0722),
    "fcc": (0.30, 0.11),
    "bt470bg": (0.299, 0.114),
    "smpte170m": (0.299, 0.114),
    "smpte240m": (0.212, 0.087),
    "bt2020nc": (0.2627, 0.0593),
}

#: From this height a YUV file that does not say is taken for BT.709, below it for BT.601: what players do.
HD_LINES = 720


def read_tags(frame: av.VideoFrame, *, is_rgb: bool) -> ColourTags:
    """The colour tags of a decoded frame, with what is assumed where they are missing."""
    matrix = MATRICES.get(int(frame.colorspace), "unknown")
    range_ = RANGES.get(int(frame.color_range), "unknown")
    primaries = PRIMARIES.get(int(frame.color_primaries), "unknown")
    transfer = TRANSFERS.get(int(frame.color_trc), "unknown")
    if is_rgb:
        return ColourTags(
            matrix="gbr", range="pc", primaries=primaries, transfer=transfer, tagged=primaries != "unknown"
        )
    tagged = matrix not in ("unknown", "gbr")
    if not tagged:
        matrix = _assumed_matrix(primaries, frame.height)
    if frame.format.name.startswith("yuvj"):
        range_ = "pc"
    return ColourTags(
        matrix=matrix,
        range="tv" if range_ == "unknown" else range_,
        primaries=primaries,
        transfer=transfer,
        tagged=tagged,
    )


def _assumed_matrix(primaries: str, height: int) -> str:
    """The matrix of a YUV file that does not say: of its primaries where it says those, else by its size."""
    if primaries in ("bt709", "smpte170m", "bt470bg", "smpte240m"):
        return primaries
    if primaries == "bt2020":
        return "bt2020nc"
    return "bt709" if height >= HD_LINES else "smpte170m"


def number_of(table: dict[int, str], name: str, unknown: int = UNKNOWN) -> int:
    """H.273's number of a tag; "unspecified" for a name that the table lacks."""
    return next((number for number, known in table.items() if known == name), unknown)
