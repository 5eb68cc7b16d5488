"""`julnet redub`: the main job."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from julnet_plugin.config import flattened, load_settings, parse_override, read_toml
from julnet_plugin.errors import ModelError, RedubCancelled, SettingsError
from julnet_plugin.jobs import take_values
from julnet_plugin.types import DELIVERIES, Delivery, RedubRequest, Take

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from julnet_plugin.console import Console
    from julnet_plugin.interfaces import ProjectFile
    from julnet_plugin.manager import Manager

_MOST_MINUTES = 1440
_PICTURES = ("prores", "prores4444", "h264", "png")  #: deliveries that hold the whole picture


class Redub:
    """Make the mouth in a plate say a new line."""

    name = "redub"
    help = "make the mouth in a plate say a new line"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "plate", type=Path, metavar="PLATE", nargs="?", help="movie, or image sequence (shot.####.exr)"
        )
        parser.add_argument("--dub", type=Path, required=True, metavar="AUDIO", help="the new line: audio or a movie")
        parser.add_argument("-o", "--output", type=Path, required=True, metavar="TAKE_DIR", help="new folder")
        add_redub_options(parser)
        parser.add_argument("--resume", action="store_true", help="continue a broken render of the same request")
        adapting = parser.add_argument_group("teach a copy of the model this person first (off unless asked for)")
        adapting.add_argument("--adapt", type=float, metavar="MINUTES", help="time for it; the model is not touched")
        adapting.add_argument(
            "--adapt-clip",
            type=Path,
            action="append",
            default=[],
            dest="adapt_clips",
            metavar="CLIP",
            help="more of the person, speaking, beside the plate; may be repeated",
        )
        _add_timeline_options(parser)

    def run(self, args: argparse.Namespace) -> int:
        """Render the take and say where it is."""
        if args.timeline is not None:
            return _redub_in_timeline(args)
        if args.plate is None or args.clip is not None:
            raise SettingsError("a re-dub needs a PLATE, or --timeline FILE with --clip NAME", key="plate")
        if args.adapt is not None or args.adapt_clips:
            args.model = _adapted(args)
        request = request_from(args, plate=args.plate, dub=args.dub, take_dir=args.output)
        take = render(request, args.manager, args.console)
        show_take(take, args.console)
        return 0


def _adapted(args: argparse.Namespace) -> str:
    """A model that was taught this person, or the one that was asked for where that did not make it better."""
    minutes = 0.0 if args.adapt is None else args.adapt
    if not 0 < minutes <= _MOST_MINUTES:
        msg = f"--adapt is {minutes:g}, but a time between 0 and {_MOST_MINUTES} minutes is needed"
        raise SettingsError(msg, key="adapt")
    output = args.output.with_name(f"{args.output.name}.adapted.safetensors")
    if args.resume and output.is_file():
        return str(output)
    request_from(
        args, plate=args.plate, dub=args.dub, take_dir=args.output
    )  # a wrong setting is said before, not after
    try:
        with args.console.cancellable():
            clips = [args.plate, *args.adapt_clips]
            found = args.manager.adapt_model(args.model, clips, output, minutes, args.device, args.console.progress)
    except ModelError as exc:
        args.console.note(f"note: {exc}; going on with {args.model}")
        return str(args.model)
    return str(found)


def _add_timeline_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("a clip in a timeline, instead of PLATE")
    group.add_argument(
        "--timeline", type=Path, metavar="FILE", help="OpenTimelineIO, what an adapter reads, .kdenlive, .mlt"
    )
    group.add_argument("--clip", metavar="NAME", help="the clip's name; NAME#2 for the second of that name")
    group.add_argument("--handles", type=int, default=0, metavar="N", help="frames to re-dub on each side of the clip")
    group.add_argument("--timeline-out", type=Path, metavar="FILE", help="where to write the timeline; else back")
    group.add_argument(
        "--place", choices=("track", "reference"), default="track", help="the take: on a track above, or in the clip"
    )


def _redub_in_timeline(args: argparse.Namespace) -> int:
    """Re-dub a clip where it lies, and write the timeline with the take in it."""
    from julnet_plugin.interchange.timeline import add_take, output_of, read_clip, write_timeline

    for given, name in ((args.plate, "a PLATE"), (args.in_point, "--in"), (args.out_point, "--out")):
        if given is not None:
            raise SettingsError(f"--timeline says what to re-dub: leave out {name}", key="timeline")
    if args.clip is None:
        raise SettingsError("--timeline needs --clip NAME: which clip to re-dub", key="clip")
    if args.handles < 0:
        raise SettingsError(f"{args.handles} handles were asked for: give 0 or more", key="handles")
    project: ProjectFile | None = args.manager.open_project(args.timeline)
    found: Any
    if project is not None:
        if args.place != "track":
            raise SettingsError(f"{args.timeline.name} holds takes on a track: leave out --place", key="place")
        deliver = deliveries_from(args.deliver) or _PICTURES[:1]
        if not set(deliver) & set(_PICTURES):
            found = ", ".join(deliver)
            raise SettingsError(f"{found} is no picture for an editor: deliver {' or '.join(_PICTURES)} too", "deliver")
        out = args.timeline_out or args.timeline
        project.check_out(out)
        found = project.find(args.clip, args.handles)
    else:
        found = read_clip(args.timeline, args.clip, args.handles)
        out = output_of(args.timeline, args.timeline_out)
    args.plate = found.plate
    if args.adapt is not None or args.adapt_clips:
        args.model = _adapted(args)
    request = replace(
        request_from(args, plate=found.plate, dub=args.dub, take_dir=args.output),
        in_point=str(found.frames.start),
        out_point=str(found.frames.stop),
        dub_offset_s=args.dub_offset + float((found.shown.start - found.frames.start) / found.rate),
    )
    take = render(request, args.manager, args.console)
    if project is not None:
        project.place(found, take, out)
    else:
        add_take(found, take, out, args.place)
        write_timeline(found.document, out)
    show_take(take, args.console, timeline=str(out))
    return 0


def add_redub_options(parser: argparse.ArgumentParser) -> None:
    """Options of a re-dub other than its files."""
    shot = parser.add_argument_group("what to re-dub")
    shot.add_argument(
        "--in", dest="in_point", metavar="T", help="first frame: timecode, frame number, or seconds (2.5s)"
    )
    shot.add_argument("--out", dest="out_point", metavar="T", help="frame after the last one, in the same units")
    shot.add_argument(
        "--dub-offset", type=float, default=0.0, metavar="S", help="seconds from the in point to the dub's beginning"
    )
    shot.add_argument("--dub-track", type=int, default=0, metavar="N", help="audio stream of the dub, from 0")
    shot.add_argument("--face", default="auto", metavar="auto|INDEX|X,Y@FRAME", help="who speaks")
    how = parser.add_argument_group("how")
    how.add_argument("--model", default="rt", metavar="NAME|FILE", help="shipped configuration, or a weights file")
    how.add_argument("--refs", default="auto", metavar="auto|FRAMES", help="reference frames, such as 12,40,77")
    how.add_argument("--device", default="auto", metavar="auto|cpu|cuda", help="where the network runs")
    how.add_argument("--seed", type=int, default=0, help="of everything random; one seed gives one result")
    how.add_argument(
        "--colour-space", metavar="NAME", help="OpenColorIO name of the plate's space, if its tags lack it"
    )
    add_settings_options(how)
    rights = parser.add_argument_group("rights")
    rights.add_argument(
        "--consent", type=Path, metavar="FILE", help="note of consent: JSON or TOML (docs/provenance.md)"
    )
    rights.add_argument("--require-consent", action="store_true", help="refuse to render without a note of consent")
    parser.add_argument(
        "--deliver",
        action="append",
        metavar="|".join(DELIVERIES),
        help="what to write; several may be given, apart or with commas (prores unless said)",
    )


def deliveries_from(given: list[str] | None) -> tuple[str, ...]:
    """What `--deliver` asks for, in order and each once: "--deliver exr,png --deliver matte-exr"."""
    names = (name.strip() for text in given or () for name in text.split(","))
    return tuple(dict.fromkeys(name for name in names if name))


def add_settings_options(group: argparse._ActionsContainer) -> None:
    """`--settings` and `--set`."""
    group.add_argument("--settings", type=Path, metavar="FILE", help="TOML file with settings (docs/pipeline.md)")
    group.add_argument(
        "--set", action="append", default=[], dest="overrides", metavar="KEY=VALUE", help="one setting; may be repeated"
    )


def settings_from(args: argparse.Namespace) -> dict[str, Any]:
    """Settings by dotted key, from the file and then from `--set`; checked.

    Raises:
        SettingsError: an unknown key or an impossible value.
    """
    values = flattened(read_toml(args.settings)) if args.settings else {}
    values |= dict(parse_override(text) for text in args.overrides)
    load_settings(values)
    return values


def _settings_of(args: argparse.Namespace) -> dict[str, Any]:
    values = settings_from(args)
    return {**values, "provenance.require_consent": True} if args.require_consent else values


def request_from(args: argparse.Namespace, *, plate: Path, dub: Path, take_dir: Path) -> RedubRequest:
    """The request that the command line describes.

    Raises:
        SettingsError: an unknown setting or an impossible value.
    """
    deliver = deliveries_from(args.deliver) or ("prores",)
    return RedubRequest(
        plate=plate,
        dub=dub,
        take_dir=take_dir,
        in_point=args.in_point,
        out_point=args.out_point,
        dub_offset_s=args.dub_offset,
        dub_track=args.dub_track,
        face=args.face,
        model=args.model,
        refs=args.refs,
        device=args.device,
        deliver=cast(tuple[Delivery, ...], deliver),
        colour_space=args.colour_space,
        seed=args.seed,
        consent=args.consent,
        resume=getattr(args, "resume", False),
        settings=_settings_of(args),
    )


def render(request: RedubRequest, manager: Manager, console: Console) -> Take:
    """Run the effect with a progress bar; Ctrl-C leaves a take that can be resumed.

    Raises:
        RedubCancelled: the user stopped it; the message says how to go on.
    """
    with console.cancellable(), _saying_how_to_resume(request):
        return manager.redub_clip(request, console.progress)


@contextlib.contextmanager
def _saying_how_to_resume(request: RedubRequest) -> Iterator[None]:
    try:
        yield
    except (RedubCancelled, KeyboardInterrupt) as exc:
        message = f"stopped; what is done is kept, and the same command with --resume finishes {request.take_dir}"
        raise RedubCancelled(message) from exc


def show_take(take: Take, console: Console, timeline: str | None = None) -> None:
    """Say where a take is and what it holds, and which timeline has it now."""
    values = take_values(take)
    if timeline is not None:
        values["timeline"] = timeline
    for warning in values["warnings"]:
        console.note(f"note: {warning}")
    lines = [f"take  {take.path}", *(f"  {kind:<12}{name}" for kind, name in take.files.items())]
    lines += [] if timeline is None else [f"timeline  {timeline}"]
    console.result(values, "\n".join(lines))
