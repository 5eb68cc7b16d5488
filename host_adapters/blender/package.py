"""The extension as Blender wants it: one folder that stands alone, or a zip of it.

In the folder everything lies side by side; imports of our packages become relative ones. The zip is the same bytes
every time.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

ADDON = Path(__file__).parent / "addon"
SHARED = ("base", "values", "worker_client", "client_config", "redub")  #: of `host_adapters`, under the Apache licence
MANIFEST = "blender_manifest.toml"
_LEFT_OUT = ("serve",)  #: the other end of `headless`, which runs from the checkout
_DATE = (2026, 1, 1, 0, 0, 0)


def files() -> dict[str, str]:
    """Every file of the extension by its name."""
    sources = {path.stem: path for path in sorted(ADDON.glob("*.py")) if path.stem not in _LEFT_OUT}
    sources |= {name: ADDON.parents[1] / f"{name}.py" for name in SHARED}
    made = {f"{name}.py": relative(path.read_text("utf-8")) for name, path in sources.items()}
    return {**made, MANIFEST: (ADDON / MANIFEST).read_text("utf-8")}


def relative(source: str) -> str:
    """A module's text with imports that hold inside the extension."""
    source = re.sub(r"from host_adapters(?:\.blender\.addon)? import", "from . import", source)
    return re.sub(r"from host_adapters\.(?:blender\.addon\.)?(\w+) import", r"from .\1 import", source)


def write_zip(path: Path) -> Path:
    """Write the extension for Edit ▸ Preferences ▸ Get Extensions ▸ Install from Disk.

    Returns:
        The zip.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in sorted(files().items()):
            archive.writestr(zipfile.ZipInfo(name, _DATE), text.encode(), zipfile.ZIP_DEFLATED)
    return path
