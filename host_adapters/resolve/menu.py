"""Workspace > Scripts > JULNet: a small window that re-dubs the clip under the playhead.

The window lives in Resolve's own UIManager. The worker is another process; a timer of the window asks how far it is, so
nothing here ever waits.
"""

from __future__ import annotations

import os
from typing import Any, Callable

from host_adapters.base import ClipRef, HostProblem, read_take
from host_adapters.client_config import ConfigProblem, read_config, worker_command, worker_environment
from host_adapters.redub import HandBack, Redub, Status, Wishes, hand_back, lay_take, next_take
from host_adapters.resolve.session import ResolveSession
from host_adapters.worker_client import WorkerClient

WINDOW = "JULNetWindow"
DELIVER = ("prores", "matte-png")  #: a matte of single files comes back from Fusion whole, whatever the clip shows
DEVICES = ("auto", "cpu", "cuda")
_TICK_MS = 200


def run(script: dict[str, Any]) -> None:
    """What the menu entry calls, with its globals: Resolve puts `resolve`, `fusion` and `bmd` there."""
    resolve, fusion, bmd = script.get("resolve"), script.get("fusion"), script.get("bmd")
    if resolve is None and bmd is not None:
        resolve = bmd.scriptapp("Resolve")
    if resolve is None:
        raise HostProblem("Resolve did not let the script in: start it from Workspace > Scripts")
    Panel(resolve, fusion or resolve.Fusion(), bmd).show()


def connect() -> Any:
    """External scripting, for pipelines: the running Resolve Studio, or a sentence that says why not.

    Raises:
        HostProblem: Resolve is not running, is the free edition, or does not allow external scripting.
    """
    import importlib
    import sys

    folder = os.environ.get("RESOLVE_SCRIPT_API")
    if folder and os.path.join(folder, "Modules") not in sys.path:
        sys.path.append(os.path.join(folder, "Modules"))
    try:
        resolve = importlib.import_module("DaVinciResolveScript").scriptapp("Resolve")
    except ImportError as exc:
        raise HostProblem(f"Resolve's scripting modules are not found ({exc}): set RESOLVE_SCRIPT_API") from None
    if not resolve:
        raise HostProblem(
            "no Resolve answers: start Resolve Studio and set Preferences > General > External scripting to Local "
            "(the free edition runs scripts from its own menu only)"
        )
    return resolve


class Panel:
    """The window and what its buttons do."""

    def __init__(self, resolve: Any, fusion: Any, bmd: Any) -> None:
        self._resolve, self._bmd = resolve, bmd
        self._ui = fusion.UIManager
        self._dispatcher = bmd.UIDispatcher(self._ui)
        self._client: WorkerClient | None = None
        self._held: ResolveSession | None = None
        self._job: Redub | HandBack | None = None
        self._window = self._dispatcher.AddWindow(
            {"ID": WINDOW, "WindowTitle": "JULNet: re-dub clip", "Geometry": [200, 200, 520, 300]}, self._layout()
        )
        self._items = self._window.GetItems()
        self._timer = self._ui.Timer({"ID": "Tick", "Interval": _TICK_MS})
        on = self._window.On
        on[WINDOW].Close = self._close
        on["Browse"].Clicked = self._browse
        on["Start"].Clicked = self._start
        for button, action in self._actions().items():
            on[button].Clicked = action
        on["Cancel"].Clicked = self._cancel
        self._dispatcher.On.Timeout = self._tick

    def show(self) -> None:
        """Show the window until it is closed."""
        self._window.Show()
        self._dispatcher.RunLoop()
        self._window.Hide()
        if self._client is not None:
            self._client.close()

    def _layout(self) -> list[Any]:
        ui = self._ui
        row = [ui.Label({"Text": "Dub"}), ui.LineEdit({"ID": "Dub"}), ui.Button({"ID": "Browse", "Text": "Browse"})]
        more = [
            ui.Label({"Text": "Offset (s)"}),
            ui.LineEdit({"ID": "Offset", "Text": "0"}),
            ui.Label({"Text": "Face"}),
            ui.LineEdit({"ID": "Face", "Text": "auto"}),
            ui.Label({"Text": "Handles"}),
            ui.SpinBox({"ID": "Handles", "Minimum": 0, "Maximum": 250, "Value": 0}),
        ]
        how = [
            ui.Label({"Text": "Model"}),
            ui.LineEdit({"ID": "Model", "Text": "rt"}),
            ui.Label({"Text": "Device"}),
            ui.LineEdit({"ID": "Device", "Text": "auto"}),
        ]
        buttons = [ui.Button({"ID": "Start", "Text": "Re-dub"}), ui.Button({"ID": "Cancel", "Text": "Cancel"})]
        takes = [
            ui.Button({"ID": "Next", "Text": "Next Take"}),
            ui.Button({"ID": "Original", "Text": "Original"}),
            ui.Button({"ID": "Place", "Text": "Place a Take"}),
            ui.Button({"ID": "HandBack", "Text": "Hand Matte Back"}),
            ui.Button({"ID": "Undo", "Text": "Undo"}),
        ]
        said = ui.Label(
            {"ID": "Said", "Text": "Put the playhead on the clip and choose the new line.", "WordWrap": True}
        )
        rows = [row, more, how, buttons, takes]
        return [ui.VGroup([*(ui.HGroup(each) for each in rows), said])]

    def _actions(self) -> dict[str, Callable[[Any], None]]:
        """What the buttons of the lower row do; each says one sentence."""
        return {
            "Next": self._saying(lambda: next_take(self._session(), _clip_of(self._session()))),
            "Original": self._saying(self._show_original),
            "Place": self._saying(self._place),
            "HandBack": self._saying(self._hand_back),
            "Undo": self._saying(self._undo),
        }

    def _saying(self, action: Callable[[], str]) -> Callable[[Any], None]:
        def act(event: Any) -> None:
            try:
                self._say(action())
            except (HostProblem, ConfigProblem) as exc:
                self._say(str(exc))

        return act

    def _show_original(self) -> str:
        clip = _clip_of(self._session())
        self._session().select_take(clip, None)
        return f"{clip.name} shows its original"

    def _place(self) -> str:
        clip = _clip_of(self._session())
        folder = str(self._resolve.Fusion().RequestDir("") or "")
        if not folder:
            return "nothing was placed"
        take = read_take(folder.rstrip("/\\"))
        lay_take(self._session(), clip, take)
        return f"{take.name} is placed"

    def _hand_back(self) -> str:
        self._refuse_busy()
        session = self._session()
        self._job = hand_back(session, self._worker(), _clip_of(session))
        self._timer.Start()
        return self._job.status.sentence

    def _undo(self) -> str:
        self._session().undo()
        return "what JULNet did last in this window is undone"

    def _session(self) -> ResolveSession:
        """The open project; the one that this window had before, as long as it is open: it knows what to undo."""
        if self._held is None or not self._held.current:
            self._held = ResolveSession(self._resolve)
        return self._held

    def _refuse_busy(self) -> None:
        if self._job is not None and not self._job.status.ended:
            raise HostProblem("a job is under way: wait for its end, or cancel it")

    def _browse(self, event: Any) -> None:
        chosen = self._ui_manager_file()
        if chosen:
            self._items["Dub"].Text = chosen

    def _ui_manager_file(self) -> str:
        fusion = self._resolve.Fusion()
        return str(fusion.RequestFile(self._items["Dub"].Text) or "")

    def _start(self, event: Any) -> None:
        try:
            self._refuse_busy()
            session = self._session()
            redub = Redub(session, self._worker(), _clip_of(session), self._wishes())
            redub.start()
        except (HostProblem, ConfigProblem, ValueError) as exc:
            self._say(str(exc))
            return
        self._job = redub
        self._say("Starting")
        self._timer.Start()

    def _cancel(self, event: Any) -> None:
        if self._job is not None:
            self._job.cancel()

    def _tick(self, event: Any) -> None:
        if self._job is None:
            return
        status: Status = self._job.poll()
        share = f" ({status.share * 100:.0f} %)" if status.state == "running" and status.share else ""
        self._say(status.sentence + share)
        if status.ended:
            self._timer.Stop()

    def _close(self, event: Any) -> None:
        self._cancel(event)
        self._dispatcher.ExitLoop()

    def _say(self, text: str) -> None:
        self._items["Said"].Text = text

    def _worker(self) -> WorkerClient:
        if self._client is None:
            self._client = WorkerClient(worker_command(read_config()), worker_environment())
        return self._client

    def _wishes(self) -> Wishes:
        items = self._items
        try:
            offset_s = float(str(items["Offset"].Text).replace(",", ".") or 0)
        except ValueError:
            raise HostProblem(f"the offset is {items['Offset'].Text!r}, but a number of seconds is needed") from None
        return Wishes(
            dub=str(items["Dub"].Text).strip(),
            offset_s=offset_s,
            face=str(items["Face"].Text).strip() or "auto",
            handles=int(items["Handles"].Value),
            deliver=DELIVER,
            model=str(items["Model"].Text).strip() or "rt",
            device=_device(str(items["Device"].Text).strip()),
        )


def _device(name: str) -> str:
    if name and name not in DEVICES:
        raise HostProblem(f"the device is {name!r}, but one of {', '.join(DEVICES)} is needed")
    return name or DEVICES[0]


def _clip_of(session: ResolveSession) -> ClipRef:
    clips = session.selection()
    if not clips:
        raise HostProblem("there is no clip under the playhead: put it on one and try again")
    return clips[0]
