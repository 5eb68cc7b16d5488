"""Small documents from outside: JSON files that somebody else may have written, read with limits.

A file that is too large, nested too deeply, not UTF-8, not JSON or of another shape becomes one sentence.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NoReturn

from julnet_plugin.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

MOST_BYTES = 64 * 1024 * 1024
_MOST_DEPTH = 64


def read_text(path: Path, what: str, *, most_bytes: int = MOST_BYTES) -> str:
    """A text file, as long as it is of a reasonable size.

    Raises:
        SettingsError: it isn't there, is larger than `most_bytes`, or is not UTF-8.
    """
    try:
        with path.open("rb") as file:
            data = file.read(most_bytes + 1)
    except OSError as exc:
        raise SettingsError(f"{path} cannot be read ({exc.strerror or exc}): give {what} that you may read") from exc
    if len(data) > most_bytes:
        raise SettingsError(
            f"{path} is larger than {most_bytes / 2**20:g} MiB, which {what} never is: give another file"
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise SettingsError(f"{path} is not UTF-8 text (byte {exc.start}): save it as UTF-8") from exc


def read_json_object(path: Path, what: str, *, most_bytes: int = MOST_BYTES) -> dict[str, Any]:
    """A JSON object.

    Raises:
        SettingsError: it cannot be read, is too large or too deep, or is no JSON object.
    """
    value = read_json(path, what, most_bytes=most_bytes)
    if not isinstance(value, dict):
        raise SettingsError(f"{path} holds no JSON object, and {what} is one: check the file")
    return value


def read_json(path: Path, what: str, *, most_bytes: int = MOST_BYTES) -> Any:
    """A JSON value; NaN and infinity are refused.

    Raises:
        SettingsError: it cannot be read, is too large or too deep, or is no JSON.
    """

    def refuse(name: str) -> NoReturn:
        msg = f"{name} is no JSON number"
        raise ValueError(msg)

    text = read_text(path, what, most_bytes=most_bytes)
    try:
        value = json.loads(text, parse_constant=refuse)
    except RecursionError:
        raise SettingsError(f"{path} is nested too deeply for {what}: check the file") from None
    except ValueError as exc:
        raise SettingsError(f"{path} is not JSON ({exc}): {what} is needed") from exc
    if _depth(value) > _MOST_DEPTH:
        raise SettingsError(f"{path} is nested too deeply for {what}: check the file")
    return value


def _depth(value: Any) -> int:
    """How deeply containers are nested; counted level by level, so that depth costs no stack."""
    level, depth = [value], 0
    while level:
        level = [
            inner
            for outer in level
            if isinstance(outer, (dict, list))
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        depth += 1
        if depth > _MOST_DEPTH:
            break
    return depth
