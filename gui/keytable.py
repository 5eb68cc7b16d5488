"""`python -m gui.keytable > docs/keys.md`: the page of every action and its keys, made from the actions themselves."""

from __future__ import annotations

import sys

from gui.panels import action_specs

HEAD = """# What julnet-editor can do, and the keys for it

Every action is in a menu, in the command palette (`Ctrl+Shift+P`) and in this table, which is made from the program
(`python -m gui.keytable`). *Edit › Keyboard shortcuts…* changes the keys.
"""


def page() -> str:
    """The page, as Markdown."""
    parts = [HEAD]
    specs = action_specs()
    for menu in dict.fromkeys(spec.menu for spec in specs):
        rows = [
            f"| {spec.title.replace('&', '')} | {_keys(spec.keys)} | {spec.tip} |"
            for spec in specs
            if spec.menu == menu
        ]
        parts.append(f"## {menu.replace('&', '')}\n\n| action | keys | |\n|---|---|---|\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


def _keys(keys: tuple[str, ...]) -> str:
    return " ".join(f"`{key}`" for key in keys)


if __name__ == "__main__":
    sys.stdout.write(page())
