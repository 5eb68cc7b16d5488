"""Reading plain JSON that a person, another program or a newer version may have written.

Unknown keys are kept aside, never refused; a known key with an impossible value is refused in one sentence that says
where it is, what was found and what was needed.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from julnet_plugin.errors import SettingsError

MAX_BYTES = 256 * 1024 * 1024
MAX_FRAME = 100_000_000
_T = TypeVar("_T", bound=str)


class Reader:
    """One JSON object, read key by key.

    Args:
        values: the object.
        where: how to call it in messages: "the matte file x.json", "strokes[3]".
    """

    def __init__(self, values: dict[str, Any], where: str) -> None:
        self._values = values
        self._where = where
        self._seen: set[str] = set()

    def is_object(self, key: str) -> bool:
        """Whether the key holds an object."""
        return isinstance(self._values.get(key), dict)

    def number(self, key: str, low: float, high: float, default: float | None = None) -> float:
        """A finite number between two bounds."""
        value = self._get(key, default)
        needed = f"a number from {low:g} to {high:g}"
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            self._refuse(key, value, needed)
        if not low <= value <= high:  # NaN fails here too
            self._refuse(key, value, needed)
        return float(value)

    def frame(self, key: str, default: int | None = None) -> int:
        """A whole number that can be a frame, or a difference of frames."""
        value = self._get(key, default)
        whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        if isinstance(value, bool) or not whole or abs(value) > MAX_FRAME:
            self._refuse(key, value, "a whole frame number")
        return int(value)

    def optional_frame(self, key: str) -> int | None:
        """A frame, or None where the key is missing or null."""
        self._seen.add(key)
        return None if self._values.get(key) is None else self.frame(key)

    def text(self, key: str, default: str | None = None) -> str:
        """Any text."""
        value = self._get(key, default)
        if not isinstance(value, str):
            self._refuse(key, value, "text")
        return value

    def choice(self, key: str, choices: tuple[_T, ...], default: _T | None = None) -> _T:
        """One of a few words."""
        value = self._get(key, default)
        chosen = next((choice for choice in choices if value == choice), None)
        if chosen is None:
            self._refuse(key, value, "one of " + ", ".join(choices))
        return chosen

    def flag(self, key: str, default: bool) -> bool:
        """True or false."""
        value = self._get(key, default)
        if not isinstance(value, bool):
            self._refuse(key, value, "true or false")
        return value

    def section(self, key: str) -> Reader:
        """The object under a key; an empty one where it is missing."""
        value = self._get(key, {})
        if not isinstance(value, dict):
            self._refuse(key, value, "an object")
        return Reader(value, f"{self._where}.{key}")

    def sequence(self, key: str) -> list[Any]:
        """The list under a key; an empty one where it is missing."""
        value = self._get(key, [])
        if not isinstance(value, list):
            self._refuse(key, value, "a list")
        return value

    def sections(self, key: str) -> list[Reader]:
        """The list of objects under a key."""
        readers = []
        for index, item in enumerate(self.sequence(key)):
            if not isinstance(item, dict):
                self._refuse(f"{key}[{index}]", item, "an object")
            readers.append(Reader(item, f"{self._where}.{key}[{index}]"))
        return readers

    def keys(self) -> list[str]:
        """Every key of the object."""
        return list(self._values)

    def rest(self) -> dict[str, Any]:
        """What nobody asked for: fields of a newer version, kept so that writing the file back loses nothing."""
        return {key: value for key, value in self._values.items() if key not in self._seen}

    def _get(self, key: str, default: Any) -> Any:
        self._seen.add(key)
        value = self._values.get(key, default)
        if value is None:
            self._refuse(key, value, "a value")
        return value

    def _refuse(self, key: str, found: object, needed: str) -> NoReturn:
        shown = "nothing" if found is None else shortened(found)
        msg = f"{self._where}.{key} is {shown}, but {needed} is needed; mend or remove it"
        raise SettingsError(msg, key=key)


def shortened(value: object) -> str:
    """A value as it may stand in a one-line message."""
    text = ascii(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def parse_object(text: str | bytes, where: str) -> dict[str, Any]:
    """Parse JSON text that must hold one object; anything else is refused in one sentence."""
    if len(text) > MAX_BYTES:
        _refuse_file(where, f"it is larger than {MAX_BYTES // 1024 // 1024} MiB")
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except UnicodeDecodeError:
        _refuse_file(where, "it is not text")
    except RecursionError:
        _refuse_file(where, "it is nested too deeply")
    except ValueError as exc:  # JSONDecodeError, numbers with thousands of digits, NaN
        _refuse_file(where, f"it is not valid JSON ({shortened(str(exc))})")
    if not isinstance(value, dict):
        _refuse_file(where, f"it holds {shortened(value)} instead of an object")
    return value


def read_object(path: Path) -> dict[str, Any]:
    """Read one JSON object from a file."""
    try:
        if path.stat().st_size > MAX_BYTES:
            _refuse_file(str(path), f"it is larger than {MAX_BYTES // 1024 // 1024} MiB")
        data = path.read_bytes()
    except OSError as exc:
        msg = f"cannot read {path}: {exc.strerror or exc}; check the path"
        raise SettingsError(msg) from exc
    return parse_object(data, str(path))


def write_object(path: Path, value: dict[str, Any]) -> None:
    """Write one JSON object under a temporary name and rename it: a crash or a full disk leaves the old file."""
    text = json.dumps(value, indent=1, allow_nan=False) + "\n"
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as exc:
        temporary.unlink(missing_ok=True)
        msg = f"cannot write {path}: {exc.strerror or exc}; free some space or choose another place"
        raise SettingsError(msg) from exc


def _no_constant(name: str) -> NoReturn:
    msg = f"{name} is not a number"
    raise ValueError(msg)


def _refuse_file(where: str, why: str) -> NoReturn:
    msg = f"{where} cannot be used as a matte file: {why}; choose a strokes.json written by JULNet"
    raise SettingsError(msg)
