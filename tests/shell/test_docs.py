"""What the pages say is what the code does."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

from julnet_plugin.config import known_keys
from julnet_plugin.manager import Manager
from julnet_plugin.verbs import julnet_cli_verbs

ROOT = Path(__file__).parents[2]
PIPELINE = (ROOT / "docs" / "pipeline.md").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")


@pytest.mark.parametrize("key", known_keys())
def test_every_setting_is_in_the_table(key: str) -> None:
    assert f"`{key}`" in PIPELINE


def test_every_key_in_the_table_is_a_setting() -> None:
    named = re.findall(r"`((?:face|compose|render|matte|drive|provenance)\.[a-z_]+)`", PIPELINE)
    assert set(named) <= set(known_keys())


@pytest.mark.parametrize("verb", julnet_cli_verbs(), ids=lambda verb: verb.name)
def test_every_verb_is_in_the_table(verb: object) -> None:
    assert f"| `{verb.name}" in PIPELINE  # type: ignore[attr-defined]


@pytest.mark.parametrize("page", [*sorted(ROOT.glob("docs/*.md")), ROOT / "README.md"], ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    text = page.read_text("utf-8")
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text)
    local = [link for link in links if not link.startswith(("http:", "https:", "mailto:"))]
    missing = [link for link in local if not (page.parent / link).exists()]
    assert not missing


def test_the_readme_s_plugin_is_a_plugin() -> None:
    source = next(code for code in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "@hookimpl" in code)
    module = ModuleType("readme_plugin")
    exec(compile(source, "README.md", "exec"), vars(module))
    manager = Manager()
    assert manager.register(module, "readme"), manager.problems


@pytest.mark.parametrize("target", ["install", "demo", "test", "check", "fix", "clean"])
@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_the_makefile_has_the_target(target: str) -> None:
    run = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def test_ci_runs_the_readme_s_test_command() -> None:
    assert "make test" in README
    assert "make test" in (ROOT / ".ci" / "run").read_text("utf-8")
