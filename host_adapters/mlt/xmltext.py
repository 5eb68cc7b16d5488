"""XML as a tree that knows where its text lies, and edits of that text. Entities are refused, not expanded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from host_adapters.base import HostRefused

MOST_BYTES = 512 * 1024 * 1024
_MOST_DEPTH = 100


@dataclass(eq=False)
class Node:
    """One element; offsets are bytes of the document."""

    name: str
    attributes: dict[str, str]
    start: int
    inner: int = 0  #: after the start tag
    inner_stop: int = 0  #: before the end tag
    stop: int = 0
    parent: Node | None = field(default=None, repr=False)
    children: list[Node] = field(default_factory=list, repr=False)
    text: str = ""

    def all(self, name: str) -> list[Node]:
        """Children of a name."""
        return [child for child in self.children if child.name == name]

    def walk(self) -> Iterator[Node]:
        """This element and everything inside, in order of the document."""
        yield self
        for child in self.children:
            yield from child.walk()

    def property(self, name: str) -> str | None:
        """The text of `<property name="…">`."""
        for child in self.children:
            if child.name == "property" and child.attributes.get("name") == name:
                return child.text
        return None


def parse(data: bytes, path: str) -> Node:
    """Read a document.

    Args:
        data: UTF-8.
        path: for messages.

    Raises:
        HostRefused: it is no XML, declares entities, or is not in UTF-8.
    """
    if len(data) > MOST_BYTES:
        raise HostRefused(f"{path} has {len(data) >> 20} MiB, too much for a project: is it the right file?")
    builder = _Builder(data)
    try:
        builder.parser.Parse(data, True)
    except expat.ExpatError as exc:
        raise HostRefused(f"{path} is not a readable MLT project ({exc}): save it again in your editor") from None
    except _RefusedError as exc:
        raise HostRefused(f"{path} {exc}: save it again in your editor") from None
    assert builder.root is not None
    return builder.root


class _RefusedError(Exception):
    """Something in the document that a project never holds."""


class _Builder:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.root: Node | None = None
        self.open: list[Node] = []
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end
        self.parser.CharacterDataHandler = self.text
        self.parser.EntityDeclHandler = self.entity
        self.parser.XmlDeclHandler = self.declaration

    def declaration(self, version: str, encoding: str | None, standalone: int) -> None:
        if encoding is not None and encoding.lower() not in ("utf-8", "utf8", "us-ascii", "ascii"):
            raise _RefusedError(f"is written in {encoding} and UTF-8 is needed")

    def entity(self, *_: object) -> None:
        raise _RefusedError("declares XML entities, which no editor writes")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self.open) >= _MOST_DEPTH:
            raise _RefusedError("is nested deeper than any project")
        parent = self.open[-1] if self.open else None
        node = Node(name, attributes, self.parser.CurrentByteIndex, parent=parent)
        node.inner = _tag_stop(self.data, node.start)
        if parent is not None:
            parent.children.append(node)
        else:
            self.root = node
        self.open.append(node)

    def end(self, name: str) -> None:
        node = self.open.pop()
        if self.data[node.inner - 2 : node.inner] == b"/>":
            node.inner_stop = node.stop = node.inner
        else:
            node.inner_stop = self.parser.CurrentByteIndex
            node.stop = self.data.index(b">", node.inner_stop) + 1

    def text(self, text: str) -> None:
        if self.open:
            self.open[-1].text += text


def _tag_stop(data: bytes, start: int) -> int:
    """The offset behind the ">" of a start tag; one inside an attribute does not count."""
    quote = 0
    for place in range(start, len(data)):
        byte = data[place]
        if quote:
            quote = 0 if byte == quote else quote
        elif byte in b"\"'":
            quote = byte
        elif byte == ord(">"):
            return place + 1
    raise _RefusedError("ends inside a tag")


class Edits:
    """Changes of a document's text, applied together.

    What is inserted stands on lines of its own, and `remove` takes exactly that away again.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.newline = b"\r\n" if b"\r\n" in data[:4096] else b"\n"
        self._changes: list[tuple[int, int, bytes]] = []

    def insert(self, after: int, text: str, depth: int) -> None:
        """Insert elements behind an offset, each line indented.

        Args:
            after: offset, just behind a tag.
            text: one element a line.
            depth: of the elements below the root.
        """
        lines = b"".join(self.newline + b" " * depth + line.encode() for line in text.splitlines())
        self._changes.append((after, after, lines))

    def remove(self, node: Node) -> None:
        """Take an element away, with the line that it stands on."""
        start = node.start
        while start and self.data[start - 1 : start] in (b" ", b"\t"):
            start -= 1
        if self.data[start - len(self.newline) : start] == self.newline:
            start -= len(self.newline)
        else:
            start = node.start
        self._changes.append((start, node.stop, b""))

    def replace(self, start: int, stop: int, text: str) -> None:
        """Put other text in the place of some."""
        self._changes.append((start, stop, text.encode()))

    def apply(self) -> bytes:
        """The document with every change."""
        parts, place = [], 0
        for start, stop, text in sorted(self._changes, key=lambda change: change[:2]):
            if start < place:
                continue  # inside something that is taken away
            parts += [self.data[place:start], text]
            place = stop
        return b"".join([*parts, self.data[place:]])


def element(name: str, attributes: dict[str, object], *inner: str) -> str:
    """One element as text, on one line."""
    head = "".join(f" {key}={quoteattr(str(value))}" for key, value in attributes.items() if value is not None)
    return f"<{name}{head}>{''.join(inner)}</{name}>" if inner else f"<{name}{head}/>"


def prop(name: str, value: object) -> str:
    """`<property name="…">…</property>`."""
    return f"<property name={quoteattr(name)}>{escape(str(value))}</property>"
