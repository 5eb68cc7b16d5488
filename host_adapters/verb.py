"""`julnet hosts`: put JULNet's client into host applications, take it away, and see whether it works."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from julnet_plugin.errors import InputError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from julnet_plugin.interfaces import HostEntry

ACTIONS = ("list", "install", "uninstall", "doctor")
_PATIENCE_S = 120.0


class Hosts:
    """List, install, uninstall and examine the clients of host applications."""

    name = "hosts"
    help = "put JULNet's client into Resolve, Nuke and other hosts, take it away, or see whether it works"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("action", choices=ACTIONS, help="what to do")
        parser.add_argument("host", nargs="*", metavar="HOST", help="which hosts; all of them unless said")
        parser.add_argument("--dry-run", action="store_true", help="say which files it would be, and change nothing")
        parser.add_argument(
            "--zip", type=Path, metavar="FILE", help="write the client as a zip (Blender), install nothing"
        )

    def run(self, args: argparse.Namespace) -> int:
        """Do it for every host that was named."""
        known = args.manager.hosts()
        if args.action in ("install", "uninstall") and not args.host:
            raise InputError(f"julnet hosts {args.action} needs a host: name some of {', '.join(known)}")
        chosen = {name: _host(name, known) for name in args.host or known}
        if args.zip is not None:
            return _zip(args, chosen)
        if args.action == "list":
            lines = {name: host.check() for name, host in chosen.items()}
            args.console.result({"hosts": lines}, "\n".join(f"{name:<10}{line}" for name, line in lines.items()))
            return 0
        if args.action == "doctor":
            return _doctor(args, chosen)
        return _change(args, chosen)


def _zip(args: argparse.Namespace, chosen: Mapping[str, HostEntry]) -> int:
    """Write a client as a zip for the host's own installer."""
    (name, host), *others = chosen.items()
    write_zip = getattr(host, "write_zip", None)
    if args.action != "install" or others or write_zip is None:
        raise InputError("--zip goes with one host that installs from a zip: julnet hosts install blender --zip FILE")
    path = str(write_zip(args.zip))
    args.console.result({"zip": path}, f"{name}: wrote {path}")
    return 0


def _change(args: argparse.Namespace, chosen: Mapping[str, HostEntry]) -> int:
    """Install or uninstall; say every path."""
    install = args.action == "install"
    changed: dict[str, list[str]] = {}
    for name, host in chosen.items():
        paths = host.install(args.dry_run) if install else host.uninstall(args.dry_run)
        changed[name] = [str(path) for path in paths]
    done = {True: "would write", False: "wrote"} if install else {True: "would remove", False: "removed"}
    lines = [f"{name}: {done[args.dry_run]} {path}" for name, paths in changed.items() for path in paths]
    nothing = "needs no client" if install else "nothing was installed"
    lines += [f"{name}: {nothing}" for name, paths in changed.items() if not paths]
    if install and not args.dry_run and any(changed.values()):
        lines.append("start the host again to see it; `julnet hosts doctor` says whether everything works")
    args.console.result({"changed": changed, "dry_run": args.dry_run}, "\n".join(lines))
    return 0


def _doctor(args: argparse.Namespace, chosen: Mapping[str, HostEntry]) -> int:
    """Every client, and whether the worker that they name starts and answers."""
    findings: list[tuple[str, bool, str]] = []
    for name, host in chosen.items():
        line = host.check()
        findings.append((name, "damaged" not in line, line))
    findings.append(_worker())
    lines = [f"{'ok     ' if ok else 'MISSING'}  {name:<10}{line}" for name, ok, line in findings]
    checks = [{"name": name, "ok": ok, "found": line} for name, ok, line in findings]
    args.console.result({"ok": all(ok for _, ok, _ in findings), "checks": checks}, "\n".join(lines))
    return 0


def _worker() -> tuple[str, bool, str]:
    """Start the worker just as a host would, and ask it."""
    import queue

    from host_adapters.client_config import ConfigProblem, read_config, worker_command, worker_environment
    from host_adapters.worker_client import LAST, WorkerClient

    try:
        config = read_config()
    except ConfigProblem as exc:
        return "worker", False, str(exc)
    heard: queue.Queue[dict[str, Any]] = queue.Queue()
    client = WorkerClient(worker_command(config), worker_environment(), start_s=_PATIENCE_S)
    client.request("ping", heard.put)
    try:
        event = heard.get(timeout=_PATIENCE_S + 10)
        while event["event"] not in LAST:
            event = heard.get(timeout=_PATIENCE_S)
    except queue.Empty:
        event = {"event": "error", "message": "the worker does not answer"}
    finally:
        client.close()
    if event["event"] == "error":
        return (
            "worker",
            False,
            f"{event['message']}; {client.log.strip().splitlines()[-1] if client.log.strip() else ''}",
        )
    return "worker", True, f"{config['python']} answers"


def _host(name: str, known: Mapping[str, HostEntry]) -> HostEntry:
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=1)
    advice = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
    raise InputError(f"there is no host {name!r}; {advice}")
