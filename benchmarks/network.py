"""The networks alone, beside a plain reading of DINet's (`yardstick.py`), in the same run.

`paper` runs with random weights and `rt` with those it ships; speed depends on neither. On a CPU the product runs
several networks side by side, one thread each. The yardstick runs on all threads, as such code does; its processor time
is that of one thread, because threads that wait for one another burn it. Processor time ("CPU") says more than wall
time on a machine that other programs use.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.clocks import Spent, in_turns, middle
from benchmarks.record import Measured, report

if TYPE_CHECKING:
    from julnet_plugin.model.engine import Engine

PLAIN, PLAIN_ALONE = "yardstick", "yardstick, one thread"
_CPU_TURNS = {PLAIN: 1, PLAIN_ALONE: 1, "paper": 1, "rt": 6}  #: of all workers, in one turn: about equal times
_CUDA_TURNS = {PLAIN: 4, PLAIN_ALONE: 4, "paper": 16, "rt": 32}


def main(arguments: list[str]) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks network", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 = as many as there are cores")
    parser.add_argument("--precision", help="float32 or bfloat16; what the device is fast in unless said")
    parser.add_argument("--batch", type=int, help="frames at once; what suits the device unless said")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results"), help="folder of the JSON")
    options = parser.parse_args(arguments)
    rows = measure(options.rounds, options.device, options.threads, options.precision, options.batch)
    settings = {k: v for k, v in vars(options).items() if k != "output"}
    report("network", rows, options.output, settings)
    return 0


def measure(
    rounds: int,
    device: str = "auto",
    threads: int = 0,
    precision: str | None = None,
    batch: int | None = None,
    *,
    wall: bool = True,
) -> list[Measured]:
    """Frames a second and CPU time a frame of each network, and their ratios to the yardstick.

    `wall` False leaves out the yardstick on all threads, and ratios of wall time with it.
    """
    import torch

    from julnet_plugin.model.checkpoint import find_model, load_checkpoint
    from julnet_plugin.model.engine import TorchEngine, choose_device
    from julnet_plugin.model.generator import Generator
    from julnet_plugin.model.info import CheckpointInfo
    from julnet_plugin.model.paper import PaperConfig, PaperGenerator
    from julnet_plugin.pipeline.inputs import cpu_shares

    torch.manual_seed(0)
    threads = threads or torch.get_num_threads()
    info, rt = load_checkpoint(find_model("rt"))
    assert isinstance(rt, Generator)
    paper = PaperGenerator(PaperConfig()).eval()
    paper_info = CheckpointInfo.of(paper, architecture="paper", audio_feature=info.audio_feature)
    kind = choose_device(device).type
    workers, each = cpu_shares(threads, Path()) if kind == "cpu" else (1, threads)
    engines = {
        "paper": TorchEngine(paper, paper_info, device, precision, batch),
        "rt": TorchEngine(rt, info, device, precision, batch),
    }
    with ThreadPoolExecutor(workers) as pool:
        works: dict[str, Callable[[], object]] = {PLAIN_ALONE: _plain(kind, 1)}
        if wall:
            works[PLAIN] = _plain(kind, threads)
        for name, engine in engines.items():
            works[name] = _frames(engine, pool, workers, each)
        frames = {PLAIN: 1, PLAIN_ALONE: 1, **{name: workers * engine.batch for name, engine in engines.items()}}
        taken = in_turns(works, rounds, _CPU_TURNS if kind == "cpu" else _CUDA_TURNS)
    return _rows(taken, frames, engines, f"{threads} threads" if kind == "cpu" else kind)


def _plain(kind: str, threads: int) -> Callable[[], None]:
    """One frame of the yardstick."""
    import torch

    from benchmarks.yardstick import PlainDinet, example

    network, inputs = PlainDinet().eval().to(kind), example(device=kind)

    def frame() -> None:
        torch.set_num_threads(threads)
        with torch.inference_mode():
            network(*inputs)[0, 0, 0, 0].item()  # waits for a GPU

    return frame


def _frames(engine: Engine, pool: ThreadPoolExecutor, workers: int, threads: int) -> Callable[[], None]:
    """A batch of one engine on every worker."""
    import torch

    info, rng = engine.info, np.random.default_rng(0)
    h, w = info.crop_size
    mask = np.zeros((engine.batch, h, w), np.float32)
    mask[:, 4 * h // 13 : 12 * h // 13, w // 10 : 9 * w // 10] = 1
    masked = rng.random((engine.batch, h, w, 3), np.float32) * (1 - mask[..., None])
    audio = rng.random((engine.batch, info.audio_window, info.audio_size), np.float32)
    torch.set_num_threads(threads)
    engine.set_references(rng.random((info.n_refs, h, w, 3), np.float32))

    def batch(_: int) -> None:
        torch.set_num_threads(threads)
        engine.run(masked, mask, audio)

    def batches() -> None:
        list(pool.map(batch, range(workers)))

    return batches


def _rows(
    taken: dict[str, list[Spent]], frames: dict[str, int], engines: dict[str, Engine], where: str
) -> list[Measured]:
    rows = []
    for name, turns in taken.items():
        note = f"{engines[name].precision}, {frames[name]} at once" if name in engines else "float32"
        speed, spread = middle([frames[name] / turn.wall_s for turn in turns])
        cpu, cpu_spread = middle([1e3 * turn.cpu_s / frames[name] for turn in turns])
        rows.append(Measured(name, speed, "frames/s", note if name == PLAIN_ALONE else f"{where}, {note}", spread))
        rows.append(Measured(f"{name}, CPU", cpu, "ms/frame", "", cpu_spread))
    for name in engines:
        if PLAIN in taken:
            pairs = zip(taken[PLAIN], taken[name], strict=True)
            ratio, spread = middle([one.wall_s / turn.wall_s * frames[name] for one, turn in pairs])
            rows.append(Measured(f"{name} over yardstick", ratio, "times", f"wall time, both on {where}", spread))
        pairs = zip(taken[PLAIN_ALONE], taken[name], strict=True)
        ratio, spread = middle([one.cpu_s / turn.cpu_s * frames[name] for one, turn in pairs])
        rows.append(Measured(f"{name} over yardstick, CPU", ratio, "times", "CPU time, one thread each", spread))
    return rows
