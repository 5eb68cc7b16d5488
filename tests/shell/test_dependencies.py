"""What JULNet depends on: versions that fit together, licences, and an audit that says what it could not do."""

from __future__ import annotations

import importlib.util
import io
import json
import tomllib
import types
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def audit() -> types.ModuleType:
    spec = importlib.util.spec_from_file_location("audit", ROOT / "scripts" / "audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_lock_satisfies_everything_that_is_asked_for(audit: Any) -> None:
    locked = dict(audit.pinned((ROOT / "requirements.lock").read_text("utf-8")))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    asked = [*project["dependencies"], *(text for name in extras if name != "dev" for text in extras[name])]
    for requirement in map(Requirement, asked):
        if requirement.marker is None or requirement.marker.evaluate({"sys_platform": "linux"}):
            version = locked[requirement.name.lower().replace("_", "-")]
            assert requirement.specifier.contains(version), f"{requirement} and {version} in requirements.lock"


def test_every_locked_distribution_is_listed_with_its_licence(audit: Any) -> None:
    rows = [
        line.strip("| ").split(" | ") for line in (ROOT / "docs" / "third_party.md").read_text("utf-8").splitlines()
    ]
    listed = {row[0]: row[1:] for row in rows if len(row) == 3}
    for name, version in audit.pinned((ROOT / "requirements.lock").read_text("utf-8")):
        assert listed[name][0] == version
        assert listed[name][1]


@pytest.mark.parametrize(("accepted", "code"), [({}, 1), ({"GHSA-1": "not used"}, 0)])
def test_a_known_weakness_fails_the_audit_unless_it_is_accepted(
    accepted: dict[str, str], code: int, audit: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(request: Any, timeout: float) -> io.BytesIO:
        names = [query["package"]["name"] for query in json.loads(request.data)["queries"]]
        return io.BytesIO(
            json.dumps({"results": [{"vulns": [{"id": "GHSA-1"}]} if n == "torch" else {} for n in names]}).encode()
        )

    monkeypatch.setattr(audit.urllib.request, "urlopen", answer)
    monkeypatch.setattr(audit, "ACCEPTED", accepted)
    assert audit.main() == code
    said = capsys.readouterr()
    assert ("torch 2.13.0: GHSA-1" in said.err) is bool(code)
    assert f"{code} known weaknesses" in said.out


@pytest.mark.parametrize("problem", [OSError("no route"), None])
def test_an_audit_that_cannot_reach_its_data_says_so_and_does_not_pass_for_one(
    problem: OSError | None, audit: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(*_: Any, **__: Any) -> io.BytesIO:
        if problem is not None:
            raise problem
        return io.BytesIO(b"<html>log in to this network</html>")

    monkeypatch.setattr(audit.urllib.request, "urlopen", answer)
    assert audit.main() == 0
    said = capsys.readouterr()
    assert said.err.startswith("NOT AUDITED:")
    assert "audited" not in said.out
