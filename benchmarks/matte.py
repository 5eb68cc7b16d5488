"""Matte and comp without the model, beside the render that they start from.

The plate is the demo's camera move, enlarged to 1080p. Edits are measured as a user makes them: the whole verb,
deliveries and reports included, and the frame on screen as the editor asks for it.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from benchmarks.record import Measured, report


def main(arguments: list[str]) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks matte", description=__doc__)
    parser.add_argument("--frames", type=int, default=75, help="length of the take")
    parser.add_argument("--height", type=int, default=1080, help="lines of the plate")
    parser.add_argument("--plate", type=Path, help="another plate than the one that is made")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results"), help="folder of the JSON")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(Path(folder), options.frames, options.height, options.plate)
    settings = {"frames": options.frames, "height": options.height, "plate": "given" if options.plate else "made"}
    report("matte", rows, options.output, settings)
    return 0


def measure(folder: Path, frames: int, height: int, plate: Path | None = None) -> list[Measured]:
    """Render a take, edit it, and ask for single frames."""
    from julnet_plugin import RedubRequest, redub
    from julnet_plugin.demo import make_demo
    from julnet_plugin.recomp import recomposite, rederive_matte

    small, dub = make_demo(folder / "demo", frames)
    plate = plate or _enlarged(small, folder / "plate.mp4", height)
    request = RedubRequest(plate=plate, dub=dub, take_dir=folder / "take", out_point=str(frames))
    render_s = _timed(lambda: redub(request))
    matte_s = _timed(lambda: rederive_matte(folder / "take", {"matte.low_cv": 6.0, "matte.high_cv": 24.0}))
    comp_s = _timed(lambda: recomposite(folder / "take"))
    rows = [
        Measured("full render", frames / render_s, "frames/s", "tracking, network, comp, ProRes"),
        Measured("julnet matte", frames / matte_s, "frames/s", f"{render_s / matte_s:.1f} times the render"),
        Measured("julnet comp", frames / comp_s, "frames/s", f"{render_s / comp_s:.1f} times the render"),
    ]
    return rows + _interactive(folder / "take")


def _interactive(take_dir: Path) -> list[Measured]:
    """What the editor waits for: the visible frame after an edit, and a dab."""
    from julnet_plugin.manager import make_manager
    from julnet_plugin.matte.chain import MatteChain
    from julnet_plugin.matte.document import MatteDocument
    from julnet_plugin.matte.strokes import Shape, Stroke
    from julnet_plugin.pipeline.takedata import TakeData
    from julnet_plugin.take import frames_of, load_take

    take = load_take(take_dir)
    data = TakeData(take.path, frames_of(take))
    operators = make_manager().matte_operators()
    active = [frame for frame in range(data.frames.start, data.frames.stop) if data.active(frame)][:40]
    document = MatteDocument()
    for name, value in (("refine", 0.7), ("grow_px", 4.0), ("temporal_frames", 2.0)):
        document = replace(document, settings=document.settings.with_value(name, value))
    chain = MatteChain(data, document, operators=operators)
    derive, edit, dab = [], [], []
    for index, frame in enumerate(active):
        derive.append(_timed(lambda frame=frame: chain.matte(frame)))  # type: ignore[misc]
        changed = replace(document, settings=document.settings.with_value("gamma", 1.0 + 0.01 * index))
        edit.append(_timed(lambda changed=changed, frame=frame: chain.with_document(changed).matte(frame)))  # type: ignore[misc]
    canvas = chain.canvas(active[0])
    assert canvas is not None
    points = tuple((120.0 + 2 * k, 240.0 + k % 7, 1.0) for k in range(40))
    for count in range(1, len(points)):
        shape = Shape(frame=active[0], points=points[:count])
        stroke = Stroke(id="s1", kind="add", shapes=(shape,), start=active[0], stop=active[-1])
        dab.append(_timed(lambda stroke=stroke: canvas.update([stroke])))  # type: ignore[misc]
    return [
        Measured("frame, playing on", 1e3 * statistics.median(derive), "ms", "whole chain, refine and smoothing on"),
        Measured("frame after an edit", 1e3 * statistics.median(edit), "ms", f"worst {1e3 * max(edit):.0f} ms"),
        Measured("a dab", 1e3 * statistics.median(dab), "ms", f"worst {1e3 * max(dab):.1f} ms; its tiles only"),
    ]


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _enlarged(small: Path, path: Path, height: int) -> Path:
    """The demo's plate at another size."""
    import av

    with av.open(str(small)) as source, av.open(str(path), "w") as target:
        incoming = source.streams.video[0]
        stream = target.add_stream("libx264", rate=incoming.average_rate, options={"preset": "ultrafast", "crf": "16"})
        stream.height = height
        stream.width = round(incoming.width * height / incoming.height / 2) * 2
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = 1 / incoming.average_rate
        for index, frame in enumerate(source.decode(incoming)):
            sized = frame.reformat(width=stream.width, height=stream.height, format="yuv420p")
            sized.pts, sized.time_base = index, 1 / incoming.average_rate
            target.mux(stream.encode(sized))
        target.mux(stream.encode())
    return path
