"""From a path on the command line to what the editor shows. Runs on a worker thread: it reads files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gui.session import Session, TakeView, sigma_of, spans_of, with_plate, with_take
from julnet_plugin.errors import MediaError, TakeError

if TYPE_CHECKING:
    from julnet_plugin.types import FrameRange, MediaInfo, Take

#: Where the picture of a take can be, the quickest to scrub first.
_PICTURES = ("h264", "prores", "prores4444", "png", "exr")
_MATTES = ("uncertainty", "matte")


def is_take(path: Path) -> bool:
    """Whether a path is a take folder or its manifest."""
    return path.name == "take.json" or (path / "take.json").is_file()


def take_frames(folder: Path) -> FrameRange | None:
    """The plate frames that a take holds; None where there is no take."""
    from julnet_plugin.take import frames_of, load_take

    try:
        return frames_of(load_take(folder))
    except TakeError:
        return None


def open_path(path: Path) -> Session:
    """A plate, or a take together with the plate that it was made from.

    Raises:
        MediaError: the plate cannot be read.
        TakeError: the take is damaged, or its files are gone.
    """
    if not is_take(path):
        return with_plate(Session(), _probe_plate(path))
    from julnet_plugin.take import load_take

    take = load_take(path)
    plate = Path(take.manifest["inputs"]["plate"]["path"])
    try:
        info = _probe_plate(plate)
    except MediaError as exc:
        message = (
            f"the take's plate cannot be opened ({exc}); put it back at {plate}, or open the plate and then the take"
        )
        raise TakeError(message, take.path) from exc
    return with_take(with_plate(Session(), info), view_of(take, info))


def open_take(path: Path, plate: MediaInfo) -> TakeView:
    """A take beside a plate that is open already.

    Raises:
        TakeError: the take is damaged, its files are gone, or it was made from another plate.
    """
    from julnet_plugin.take import load_take

    return view_of(load_take(path), plate)


def view_of(take: Take, plate: MediaInfo) -> TakeView:
    """What the editor shows of a take.

    Raises:
        TakeError: the take does not fit the plate, or its pictures are gone.
    """
    from julnet_plugin.take import frames_of

    frames, described = frames_of(take), take.manifest["plate"]
    if (described["width"], described["height"]) != (plate.width, plate.height) or frames.stop > plate.frame_count:
        message = (
            f"{take.path.name} was made from another plate ({described['width']}x{described['height']}, frames "
            f"{frames.start} to {frames.stop - 1}) than {plate.path.name} ({plate.width}x{plate.height}, "
            f"{plate.frame_count} frames); open the plate that it was made from"
        )
        raise TakeError(message, take.path)
    dub = _first_media(take, _PICTURES, plate)
    if dub is None:
        raise TakeError(f"{take.path} holds no picture any more; render the take again", take.path)
    return TakeView(
        folder=take.path,
        frames=frames,
        sigma=sigma_of(take.manifest),
        spans=spans_of(take.manifest),
        dub=dub,
        matte=_first_media(take, _MATTES, plate),
        colour_space=take.manifest["job"].get("colour_space"),
        warnings=tuple(take.manifest.get("warnings", ())),
    )


def _probe_plate(path: Path) -> MediaInfo:
    from julnet_plugin.media.probe import probe
    from julnet_plugin.media.reader import refuse_interlaced

    info = probe(path)
    refuse_interlaced(info)
    return info


def _first_media(take: Take, kinds: tuple[str, ...], plate: MediaInfo) -> MediaInfo | None:
    """The first of these deliveries that is there and whole."""
    from julnet_plugin.media.probe import probe

    for kind in kinds:
        name = take.files.get(kind)
        if name is None:
            continue
        try:
            return probe(take.path / name, None if name.endswith((".mov", ".mp4")) else plate.rate)
        except MediaError:
            continue
    return None
