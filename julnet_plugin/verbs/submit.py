"""`julnet submit`: a take as a farm job."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from julnet_plugin.errors import SettingsError
from julnet_plugin.verbs.redub import add_redub_options, request_from

if TYPE_CHECKING:
    import argparse

    from julnet_plugin.console import Console
    from julnet_plugin.types import FrameRange, MediaInfo, RedubRequest

_FORMATS = ("openjd", "opencue")


class Submit:
    """Write a farm job that renders a take in chunks."""

    name = "submit"
    help = "write a farm job (Open Job Description) that renders a take in chunks, and run it here if asked to"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("plate", type=Path, metavar="PLATE", help="movie, or image sequence (shot.####.exr)")
        parser.add_argument("--dub", type=Path, required=True, metavar="AUDIO", help="the new line: audio or a movie")
        parser.add_argument("-o", "--output", type=Path, required=True, metavar="TAKE_DIR", help="the take to make")
        parser.add_argument("-b", "--bundle", type=Path, required=True, metavar="FOLDER", help="new folder of the job")
        add_redub_options(parser)
        farm = parser.add_argument_group("farm")
        farm.add_argument("--format", choices=_FORMATS, default="openjd", help="what to write (openjd unless said)")
        farm.add_argument("--command", default="julnet", metavar="NAME", help="what starts JULNet on the workers")
        farm.add_argument("--gpus", type=int, metavar="N", help="GPUs of a worker; 1 with --device cuda, else 0")
        farm.add_argument("--memory", type=int, default=4096, metavar="MIB", help="memory of a worker")
        farm.add_argument("--timeout", type=int, default=3600, metavar="S", help="seconds that one task may take")
        farm.add_argument("--retries", type=int, default=3, metavar="N", help="how often a failed task is repeated")
        farm.add_argument("--run", action="store_true", help="run the job on this machine with the openjd runner")
        farm.add_argument("--workers", type=int, default=1, metavar="N", help="with --run: workers side by side")

    def run(self, args: argparse.Namespace) -> int:
        """Write the job, have it checked where the runner is installed, and run it if asked to."""
        from julnet_plugin.farm import local
        from julnet_plugin.farm.bundle import FarmOptions, write_bundle

        request = request_from(args, plate=args.plate, dub=args.dub, take_dir=args.output)
        options = FarmOptions(
            command=args.command,
            gpus=args.gpus,
            memory_mib=args.memory,
            timeout_s=args.timeout,
            retries=args.retries,
        )
        if args.run:
            local.require_runner()
            if args.format != "openjd" or not 1 <= args.workers <= 64:
                raise SettingsError("--run runs --format openjd with 1 to 64 --workers: mend the options", "run")
        info, frames, chunk = _checked(request)
        if args.format == "opencue":
            from julnet_plugin.farm.opencue import write_outline

            files = write_outline(args.bundle, request, frames, chunk, options)
        else:
            files = write_bundle(args.bundle, request, info, frames, chunk, options)
            if local.has_runner():
                local.check_template(args.bundle)
        values = {"bundle": str(args.bundle), "files": [path.name for path in files], "frames": len(frames)}
        text = f"job   {args.bundle}\n" + "\n".join(f"  {path.name}" for path in files)
        if not args.run:
            args.console.result(values, text)
            return 0
        _run(args, request)
        args.console.result({**values, "take": str(request.take_dir / "take.json")}, f"take  {request.take_dir}")
        return 0


def _checked(request: RedubRequest) -> tuple[MediaInfo, FrameRange, int]:
    """What a job must know of its plate; what can be refused here costs no farm's time."""
    from julnet_plugin.config import load_settings
    from julnet_plugin.media.audio import audio_stream_info
    from julnet_plugin.media.probe import probe
    from julnet_plugin.media.reader import refuse_interlaced
    from julnet_plugin.media.timecode import frame_range
    from julnet_plugin.model.checkpoint import find_model
    from julnet_plugin.pipeline.inputs import consent_of
    from julnet_plugin.pipeline.workfolder import check_free

    settings = load_settings(request.settings)
    consent_of(request, settings)
    check_free(request.take_dir, resume=True)
    find_model(request.model)
    info = probe(request.plate)
    refuse_interlaced(info)
    audio_stream_info(request.dub, request.dub_track)
    frames = frame_range(info, request.in_point, request.out_point)
    return info, frames, settings.render.chunk_frames


def _run(args: argparse.Namespace, request: RedubRequest) -> None:
    from julnet_plugin.farm import local

    console: Console = args.console
    with console.cancellable():
        local.run_bundle(args.bundle, args.workers, args.retries, console.note, console.check_cancelled)
    if not (request.take_dir / "take.json").is_file():
        raise SettingsError(f"the job ended without a take at {request.take_dir}: see the logs in {args.bundle}")
