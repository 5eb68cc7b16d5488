"""A strict Nuke: nodes with the knobs that they have, scripts as `.nk` text, pictures of the nodes that JULNet uses.

It refuses what Nuke refuses: unknown classes (RuntimeError) and knobs (NameError), values of the wrong type, inputs
that a node does not have (setInput is False), two nodes of one name, TCL in file names that was not meant, layers that
were not declared, and files that are not there when a Write is executed. A node that is deleted leaves a hole.
"""

# ruff: noqa: N802, A002 - names are Nuke's
from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import av
import numpy as np
import OpenEXR
from fake_resolve import film, write_picture
from numpy.typing import NDArray

Image = dict[str, NDArray[np.float64]]
RGBA = ("rgba.red", "rgba.green", "rgba.blue", "rgba.alpha")
PLACE: dict[str, Any] = {"label": "", "xpos": 0, "ypos": 0, "selected": False, "disable": False}
KNOBS: dict[str, dict[str, Any]] = {
    "Root": {"first_frame": 1, "last_frame": 100, "fps": 24.0, "frame": 1, "lock_range": False, "format": ""},
    "Read": {
        "file": "", "first": 1, "last": 1, "origfirst": 1, "origlast": 1, "frame_mode": "expression", "frame": "",
        "before": "hold", "after": "hold", "colorspace": "default", "raw": False, "premultiplied": False,
    },
    "Write": {
        "file": "", "file_type": "", "channels": "rgb", "raw": False, "datatype": "16 bit half",
        "create_directories": False, "checkHashOnRead": True,
    },
    "Copy": {f"{way}{n}": "none" for n in range(4) for way in ("from", "to")},
    "RotoPaint": {"curves": None},
    "Keymix": {"channels": "all", "maskChannel": "none", "invertMask": False, "mix": 1.0, "bbox": "union"},
    "Switch": {"which": 0},
    "Merge2": {"operation": "over", "output": "rgba", "mix": 1.0},
    "NoOp": {},
    "StickyNote": {},
    "Group": {},
    "Input": {},
    "Output": {},
}  # fmt: skip
INPUTS = {"Read": 0, "StickyNote": 0, "Input": 0, "Root": 0, "Copy": 3, "Keymix": 3, "Switch": 99, "Merge2": 99}
ENUMS = {
    "frame_mode": ("expression", "start at", "offset"),
    "before": ("hold", "loop", "bounce", "black"),
    "after": ("hold", "loop", "bounce", "black"),
    "channels": ("rgb", "rgba", "all", "alpha"),
}


class Knob:
    def __init__(self, name: str, label: str = "", value: Any = "") -> None:
        self._name, self._label, self._value, self._visible = name, label or name, value, True
        self.values: tuple[str, ...] = ENUMS.get(name, ())
        self.expression = ""

    def setExpression(self, expression: str, index: int = -1, view: Any = None) -> bool:
        self.expression = expression
        return True

    def name(self) -> str:
        return self._name

    def label(self) -> str:
        return self._label

    def value(self) -> Any:
        return self._value

    def setValue(self, val: Any) -> bool:
        kind = type(self._value)
        if kind in (int, float) and (not isinstance(val, (int, float)) or isinstance(val, bool)):
            raise TypeError(f"{self._name}: a number is needed, not {val!r}")
        if kind is str and not isinstance(val, str):
            raise TypeError(f"{self._name}: text is needed, not {val!r}")
        if self.values and val not in self.values:
            raise ValueError(f"{self._name}: no value {val!r}")
        self._value = kind(val) if kind in (int, float, bool) else val
        return True

    def setVisible(self, visible: bool) -> None:
        self._visible = visible

    def setTooltip(self, tooltip: str) -> None:
        self._tooltip = tooltip


class Curves(Knob):
    """RotoPaint's: its root layer can be walked over."""

    def __init__(self, name: str) -> None:
        super().__init__(name, value=None)
        self.rootLayer: list[Any] = []  #: (script frame, box, level)


class Node:
    def __init__(self, nuke: Nuke, kind: str, name: str) -> None:
        self._nuke, self._kind, self._name = nuke, kind, name
        defaults = {**KNOBS[kind], **PLACE}
        self._knobs: dict[str, Knob] = {
            k: Curves(k) if k == "curves" else Knob(k, value=v) for k, v in defaults.items()
        }
        self._inputs: list[Node | None] = []

    def Class(self) -> str:
        return self._kind

    def name(self) -> str:
        return self._name

    def setName(self, name: str, uncollide: bool = True) -> None:
        if not re.fullmatch(r"[A-Za-z_]\w*", name):
            raise ValueError(f"{name!r} is no name for a node")
        while any(other is not self and other._name == name for other in self._nuke._nodes):
            if not uncollide:
                raise ValueError(f"there is a node {name} already")
            name += "1"
        self._name = name

    def __getitem__(self, name: str) -> Knob:
        if name not in self._knobs:
            raise NameError(f"knob {name} does not exist")
        return self._knobs[name]

    def knob(self, p: str) -> Knob | None:
        return self._knobs.get(p)

    def knobs(self) -> dict[str, Knob]:
        return dict(self._knobs)

    def addKnob(self, knob: Knob) -> None:
        if knob.name() in self._knobs:
            raise ValueError(f"there is a knob {knob.name()} already")
        self._knobs[knob.name()] = knob

    def inputs(self) -> int:
        return len(self._inputs)

    def maxInputs(self) -> int:
        return INPUTS.get(self._kind, 1)

    def input(self, index: int) -> Node | None:
        return self._inputs[index] if 0 <= index < len(self._inputs) else None

    def setInput(self, i: int, node: Node | None) -> bool:
        if not 0 <= i < self.maxInputs() or (node is not None and node not in self._nuke._nodes):
            return False
        self._inputs += [None] * (i + 1 - len(self._inputs))
        self._inputs[i] = node
        while self._inputs and self._inputs[-1] is None:
            self._inputs.pop()
        return True

    def setSelected(self, selected: bool) -> None:
        self["selected"].setValue(selected)

    def metadata(self) -> dict[str, Any]:
        path = plain(str(self["file"].value()))
        if Path(path).suffix != ".mov" or not Path(path).is_file():
            return {}
        with av.open(path) as container:
            stream = container.streams.video[0]
            return {
                "input/frame_rate": float(stream.average_rate or 0),
                "input/timecode": stream.metadata.get("timecode"),
                "quicktime/reel": next(
                    (s.metadata["reel_name"] for s in container.streams if "reel_name" in s.metadata), None
                ),
            }

    def __enter__(self) -> Node:
        self._nuke._inside.append(self)
        return self

    def __exit__(self, type: Any, value: Any, traceback: Any) -> None:
        self._nuke._inside.pop()


class Root(Node):
    def name(self) -> str:
        return self._nuke._path or "Root"


class Nuke:
    """One running Nuke; `module()` is what `import nuke` gives."""

    def __init__(self, gui: bool = False) -> None:
        self.env = {"gui": gui}
        self.printed: list[str] = []
        self.past: list[str] = []
        self.chosen: str | None = None  #: what a person chooses in a file dialog
        self._inside: list[Node] = []
        self._clear()

    def _clear(self) -> None:
        self._nodes: list[Node] = []
        self._layers = {"rgba", "none"}
        self._path = ""
        self._root = Root(self, "Root", "Root")

    def module(self) -> Any:
        module: Any = ModuleType("nuke")
        for name in FUNCTIONS:
            setattr(module, name, getattr(self, name))
        module.env, module.nodes = self.env, _Nodes(self)
        for kind in ("String_Knob", "File_Knob", "Double_Knob", "Int_Knob", "Tab_Knob", "Text_Knob"):
            default = {"Double_Knob": 0.0, "Int_Knob": 0}.get(kind, "")
            setattr(module, kind, _maker(default))
        module.PyScript_Knob = lambda name, label="", command="": Knob(name, label, command)
        module.Enumeration_Knob = _enumeration
        module.ProgressTask, module.Undo = ProgressTask, Undo(self)
        module.Layer = self._layer
        return module

    def root(self) -> Node:
        return self._root

    def allNodes(self) -> list[Node]:
        return [node for node in self._nodes if "." not in node._name]

    def toNode(self, s: str) -> Node | None:
        return next((node for node in self._nodes if node._name == s), None)

    def selectedNodes(self) -> list[Node]:
        return [node for node in self._nodes if node["selected"].value()]

    def createNode(self, typ: str, knobs: str = "", inpanel: bool = True) -> Node:
        node = self._new(typ)
        selected = self.selectedNodes()
        if selected:
            node.setInput(0, selected[0])
        return node

    def delete(self, n: Node) -> None:
        if n not in self._nodes:
            raise ValueError("a PythonObject is not attached to a node")
        self._nodes.remove(n)
        for other in self._nodes:
            other._inputs = [None if node is n else node for node in other._inputs]

    def execute(self, nameOrNode: Any, start: int, end: int, incr: int = 1) -> None:
        node = nameOrNode
        if node.Class() != "Write" or not node["file"].value():
            raise RuntimeError("nothing to write")
        path = plain(node["file"].value())
        if not Path(path).parent.is_dir():
            raise RuntimeError(f"{path}: no such directory")
        assert node["raw"].value() is True
        for frame in range(start, end + 1, incr):
            image = self.image(node.input(0), frame)
            rgb = np.stack([image[name] for name in RGBA[:3]], axis=-1)
            if path.endswith(".exr"):
                OpenEXR.File({}, {"RGB": rgb.astype(np.float32)}).write(path % frame)
            else:
                write_picture(Path(path % frame), np.rint(rgb * 255).astype(np.uint8))

    def scriptSave(self, filename: str | None = None) -> bool:
        Path(filename or self._path).write_text(self.text(), "utf-8")
        return True

    def scriptSaveAs(self, filename: str | None = None, overwrite: int = -1) -> None:
        assert filename
        self._path = filename
        self.scriptSave()

    def scriptOpen(self, filename: str) -> None:
        if not Path(filename).is_file():
            raise RuntimeError(f"{filename}: no such file")
        self._clear()
        self._path = filename
        self.read(Path(filename).read_text("utf-8"))

    def scriptClear(self) -> None:
        self._clear()

    def tprint(self, *args: Any) -> None:
        self.printed.append(" ".join(str(arg) for arg in args))

    def getFilename(self, message: str, pattern: str = "") -> str | None:
        return self.chosen

    def message(self, prompt: str) -> None:
        self.printed.append(prompt)

    def menu(self, name: str) -> Any:
        commands: list[tuple[str, str]] = []
        self.commands = commands
        made = SimpleNamespace(addCommand=lambda name, command: commands.append((name, command)))
        return SimpleNamespace(addMenu=lambda name: made)

    def executeInMainThread(self, call: Callable[..., Any], args: Any = (), kwargs: Any = None) -> None:
        call(*args, **(kwargs or {}))

    def executeInMainThreadWithResult(self, call: Callable[..., Any], args: Any = (), kwargs: Any = None) -> Any:
        try:
            return call(*args, **(kwargs or {}))
        except Exception:  # noqa: BLE001 - it prints a traceback and gives None
            return None

    def _layer(self, name: str, channels: list[str]) -> Any:
        self._layers.add(name)
        return SimpleNamespace(name=lambda: name)

    def _new(self, kind: str, name: str = "") -> Node:
        if kind not in KNOBS or kind == "Root":
            raise RuntimeError(f"{kind}: Unknown command")
        number = 1
        while self.toNode(f"{kind}{number}"):
            number += 1
        node = Node(self, kind, name or f"{kind}{number}")
        if self._inside:
            node._name = f"{self._inside[-1]._name}.{node._name}"
        self._nodes.append(node)
        return node

    def text(self) -> str:
        """The script as `.nk`: every node pops its inputs, the top of the stack is input 0."""
        lines = ["version 13.0 v1", f"Root {{\n inputs 0\n{_knob_lines(self._root)}}}"]
        lines += [
            f"add_layer {{{layer} {layer}.sigma {layer}.error {layer}.matte}}"
            for layer in self._layers - {"rgba", "none"}
        ]
        done: list[Node] = []

        def write(node: Node) -> None:
            if node in done:
                return
            for parent in node._inputs:
                if parent is not None:
                    write(parent)
            lines.extend("push 0" if p is None else f"push ${p._name}" for p in reversed(node._inputs))
            strokes = node["curves"].rootLayer if node.knob("curves") else []  # type: ignore[attr-defined]
            extra = f" curves {{{json.dumps(strokes)}}}\n" if strokes else ""
            users = [k for k in node._knobs if k not in {**KNOBS[node._kind], **PLACE}]
            extra += "".join(f" addUserKnob {{1 {k} +INVISIBLE}}\n" for k in users)
            body = f" inputs {len(node._inputs)}\n name {node._name}\n{extra}{_knob_lines(node)}"
            lines.append(f"{node._kind} {{\n{body}}}\nset {node._name} [stack 0]")
            done.append(node)

        for node in self._nodes:
            write(node)
        return "\n".join(lines) + "\n"

    def read(self, text: str) -> None:
        """Read `.nk` text, as scriptOpen does."""
        stack: list[Node | None] = []
        names: dict[str, Node | None] = {"0": None}
        for line in _lines(_words(text)):
            if line[0] == "version":
                continue
            if line[0] == "add_layer":
                self._layers.add(line[1].split()[0])
            elif line[0] == "set":
                names["$" + line[1]] = stack[-1]
            elif line[0] == "push":
                stack.append(names[line[1]])
            else:
                knobs = _lines(_words(line[1]))
                plainly = {k[0]: k[1] for k in knobs if k[0] != "addUserKnob"}
                node = self._root if line[0] == "Root" else self._new(line[0], plainly.pop("name", ""))
                for user in (k for k in knobs if k[0] == "addUserKnob"):
                    node.addKnob(Knob(user[1].split()[1]))
                count = int(plainly.pop("inputs", "1"))
                for index in range(count):
                    node.setInput(index, stack.pop())
                if curves := plainly.pop("curves", ""):
                    node["curves"].rootLayer = json.loads(curves)  # type: ignore[attr-defined]
                for name, value in plainly.items():
                    if driven := re.fullmatch(r'\{"([^"]*)"\}', value):
                        node[name].setExpression(driven[1])
                        continue
                    kind = type(node[name].value())
                    node[name].setValue(
                        value == "true" if kind is bool else kind(value) if kind in (int, float) else value
                    )
                if line[0] != "Root":
                    stack.append(node)

    def image(self, node: Node | None, frame: int) -> Image:
        """The channels of a node on a script frame, of the numbers that its files hold."""
        if node is None:
            raise RuntimeError("an input is not connected")
        kind = node.Class()
        if kind == "Read":
            return self._read_image(node, frame)
        if kind == "Switch":
            which = node["which"]
            text = which.expression.replace("||", " or ").replace("&&", " and ")
            at = int(eval(text, {"__builtins__": {}}, {"frame": frame})) if text else int(which.value())
            return self.image(node.input(at), frame)
        first = self.image(node.input(0), frame)
        if node["disable"].value():
            return first
        if kind == "Copy":
            second = self.image(node.input(1), frame)
            pairs = [(node[f"from{n}"].value(), node[f"to{n}"].value()) for n in range(4)]
            for _, to in pairs:
                assert to.split(".")[0] in self._layers, f"the layer of {to} was not declared"
            return {**first, **{to: second[source] for source, to in pairs if to != "none"}}
        if kind == "RotoPaint":
            return self._painted(node, first, frame)
        if kind == "Merge2":
            above = self.image(node.input(1), frame)
            assert (node["operation"].value(), node["output"].value()) == ("over", "rgb")
            return {**first, **{c: above[c] + first[c] * (1 - above["rgba.alpha"]) for c in RGBA[:3]}}
        if kind == "Keymix":
            return self._keymix(node, first, frame)
        return first

    def _keymix(self, node: Node, below: Image, frame: int) -> Image:
        above, mask = self.image(node.input(1), frame), self.image(node.input(2), frame)[node["maskChannel"].value()]
        mask = (1 - mask if node["invertMask"].value() else mask) * node["mix"].value()
        assert node["channels"].value() == "rgb"
        return {**below, **{name: below[name] + (above[name] - below[name]) * mask for name in RGBA[:3]}}

    def _painted(self, node: Node, image: Image, frame: int) -> Image:
        image = {name: plane.copy() for name, plane in image.items()}
        for at, (x0, y0, x1, y1), level in node["curves"].rootLayer:  # type: ignore[attr-defined]
            if at == frame:
                for name in RGBA:
                    image[name][y0:y1, x0:x1] = level
        return image

    def _read_image(self, node: Node, frame: int) -> Image:
        path, first, last = plain(node["file"].value()), node["first"].value(), node["last"].value()
        mode, text = node["frame_mode"].value(), node["frame"].value().strip()
        own = frame
        if text and mode == "start at":
            own = first + frame - int(text)
        elif text and mode == "expression":
            own = int(eval(text, {"__builtins__": {}}, {"frame": frame}))
        if not first <= own <= last:
            assert node["before"].value() == node["after"].value() == "black"
        try:
            if path.endswith(".exr"):
                channels = OpenEXR.File(path % own, separate_channels=True).channels()
                planes = {_nuke_name(name): np.asarray(c.pixels, np.float64) for name, c in channels.items()}
                return {**dict.fromkeys(RGBA, next(iter(planes.values())) * 0), **planes}
            picture = film(path)[own - 1] if "%" not in path else film(path % own)[0]
        except (OSError, RuntimeError, IndexError) as exc:
            raise RuntimeError(f"{path}: no such file or frame {own}") from exc
        planes = dict(zip(RGBA, np.moveaxis(picture / 255, -1, 0), strict=False))
        return {**planes, "rgba.alpha": np.zeros(picture.shape[:2])}


FUNCTIONS = [
    "root", "allNodes", "toNode", "selectedNodes", "createNode", "delete", "execute", "scriptSave", "scriptSaveAs",
    "scriptOpen", "scriptClear", "tprint", "message", "menu", "getFilename", "executeInMainThread",
    "executeInMainThreadWithResult",
]  # fmt: skip


class _Nodes:
    def __init__(self, nuke: Nuke) -> None:
        self._nuke = nuke

    def __getattr__(self, kind: str) -> Callable[..., Node]:
        def make(**knobs: Any) -> Node:
            node = self._nuke._new(kind)
            for name, value in knobs.items():
                node[name].setValue(value)
            return node

        return make


class Undo:
    """Groups what is done between `begin` and `end` into one step, which a person takes back by one Ctrl-Z."""

    def __init__(self, nuke: Nuke) -> None:
        self._nuke, self._depth = nuke, 0

    def begin(self, name: str = "") -> None:
        if not self._depth:
            self._nuke.past.append(self._nuke.text())
        self._depth += 1

    def end(self) -> None:
        self._depth -= 1

    def undo(self) -> None:
        path = self._nuke._path
        text = self._nuke.past.pop()
        self._nuke._clear()
        self._nuke._path = path
        self._nuke.read(text)


class ProgressTask:
    cancelled = False
    said: list[tuple[str, int]] = []  # noqa: RUF012 - what all tasks showed

    def __init__(self, name: str) -> None:
        self._message = name

    def isCancelled(self) -> bool:
        return ProgressTask.cancelled

    def setMessage(self, s: str) -> None:
        self._message = s

    def setProgress(self, i: int) -> None:
        assert isinstance(i, int)
        ProgressTask.said.append((self._message, i))


def _maker(default: Any) -> Callable[..., Knob]:
    return lambda name, label="", *rest: Knob(name, label, default)


def _enumeration(name: str, label: str, values: list[str]) -> Knob:
    knob = Knob(name, label, values[0])
    knob.values = tuple(values)
    return knob


def _nuke_name(name: str) -> str:
    short = {"R": "rgba.red", "G": "rgba.green", "B": "rgba.blue", "A": "rgba.alpha"}
    return short.get(name, name)


def plain(text: str) -> str:
    """What Nuke makes of a file knob: TCL is run, escapes are taken off."""
    if re.search(r"(?<!\\)(?:\\\\)*[\[$]", text):
        raise RuntimeError(f"{text}: TCL error")
    return re.sub(r"\\(.)", r"\1", text)


def _knob_lines(node: Node) -> str:
    default = {**KNOBS[node._kind], **PLACE}
    values = {
        k: knob.value() for k, knob in node._knobs.items() if k != "curves" and knob.value() != default.get(k, "")
    }
    lines = [f" {name} {_quoted(value)}\n" for name, value in values.items()]
    lines += [f' {k} {{{{"{knob.expression}"}}}}\n' for k, knob in node._knobs.items() if knob.expression]
    return "".join(lines)


def _quoted(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return repr(value)
    for character in '\\"[${}':
        value = value.replace(character, "\\" + character)
    return '"' + value.replace("\n", "\\n") + '"'


def _words(text: str) -> list[str]:
    """TCL words: plain, "quoted" with backslashes, {braced} as they are; the end of a line is "\\n"."""
    found, at = [], 0
    while at < len(text):
        rest = text[at:]
        if rest[0] == "{":
            depth, end = 0, 0
            for match in re.finditer(r"\\.|[{}]", rest, re.DOTALL):
                depth += {"{": 1, "}": -1}.get(match[0], 0)
                if depth == 0:
                    end = match.end()
                    break
            found.append(rest[1 : end - 1])
            at += end
            continue
        quoted = re.match(r'"((?:[^"\\]|\\.)*)"', rest, re.DOTALL)
        match = re.match(r"[ \t]+", rest) or re.match(r"\n", rest) or quoted or re.match(r'[^\s"{}]+', rest)
        assert match, rest[:40]
        if quoted and match is quoted:
            found.append(re.sub(r"\\(.)", lambda m: {"n": "\n"}.get(m[1], m[1]), match[1], flags=re.DOTALL))
        elif not match[0].isspace() or match[0] == "\n":
            found.append(match[0])
        at += match.end()
    return found


def _lines(words: list[str]) -> list[list[str]]:
    lines: list[list[str]] = [[]]
    for word in words:
        if word == "\n":
            lines.append([])
        else:
            lines[-1].append(word)
    return [line for line in lines if line]
