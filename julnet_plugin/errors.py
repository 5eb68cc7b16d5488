"""Every error that JULNet raises on purpose.

::

    JulnetError
      InputError              the user can mend it: CLI exit code 2, a dialog with the facts in a host
        MediaError            a media file cannot be read or written            (path)
        TimeRangeError        a range, timecode or offset does not fit          (requested, available)
        NoFaceFoundError      no face anywhere in the range                     (frame_index)
        SettingsError         an unknown setting or a value out of range        (key)
        TakeError             the take folder exists, is foreign or is damaged  (path)
        CheckpointError       a weights file is unknown, damaged or of another architecture (path)
      ModelError              our failure: CLI exit code 1
        ShapeError            an array of the wrong shape reached a network     (actual, expected)
        DeviceError           the asked-for device is not there, or failed      (device)
          DeviceMemoryError   its memory ran out                                (device)
      HostError               the host refused or lacks a call                  (host, call)
      PluginError             a plugin failed; it is reported and skipped       (plugin)
    RedubCancelled            not a failure; never logged as one

A message is one sentence: what was found, what was needed, what to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from os import PathLike


class JulnetError(Exception):
    """Base of every error that JULNet raises on purpose."""

    def facts(self) -> dict[str, Any]:
        """The attributes that describe this error, as JSON-able values, for `--json` and the worker."""
        return {k: v if isinstance(v, (int, float, bool, type(None))) else str(v) for k, v in vars(self).items()}


class InputError(JulnetError):
    """Something the user gave cannot be used, and the user can mend it."""


class MediaError(InputError):
    """A media file cannot be read or written."""

    def __init__(self, message: str, path: str | PathLike[str] | None = None) -> None:
        super().__init__(message)
        self.path = None if path is None else str(path)


class TimeRangeError(InputError):
    """A range, timecode or offset does not fit the clip."""

    def __init__(self, message: str, requested: object = None, available: object = None) -> None:
        super().__init__(message)
        self.requested = requested
        self.available = available


class NoFaceFoundError(InputError):
    """No usable face anywhere in the range."""

    def __init__(self, message: str, frame_index: int | None = None) -> None:
        super().__init__(message)
        self.frame_index = frame_index


class SettingsError(InputError):
    """An unknown setting, or a value out of its range."""

    def __init__(self, message: str, key: str | None = None) -> None:
        super().__init__(message)
        self.key = key


class TakeError(InputError):
    """A take folder exists already, belongs to another request, or is damaged."""

    def __init__(self, message: str, path: str | PathLike[str] | None = None) -> None:
        super().__init__(message)
        self.path = None if path is None else str(path)


class CheckpointError(InputError):
    """A weights file is unknown, damaged, a pickle, or of another architecture."""

    def __init__(self, message: str, path: str | PathLike[str] | None = None) -> None:
        super().__init__(message)
        self.path = None if path is None else str(path)


class ModelError(JulnetError):
    """Weights, shapes or devices failed in a way the user did not cause."""


class ShapeError(ModelError):
    """An array of the wrong shape reached a network."""

    def __init__(self, message: str, actual: object = None, expected: object = None) -> None:
        super().__init__(message)
        self.actual = actual
        self.expected = expected


class DeviceError(ModelError):
    """The device that was asked for is not there, or failed."""

    def __init__(self, message: str, device: str | None = None) -> None:
        super().__init__(message)
        self.device = device

    @property
    def reason(self) -> str:
        """What happened, without the advice."""
        return str(self).partition(";")[0]


class DeviceMemoryError(DeviceError):
    """A device, or the CPU, has too little free memory."""


class HostError(JulnetError):
    """A host application refused a call or lacks it."""

    def __init__(self, message: str, host: str | None = None, call: str | None = None) -> None:
        super().__init__(message)
        self.host = host
        self.call = call


class PluginError(JulnetError):
    """A plugin failed; it is reported and skipped."""

    def __init__(self, message: str, plugin: str | None = None) -> None:
        super().__init__(message)
        self.plugin = plugin


class RedubCancelled(Exception):  # noqa: N818 - not a failure, so not named one
    """The user stopped the job; what is finished stays on disk and can be resumed."""
