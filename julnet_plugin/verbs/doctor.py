"""`julnet doctor`: what works on this machine."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from julnet_plugin.doctor import Finding


class Doctor:
    """Say what works on this machine, and what to do about the rest."""

    name = "doctor"
    help = "say what works on this machine: devices, codecs, models, hosts"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "--bundle",
            type=Path,
            metavar="FILE.zip",
            help="also pack what support needs to know; no pictures, no sound",
        )

    def run(self, args: argparse.Namespace) -> int:
        """Run every check; what is missing is a line, not a failure."""
        from julnet_plugin.doctor import examine

        findings: list[Finding] = []
        for finding in examine(args.manager):
            findings.append(finding)
            if not args.console.as_json:
                args.console.result({}, _line(finding))
        missing = sum(not finding.ok for finding in findings)
        if args.bundle is not None:
            from julnet_plugin.doctor import write_bundle

            write_bundle(args.bundle, findings, args.manager)
            args.console.note(f"bundle  {args.bundle}")
        text = "everything works" if not missing else f"{missing} of {len(findings)} lines want attention"
        args.console.result({"ok": not missing, "checks": [asdict(f) for f in findings]}, text)
        return 0


def _line(finding: Finding) -> str:
    mark = "ok     " if finding.ok else "MISSING"
    advice = "" if finding.ok or not finding.advice else f"\n{'':10}{finding.advice}"
    return f"{mark}  {finding.name:<20}  {finding.found}{advice}"
