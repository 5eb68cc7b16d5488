"""The few lines that `julnet hosts install` puts into a host: they find JULNet and load its host code from there.

Nothing else is copied, so an update of JULNet reaches every host. The host's own `sys.path` is left alone: JULNet's
environment has packages for another Python, which the host must never see. Python 3.7 syntax, standard library only.
"""

from __future__ import annotations

TEMPLATE = '''\
# Written by `julnet hosts install {host}`; `julnet hosts uninstall {host}` removes it.
CONFIG = {config!r}


def load(module):
    """Load a module of JULNet's host code, without showing its environment to this Python."""
    import importlib
    import json
    import os
    import sys

    with open(CONFIG, encoding="utf-8") as file:
        code = json.load(file)["code"]
    for name in ("host_adapters", "julnet_plugin"):
        if name not in sys.modules:
            sys.modules[name] = type(sys)(name)
            sys.modules[name].__path__ = [os.path.join(code, name)]
    return importlib.import_module("host_adapters." + module)


def main():
    import sys

    try:
        load({module!r}).{call}
    except Exception as exc:  # the host starts and works without JULNet
        sys.stderr.write("JULNet: %s (%s); run `julnet hosts doctor`\\n" % (exc, type(exc).__name__))


main()
'''


def launcher(*, host: str, config: str, module: str, call: str) -> str:
    """The text of a launcher.

    Args:
        host: name of the host.
        config: path of `hosts.json`.
        module: of `host_adapters` to load, such as "resolve.menu".
        call: what to call in it, such as "run(globals())".
    """
    return TEMPLATE.format(host=host, config=config, module=module, call=call)
