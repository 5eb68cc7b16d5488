"""Code that runs inside hosts: old Python, nothing installed, and no time to lose at their start."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import host_adapters

ROOT = Path(host_adapters.__file__).parents[1]
FILES = sorted(
    [
        *(
            ROOT / "host_adapters" / f"{name}.py"
            for name in ("base", "client_config", "redub", "values", "worker_client")
        ),
        *(path for host in ("resolve", "nuke") for path in (ROOT / "host_adapters" / host).glob("*.py")),
        *(ROOT / "julnet_plugin" / "interchange" / f"{name}.py" for name in ("comp", "fusion", "fusion_switch")),
    ]
)
IN_HOST = [path for path in FILES if path.stem != "setup"]  # `julnet hosts` runs that one
MODULES = ("resolve.menu", "resolve.turnover", "nuke.menu", "nuke.nodes")
LOAD = """
import sys, time, importlib
for name in ("host_adapters", "julnet_plugin"):
    package = type(sys)(name)
    package.__path__ = [sys.argv[1] + "/" + name]
    sys.modules[name] = package
began = time.process_time()
importlib.import_module("host_adapters." + sys.argv[2])
print((time.process_time() - began) * 1000)
ours = [m for m in sys.modules if m.split(".")[0] in ("numpy", "pluggy", "torch", "PySide6", "av")]
assert not ours, ours
"""
LOADED = (
    """
import sys, time, importlib
bare = set(sys.modules)
"""
    + LOAD
    + """
print(*sorted({name.partition(".")[0] for name in set(sys.modules) - bare}))
"""
)
#: of the standard library, that host code may load when the host starts; their own parts begin with "_" or "sre"
LIGHT = {
    "collections", "contextlib", "copyreg", "decimal", "enum", "fractions", "functools", "genericpath", "heapq", "io",
    "itertools", "json", "keyword", "math", "numbers", "operator", "os", "posixpath", "queue", "re", "reprlib", "stat",
    "threading", "time", "types", "typing",
    "linecache", "token", "tokenize", "traceback",  # of Python 3.7's `threading`
}  # fmt: skip
WRITE = (
    LOAD
    + """
from julnet_plugin.interchange.comp import Footage
from julnet_plugin.interchange.fusion_switch import Switch, fusion_switch
footage = Footage("/a.mov", 0, 10, 0, movie=True)
assert "MediaOut1" in fusion_switch(Switch(10, footage, footage, "/e/matte.", 0))
"""
)


def pythons() -> list[str]:
    """The oldest Python that is here, from 3.7 on, and this one."""
    found = [path for minor in range(7, 11) if (path := _python(minor))]
    return [*found[:1], *[path for path in found if "3.9" in path][:1], sys.executable]


def _python(minor: int) -> str:
    name = f"python3.{minor}"
    own = sorted((Path.home() / ".pyenv" / "versions").glob(f"3.{minor}.*/bin/{name}"))
    path = str(own[-1]) if own else shutil.which(name)
    if not path:
        return ""
    run = subprocess.run(
        [path, "-c", "import sys; print(sys.version_info[1])"], capture_output=True, text=True, check=False
    )
    return path if run.stdout.strip() == str(minor) else ""


@pytest.mark.parametrize("path", FILES, ids=lambda path: "/".join(path.parts[-2:]))
def test_old_python_reads_it(path: Path) -> None:
    ast.parse(path.read_text("utf-8"), feature_version=(3, 7))


@pytest.mark.parametrize("path", IN_HOST, ids=lambda path: "/".join(path.parts[-2:]))
def test_it_imports_the_standard_library_the_host_and_itself(path: Path) -> None:
    hosts = {"nuke", "DaVinciResolveScript"}
    known = {*sys.stdlib_module_names, *hosts, "host_adapters", "julnet_plugin"}
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert {name.split(".")[0] for name in names} <= known
        assert all(name.startswith("julnet_plugin.interchange") for name in names if name.startswith("julnet_plugin"))


@pytest.mark.parametrize("python", pythons())
@pytest.mark.parametrize("module", MODULES)
def test_it_imports_in_less_than_50_ms_where_nothing_is_installed(python: str, module: str, tmp_path: Path) -> None:
    times_ms = []
    for _ in range(20):  # the first one compiles; the others are what a host sees at every start, on a busy machine too
        run = subprocess.run(
            [python, "-S", "-E", "-X", f"pycache_prefix={tmp_path}", "-c", LOAD, str(ROOT), module],
            capture_output=True, text=True, check=False, cwd=tmp_path, env={"HOME": str(tmp_path), "PATH": os.defpath},
        )  # fmt: skip
        assert run.returncode == 0, run.stderr
        times_ms.append(float(run.stdout.split()[-1]))
        if min(times_ms) < 50 and len(times_ms) > 1:
            break
    assert min(times_ms) < 50, times_ms


@pytest.mark.parametrize("python", pythons())
@pytest.mark.parametrize("module", MODULES)
def test_it_loads_of_the_standard_library_only_what_is_light(python: str, module: str, tmp_path: Path) -> None:
    """No clock: `dataclasses` alone, which loads `inspect`, would double the time that the import takes."""
    run = subprocess.run(
        [python, "-S", "-E", "-B", "-c", LOADED, str(ROOT), module],
        capture_output=True, text=True, check=False, cwd=tmp_path, env={"HOME": str(tmp_path), "PATH": os.defpath},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    loaded = set(run.stdout.split("\n")[1].split()) - {"host_adapters", "julnet_plugin"}
    assert {name for name in loaded if not name.startswith(("_", "sre"))} - LIGHT == set()


@pytest.mark.parametrize("python", pythons())
def test_the_composition_is_written_by_the_host_s_own_python(python: str, tmp_path: Path) -> None:
    run = subprocess.run(
        [python, "-S", "-E", "-B", "-c", WRITE, str(ROOT), "resolve.session"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
