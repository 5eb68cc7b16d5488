"""Write docs/third_party.md: every distribution that JULNet needs at run time, with version and licence.

    python scripts/third_party.py > docs/third_party.md

Versions are those of the environment that runs this: the tested ones.
"""

from __future__ import annotations

import importlib.metadata as metadata
import re
import sys
import tomllib
from pathlib import Path

EXTRAS = ("editor", "farm", "train")


def roots() -> list[str]:
    """What pyproject.toml asks for."""
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))["project"]
    return [*project["dependencies"], *(r for extra in EXTRAS for r in project["optional-dependencies"][extra])]


def needed(requirements: list[str], found: dict[str, str]) -> None:
    """Collect what requirements name, and what that requires, as far as it is installed here."""
    for requirement in requirements:
        text, _, marker = requirement.partition(";")
        match = re.match(r"[A-Za-z0-9._-]+", text.strip())
        if match is None or "extra" in marker:
            continue
        key = match.group().lower().replace("_", "-")
        if key in found:
            continue
        try:
            found[key] = metadata.version(key)
        except metadata.PackageNotFoundError:  # of another system
            continue
        needed(metadata.requires(key) or [], found)


def licence(name: str) -> str:
    """What a distribution says of its licence, in a few words."""
    about = metadata.metadata(name)
    classifiers = [c.rpartition(" :: ")[2] for c in about.get_all("Classifier") or () if c.startswith("License")]
    said = about.get("License-Expression") or (classifiers[0] if classifiers else about.get("License") or "not stated")
    return " ".join(said.split())[:60]


def main() -> None:
    """Print the page."""
    found: dict[str, str] = {}
    needed(roots(), found)
    write = sys.stdout.write
    write("# Licences of what JULNet uses\n\n")
    write("Written by `python scripts/third_party.py`. Versions are the tested ones, as in `requirements.lock`.\n")
    write("Wheels may bundle more (PyAV: FFmpeg with x264 under the GPL; Qt): their own notices apply.\n\n")
    write("| distribution | tested version | licence |\n|---|---|---|\n")
    for name, version in sorted(found.items()):
        write(f"| {name} | {version} | {licence(name)} |\n")


if __name__ == "__main__":
    main()
