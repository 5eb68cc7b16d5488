"""One re-dub of one clip inside a host: from the clip to a take beside it. The host only calls `poll` now and then.

Standard library only and Python 3.7 syntax: this file is imported inside hosts.

Example, on the host's main thread::

    redub = Redub(session, client, clip, Wishes(dub="/dubs/line.wav"))
    redub.start()
    # from a timer of the host, until status.ended:
    status = redub.poll()
"""

from __future__ import annotations

import os
import re
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from host_adapters.base import (
    ClipRef,
    FinishedTake,
    HostProblem,
    HostRefused,
    HostSession,
    MatteFile,
    TakeRef,
    read_take,
    refuse_missing,
    refuse_retimed,
)
from host_adapters.values import dataclass, field

if TYPE_CHECKING:
    from host_adapters.worker_client import WorkerClient

STAGES = {"track": "Following the face", "audio": "Listening", "render": "Drawing the mouth", "deliver": "Writing"}
TAKES = "julnet_takes"  #: folder beside the plate, unless the user names another

_reserved: set[str] = set()  #: take folders that this process has given away and that may not be on disk yet
_reserving = threading.Lock()


class Mailbox:
    """Carries events from the client's threads to the host's main thread."""

    def __init__(self) -> None:
        self._events: deque[dict[str, Any]] = deque()

    def __call__(self, event: dict[str, Any]) -> None:
        """Put an event in; on any thread."""
        self._events.append(event)

    def drain(self) -> list[dict[str, Any]]:
        """Take out what has come, in order; never waits."""
        events = []
        while self._events:
            events.append(self._events.popleft())
        return events


@dataclass(frozen=True)
class Wishes:
    """What a person asks for in a host's panel."""

    dub: str
    offset_s: float = 0.0  #: from the clip's first frame to the dub's beginning
    face: str = "auto"
    model: str = "rt"
    device: str = "auto"
    deliver: tuple[str, ...] = ("prores",)
    handles: int = 0  #: frames on each side of the clip that the take shall hold too
    takes_folder: str = ""  #: where takes go; empty = `julnet_takes` beside the plate
    colour_space: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)  #: by dotted key, as docs/pipeline.md has them


@dataclass(frozen=True)
class Status:
    """How far a re-dub is."""

    state: str  #: "waiting", "running", "done", "failed", "cancelled"
    sentence: str = ""  #: for a person
    share: float = 0.0  #: of the stage that runs, 0 to 1
    take: TakeRef | None = None  #: once it is done
    folder: str = ""  #: the take on disk, once there is one
    details: str = ""  #: the worker's log, where it failed

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to come."""
        return self.state in ("done", "failed", "cancelled")


class Redub:
    """A re-dub under way.

    Args:
        session: the open project; used in `poll`, on the thread that calls it.
        client: the worker.
        clip: what to re-dub.
        wishes: how.
    """

    def __init__(self, session: HostSession, client: WorkerClient, clip: ClipRef, wishes: Wishes) -> None:
        self._session, self._client = session, client
        self.clip, self.title, self._wishes = clip, clip.name, wishes
        self._mailbox = Mailbox()
        self._job = 0
        self.take_dir = ""
        self.status = Status("waiting")

    def start(self) -> None:
        """Send it to the worker; returns at once.

        Raises:
            HostProblem: the clip is retimed, or plate or dub are not on disk.
        """
        refuse_retimed(self.clip)
        refuse_missing(self.clip.path, "the clip's media")
        refuse_missing(self._wishes.dub, "the dub")
        self.take_dir = fresh_take_dir(self.clip, self._wishes)
        request = redub_request(self.clip, self._wishes, self.take_dir)
        self.status = Status("running", "Starting")
        self._job = self._client.request("redub", self._mailbox, request=request)

    def cancel(self) -> None:
        """Ask it to stop; the status says when it has."""
        if not self.status.ended:
            self._client.cancel(self._job)

    def poll(self) -> Status:
        """See what has happened, and place the take when it is done. Call it on the host's main thread."""
        for event in self._mailbox.drain():
            if event["event"] == "progress":
                self.status = _progress(event)
            else:
                with _reserving:
                    _reserved.discard(self.take_dir)
                self.status = self._end(event)
        return self.status

    def _end(self, event: dict[str, Any]) -> Status:
        if event["event"] == "result":
            return self._place()
        if event.get("type") == "RedubCancelled":
            return Status("cancelled", "Stopped")
        return Status("failed", str(event.get("message", "the render failed")), details=self._client.log)

    def _place(self) -> Status:
        """Put the take beside the clip; whatever the host says, the take on disk is not lost."""
        try:
            take = read_take(self.take_dir, patches=self._session.lays_patches)
            ref = lay_take(self._session, self.clip, take)
        except HostProblem as exc:
            return Status("failed", f"{exc} (the take is finished and lies in {self.take_dir})", folder=self.take_dir)
        except Exception as exc:  # noqa: BLE001 - a host may raise anything, and must not be taken down by it
            sentence = (
                f"the host failed ({type(exc).__name__}: {exc}); the take is finished and lies in {self.take_dir}"
            )
            return Status("failed", sentence, folder=self.take_dir)
        return Status("done", f"{take.name} is placed", 1.0, take=ref, folder=self.take_dir)


class HandBack:
    """A painted matte on its way back into its take, as the take's override layer.

    Args:
        client: the worker.
        take: folder of the take.
        matte: what a host's `read_matte` gave.
        first: plate frame of its first picture.
    """

    def __init__(self, client: WorkerClient, take: str, matte: str, first: int) -> None:
        self.title = os.path.basename(take)
        self.status = Status("running", "Reading the matte back")
        self._client, self._mailbox = client, Mailbox()
        self._job = client.request("matte", self._mailbox, take=take, override=matte, override_start=first)

    def poll(self) -> Status:
        """See what has happened."""
        for event in self._mailbox.drain():
            if event["event"] == "result":
                self.status = Status("done", f"the painted matte is part of {self.title} now", 1.0)
            elif event["event"] == "error":
                self.status = Status("failed", str(event.get("message", "the matte could not be read back")))
        return self.status

    def cancel(self) -> None:
        """Ask it to stop."""
        self._client.cancel(self._job)


def hand_back(session: HostSession, client: WorkerClient, clip: ClipRef) -> HandBack:
    """Hand the matte of the take that a clip shows back to JULNet, as it was painted in the host; returns at once.

    Raises:
        HostProblem: no take is shown, or it has no matte.
    """
    take = next((take for take in session.takes(clip) if take.active), None)
    if take is None:
        raise HostRefused(f"{clip.name} shows its original: show a take first")
    matte = session.matte(take)
    if matte is None:
        raise HostRefused(f"the take {take.name} has no matte: place it again")
    first = read_take(take.folder, patches=True).frames.start.index
    return HandBack(client, take.folder, session.read_matte(matte), first)


def next_take(session: HostSession, clip: ClipRef) -> str:
    """Show the take after the one that is shown; after the last one the original.

    Returns:
        What is shown now, for a person.
    """
    takes = session.takes(clip)
    shown = next((index for index, take in enumerate(takes) if take.active), -1)
    wanted = takes[shown + 1] if shown + 1 < len(takes) else None
    session.select_take(clip, wanted)
    return f"{clip.name} shows {wanted.name if wanted else 'its original'}"


def lay_take(session: HostSession, clip: ClipRef, take: FinishedTake) -> TakeRef:
    """Place a finished take beside a clip, with its matte (without effect yet) and its marks.

    Raises:
        HostProblem: the host will not.
    """
    ref = session.place_take(clip, take)
    if take.matte is not None:
        matte = MatteFile(take.matte, "plate", enabled=False, first_number=take.first_number)
        session.attach_matte(ref, matte)
    session.mark(clip, take.spans)
    return ref


def _progress(event: dict[str, Any]) -> Status:
    stage, done, total = str(event.get("stage", "")), int(event.get("done", 0)), int(event.get("total", 0))
    sentence = f"{STAGES.get(stage, stage.capitalize())}: {done} of {total}"
    return Status("running", sentence, done / total if total else 0.0)


def redub_request(clip: ClipRef, wishes: Wishes, take_dir: str) -> dict[str, Any]:
    """The worker's request for a clip; fields of `RedubRequest` (docs/pipeline.md)."""
    span = clip.with_handles(wishes.handles)
    lead_s = float((clip.source.start - span.start) / clip.source_rate)  # the take begins before the clip does
    request: dict[str, Any] = {
        "plate": clip.path,
        "dub": wishes.dub,
        "take_dir": take_dir,
        "in_point": str(span.start.index),
        "out_point": str(span.stop.index),
        "dub_offset_s": wishes.offset_s + lead_s,
        "face": wishes.face,
        "model": wishes.model,
        "device": wishes.device,
        "deliver": list(wishes.deliver),
    }
    if wishes.colour_space:
        request["colour_space"] = wishes.colour_space
    if wishes.settings:
        request["settings"] = dict(wishes.settings)
    return request


def fresh_take_dir(clip: ClipRef, wishes: Wishes) -> str:
    """A take folder that nobody has: two renders of one clip at once never meet."""
    root = wishes.takes_folder or os.path.join(os.path.dirname(clip.path), TAKES)
    stem = _plain(f"{clip.name} {os.path.splitext(os.path.basename(wishes.dub))[0]}")
    with _reserving:
        number = 1
        while True:
            name = stem if number == 1 else f"{stem} {number}"
            folder = os.path.join(root, name)
            partial = os.path.join(root, f".{name}.partial")
            if folder not in _reserved and not os.path.exists(folder) and not os.path.exists(partial):
                _reserved.add(folder)
                return folder
            number += 1


def _plain(name: str) -> str:
    """A name that every file system takes."""
    return re.sub(r'[<>:"/\\|?*#%\x00-\x1f]+', "_", name).strip(" .") or "take"
