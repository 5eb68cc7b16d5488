"""What the editor remembers of its user between two starts: layout, keys, recent projects."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PySide6.QtCore import QByteArray, QSettings

_RECENT = 12


def settings() -> QSettings:
    """The user's settings file. Tests point `QSettings.setPath` elsewhere."""
    return QSettings(QSettings.Format.IniFormat, QSettings.Scope.UserScope, "julnet", "editor")


def keys() -> dict[str, list[str]]:
    """Shortcuts that the user changed: name of an action to its keys."""
    found = _json("keys", {})
    return {name: [str(key) for key in value] for name, value in found.items() if isinstance(value, list)}


def set_keys(changed: dict[str, list[str]]) -> None:
    """Remember changed shortcuts."""
    settings().setValue("keys", json.dumps(changed))


def proxies() -> bool:
    """Whether proxies are made where playing falls behind."""
    return bool(_json("proxies", [True]) != [False])


def set_proxies(on: bool) -> None:
    """Remember it."""
    settings().setValue("proxies", json.dumps([on]))


def recent() -> list[str]:
    """Projects that were open, the last one first."""
    return [str(path) for path in _json("recent", [])]


def add_recent(path: str) -> None:
    """Remember a project."""
    others = [other for other in recent() if other != path]
    settings().setValue("recent", json.dumps([path, *others][:_RECENT]))


def models_folder() -> Path:
    """Where models that were made here are kept: beside the settings file."""
    return Path(settings().fileName()).parent / "models"


def layout() -> tuple[QByteArray, QByteArray] | None:
    """The window's geometry and its docks, as they were left."""
    kept = settings()
    geometry, state = kept.value("geometry"), kept.value("state")
    if isinstance(geometry, QByteArray) and isinstance(state, QByteArray):
        return geometry, state
    return None


def set_layout(geometry: QByteArray, state: QByteArray) -> None:
    """Remember the window's geometry and docks."""
    kept = settings()
    kept.setValue("geometry", geometry)
    kept.setValue("state", state)


def forget_layout() -> None:
    """Begin the next start with the layout of the first."""
    kept = settings()
    kept.remove("geometry")
    kept.remove("state")


def _json(name: str, default: Any) -> Any:
    text = settings().value(name)
    if not isinstance(text, str):
        return default
    try:
        value = json.loads(text)
    except ValueError:
        return default
    return value if isinstance(value, type(default)) else default
