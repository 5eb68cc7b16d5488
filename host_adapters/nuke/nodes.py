"""The JULNet node: a group with knobs and a Render button, for the plate that it hangs on.

The button hands the clip to the worker, which is another process; a thread shows Nuke's own progress bar and asks, on
Nuke's main thread, how far it is. Without a window the same is done in place.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from host_adapters.base import ClipRef, HostProblem
from host_adapters.client_config import ConfigProblem, read_config, worker_command, worker_environment
from host_adapters.nuke.session import NukeSession
from host_adapters.nuke.values import source_of
from host_adapters.redub import HandBack, Redub, Status, Wishes, hand_back
from host_adapters.values import replace
from host_adapters.worker_client import WorkerClient

NAME = "JULNet"
RANGES = ("whole clip", "script range", "frames")
QUALITIES = {"movie": ("prores",), "movie and EXR layers": ("prores", "exr"), "PNG and EXR layers": ("png", "exr")}
_TICK_S = 0.1
_BUTTON = "import host_adapters.nuke.nodes as julnet; julnet.render(nuke.thisNode())"

_clients: list[WorkerClient] = []


def create(nuke: Any) -> Any:
    """A JULNet node, on what is selected."""
    group = nuke.createNode("Group", inpanel=False) if nuke.env.get("gui") else nuke.nodes.Group()
    group.setName(NAME, uncollide=True)
    for knob in _knobs(nuke):
        group.addKnob(knob)
    group["julnet_device"].setValue("auto")
    group["julnet_face"].setValue("auto")
    group["julnet_model"].setValue("rt")
    with group:
        out = nuke.nodes.Output()
        out.setInput(0, nuke.nodes.Input())
    return group


def _knobs(nuke: Any) -> list[Any]:
    knobs = [
        nuke.Tab_Knob("julnet_tab", NAME),
        nuke.File_Knob("julnet_dub", "dub"),
        nuke.Double_Knob("julnet_offset", "offset (s)"),
        nuke.String_Knob("julnet_face", "face"),
        nuke.String_Knob("julnet_model", "model"),
        nuke.Enumeration_Knob("julnet_device", "device", ["auto", "cpu", "cuda"]),
        nuke.Enumeration_Knob("julnet_range", "range", list(RANGES)),
        nuke.Int_Knob("julnet_first", "first frame"),
        nuke.Int_Knob("julnet_last", "last frame"),
        nuke.Int_Knob("julnet_handles", "handles"),
        nuke.String_Knob("julnet_colour", "colour space"),
        nuke.Enumeration_Knob("julnet_quality", "deliver", list(QUALITIES)),
        nuke.Double_Knob("julnet_low", "matte low (of 255)"),
        nuke.Double_Knob("julnet_high", "matte high (of 255)"),
        nuke.Double_Knob("julnet_gamma", "matte gamma"),
        nuke.String_Knob("julnet_takes", "takes folder"),
        nuke.PyScript_Knob("julnet_render", "Render", _BUTTON),
        nuke.Text_Knob("julnet_status", "", ""),
    ]
    named = {knob.name(): knob for knob in knobs}
    named["julnet_dub"].setTooltip("the new line: audio, or a movie with sound")
    named["julnet_face"].setTooltip("auto, a face's number, or X,Y@FRAME in plate pixels")
    named["julnet_range"].setTooltip("what to re-dub; outside, the plate is shown. The dub begins with the range")
    named["julnet_colour"].setTooltip("OpenColorIO name of the plate's space, where its file does not say; else empty")
    for knob, value in zip(_MATTE.values(), (8.0, 32.0, 1.0)):
        named[knob].setValue(value)
    return knobs


def wishes_of(group: Any) -> Wishes:
    """What a node's knobs ask for."""

    def text(knob: str) -> str:
        return str(group["julnet_" + knob].value() or "").strip()

    matte = {f"matte.{key}": float(group[knob].value()) for key, knob in _MATTE.items()}
    return Wishes(
        dub=text("dub"),
        offset_s=float(group["julnet_offset"].value()),
        face=text("face") or "auto",
        model=text("model") or "rt",
        device=text("device") or "auto",
        deliver=QUALITIES[text("quality") or "movie"],
        handles=int(group["julnet_handles"].value()),
        takes_folder=text("takes"),
        colour_space=text("colour") or None,
        settings=matte,
    )


def asked_of(session: NukeSession, group: Any) -> ClipRef:
    """The clip above a node, or as much of it as the node's range says.

    Raises:
        HostProblem: there is none, or it lies outside the range.
    """
    clip = clip_above(session, group)
    wanted = str(group["julnet_range"].value() or RANGES[0])
    if wanted == RANGES[0]:
        return clip
    if wanted == RANGES[1]:
        return session.narrowed(clip, *session.script_range)
    return session.narrowed(clip, int(group["julnet_first"].value()), int(group["julnet_last"].value()))


def fitting(wishes: Wishes, clip: ClipRef) -> Wishes:
    """The same wishes, with EXR layers where the plate is EXR: its values fit into no movie."""
    if not clip.path.lower().endswith(".exr") or "exr" in wishes.deliver:
        return wishes
    return replace(wishes, deliver=(*wishes.deliver, "exr"))


_MATTE = {"low_cv": "julnet_low", "high_cv": "julnet_high", "gamma": "julnet_gamma"}


def hand_matte_back(nuke: Any, client: WorkerClient | None = None) -> HandBack | None:
    """Hand the touched-up matte of the selected clip's take back to JULNet, as `julnet matte --override` does."""
    try:
        session = NukeSession(nuke)
        job = hand_back(session, client or worker(), one_selected(session))
    except (HostProblem, ConfigProblem) as exc:
        nuke.message(str(exc))
        return None
    if nuke.env.get("gui"):
        threading.Thread(target=_follow, args=(nuke, job, None), name="julnet-nuke", daemon=True).start()
    else:
        wait(job)
        _say(nuke, None, job.status.sentence)
    return job


def one_selected(session: NukeSession) -> ClipRef:
    """The clip that a person means.

    Raises:
        HostProblem: none is selected, or several.
    """
    found = session.selection()
    if len(found) != 1:
        raise HostProblem(f"{len(found)} clips are selected and one is needed: select a Read, or a node behind one")
    return found[0]


def render(group: Any, nuke: Any = None, client: WorkerClient | None = None) -> Redub | None:
    """What the Render button does; returns at once in a Nuke with a window.

    Args:
        group: a JULNet node.
        nuke: the module; None = the one of this process.
        client: the worker; None = this process's own.
    """
    if nuke is None:
        import nuke
    try:
        session = NukeSession(nuke)
        clip = asked_of(session, group)
        redub = Redub(session, client or worker(), clip, fitting(wishes_of(group), clip))
        redub.start()
    except (HostProblem, ConfigProblem) as exc:
        _say(nuke, group, str(exc))
        return None
    if nuke.env.get("gui"):
        threading.Thread(target=_follow, args=(nuke, redub, group), name="julnet-nuke", daemon=True).start()
    else:
        wait(redub)
        _say(nuke, group, redub.status.sentence)
    return redub


def clip_above(session: NukeSession, node: Any) -> ClipRef:
    """The clip that a node gets its pictures from.

    Raises:
        HostProblem: there is none.
    """
    read = source_of(node)
    clip = next((clip for clip in session.list_clips() if read is not None and clip.id == read.name()), None)
    if clip is None:
        raise HostProblem("the JULNet node hangs on no Read: connect it to the plate and try again")
    return clip


def wait(redub: Redub | HandBack) -> Status:
    """Poll until a job has ended, on this thread."""
    while not redub.poll().ended:
        time.sleep(_TICK_S)
    return redub.status


def worker() -> WorkerClient:
    """This process's worker client; it lives as long as Nuke does.

    Raises:
        ConfigProblem: JULNet is not installed for hosts.
    """
    if not _clients:
        import atexit

        client = WorkerClient(worker_command(read_config()), worker_environment())
        atexit.register(client.close, 2.0)
        _clients.append(client)
    return _clients[0]


def _follow(nuke: Any, redub: Redub | HandBack, group: Any) -> None:
    """Nuke's progress bar, on a thread of its own; everything that touches the script is done on the main thread."""
    task = nuke.ProgressTask("JULNet: " + redub.title)
    status = redub.status
    while not status.ended:
        time.sleep(_TICK_S)
        if task.isCancelled():
            redub.cancel()
        # None where Nuke swallowed an exception; the status says then what was known last
        status = nuke.executeInMainThreadWithResult(redub.poll) or redub.status
        task.setMessage(status.sentence)
        task.setProgress(int(status.share * 100))
    del task
    nuke.executeInMainThread(_say, args=(nuke, group, status.sentence))


def _say(nuke: Any, group: Any, sentence: str) -> None:
    if group is not None:
        group["julnet_status"].setValue(sentence)
    nuke.tprint("JULNet: " + sentence)
