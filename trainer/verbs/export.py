"""`julnet export`: a model as ONNX, checked against the network that it was made from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from julnet_plugin.errors import SettingsError

if TYPE_CHECKING:
    import argparse


class Export:
    """Write a model as ONNX."""

    name = "export"
    help = "write a model as ONNX, and check that it draws the same"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("model", metavar="MODEL", help="shipped configuration, or a weights file")
        parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.onnx", help="where to")

    def run(self, args: argparse.Namespace) -> int:
        """Export, compare, and say by how much the two differ."""
        if args.output.suffix.lower() != ".onnx":
            msg = f"the output {args.output} has the suffix {args.output.suffix!r}; give a name that ends in .onnx"
            raise SettingsError(msg, key="output")
        from trainer.threads import calm_threads

        calm_threads()
        from trainer.export import export_model

        done = export_model(args.model, args.output, args.manager.generator, args.manager.audio_features)
        files = "\n".join(f"wrote  {path}" for path in done.files)
        values = {"files": [str(path) for path in done.files], "largest_difference": done.difference}
        args.console.result(values, f"{files}\nlargest difference from torch: {done.difference:.2g} of [0, 1]")
        return 0
