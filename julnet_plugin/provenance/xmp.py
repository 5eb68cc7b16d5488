"""IPTC's statement in XMP, inside PNG and QuickTime files: this picture was partly made by a trained algorithm."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from julnet_plugin import __version__

if TYPE_CHECKING:
    from pathlib import Path

DIGITAL_SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
_PNG = b"\x89PNG\r\n\x1a\n"
_MOVIE_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")  #: Adobe's, for XMP in ISO base media files


def packet(statement: str) -> bytes:
    """The XMP packet: the same for equal statements."""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
        'xmlns:dc="http://purl.org/dc/elements/1.1/" '
        'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">'
        f"<xmp:CreatorTool>JULNet {escape(__version__)}</xmp:CreatorTool>"
        f"<Iptc4xmpExt:DigitalSourceType>{DIGITAL_SOURCE_TYPE}</Iptc4xmpExt:DigitalSourceType>"
        f'<dc:description><rdf:Alt><rdf:li xml:lang="x-default">{escape(statement)}</rdf:li></rdf:Alt></dc:description>'
        '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
    ).encode()


def add_to_png(data: bytes, xmp: bytes) -> bytes:
    """A PNG with the packet behind its header, in place of one that is there; other data comes back as it is."""
    if data[:8] != _PNG:
        return data
    text = b"XML:com.adobe.xmp\0\0\0\0\0" + xmp
    chunk = struct.pack(">I", len(text)) + b"iTXt" + text + struct.pack(">I", zlib.crc32(b"iTXt" + text))
    header_end = 8 + 12 + int.from_bytes(data[8:12], "big")
    return data[:header_end] + chunk + data[header_end:]


def append_to_movie(path: Path, xmp: bytes) -> None:
    """Add the packet as the last box of a QuickTime or MP4 file; nothing else in it moves."""
    with path.open("ab") as file:
        file.write(struct.pack(">I4s", 8 + 16 + len(xmp), b"uuid") + _MOVIE_UUID + xmp)
