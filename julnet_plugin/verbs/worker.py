"""`julnet worker`: the long-lived child process of hosts and of the editor."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from julnet_plugin.console import private_stdout

if TYPE_CHECKING:
    import argparse


class Worker:
    """Serve a host over stdin and stdout."""

    name = "worker"
    help = "serve a host application: JSON lines in on stdin, JSON lines out on stdout"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "--finish", action="store_true", help="when stdin ends, finish what was asked for instead of stopping it"
        )

    def run(self, args: argparse.Namespace) -> int:
        """Serve until the host goes away."""
        from julnet_plugin.worker import Worker as Server

        with private_stdout() as answers:
            quiet = Server(args.manager, sys.stdin.buffer, answers, finish=args.finish).serve()
            if not quiet:  # a job that will not stop would keep the process alive without a host
                os._exit(1)
        return 0
