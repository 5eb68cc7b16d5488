"""Notes of consent: who agreed to be re-dubbed, to what, and until when.

A note is a JSON or TOML file with three fields, all text: `who`, `what` and `until` (a date such as 2027-12-31, or
"unlimited"). More fields are kept and not judged.
"""

from __future__ import annotations

import datetime as dt
import tomllib
from typing import TYPE_CHECKING, Any

from julnet_plugin.errors import SettingsError
from julnet_plugin.untrusted import read_json_object, read_text

if TYPE_CHECKING:
    from pathlib import Path

_FIELDS = ("who", "what", "until")
_MOST_BYTES = 256 * 1024
_MOST_TEXT = 4000
UNLIMITED = "unlimited"


def read_consent(path: Path, today: dt.date | None = None) -> dict[str, Any]:
    """A note of consent, checked; as plain JSON values.

    Args:
        path: the note.
        today: the day on which it must hold; the machine's unless said.

    Raises:
        SettingsError: it cannot be read, a field is missing or empty, or its time is over.
    """
    if path.suffix.lower() == ".toml":
        text = read_text(path, "a note of consent", most_bytes=_MOST_BYTES)
        try:
            values: dict[str, Any] = tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError) as exc:
            raise SettingsError(f"{path} is not TOML ({exc}): mend that line") from exc
    else:
        values = read_json_object(path, "a note of consent", most_bytes=_MOST_BYTES)
    note = {name: _plain(value) for name, value in values.items()}
    for name in _FIELDS:
        value = note.get(name)
        if not isinstance(value, str) or not value.strip() or len(value) > _MOST_TEXT:
            raise SettingsError(
                f'{path} has no usable "{name}": a note of consent says who agrees, to what, until when, as text',
                key=name,
            )
    _require_valid(path, str(note["until"]).strip(), today or dt.datetime.now(dt.UTC).date())
    return note


def _require_valid(path: Path, until: str, today: dt.date) -> None:
    if until.lower() == UNLIMITED:
        return
    try:
        last = dt.date.fromisoformat(until)
    except ValueError:
        raise SettingsError(
            f'{path} says until "{until}", which is no date: give one such as 2027-12-31, or "{UNLIMITED}"', key="until"
        ) from None
    if last < today:
        raise SettingsError(f"the consent in {path} ended on {last}: get a new one", key="until")


def _plain(value: Any) -> Any:
    """TOML's dates as text."""
    if isinstance(value, (dt.date, dt.time)):
        return value.isoformat()
    if isinstance(value, dict):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value
