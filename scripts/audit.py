"""Ask the public database of known weaknesses (osv.dev) about the versions in requirements.lock.

    python scripts/audit.py

Ends with 1 when a version has a known weakness that is not accepted below. Without a connection nothing is audited:
that is said and no failure, because a check must also work offline. AUDIT_URL names a server of the same protocol.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

LOCK = Path(__file__).parents[1] / "requirements.lock"
URL = "https://api.osv.dev/v1/querybatch"
TIMEOUT_S = 20.0
#: Weaknesses that do not concern JULNet: identifier and why.
ACCEPTED: dict[str, str] = {}


def pinned(text: str) -> list[tuple[str, str]]:
    """Name and version of every line of a lock."""
    rows = (line.partition("#")[0].strip() for line in text.splitlines())
    return [(name.strip(), version.strip()) for name, _, version in (row.partition("==") for row in rows) if version]


def ask(packages: list[tuple[str, str]]) -> Any:
    """What the database answers, a row a package.

    Raises:
        OSError: it cannot be reached.
        ValueError: it answers something else.
    """
    queries = [{"package": {"name": n, "ecosystem": "PyPI"}, "version": v} for n, v in packages]
    url = os.environ.get("AUDIT_URL", URL)
    if not url.startswith(("https://", "http://")):
        raise ValueError(f"{url} is no web address")
    body = json.dumps({"queries": queries}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
        rows = json.load(answer)["results"]
    if len(rows) != len(packages):
        raise ValueError(f"{len(rows)} answers to {len(packages)} questions")
    return rows


def main() -> int:
    """Ask, and say what is known."""
    packages = pinned(LOCK.read_text("utf-8"))
    try:
        rows = ask(packages)
    except (OSError, ValueError, KeyError, TypeError) as exc:
        sys.stderr.write(
            f"NOT AUDITED: the database of known weaknesses cannot be asked ({exc}); run scripts/audit.py where "
            "there is a connection\n"
        )
        return 0
    found = [
        f"{name} {version}: {weakness['id']}"
        for (name, version), row in zip(packages, rows, strict=True)
        for weakness in row.get("vulns", ())
        if weakness["id"] not in ACCEPTED
    ]
    for line in found:
        sys.stderr.write(f"known weakness: {line} (https://osv.dev/vulnerability/{line.rpartition(' ')[2]})\n")
    sys.stdout.write(f"audited {len(packages)} distributions: {len(found)} known weaknesses\n")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
