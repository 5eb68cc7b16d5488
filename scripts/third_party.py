"""Write what JULNet and its tests need: docs/third_party.md with the licences, requirements.lock with the versions.

    python scripts/third_party.py

Versions are those of the environment that runs this: the tested ones.
"""

from __future__ import annotations

import importlib.metadata as metadata
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
EXTRAS = ("editor", "farm", "timeline", "train", "dev")


def roots() -> list[str]:
    """What pyproject.toml asks for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
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
            found[key] = metadata.version(key).partition("+")[0]  # +cpu: which build it is
        except metadata.PackageNotFoundError:  # of another system
            continue
        needed(metadata.requires(key) or [], found)


#: What comes with JULNet: file, where it is from, its licences.
WEIGHTS = (
    (
        "julnet_plugin/audio/speech.safetensors",
        "two layers of the encoder in Smart Turn 3.2 (Daily; wheel of pipecat-ai 1.14.0), after Whisper tiny (OpenAI)",
        "BSD-2-Clause; MIT. Texts: `speech_licences.txt` beside it",
    ),
)
#: Of distributions whose metadata do not say it; read in their licence files.
SILENT = {"opencolorio": "BSD-3-Clause", "openexr": "BSD-3-Clause"}


def licence(name: str) -> str:
    """What a distribution says of its licence, in a few words."""
    if name in SILENT:
        return SILENT[name]
    about = metadata.metadata(name)
    classifiers = [c.rpartition(" :: ")[2] for c in about.get_all("Classifier") or () if c.startswith("License")]
    said = about.get("License-Expression") or (classifiers[0] if classifiers else about.get("License") or "not stated")
    return " ".join(said.split())[:60]


def main() -> None:
    """Write both files."""
    found: dict[str, str] = {}
    needed(roots(), found)
    page = [
        "# Licences of what JULNet uses",
        "",
        "Written by `python scripts/third_party.py`. Versions are the tested ones, as in `requirements.lock`.",
        "Wheels may bundle more (PyAV: FFmpeg with x264 under the GPL; Qt): their own notices apply.",
        "",
        "| distribution | tested version | licence |",
        "|---|---|---|",
        *(f"| {name} | {version} | {licence(name)} |" for name, version in sorted(found.items())),
        "",
        "Weights of others that come with JULNet:",
        "",
        "| file | from | licence |",
        "|---|---|---|",
        *(f"| `{file}` | {source} | {terms} |" for file, source, terms in WEIGHTS),
    ]
    lock = [
        "# Tested versions, Linux x86-64, Python 3.11: pip install -c requirements.lock julnet",
        *(f"{name}=={version}" for name, version in sorted(found.items())),
    ]
    for path, lines in ((ROOT / "docs" / "third_party.md", page), (ROOT / "requirements.lock", lock)):
        path.write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
