"""`julnet plugins`: what is registered, from where, and what is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from julnet_plugin.guard import CONTRIBUTIONS

if TYPE_CHECKING:
    import argparse

    from julnet_plugin.manager import Manager


class Plugins:
    """List plugins."""

    name = "plugins"
    help = "list what plugins are registered, from where, and what is wrong with them"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """It has no options."""

    def run(self, args: argparse.Namespace) -> int:
        """List every plugin, what it offers, and its problems."""
        rows = describe(args.manager)
        args.console.result({"plugins": rows}, "\n".join(_in_words(row) for row in rows))
        return 0


def describe(manager: Manager) -> list[dict[str, Any]]:
    """Every plugin as plain values: name, origin, module, hooks, what it contributes, problems."""
    offered: dict[str, list[str]] = {}
    for hook in CONTRIBUTIONS:
        for name, contribution in manager.contributions(hook).items():
            offered.setdefault(contribution.plugin.name, []).append(f"{kind_of(hook)} {name}")
    return [
        {
            "name": record.name,
            "origin": record.origin,
            "module": record.module,
            "hooks": list(record.hooks),
            "offers": offered.get(record.name, []),
            "problems": [problem.message for problem in record.problems],
        }
        for record in manager.plugins()
    ]


def kind_of(hook: str) -> str:
    """What one thing is called that a hook contributes: "face tracker"."""
    words = hook.removeprefix("julnet_").replace("_", " ")
    return words if words == "audio features" else words.removesuffix("s").replace("cli verb", "verb")


def _in_words(row: dict[str, Any]) -> str:
    lines = [f"{row['name']}  ({row['origin']})"]
    calls = [hook for hook in row["hooks"] if hook not in CONTRIBUTIONS]
    lines += [f"    {text}" for text in (*calls, *row["offers"])]
    return "\n".join([*lines, *(f"    NOT USED: {text}" for text in row["problems"])])
