"""Content credentials (C2PA) in every picture and movie of a take.

A file that can carry credentials gets them embedded: movies, PNG, TIFF, JPEG. Files that cannot, such as EXR, and
movies too large for that are named with their hashes in the signed credentials of the take's `report.png`. Mattes are
data about the take, not pictures of a person, and are treated like EXR.

A signature contains random numbers. So that a render that was broken and resumed has the bytes of an unbroken one, this
machine keeps every credential that it issued, by the content it was issued for, and issues the same one again.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import logging
import mmap
import os
import threading
import uuid
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from julnet_plugin import __version__
from julnet_plugin.errors import InputError, ModelError
from julnet_plugin.pipeline.hashing import file_hash
from julnet_plugin.pipeline.workfolder import WORK, replacing
from julnet_plugin.provenance.certificate import Identity, identity
from julnet_plugin.provenance.home import home
from julnet_plugin.provenance.xmp import DIGITAL_SOURCE_TYPE, add_to_png, append_to_movie, packet

if TYPE_CHECKING:
    from collections.abc import Mapping

log = logging.getLogger(__name__)

#: Files that can carry credentials, and their media types.
EMBEDDABLE = {
    ".mov": "video/quicktime",
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".png": "image/png",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
}
_OTHERS = (".exr", ".dpx", ".cin", ".hdr", ".mxf", ".mkv", ".webm", ".avi")  #: pictures that cannot
_DATA = frozenset({"data"})  #: folders of a take that hold no pictures for anybody
_MATTES = ("coverage", "uncertainty", "matte")
LABEL = "org.julnet.take"
MOST_EMBEDDED = 256 << 20  #: bytes of a movie that credentials are embedded in; `report.png` vouches for a larger one
_MOST_KEPT = 20_000  #: issued credentials that are remembered
_KEEPING = threading.Lock()


def attach(root: Path, manifest: Mapping[str, Any], *, report: str, beside: Path | None = None) -> dict[str, Any]:
    """Sign every picture and movie under a folder; what `take.json` says about it.

    Args:
        root: the take's folder, or the folder with those of its files that are new.
        manifest: the take's.
        report: name of the still that vouches for files which cannot carry credentials.
        beside: the take, where `root` holds only what is new.

    Raises:
        ModelError: the library is missing, or refuses.
        InputError: the studio's certificate cannot be used.
        OSError: this machine cannot keep a certificate.
    """
    signer = _Signer(identity(), manifest)
    own = pictures_of(root)
    signed = [path for path in own if _is_signed(path)]
    others = {str(path.relative_to(root)): path for path in pictures_of(beside or root) if beside is None}
    if beside is not None:
        others = {str(path.relative_to(beside)): path for path in pictures_of(beside)}
        others |= {str(path.relative_to(root)): path for path in own}
    listed = {
        name.replace(os.sep, "/"): file_hash(path) for name, path in sorted(others.items()) if not _is_signed(path)
    }
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1), "julnet-sign") as pool:
        list(pool.map(signer.sign, [path for path in signed if path.name != report]))
    vouching = root / report
    if vouching in signed:
        signer.sign(vouching, listed)
    return {"kind": "c2pa", "certificate": "local" if signer.identity.local else "studio", "vouched_by": report}


def pictures_of(folder: Path) -> list[Path]:
    """Pictures, movies and mattes of a take, in order."""
    found = []
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.is_file() and parts[0] not in (*_DATA, WORK) and not path.name.startswith("."):
            found.append(path)
    return [path for path in found if path.suffix.lower() in (*EMBEDDABLE, *_OTHERS)]


def carries(path: Path) -> bool:
    """Whether a file of a take can have credentials of its own."""
    return path.suffix.lower() in EMBEDDABLE and not path.name.startswith(_MATTES)


def _is_signed(path: Path) -> bool:
    """Whether a file gets credentials of its own. The library holds a file twice in memory while it embeds them."""
    movie = EMBEDDABLE.get(path.suffix.lower(), "").startswith("video/")
    return carries(path) and not (movie and path.stat().st_size > MOST_EMBEDDED)


class _Signer:
    """Signs the files of one take."""

    def __init__(self, who: Identity, manifest: Mapping[str, Any]) -> None:
        self.identity = who
        self._manifest = manifest
        self._c2pa = library()
        self._xmp = packet(str(manifest["synthetic"]["statement"]))

    def sign(self, path: Path, listed: Mapping[str, str] | None = None) -> None:
        """Sign one file in its place; one that carries credentials already is left as it is."""
        mime = EMBEDDABLE[path.suffix.lower()]
        if self._c2pa.Reader.try_create(path) is not None:
            return
        definition = json.dumps(self._definition(path.name, mime, listed), sort_keys=True)
        with replacing(path) as temporary, contextlib.ExitStack() as stack:
            if mime == "image/png":
                data = add_to_png(path.read_bytes(), self._xmp)
                digest = hashlib.sha256(data).hexdigest()
                source: IO[bytes] = stack.enter_context(io.BytesIO(data))
            else:
                if mime.startswith("video/"):
                    append_to_movie(path, self._xmp)
                digest = file_hash(path)
                source = stack.enter_context(path.open("rb"))
            settings = self._c2pa.Context.from_dict({"builder": {"thumbnail": {"enabled": False}}})
            builder = self._c2pa.Builder(definition, context=settings)
            try:
                with temporary.open("w+b") as target:
                    issued = builder.sign(self._new_signer(), mime, source, target)
            except self._c2pa.C2paError as exc:
                why = " ".join(str(exc).split())  # the library's own words may fill several lines
                raise ModelError(f"content credentials cannot be attached to {path.name}: {why}") from exc
            key = hashlib.sha256(self.identity.chain + definition.encode() + digest.encode()).hexdigest()
            _issue_again(temporary, issued, key, crc=mime == "image/png")

    def _new_signer(self) -> Any:
        info = self._c2pa.C2paSignerInfo(
            alg=self.identity.algorithm.encode(),
            sign_cert=self.identity.chain,
            private_key=self.identity.key,
            ta_url=None,
        )
        return self._c2pa.Signer.from_info(info)

    def _definition(self, name: str, mime: str, listed: Mapping[str, str] | None) -> dict[str, Any]:
        """The manifest in C2PA's words. No times, no machine names."""
        take = self._manifest
        inputs, model = take["inputs"], take["model"]
        plate, dub = inputs["plate"], inputs["dub"]
        agent = {"name": "JULNet", "version": __version__}
        facts = {
            "statement": take["synthetic"]["statement"],
            "plate": {"name": Path(plate["path"]).name, "sha256": plate["sha256"]},
            "dub": {"name": Path(dub["path"]).name, "sha256": dub["sha256"]},
            "model": {"id": model["id"], "sha256": model["sha256"], "architecture": model["architecture"]},
            "software": dict(take["software"]),
        }
        if take.get("consent"):
            facts["consent"] = {"sha256": take["consent"]["sha256"], "until": take["consent"]["until"]}
        if listed:
            facts["files"] = dict(listed)
        ingredients = [{"title": facts["plate"]["name"], "relationship": "parentOf", **_identified(plate["sha256"])}]
        if dub["sha256"] != plate["sha256"]:  # a plate with its own sound for a dub is one ingredient, not two
            ingredients.append({"title": facts["dub"]["name"], "relationship": "inputTo", **_identified(dub["sha256"])})
        opened = {"action": "c2pa.opened", "parameters": {"ingredientIds": [_instance(plate["sha256"])]}}
        edited = {
            "action": "c2pa.edited",
            "softwareAgent": agent,
            "digitalSourceType": DIGITAL_SOURCE_TYPE,
            "description": f"The mouth was generated by the model {model['id']} to match a new recording.",
            "parameters": {"ingredientIds": [_instance(dub["sha256"])]},
        }
        return {
            "claim_generator_info": [agent],
            "title": name,
            "format": mime,
            "label": f"urn:c2pa:{_uuid(plate['sha256'], dub['sha256'], model['sha256'], name)}",
            "instance_id": f"xmp:iid:{_uuid('file', plate['sha256'], dub['sha256'], name)}",
            "ingredients": ingredients,
            "assertions": [
                {"label": "c2pa.actions.v2", "data": {"actions": [opened, edited]}},
                {"label": LABEL, "data": facts},
            ],
        }


def _identified(sha256: str) -> dict[str, Any]:
    return {"instance_id": _instance(sha256), "document_id": f"sha256:{sha256}"}


def _instance(sha256: str) -> str:
    return f"xmp:iid:{_uuid(sha256)}"


def _uuid(*parts: str) -> str:
    """A UUID that equal parts always give; C2PA takes only those of version 4."""
    return str(uuid.UUID(bytes=hashlib.sha256("\n".join(parts).encode()).digest()[:16], version=4))


def _issue_again(path: Path, issued: bytes, key: str, *, crc: bool) -> None:
    """Put the credential that was issued for this content before in the place of the new one; else remember the new.

    Both have one length and bind the same content, so nothing else in the file changes, but for a PNG chunk's checksum.
    """
    kept = home() / "credentials" / key[:2] / f"{key}.c2pa"
    try:
        before = kept.read_bytes()
    except OSError:
        before = b""
    if len(before) != len(issued):
        _keep(kept, issued)
        return
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as data:
        at = data.find(issued)
        if at < 0:
            return
        data[at : at + len(before)] = before
        if crc:
            data[at + len(before) : at + len(before) + 4] = zlib.crc32(b"caBX" + before).to_bytes(4, "big")


def _keep(path: Path, issued: bytes) -> None:
    """Remember a credential. A machine that cannot, issues another one the next time: also a true one."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _KEEPING, replacing(path) as temporary:
            temporary.write_bytes(issued)
    except OSError as exc:
        log.info("an issued credential cannot be remembered: %s", exc)


def forget_oldest(folder: Path | None = None, most: int = _MOST_KEPT) -> None:
    """Remove the oldest credentials beyond `most`."""
    folder = folder or home() / "credentials"
    kept = sorted(folder.glob("*/*.c2pa"), key=lambda path: path.stat().st_mtime)
    for path in kept[: max(0, len(kept) - most)]:
        path.unlink(missing_ok=True)


def library() -> Any:
    """The module `c2pa`.

    Raises:
        ModelError: it does not load.
    """
    try:
        import c2pa
    except (ImportError, OSError) as exc:  # OSError: its shared library does not load
        raise ModelError(f"content credentials need c2pa-python, which does not load ({exc}): install it") from exc
    return c2pa


def credentials_or_warning(
    root: Path, manifest: dict[str, Any], mode: str, *, report: str, beside: Path | None = None
) -> None:
    """Attach credentials as the setting `provenance.credentials` says, and note in the manifest what came of it.

    Args:
        root: see `attach`.
        manifest: the take's; gets "credentials".
        mode: "auto" warns where they cannot be attached, "require" raises, "off" leaves them out.
        report: see `attach`.
        beside: see `attach`.

    Raises:
        ModelError: in mode "require", they cannot be attached.
        InputError: the studio's certificate cannot be used.
    """
    manifest.pop("credentials", None)
    if mode == "off":
        return
    try:
        manifest["credentials"] = attach(root, manifest, report=report, beside=beside)
        forget_oldest()
    except InputError:
        raise
    except (ModelError, OSError) as exc:
        if mode == "require":
            raise ModelError(f"content credentials are required and cannot be attached: {exc}") from exc
        warning = f"the files carry no content credentials: {exc}"
        log.warning("%s", warning)
        manifest["warnings"] = [*(w for w in manifest["warnings"] if w != warning), warning]
