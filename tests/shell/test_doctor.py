"""The doctor tries everything, and nothing that is wrong with the machine stops it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from julnet_plugin import doctor, hookimpl
from julnet_plugin.doctor import Finding, examine
from julnet_plugin.errors import ModelError
from julnet_plugin.manager import Manager

Julnet = Callable[..., Any]


def findings(manager: Manager, *checks: str) -> dict[str, Finding]:
    return {finding.name: finding for name in checks for finding in doctor.CHECKS[name](manager)}


def test_every_codec_that_a_take_needs_is_really_opened() -> None:
    found = findings(Manager(), "codecs")
    assert set(found) == {"read", "write ProRes 422 HQ", "write ProRes 4444", "write H.264", "write PNG"}
    assert all(finding.ok for finding in found.values())


def test_an_encoder_that_is_missing_is_a_line_with_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_ENCODERS", {"Nothing": ("no_such_codec", "yuv420p", {})})
    found = findings(Manager(), "codecs")["write Nothing"]
    assert not found.ok
    assert "pip install" in found.advice


def test_every_line_that_is_not_ok_says_what_to_do(manager: Manager) -> None:
    class Misspelt:
        @hookimpl
        def julnet_writer(self) -> list[object]:
            return []

    manager.register(Misspelt(), "misspelt")
    found = list(examine(manager))
    wrong = [finding for finding in found if not finding.ok]
    assert "plugin misspelt" in {finding.name for finding in wrong}
    assert all(finding.advice for finding in wrong)
    assert {"machine", "cpu", "gpu", "read", "faces", "disk", "plugins"} <= {finding.name for finding in found}


@pytest.mark.parametrize("error", [ImportError("libGL.so.1: cannot open"), ModelError("broken"), RuntimeError("x\ny")])
def test_a_check_that_breaks_is_a_line_and_the_next_one_runs(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def breaks(manager: Manager) -> Iterator[Finding]:
        yield from ()
        raise error

    def works(manager: Manager) -> Iterator[Finding]:
        yield Finding(name="works", ok=True, found="yes")

    monkeypatch.setattr(doctor, "CHECKS", {"breaks": breaks, "works": works})
    first, second = examine(Manager())
    assert (first.name, first.ok, "\n" in first.found) == ("breaks", False, False)
    assert second.ok


def test_hosts_say_for_themselves_whether_they_are_there() -> None:
    class Host:
        name, title = "nuke", "Nuke"

        def install(self, dry_run: bool) -> list[object]:
            return []

        uninstall = install

        def check(self) -> str:
            return "installed in /home/me/.nuke"

    class Hosts:
        @hookimpl
        def julnet_hosts(self) -> list[object]:
            return [Host()]

    manager = Manager()
    manager.register(Hosts(), "hosts")
    assert findings(manager, "hosts")["host nuke"].found == "installed in /home/me/.nuke"


def test_the_verb_always_ends_well(julnet: Julnet, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(manager: Manager) -> Iterator[Finding]:
        yield Finding(name="gpu", ok=False, found="no driver", advice="install one")

    monkeypatch.setattr(doctor, "CHECKS", {"gpu": missing})
    run = julnet("doctor")
    assert run.code == 0
    assert "MISSING" in run.out
    assert "install one" in run.out
    result = julnet("doctor", "--json").events[-1]
    assert result["ok"] is False
    assert result["checks"] == [{"name": "gpu", "ok": False, "found": "no driver", "advice": "install one"}]
