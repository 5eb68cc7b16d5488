"""The folder a take grows in: locked, resumable, and renamed into place whole.

A take at `shots/line` grows in `shots/.line.partial`, which already has the take's own layout, plus `.work` for what
only a resumed job needs. The lock lies beside it, so two processes cannot render one take. Every file in the folder was
written under a temporary name, flushed to disk and renamed: what has its final name is finished.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from julnet_plugin.errors import SettingsError, TakeError
from julnet_plugin.untrusted import read_json_object

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType

MANIFEST = "take.json"
WORK = ".work"
JOB = "job.json"
_SHARED_TRIES, _SHARED_WAIT_S = 50, 0.1  #: for a shared lock that is only held for a moment


class WorkFolder:
    """One job's hold on one take folder. Use as a context manager: leaving it gives the lock back.

    Leaving by an exception keeps what is finished, for resume; `discard` is for a job that turned out impossible.

    Args:
        take_dir: the take.
        shared: let others with a shared hold work on other chunks of the take meanwhile.
    """

    def __init__(self, take_dir: Path, *, shared: bool = False) -> None:
        self.take_dir = Path(os.path.abspath(take_dir))  # noqa: PTH100 - resolve() would follow the user's links
        self.root = self.take_dir.with_name(f".{self.take_dir.name}.partial")
        self.work = self.root / WORK
        self._lock = _Lock(self.take_dir.with_name(f".{self.take_dir.name}.lock"), shared=shared)
        self._made: list[Path] = []  # folders that did not exist before this job

    def __enter__(self) -> WorkFolder:
        try:
            self._make_parents()
            self._lock.acquire()
        except OSError as exc:
            self._unmake()
            raise TakeError(
                f"cannot write to {self.take_dir.parent} ({exc.strerror or exc}): a take needs a folder that you may "
                "write to; choose another output",
                self.take_dir,
            ) from exc
        except TakeError:
            self._unmake()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()
        if not self.take_dir.exists() and not self.root.exists():
            self._unmake()

    def begin(self, job: Mapping[str, Any], *, resume: bool) -> bool:
        """Start the job, or continue it.

        Args:
            job: what decides the take's bytes; written to `.work/job.json` and compared with what is there.
            resume: whether a half-finished job of the same request may be continued.

        Returns:
            True when the take is already finished and nothing is left to do.

        Raises:
            TakeError: there is a take or a foreign folder, or a half-finished job of another request.
        """
        check_free(self.take_dir, resume=resume)
        if (self.take_dir / MANIFEST).exists():
            _require_same(read_json(self.take_dir / MANIFEST).get("job", {}), job, self.take_dir)
            shutil.rmtree(self.take_dir / WORK, ignore_errors=True)
            return True
        if (self.work / JOB).exists():
            _require_same(read_json(self.work / JOB), job, self.take_dir)
            return False
        try:
            self.work.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise TakeError(
                f"cannot create {self.root} ({exc.strerror or exc}): choose an output folder that you may write to",
                self.take_dir,
            ) from exc
        write_json(self.work / JOB, job)
        return False

    def join(self, job: Mapping[str, Any]) -> bool:
        """Take part in a job that another process began.

        Args:
            job: what must be the same for both; see `begin`.

        Returns:
            True when the take is already finished and nothing is left to do.

        Raises:
            TakeError: nobody began it, or it is another request's.
        """
        if (self.take_dir / MANIFEST).exists():
            _require_same(read_json(self.take_dir / MANIFEST).get("job", {}), job, self.take_dir)
            return True
        if not (self.work / JOB).exists():
            raise TakeError(
                f"nobody has begun the take at {self.take_dir}: run the tracking step first, and check that every "
                "machine sees that folder",
                self.take_dir,
            )
        _require_same(read_json(self.work / JOB), job, self.take_dir)
        return False

    @contextlib.contextmanager
    def chunk(self, name: str) -> Iterator[None]:
        """Hold one chunk of a shared job, so that two processes never write the same one.

        Raises:
            TakeError: another process holds it.
        """
        lock = _Lock(self.work / f".{name}.lock")
        lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def finish(self, manifest: str) -> None:
        """Write `take.json` and put the whole folder in its place. A job killed anywhere in here can be resumed."""
        write_text(self.root / MANIFEST, manifest)
        if self.take_dir.is_dir():
            self.take_dir.rmdir()  # empty: `check_free` saw to that, and Windows renames onto nothing
        self.root.rename(self.take_dir)
        shutil.rmtree(self.take_dir / WORK, ignore_errors=True)

    def discard(self) -> None:
        """Remove everything this job wrote: the request cannot become a take."""
        shutil.rmtree(self.root, ignore_errors=True)

    def _make_parents(self) -> None:
        missing = [p for p in (self.take_dir.parent, *self.take_dir.parent.parents) if not p.exists()]
        for folder in reversed(missing):
            folder.mkdir()
            self._made.append(folder)

    def _unmake(self) -> None:
        for folder in reversed(self._made):
            with contextlib.suppress(OSError):  # somebody put something there meanwhile
                folder.rmdir()


@contextlib.contextmanager
def locked(take_dir: Path) -> Iterator[None]:
    """Hold a take so that no other process renders or edits it meanwhile.

    Raises:
        TakeError: another process holds it, or the folder around it cannot be written to.
    """
    take_dir = Path(os.path.abspath(take_dir))  # noqa: PTH100 - as above
    lock = _Lock(take_dir.with_name(f".{take_dir.name}.lock"))
    try:
        lock.acquire()
    except OSError as exc:
        raise TakeError(
            f"cannot write to {take_dir.parent} ({exc.strerror or exc}): an edit needs it, make it writable",
            take_dir,
        ) from exc
    try:
        yield
    finally:
        lock.release()


def check_free(take_dir: Path, *, resume: bool) -> None:
    """Refuse a take folder that a job must not touch. Reads only.

    Raises:
        TakeError: it is a file, somebody else's folder, or a take, finished or not, and `resume` is off.
    """
    take_dir = Path(take_dir)
    if take_dir.is_symlink() or (take_dir.exists() and not take_dir.is_dir()):
        raise TakeError(
            f"{take_dir} is not a folder: a take needs a folder of its own, choose another output", take_dir
        )
    if (take_dir / MANIFEST).is_file():
        if not resume:
            raise TakeError(f"{take_dir} already holds a take: choose another output, or add --resume", take_dir)
        return
    if take_dir.is_dir() and any(take_dir.iterdir()):
        raise TakeError(
            f"{take_dir} is a folder with other files in it and no take: a take needs an empty or new folder, choose "
            "another output",
            take_dir,
        )
    partial = take_dir.with_name(f".{take_dir.name}.partial")
    if (partial / WORK / JOB).exists() and not resume:
        raise TakeError(
            f"an unfinished take of {take_dir} lies in {partial}: add --resume to continue it, or delete that folder",
            take_dir,
        )


def _require_same(found: Mapping[str, Any], wanted: Mapping[str, Any], take_dir: Path) -> None:
    """Refuse to continue another request's take, and say what differs."""
    wanted = json.loads(json.dumps(wanted))
    different = [key for key in wanted if found.get(key) != wanted[key]]
    if not different:
        return
    key = different[0]
    raise TakeError(
        f"the take at {take_dir} was made with another {', '.join(different)} ({key}: {found.get(key)!r} there, "
        f"{wanted[key]!r} now): repeat the first request to resume it, or choose another output",
        take_dir,
    )


def read_json(path: Path) -> dict[str, Any]:
    """Read one of the take's own JSON files.

    Raises:
        TakeError: it isn't there or isn't what we wrote.
    """
    try:
        return read_json_object(path, "a file of a take")
    except SettingsError as exc:
        raise TakeError(
            f"{path.name} cannot be read: {exc}; the take is damaged, render it again", path.parent
        ) from exc


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write JSON so that a reader sees the old file or the whole new one."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write text so that a reader sees the old file or the whole new one."""
    with replacing(path) as temporary:
        temporary.write_text(text, "utf-8")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path`; when the block ends well, flush it to disk and rename it to `path`."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        yield temporary
        flush(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Have the file's bytes on the disk before anything is said about it."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


class _Lock:
    """An advisory lock on a file beside the take; the system gives it back when the process dies.

    Args:
        path: the file; made when it isn't there, removed by the last who holds it.
        shared: several may hold it at once, as long as all of them share. On Windows, which has no such lock, a shared
            one is not taken at all.
    """

    def __init__(self, path: Path, *, shared: bool = False) -> None:
        self.path, self.shared = path, shared
        self._fd: int | None = None

    def acquire(self) -> None:
        """Take the lock or say who cannot.

        Raises:
            TakeError: another process holds it.
        """
        if self.shared and os.name == "nt":
            return
        tries = _SHARED_TRIES if self.shared else 1
        while self._fd is None:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
            if not _try_lock(fd, shared=self.shared):
                os.close(fd)
                tries -= 1
                if tries:  # somebody who leaves looks whether they are the last
                    time.sleep(_SHARED_WAIT_S)
                    continue
                raise TakeError(
                    f"another process is rendering the take that {self.path.name} locks: wait for it, stop it, or "
                    "choose another output",
                    self.path.parent,
                )
            if _same_file(fd, self.path):
                self._fd = fd
            else:  # its holder finished and removed it between our open and our lock
                os.close(fd)

    def release(self) -> None:
        """Give the lock back and, unless others share it, remove its file."""
        if self._fd is None:
            return
        if os.name == "nt":  # an open file cannot be removed there
            os.close(self._fd)
            with contextlib.suppress(OSError):
                self.path.unlink()
        else:
            if not self.shared or (_try_lock(self._fd) and _same_file(self._fd, self.path)):
                self.path.unlink(missing_ok=True)
            os.close(self._fd)
        self._fd = None


def _same_file(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False


def _try_lock(fd: int, *, shared: bool = False) -> bool:
    """Lock without waiting. An advisory lock of the whole file on POSIX, of its first byte on Windows."""
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        else:
            import fcntl

            fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
