"""`julnet hosts`: every host on the layout of every system; after uninstalling, the disk is as it was before."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from host_adapters.client_config import ConfigProblem, read_config, worker_environment
from host_adapters.install import InstallableHost, Installer, InstallError, Machine, Part
from host_adapters.plugin import julnet_hosts
from host_adapters.standalone.setup import HOST as EDITOR
from julnet_plugin.cli import main

SYSTEMS = ("linux", "darwin", "win32")
HOSTS = [host for host in julnet_hosts() if isinstance(host, InstallableHost) and host is not EDITOR]
each_host = pytest.mark.parametrize("host", HOSTS, ids=lambda host: host.name)


@pytest.fixture(params=SYSTEMS)
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Machine:
    """A computer of this kind whose user's folder is a temporary one, with a space and a letter of the world in it."""
    home = tmp_path / "Jürgen K"
    home.mkdir()
    windows = {"USERPROFILE": str(home), "APPDATA": str(home / "AppData" / "Roaming"), "PROGRAMFILES": str(tmp_path)}
    env = windows if request.param == "win32" else {"HOME": str(home)}
    return Machine(system=request.param, environment=env, python=sys.executable)


def on(host: InstallableHost, machine: Machine) -> InstallableHost:
    return replace(host, machine=machine)


def tree(folder: Path) -> dict[str, bytes | None]:
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in sorted(folder.rglob("*"))}


@each_host
def test_installing_and_uninstalling_leaves_the_disk_as_it_was(host: InstallableHost, machine: Machine) -> None:
    before = tree(machine.home)
    written = on(host, machine).install(dry_run=False)
    assert all(path.is_file() and machine.home in path.parents for path in written)
    assert set(on(host, machine).uninstall(dry_run=False)) == set(written)
    assert tree(machine.home) == before == {}


@each_host
def test_a_dry_run_names_the_same_files_and_changes_nothing(host: InstallableHost, machine: Machine) -> None:
    would = on(host, machine).install(dry_run=True)
    assert tree(machine.home) == {}
    assert on(host, machine).install(dry_run=False) == would
    after = tree(machine.home)
    assert set(on(host, machine).uninstall(dry_run=True)) == set(would)
    assert tree(machine.home) == after


def test_hosts_do_not_disturb_one_another(machine: Machine) -> None:
    for host in HOSTS:
        on(host, machine).install(dry_run=False)
    for host in HOSTS:
        assert "client installed in" in on(host, machine).check()
        on(host, machine).uninstall(dry_run=False)
        assert "client not installed" in on(host, machine).check()
    assert tree(machine.home) == {}


@each_host
def test_installing_twice_is_installing_once(host: InstallableHost, machine: Machine) -> None:
    on(host, machine).install(dry_run=False)
    once = tree(machine.home)
    on(host, machine).install(dry_run=False)
    assert tree(machine.home) == once
    on(host, machine).uninstall(dry_run=False)
    assert tree(machine.home) == {}


def test_the_editor_gets_an_entry_in_a_linux_desktop_s_menu_and_loses_it_without_a_trace(machine: Machine) -> None:
    program = machine.home / "100% env" / "julnet-editor"
    program.parent.mkdir()
    program.touch()
    before = tree(machine.home)
    editor = on(EDITOR, replace(machine, python=str(program.with_name("python"))))
    written = editor.install(dry_run=False)
    if machine.system == "linux":
        assert [path.name for path in written] == ["julnet-editor.desktop", "julnet-editor.svg"]
        entry = written[0].read_text("utf-8")
        assert f'\nExec="{str(program).replace("%", "%%")}" %F\n' in entry
        assert f"\nIcon={written[1].stem}\n" in entry
    else:
        assert not written
        assert tree(machine.home) == before
    editor.uninstall(dry_run=False)
    assert tree(machine.home) == before


@pytest.mark.parametrize("written", [0, 1, 2])
def test_what_an_installation_that_died_has_left_is_installed_over_and_taken_away(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    nuke, write, count = (
        on(next(host for host in HOSTS if host.name == "nuke"), machine),
        Installer._write,
        iter(range(9)),
    )

    def dying(self: Installer, part: Part) -> None:
        if next(count) == written:
            part.path.with_name(f".{part.path.name}.1.tmp").write_text("half")
            raise KeyboardInterrupt
        write(self, part)

    with monkeypatch.context() as patched:
        patched.setattr(Installer, "_write", dying)
        with pytest.raises(KeyboardInterrupt):
            nuke.install(dry_run=False)
    nuke.install(dry_run=False)
    assert "client installed in" in nuke.check()
    nuke.uninstall(dry_run=False)
    assert tree(machine.home) == {}


@pytest.mark.parametrize("mine", [b"", b"import nuke\n", b"import nuke", b"# \xc3\xa4\r\nx = 1\r\n"])
def test_a_user_s_own_file_gets_a_block_and_is_given_back_to_the_byte(mine: bytes, machine: Machine) -> None:
    nuke = on(next(host for host in HOSTS if host.name == "nuke"), machine)
    init = machine.home / ".nuke" / "init.py"
    init.parent.mkdir()
    init.write_bytes(mine)
    before = tree(machine.home)
    nuke.install(dry_run=False)
    assert init.read_bytes().startswith(mine)
    assert b"pluginAddPath" in init.read_bytes()
    nuke.uninstall(dry_run=False)
    assert tree(machine.home) == before


def test_what_a_user_wrote_since_is_kept(machine: Machine) -> None:
    nuke = on(next(host for host in HOSTS if host.name == "nuke"), machine)
    nuke.install(dry_run=False)
    init = machine.home / ".nuke" / "init.py"
    init.write_bytes(b"before = 1\n" + init.read_bytes() + b"behind = 2\n")
    (machine.home / ".nuke" / "julnet" / "mine.txt").write_text("mine")
    nuke.uninstall(dry_run=False)
    assert init.read_bytes() == b"before = 1\nbehind = 2\n"
    assert tree(machine.home).keys() == {".nuke", ".nuke/init.py", ".nuke/julnet", ".nuke/julnet/mine.txt"}


def test_what_the_host_s_python_compiled_goes_too(machine: Machine) -> None:
    nuke = on(next(host for host in HOSTS if host.name == "nuke"), machine)
    nuke.install(dry_run=False)
    cache = machine.home / ".nuke" / "julnet" / "__pycache__"
    cache.mkdir()
    (cache / "init.cpython-310.pyc").write_bytes(b"x")
    nuke.uninstall(dry_run=False)
    assert tree(machine.home) == {}


@each_host
def test_a_file_that_is_somebody_else_s_is_not_overwritten(host: InstallableHost, machine: Machine) -> None:
    path = on(host, machine).install(dry_run=True)[0]
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    before = tree(machine.home)
    with pytest.raises(InstallError, match="move it away and try again"):
        on(host, machine).install(dry_run=False)
    assert tree(machine.home) == before


@each_host
def test_a_folder_that_cannot_be_written_leaves_nothing_behind(host: InstallableHost, machine: Machine) -> None:
    first = on(host, machine).install(dry_run=True)[0]
    obstacle = first.parents[1]
    obstacle.parent.mkdir(parents=True, exist_ok=True)
    obstacle.write_text("a file where a folder should be")
    before = tree(machine.home)
    with pytest.raises((InstallError, OSError)):
        on(host, machine).install(dry_run=False)
    assert tree(machine.home) == before


@pytest.mark.parametrize("text", ["", "[]", '{"schema": "other"}', '{"schema": "julnet.hosts"}', "\x00"])
def test_a_damaged_config_is_said_in_one_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "hosts.json"
    path.write_text(text)
    with pytest.raises(ConfigProblem, match="run `julnet hosts install` again"):
        read_config(str(path))


def test_a_python_that_is_gone_is_said_in_one_sentence(machine: Machine) -> None:
    on(HOSTS[0], replace(machine, python="/gone/python")).install(dry_run=False)
    with pytest.raises(ConfigProblem, match="/gone/python is gone"):
        read_config(str(machine.config))


def test_the_worker_does_not_see_what_a_host_set_for_its_own_python() -> None:
    env = {
        "PYTHONHOME": "/nuke",
        "PYTHONPATH": "/nuke/lib",
        "LD_LIBRARY_PATH": "/nuke",
        "QT_PLUGIN_PATH": "/x",
        "A": "b",
    }
    assert worker_environment(env) == {"A": "b", "PYTHONIOENCODING": "utf-8"}


def hosts(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = main(["hosts", *words, "--no-plugins"])
    captured = capsys.readouterr()
    return code, captured.out + captured.err


@pytest.fixture
def my_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    return tmp_path


def test_the_verb_installs_lists_examines_and_uninstalls(my_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert hosts(capsys, "list")[1].count("client not installed") == len([*HOSTS, EDITOR])
    code, said = hosts(capsys, "install", "nuke", "resolve")
    assert code == 0
    assert all(str(path) in said for path in my_home.rglob("*.py"))
    code, said = hosts(capsys, "doctor")
    assert (code, "MISSING" in said, f"{sys.executable} answers" in said) == (0, False, True)
    (my_home / ".nuke" / "julnet" / "menu.py").unlink()
    assert "MISSING  nuke" in hosts(capsys, "doctor", "nuke")[1]
    assert hosts(capsys, "uninstall", "nuke", "resolve")[0] == 0
    assert tree(my_home) == {}
    assert "run `julnet hosts install`" in hosts(capsys, "doctor")[1]


@pytest.mark.parametrize("words", [["install"], ["install", "nuk"], ["remove"], ["uninstall", "x", "--dry-run"]])
def test_bad_words_are_refused_and_nothing_is_written(
    my_home: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    code, said = hosts(capsys, *words)
    assert (code, tree(my_home)) == (2, {})
    assert "Traceback" not in said


def test_a_launcher_never_raises_into_the_host_s_start_up(my_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hosts(capsys, "install", "resolve", "nuke")
    scripts = sorted(my_home.rglob("*.py"))
    (my_home / ".config" / "julnet" / "hosts.json").unlink()
    for script in scripts:
        run = subprocess.run([sys.executable, "-S", "-E", script], capture_output=True, text=True, check=True, env={})
        assert "julnet hosts doctor" in run.stderr + run.stdout
        assert "Traceback" not in run.stderr


def test_a_launcher_leaves_the_host_s_path_alone(my_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hosts(capsys, "install", "nuke")
    source = (my_home / ".nuke" / "julnet" / "init.py").read_text("utf-8").replace("\nmain()\n", "\n")
    check = source + "import sys\nbefore = list(sys.path)\nload('base').HostProblem\nassert sys.path == before\n"
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    subprocess.run([sys.executable, "-S", "-E", "-c", check], check=True, env=env, cwd=my_home)
