"""Hosts import the shell in milliseconds: nothing heavy comes with it."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "av", "cv2", "PySide6", "numpy", "scipy", "mediapipe", "librosa", "onnxruntime", "rich", "skimage")

PROGRAMMES = {
    "import julnet_plugin": "import julnet_plugin; julnet_plugin.RedubRequest; julnet_plugin.hookimpl",
    "manager": "from julnet_plugin.manager import make_manager; make_manager(third_party=False)",
    "settings": "from julnet_plugin.config import load_settings; load_settings({'matte.gamma': 2})",
    "requests": "import julnet_plugin.requestio",
    "worker": "import julnet_plugin.worker",
    "a clip that another effect takes": """
from pathlib import Path
from julnet_plugin import RedubRequest, Take, hookimpl
from julnet_plugin.manager import make_manager
class Other:
    @hookimpl
    def julnet_redub_clip(self): return Take(path=Path(), manifest={})
manager = make_manager(third_party=False)
manager.register(Other(), "other")
manager.redub_clip(RedubRequest(plate=Path(), dub=Path(), take_dir=Path()))
""",
    "help": "from julnet_plugin.cli import main; assert main(['--help']) == 0",
    "help of a verb": "from julnet_plugin.cli import main; assert main(['redub', '--help']) == 0",
    "refused setting": "from julnet_plugin.cli import main; "
    "assert main(['redub', 'p', '--dub', 'd', '-o', 't', '--set', 'x=1', '--no-plugins']) == 2",
}


@pytest.mark.parametrize("programme", PROGRAMMES.values(), ids=PROGRAMMES)
def test_nothing_heavy_is_imported_for(programme: str) -> None:
    check = f"{programme}\nimport sys\nprint('heavy:', [m for m in {HEAVY} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "heavy: []"
