"""What a file claims about its origin, and whether its pixels are still those that the claim was made for."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from julnet_plugin.errors import MediaError
from julnet_plugin.pipeline.hashing import file_hash
from julnet_plugin.pipeline.workfolder import MANIFEST
from julnet_plugin.provenance.certificate import trust_anchors
from julnet_plugin.provenance.credentials import EMBEDDABLE, LABEL, carries, library

if TYPE_CHECKING:
    from collections.abc import Iterator

REPORT = "report.png"
Verdict = Literal["match", "mismatch", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What was found out about one file."""

    file: Path
    verdict: Verdict
    text: str  #: one sentence
    signer: str = ""
    trusted: bool = False  #: the signer is the studio, or this machine
    claims: dict[str, Any] = field(default_factory=dict)
    problems: tuple[str, ...] = ()  #: C2PA's codes


def verify_file(path: Path, report: Statement | None = None) -> Statement:
    """Judge one file.

    Args:
        path: the file.
        report: what was found out about its take's report, where that is known already.

    Raises:
        MediaError: there is no such file.
        ModelError: the library is missing.
    """
    if not path.is_file():
        raise MediaError(f"{path} is not a file: give a movie, a still or a take", path)
    if not carries(path):
        return _vouched_for(path, report)
    store = _read(path)
    if store is None:
        vouched = _vouched_for(path, report)  # as for a movie that was too large to hold its own
        if vouched.verdict != "none":
            return vouched
        return Statement(
            file=path,
            verdict="none",
            text=f"{path.name} carries no content credentials: they were removed, as another encoder does, "
            "or were never there",
        )
    return _judged(path, store)


def verify_take(folder: Path) -> Iterator[Statement]:
    """Judge every picture and movie of a take."""
    from julnet_plugin.provenance.credentials import pictures_of

    report = verify_file(folder / REPORT) if (folder / REPORT).is_file() else None
    for path in pictures_of(folder):
        yield verify_file(path, report)


def _read(path: Path) -> dict[str, Any] | None:
    """Everything that the library's own reader says of a file; None where there are no credentials."""
    import json

    c2pa = library()
    anchors = trust_anchors()
    trust: dict[str, Any] = {"verify": {"verify_trust": True, "ocsp_fetch": False, "remote_manifest_fetch": False}}
    if anchors:
        trust["trust"] = {"user_anchors": anchors}
    mime = EMBEDDABLE[path.suffix.lower()]
    try:
        with path.open("rb") as file:
            reader = c2pa.Reader.try_create(mime, file, context=c2pa.Context.from_dict(trust))
            if reader is None:
                return None
            with reader:
                store: dict[str, Any] = json.loads(reader.json())
    except c2pa.C2paError as exc:
        return {"validation_state": "Invalid", "failures": [str(exc)]}
    except (ValueError, OSError) as exc:
        raise MediaError(f"{path} cannot be read ({exc}): check the file", path) from exc
    return store


def _judged(path: Path, store: dict[str, Any]) -> Statement:
    manifest = store.get("manifests", {}).get(store.get("active_manifest"), {})
    results = store.get("validation_results", {}).get("activeManifest", {})
    codes = [str(row.get("code")) for row in results.get("failure", [])] or list(store.get("failures", []))
    claims: dict[str, Any] = next((a["data"] for a in manifest.get("assertions", []) if a.get("label") == LABEL), {})
    signer = str(manifest.get("signature_info", {}).get("common_name", "") or "nobody")
    state = str(store.get("validation_state"))
    trusted = state == "Trusted"
    problems = tuple(code for code in codes if trusted or code != "signingCredential.untrusted")
    if problems or (state == "Invalid" and not codes):
        changed = any("mismatch" in code.lower() for code in problems)
        why = (
            "it was changed after it was signed"
            if changed
            else f"they are damaged ({problems[0] if problems else state})"
        )
        text = f"{path.name} carries content credentials that do not match it: {why}"
        return Statement(file=path, verdict="mismatch", text=text, signer=signer, claims=claims, problems=problems)
    known = "known here" if trusted else "unknown here"
    text = f"{path.name} is what was signed by {signer} ({known}): {_in_words(claims)}"
    return Statement(file=path, verdict="match", text=text, signer=signer, trusted=trusted, claims=claims)


def _vouched_for(path: Path, report: Statement | None) -> Statement:
    """A file that cannot carry credentials: its take's report vouches for it, or nobody does."""
    take = next((folder for folder in path.absolute().parents if (folder / MANIFEST).is_file()), None)
    none = Statement(
        file=path,
        verdict="none",
        text=f"{path.name} cannot carry content credentials, and no take around it vouches for it",
    )
    if take is None or not (take / REPORT).is_file():
        return none
    report = report or verify_file(take / REPORT)
    expected = report.claims.get("files", {}).get(path.absolute().relative_to(take).as_posix())
    if report.verdict != "match" or expected is None:
        return none
    if file_hash(path) != expected:
        text = f"{path.name} is not the file that {REPORT} of its take vouches for: it was changed"
        return Statement(file=path, verdict="mismatch", text=text, problems=("julnet.hash.mismatch",))
    text = f"{path.name} is the file that {REPORT} of its take vouches for, signed by {report.signer}"
    return Statement(
        file=path, verdict="match", text=text, signer=report.signer, trusted=report.trusted, claims=report.claims
    )


def _in_words(claims: dict[str, Any]) -> str:
    if not claims:
        return "the credentials are not JULNet's"
    plate, dub, model = (claims.get(name, {}) for name in ("plate", "dub", "model"))
    return f"{plate.get('name')} re-dubbed with {dub.get('name')} by the model {model.get('id')}"
