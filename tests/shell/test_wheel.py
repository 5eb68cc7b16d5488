"""A plugin in a real wheel is found after pip has installed it, and nothing of ours is needed to build one."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

PLUGIN = """
from julnet_plugin import hookimpl

class Hello:
    name, help = "hello", "say hello"
    def add_arguments(self, parser): parser.add_argument("who")
    def run(self, args):
        args.console.result({"hello": args.who}, f"hello {args.who}")
        return 0

@hookimpl
def julnet_cli_verbs():
    return [Hello()]
"""


def build_wheel(folder: Path, name: str, source: str) -> Path:
    """A pure wheel with one module that is a plugin."""
    info = f"{name}-1.0.dist-info"
    files = {
        f"{name}.py": source,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[julnet]\n{name} = {name}\n",
    }
    digests = [
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b'=').decode()},"
        for path, text in files.items()
    ]
    files[f"{info}/RECORD"] = "\n".join([*digests, f"{info}/RECORD,,", ""])
    wheel = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return wheel


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that pip installed three plugins into: a good one, one that cannot be imported, a misspelt one."""
    folder = tmp_path_factory.mktemp("wheels")
    wheels = [
        build_wheel(folder, "hello_plugin", PLUGIN),
        build_wheel(folder, "broken_plugin", "import a_library_that_is_not_there\n"),
        build_wheel(folder, "misspelt_plugin", PLUGIN.replace("julnet_cli_verbs", "julnet_cli_verb")),
    ]
    target = folder / "site"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-cache-dir"]
    subprocess.run([*command, "--target", str(target), *map(str, wheels)], check=True, capture_output=True)
    return target


def julnet(installed: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(installed), str(Path(__file__).parents[2])])
    command = [sys.executable, "-m", "julnet_plugin", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}, check=False)


def test_an_installed_plugin_s_verb_runs(installed: Path) -> None:
    run = julnet(installed, "hello", "you", "--json")
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == {"event": "result", "hello": "you"}


def test_broken_ones_are_reported_and_cost_nothing(installed: Path) -> None:
    run = julnet(installed, "plugins", "--json")
    assert run.returncode == 0, run.stderr
    rows: dict[str, Any] = {row["name"]: row for row in json.loads(run.stdout)["plugins"]}
    assert rows["hello_plugin"]["origin"].startswith("hello")
    assert rows["hello_plugin"]["offers"] == ["verb hello"]
    assert "a_library_that_is_not_there" in rows["broken_plugin"]["problems"][0]
    assert "did you mean julnet_cli_verbs?" in rows["misspelt_plugin"]["problems"][0]
    assert "broken_plugin" in run.stderr


def test_no_plugins_leaves_them_out(installed: Path) -> None:
    run = julnet(installed, "hello", "you", "--no-plugins")
    assert run.returncode == 2
    assert "broken_plugin" not in run.stderr
