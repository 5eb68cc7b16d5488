"""A finished take on disk: open it and check that it is one.

`TAKE_DIR/take.json` describes the take; `docs/pipeline.md` lists its fields. A take of a newer minor version opens, one
of a newer major version is refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from julnet_plugin.errors import TakeError
from julnet_plugin.pipeline.workfolder import MANIFEST, read_json
from julnet_plugin.types import FrameRange, Take

if TYPE_CHECKING:
    from julnet_plugin.matte.document import MatteDocument

STROKES = "strokes.json"
SCHEMA = "julnet.take"
VERSION = "1.0"


def load_take(path: Path) -> Take:
    """Open a take.

    Args:
        path: the take folder, or its `take.json`.

    Raises:
        TakeError: there is no take, it is damaged, or it is of a newer version.
    """
    folder = path.parent if path.name == MANIFEST else path
    if not (folder / MANIFEST).is_file():
        raise TakeError(f"{folder} holds no take: give a folder with a {MANIFEST} that julnet redub wrote", folder)
    manifest = read_json(folder / MANIFEST)
    _check(manifest, folder)
    return Take(path=folder, manifest=_guarded(manifest, folder))


def frames_of(take: Take) -> FrameRange:
    """The plate frames that a take holds."""
    start, stop = take.manifest["plate"]["frame_range"]
    return FrameRange(start=start, stop=stop)


def matte_document(take: Take) -> MatteDocument:
    """What a person decided about a take's matte so far; what its render was asked for where the file is gone.

    Raises:
        SettingsError: `strokes.json` is damaged.
    """
    from julnet_plugin.config import load_settings
    from julnet_plugin.matte.document import MatteDocument, load_document

    path = take.path / STROKES
    if path.is_file():
        return load_document(path)
    settings = load_settings(take.manifest["job"]["settings"])
    return MatteDocument(settings=settings.matte, drive=settings.drive)


class _Fields(dict[str, Any]):
    """An object of `take.json`: whoever asks for a field that is not there learns that the take is damaged."""

    folder: Path

    def __missing__(self, key: str) -> NoReturn:
        raise _damaged(self.folder, key)


def _guarded(value: Any, folder: Path) -> Any:
    """A JSON value with `_Fields` for its objects, at any depth."""
    if isinstance(value, list):
        return [_guarded(item, folder) for item in value]
    if not isinstance(value, dict):
        return value
    fields = _Fields({key: _guarded(item, folder) for key, item in value.items()})
    fields.folder = folder
    return fields


def _damaged(folder: Path, key: str) -> TakeError:
    return TakeError(f"{folder / MANIFEST} lacks {key}: the take is damaged, render it again", folder)


def _check(manifest: dict[str, Any], folder: Path) -> None:
    if manifest.get("schema") != SCHEMA:
        raise TakeError(f"{folder / MANIFEST} is not a take's: give a folder that julnet redub wrote", folder)
    version = str(manifest.get("version", ""))
    major = version.partition(".")[0]
    if major != VERSION.partition(".")[0]:
        raise TakeError(
            f"{folder} is a take of version {version or 'unknown'} and {VERSION} is needed: open it with the JULNet "
            "that made it, or render it again",
            folder,
        )
    missing = [key for key in ("job", "inputs", "model", "plate", "files", "frames") if key not in manifest]
    if missing:
        raise _damaged(folder, missing[0])
