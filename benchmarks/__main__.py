"""`python -m benchmarks NAME [options]`: run one benchmark; without a name, say which there are."""

from __future__ import annotations

import importlib
import pkgutil
import sys

import benchmarks

_SHARED = ("__main__", "clocks", "plates", "record", "yardstick")


def main(arguments: list[str]) -> int:
    """Run the benchmark that the first argument names; each is a module here with a `main(arguments)`."""
    names = sorted(m.name for m in pkgutil.iter_modules(benchmarks.__path__) if m.name not in _SHARED)
    if not arguments or arguments[0] not in names:
        print(f"give one of {', '.join(names)}: python -m benchmarks NAME", file=sys.stderr)
        return 2
    module = importlib.import_module(f"benchmarks.{arguments[0]}")
    return int(module.main(arguments[1:]) or 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
