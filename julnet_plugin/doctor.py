"""What works on this machine: every check tries the thing itself, and says what to do where it does not work.

Checks are independent: one that fails, in whatever way, is a line in the report.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import platform
import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from julnet_plugin import __version__
from julnet_plugin.errors import JulnetError, SettingsError

if TYPE_CHECKING:
    from julnet_plugin.manager import Manager

_DECODERS = ("h264", "hevc", "prores", "dnxhd", "mjpeg", "vp9", "png", "tiff", "dpx")
_ENCODERS = {
    "ProRes 422 HQ": ("prores_ks", "yuv422p10le", {"profile": "3"}),
    "ProRes 4444": ("prores_ks", "yuva444p10le", {"profile": "4"}),
    "H.264": ("libx264", "yuv420p", {}),
    "PNG": ("png", "rgb48be", {}),
}
_REINSTALL = "install JULNet again with pip, in an environment of its own"
_CODEC_ADVICE = "install av from its wheel (pip install --only-binary av --force-reinstall av), which carries FFmpeg"
_FREE_GB = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the report."""

    name: str
    ok: bool
    found: str
    advice: str = ""  #: what to do where `ok` is False


Check = Callable[["Manager"], Iterator[Finding]]


def examine(manager: Manager) -> Iterator[Finding]:
    """Run every check, one after the other."""
    for name, check in CHECKS.items():
        try:
            yield from check(manager)
        except JulnetError as exc:
            yield Finding(name=name, ok=False, found=str(exc), advice=_REINSTALL)
        except Exception as exc:  # noqa: BLE001 - whatever is wrong with the machine is the answer
            found = f"{type(exc).__name__}: {' '.join(str(exc).split())}"
            yield Finding(name=name, ok=False, found=found, advice=_REINSTALL)


def write_bundle(path: Path, findings: list[Finding], manager: Manager) -> None:
    """Pack what support needs to know: findings, plugins, versions. It holds no footage and no secrets.

    Raises:
        SettingsError: it cannot be written.
    """
    from julnet_plugin.pipeline.workfolder import replacing
    from julnet_plugin.verbs.plugins import describe

    installed = {d.metadata["Name"]: d.version for d in importlib.metadata.distributions() if d.metadata["Name"]}
    documents = {
        "findings.json": [asdict(finding) for finding in findings],
        "plugins.json": describe(manager),
        "versions.json": dict(sorted(installed.items())),
        "environment.json": sorted(
            name for name in os.environ if name.startswith(("JULNET_", "OMP_", "CUDA_", "OCIO"))
        ),
    }
    try:
        with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, value in documents.items():
                archive.writestr(name, json.dumps(value, indent=1, default=str) + "\n")
    except OSError as exc:
        raise SettingsError(f"{path} cannot be written ({exc.strerror or exc}): choose another place") from exc


def _machine(_: Manager) -> Iterator[Finding]:
    cores = os.cpu_count() or 1
    found = f"JULNet {__version__}, Python {platform.python_version()}, {platform.platform()}, {cores} cores"
    yield Finding(name="machine", ok=True, found=found)


def _devices(_: Manager) -> Iterator[Finding]:
    import torch

    able = sorted(name for name, there in torch.cpu.get_capabilities().items() if there is True)
    vectors = [name for name in able if name.startswith(("avx", "amx", "neon", "sve"))]
    yield Finding(name="cpu", ok=True, found=f"torch {torch.__version__}, {' '.join(vectors) or platform.machine()}")
    if not torch.cuda.is_available():
        found = "none that this torch can use; renders run on the CPU"
        yield Finding(name="gpu", ok=True, found=found)
        return
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        total = float(torch.ones(1000, device=f"cuda:{index}").sum())
        found = f"cuda:{index} {properties.name}, {properties.total_memory / 2**30:.0f} GiB"
        yield Finding(name="gpu", ok=total == 1000, found=found, advice="update the GPU's driver, or use --device cpu")


def _codecs(_: Manager) -> Iterator[Finding]:
    import av

    readable = []
    for codec in _DECODERS:
        try:
            av.CodecContext.create(codec, "r").open()
            readable.append(codec)
        except (av.FFmpegError, ValueError) as exc:
            yield Finding(name=f"read {codec}", ok=False, found=str(exc), advice=_CODEC_ADVICE)
    yield Finding(name="read", ok=bool(readable), found=", ".join(readable), advice=_CODEC_ADVICE)
    for name, (codec, pixels, options) in _ENCODERS.items():
        try:
            size = _encode_one(codec, pixels, options)
            yield Finding(name=f"write {name}", ok=size > 0, found=codec, advice=_CODEC_ADVICE)
        except (av.FFmpegError, ValueError) as exc:
            yield Finding(name=f"write {name}", ok=False, found=str(exc), advice=_CODEC_ADVICE)


def _encode_one(codec: str, pixels: str, options: dict[str, str]) -> int:
    """Bytes that one black picture takes."""
    import av
    import numpy as np

    from julnet_plugin.media.planes import converted

    context = av.Codec(codec, "w").create("video")
    context.width, context.height, context.pix_fmt, context.options = 64, 48, pixels, options
    context.time_base = Fraction(1, 25)
    picture = converted(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24"), pixels)
    picture.pts = 0
    return sum(packet.size for packet in [*context.encode(picture), *context.encode(None)])


def _models(_: Manager) -> Iterator[Finding]:
    """Shipped weights, read whole: header, digest and shapes."""
    from julnet_plugin.model.checkpoint import WEIGHTS, load_checkpoint

    files = sorted(WEIGHTS.glob("*.safetensors"))
    if not files:
        advice = "pass --model FILE, or train weights (docs/pipeline.md)"
        yield Finding(name="model", ok=False, found="no weights are shipped with this installation", advice=advice)
    for file in files:
        try:
            info, _network = load_checkpoint(file)
        except JulnetError as exc:
            yield Finding(name=f"model {file.stem}", ok=False, found=str(exc), advice=_REINSTALL)
        else:
            h, w = info.crop_size
            found = f"{info.architecture}, {h}x{w}, {info.audio_feature}, {file.stat().st_size / 1e6:.1f} MB"
            yield Finding(name=f"model {file.stem}", ok=True, found=found)


def _effect(_: Manager) -> Iterator[Finding]:
    importlib.import_module("julnet_plugin.effect")
    yield Finding(name="effect", ok=True, found="loads")


def _faces(manager: Manager) -> Iterator[Finding]:
    import numpy as np

    from julnet_plugin.config import Settings

    name = Settings().face.tracker
    tracker = manager.face_tracker(name)
    try:
        tracker.detect(np.zeros((96, 128, 3), np.uint8), 1)
    finally:
        tracker.close()
    yield Finding(name="faces", ok=True, found=f"{name} ({_version('mediapipe')})")


def _hearing(manager: Manager) -> Iterator[Finding]:
    """Every installed kind of audio features, on a fifth of a second of sound."""
    import numpy as np

    tone = np.sin(np.arange(3200, dtype=np.float32) * 0.1) * np.float32(0.1)
    for name, features in manager.contributed("julnet_audio_features").items():
        got = features.extract(tone)
        ok = got.shape[1] == features.size and bool(np.isfinite(got).all())
        yield Finding(name=f"audio {name}", ok=ok, found=f"{got.shape[1]} numbers a step", advice=_REINSTALL)


def _disk(_: Manager) -> Iterator[Finding]:
    here = Path.cwd()
    free_gb = shutil.disk_usage(here).free / 1e9
    advice = f"takes are large: free some space, or write to a disk with more than {_FREE_GB:.0f} GB"
    yield Finding(name="disk", ok=free_gb >= _FREE_GB, found=f"{free_gb:.0f} GB free in {here}", advice=advice)


def _hosts(manager: Manager) -> Iterator[Finding]:
    for name, host in manager.hosts().items():
        yield Finding(name=f"host {name}", ok=True, found=host.check())


def _plugins(manager: Manager) -> Iterator[Finding]:
    plugins = manager.plugins()
    for record in plugins:
        for problem in record.problems:
            advice = _REINSTALL if record.builtin else "mend or uninstall that plugin; it is not used meanwhile"
            yield Finding(name=f"plugin {problem.plugin}", ok=False, found=problem.message, advice=advice)
    others = sum(not record.builtin for record in plugins)
    yield Finding(name="plugins", ok=True, found=f"{len(plugins)}, of which {others} are not built in")


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "version unknown"


CHECKS: dict[str, Check] = {
    "machine": _machine,
    "cpu": _devices,
    "codecs": _codecs,
    "effect": _effect,
    "model": _models,
    "faces": _faces,
    "hearing": _hearing,
    "disk": _disk,
    "hosts": _hosts,
    "plugins": _plugins,
}
