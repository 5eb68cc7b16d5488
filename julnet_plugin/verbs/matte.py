"""`julnet matte`: derive the uncertainty matte again, without the model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from julnet_plugin.verbs.matte_options import add_drive_options, add_matte_options, matte_settings_from
from julnet_plugin.verbs.redub import add_settings_options, deliveries_from, settings_from, show_take

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from julnet_plugin.pipeline.readback import ReadBack


class Matte:
    """Derive the uncertainty matte of a take again."""

    name = "matte"
    help = "derive a take's uncertainty matte again, with other settings or painted strokes; no model run"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("take", type=Path, metavar="TAKE", help="take folder")
        parser.add_argument(
            "--strokes", type=Path, metavar="FILE", help="matte document to use instead of the take's own"
        )
        add_matte_options(parser)
        add_drive_options(parser)
        add_settings_options(parser)
        parser.add_argument(
            "--deliver",
            action="append",
            metavar="NAME[,NAME…]",
            help="further deliveries of the take, such as matte-exr,matte-png; kept up to date from now on",
        )
        back = parser.add_argument_group("a matte that was edited in another program")
        back.add_argument(
            "--override", type=Path, metavar="PATH", help="movie, sequence or folder; what it changes is laid over σ's"
        )
        back.add_argument(
            "--override-start",
            type=int,
            metavar="FRAME",
            help="plate frame of its first picture, where neither its timecode nor its numbers say so",
        )
        back.add_argument(
            "--override-channel", metavar="luma|alpha|NAME", help="which channel is the matte, where that is not plain"
        )
        back.add_argument("--clear-override", action="store_true", help="take the override layer away (first)")

    def run(self, args: argparse.Namespace) -> int:
        """Derive the matte and deliver it again."""
        from julnet_plugin.recomp import rederive_matte

        with args.console.cancellable():
            take = rederive_matte(
                args.take,
                settings_from(args) | matte_settings_from(args),
                args.console.progress,
                args.strokes,
                args.manager,
                deliver=deliveries_from(args.deliver),
                read_back=read_back_from(args),
                drop_override=args.clear_override,
            )
        if args.override is not None:
            args.console.note(told(take.manifest["override"]))
        show_take(take, args.console)
        return 0


def read_back_from(args: argparse.Namespace) -> ReadBack | None:
    """The matte that the command line wants read back.

    Raises:
        SettingsError: details of a matte without the matte.
    """
    from julnet_plugin.errors import SettingsError
    from julnet_plugin.pipeline.readback import ReadBack

    if args.override is not None:
        return ReadBack(path=args.override, start=args.override_start, channel=args.override_channel)
    for name in ("override_start", "override_channel"):
        if getattr(args, name) is not None:
            option = name.replace("_", "-")
            raise SettingsError(f"--{option} says how to read a matte back: give the matte with --override", key=name)
    return None


def told(said: Mapping[str, Any]) -> str:
    """What was read back, for a person."""
    first, stop = said["frames"]
    changed = f"{said['changed_pixels']} pixels on {said['changed_frames']} of them differ from the take's matte"
    return f"read back frames {first} to {stop - 1}, placed by {said['placed_by']}: {changed}"
