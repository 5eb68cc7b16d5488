"""Every kind of file that JULNet reads: a whole one of each, made here, and what reads it."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.reliability import media

if TYPE_CHECKING:
    from julnet_plugin.types import RedubRequest

_SETTINGS = {"render.threads": 1, "render.chunk_frames": 4}
_MLT = """<?xml version="1.0" encoding="utf-8"?>
<mlt LC_NUMERIC="C" producer="main_bin" root="{folder}" version="7.13.0">
 <profile frame_rate_num="25" frame_rate_den="1" width="320" height="240" sample_aspect_num="1" sample_aspect_den="1"/>
 <chain id="chain0" out="00:00:00.440"><property name="length">12</property>
  <property name="resource">{plate}</property><property name="mlt_service">avformat</property></chain>
 <playlist id="main_bin"><property name="kdenlive:docproperties.position">6</property>
  <entry in="00:00:00.000" out="00:00:00.440" producer="chain0"/></playlist>
 <playlist id="playlist0"><blank length="00:00:00.200"/><entry in="00:00:00.080" out="11" producer="chain0"/></playlist>
 <tractor id="tractor0"><track hide="audio" producer="playlist0"/></tractor>
</mlt>
"""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of file: a whole one, and what reads it."""

    name: str
    file: Path
    read: Callable[[Path], object]
    weight: int = 4
    within: Path | None = None  #: a folder that it is read with
    head: int = 0  #: only so many of its first bytes are damaged; 0 = all


def kinds(folder: Path) -> list[Kind]:
    """Whole files of every kind, made in a folder."""
    from julnet_plugin import RedubRequest, redub

    plate, line = media.write_plate(folder / "plate.mov"), media.write_line(folder / "line.wav")
    model = media.write_model(folder / "tiny.safetensors")
    request = RedubRequest(
        plate=plate, dub=line, take_dir=folder / "take", model=str(model), device="cpu", deliver=("png", "exr", "h264"),
        settings=_SETTINGS,
    )  # fmt: skip
    take = redub(request).path
    return [
        *_media(folder, plate, line),
        *_models(folder, model),
        *_documents(folder, plate, line),
        *_timelines(folder, plate, line),
        *_takes(take),
        *_unfinished(folder, request),
        *_training(folder),
    ]


def _media(folder: Path, plate: Path, line: Path) -> list[Kind]:
    stills = {suffix: media.write_still(folder / f"still.{suffix}") for suffix in ("tif", "jpg", "dpx")}
    return [
        Kind("movie h264 (decode)", plate, _decode, 8),
        Kind("movie prores (decode)", media.write_plate(folder / "plate2.mov", 4, (128, 96), "prores_ks"), _decode, 6),
        Kind("movie mkv (decode)", media.write_plate(folder / "plate.mkv", 6, (128, 96)), _decode, 6),
        *(Kind(f"still {suffix}", path, _decode) for suffix, path in stills.items()),
        Kind("sound wav", line, _listen),
        Kind("sound flac", media.write_line(folder / "line.flac"), _listen),
        Kind("sound in a movie", media.write_sound_movie(folder / "line.m4a"), _listen),
    ]


def _models(folder: Path, model: Path) -> list[Kind]:
    from julnet_plugin.model.checkpoint import load_checkpoint
    from julnet_plugin.model.engine import load_engine
    from julnet_plugin.model.onnx_engine import export_onnx

    info, network = load_checkpoint(model)
    (folder / "onnx").mkdir()
    exported, references = export_onnx(network, info, folder / "onnx" / "tiny.onnx")  # type: ignore[arg-type]
    header = 8 + int.from_bytes(model.read_bytes()[:8], "little")
    return [
        Kind("weights", model, load_checkpoint),
        Kind("weights header", model, load_checkpoint, head=header),
        Kind("weights onnx", exported, lambda path: load_engine(path, "cpu"), 2, within=exported.parent),
        Kind("weights onnx references", references, lambda path: load_engine(path.parent / exported.name, "cpu"), 2,
             within=exported.parent),
    ]  # fmt: skip


def _documents(folder: Path, plate: Path, line: Path) -> list[Kind]:
    from host_adapters.client_config import SCHEMA, VERSION, read_config
    from julnet_plugin.batch.lines import read_lines
    from julnet_plugin.config import load_settings
    from julnet_plugin.provenance.certificate import identity
    from julnet_plugin.provenance.consent import read_consent

    texts = {
        "lines.csv": f"name,plate,dub,in,out\na,{plate},{line},0,5\nb,{plate},{line},,\n",
        "lines.json": json.dumps({"defaults": {"seed": 1}, "lines": [{"plate": str(plate), "dub": str(line)}]}),
        "consent.json": json.dumps({"who": "A", "what": "b", "until": "2999-12-31"}),
        "consent.toml": 'who = "A"\nwhat = "b"\nuntil = 2999-12-31\n',
        "settings.toml": "[render]\nbatch = 4\n[matte]\ngamma = 1.5\nblur_px = { keys = [{ frame = 0, value = 2 }] }\n",
        "request.json": json.dumps({"plate": str(plate), "dub": str(line), "take_dir": "t", "settings": _SETTINGS}),
        "client.json": json.dumps({"schema": SCHEMA, "python": sys.executable, "version": VERSION}),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, "utf-8")
    own = identity()
    chain, key = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(own.chain)
    key.write_bytes(own.key)

    def sign_with(path: Path) -> None:
        os.environ["JULNET_SIGN_CERT"] = str(path if path.name == chain.name else chain)
        os.environ["JULNET_SIGN_KEY"] = str(path if path.name == key.name else key)
        identity()

    return [
        Kind("lines csv", folder / "lines.csv", lambda path: read_lines(path, path.parent, {})),
        Kind("lines json", folder / "lines.json", lambda path: read_lines(path, path.parent, {})),
        Kind("consent json", folder / "consent.json", read_consent, 2),
        Kind("consent toml", folder / "consent.toml", read_consent, 2),
        Kind("settings toml", folder / "settings.toml", lambda path: load_settings(file=path)),
        Kind("request json", folder / "request.json", _request),
        Kind("client config json", folder / "client.json", lambda path: _for_a_host(read_config, path), 2),
        Kind("certificate", chain, sign_with, 2),
        Kind("key", key, sign_with, 2),
    ]


def _timelines(folder: Path, plate: Path, line: Path) -> list[Kind]:
    import opentimelineio as otio

    from host_adapters.standalone.storage import load, load_file, save
    from julnet_plugin.batch.lines import read_lines
    from julnet_plugin.interchange.timeline import read_clip

    timeline = _timeline(plate, line)
    files = {suffix: folder / f"cut.{suffix}" for suffix in ("otio", "xml", "edl", "mlt")}
    for suffix in ("otio", "xml", "edl"):
        otio.adapters.write_to_file(timeline, str(files[suffix]))
    files["mlt"].write_text(_MLT.format(folder=folder, plate=plate), "utf-8")
    project, _ = load_file(files["otio"])
    save(project, folder / "saved.julnet")
    saved = next((folder / "saved.julnet").glob("*.otio"))
    return [
        Kind("timeline otio (batch)", files["otio"], lambda path: read_lines(path, path.parent, {}), 6),
        Kind("timeline otio (redub)", files["otio"], lambda path: read_clip(path, "a"), 6),
        Kind("timeline otio (editor)", files["otio"], load_file, 6),
        Kind("timeline xml (redub)", files["xml"], lambda path: read_clip(path, "a")),
        Kind("timeline edl (redub)", files["edl"], lambda path: read_clip(path, "a")),
        Kind("project (editor)", saved, load, 6),
        Kind("project mlt", files["mlt"], partial(_for_a_host, _mlt), 8),
    ]


def _takes(take: Path) -> list[Kind]:
    from host_adapters.base import read_take
    from julnet_plugin.matte.document import load_document
    from julnet_plugin.provenance.verify import verify_file

    still, layers = (min((take / kind).glob(f"*{end}")) for kind, end in (("png", "dub*.png"), ("exr", ".exr")))
    painted = min((take / "png").glob("uncertainty*.png"))
    data = take / "data"
    return [
        Kind("still png", still, _decode),
        Kind("still exr", layers, _decode, 6),
        Kind("credentials in a still", still, verify_file),
        Kind("credentials in a movie", take / "dub.mov", verify_file),
        Kind("strokes", take / "strokes.json", load_document),
        Kind("take.json (matte)", take / "take.json", _matte_of, 3, within=take),
        Kind(
            "take.json (host)", take / "take.json", lambda path: _for_a_host(read_take, str(path.parent)), within=take
        ),
        Kind(
            "take.json (verify)", take / "take.json", lambda path: verify_file(path.parent / "dub.mov"), 2, within=take
        ),
        Kind("take plan (matte)", data / "plan.npz", _matte_of, 2, within=take),
        Kind("take crops (matte)", data / "chunk.000000.npz", _matte_of, 2, within=take),
        Kind("take references (comp)", data / "references.npz", _composite_of, 1, within=take),
        Kind("painted matte png (matte)", painted, _read_back, 2, within=take),
        Kind("painted matte exr (matte)", layers, _read_back, 2, within=take),
        Kind("painted matte movie (matte)", take / "matte.mov", _read_back, 2, within=take),
    ]


def _unfinished(folder: Path, request: RedubRequest) -> list[Kind]:
    """A render that was stopped while it wrote its deliveries, and is resumed."""
    from dataclasses import replace

    from julnet_plugin import redub
    from julnet_plugin.errors import RedubCancelled

    holder = folder / "stopped"
    stopped = replace(request, take_dir=holder / "resumed", deliver=("png",), resume=True)

    def stop(stage: str, done: int, total: int) -> None:
        if stage == "deliver" and done > 6:
            raise RedubCancelled("enough")

    with contextlib.suppress(RedubCancelled):
        redub(stopped, progress=stop)
    work = holder / ".resumed.partial"

    def resume(path: Path) -> None:
        redub(replace(stopped, take_dir=next(p for p in path.parents if p.name == work.name).with_name("resumed")))

    found = {name: next(iter(sorted(work.rglob(pattern)))) for name, pattern in _WORK.items()}
    return [Kind(f"unfinished {name} (resume)", file, resume, 1, within=holder) for name, file in found.items()]


_WORK = {"tracking": "tracking.json", "sound": "dub.npz", "crops": "chunk.000000.npz", "job": "job.json"}


def _training(folder: Path) -> list[Kind]:
    import torch

    from trainer.dataset import read_clip
    from trainer.footage import read_index
    from trainer.recipe import RECIPES, load_recipe
    from trainer.state import Ema, read_average, save_state
    from trainer.study.scores import summarise_study

    clip = media.write_prepared_clip(folder / "clip.safetensors")
    (folder / "index.tsv").write_text("file\tspeaker\tsplit\na.mov\tanna\ttrain\nb.mov\tben\tval\n", "utf-8")
    (folder / "mine.toml").write_text((RECIPES / "finetune.toml").read_text("utf-8"), "utf-8")
    (folder / "study").mkdir()
    study = {"study": "s", "movies": {"m": {"system": "a"}, "n": {"system": "b"}}}
    answers = [{"kind": "pair", "movies": ["m", "n"], "choice": "left"}]
    (folder / "study" / "key.json").write_text(json.dumps(study), "utf-8")
    (folder / "study" / "scores.json").write_text(json.dumps({"study": "s", "answers": answers}), "utf-8")
    network = torch.nn.Linear(4, 4)
    save_state(folder / "state.safetensors", network, Ema(network, 0.9), torch.optim.Adam(network.parameters()), {})
    header = 8 + int.from_bytes(clip.read_bytes()[:8], "little")
    return [
        Kind("prepared clip", clip, _prepared, 4),
        Kind("prepared clip header", clip, lambda path: read_clip(path), head=header),
        Kind("recipe toml", folder / "mine.toml", load_recipe),
        Kind("footage index tsv", folder / "index.tsv", read_index, 2),
        Kind("study scores json", folder / "study" / "scores.json",
             lambda path: summarise_study(path.with_name("key.json"), [path]), 2, within=folder / "study"),
        Kind("state of a run", folder / "state.safetensors", read_average, 4),
    ]  # fmt: skip


def _decode(path: Path) -> None:
    from julnet_plugin.media.probe import probe
    from julnet_plugin.media.reader import open_plate
    from julnet_plugin.types import FrameRange

    info = probe(path)
    with open_plate(info) as plate:
        for _ in plate.frames(FrameRange(start=0, stop=min(info.frame_count, 50))):
            pass


def _listen(path: Path) -> None:
    from julnet_plugin.pipeline.dub import read_mono_16k

    read_mono_16k(path, 0)


def _request(path: Path) -> None:
    from julnet_plugin.requestio import request_from_json
    from julnet_plugin.untrusted import read_json_object

    request_from_json(read_json_object(path, "a request"))


def _matte_of(path: Path) -> None:
    """Edit the take that a damaged file belongs to. Whatever happens, the rest of the take stays as it was."""
    from julnet_plugin.recomp import rederive_matte

    folder = path.parent if path.name == "take.json" else path.parent.parent
    rederive_matte(folder, {"matte.gamma": 2.0})


def _composite_of(path: Path) -> None:
    from julnet_plugin.recomp import recomposite

    recomposite(path.parent.parent)


def _read_back(path: Path) -> None:
    """Read a matte that somebody painted back into its take."""
    from julnet_plugin.pipeline.readback import ReadBack
    from julnet_plugin.recomp import rederive_matte

    take = next(p for p in path.parents if (p / "take.json").is_file())
    rederive_matte(take, read_back=ReadBack(path=path))


def _for_a_host(read: Callable[[Any], object], what: object) -> None:
    """Hosts have sentences of their own, which their users are shown as ours are."""
    from host_adapters.base import HostProblem
    from host_adapters.client_config import ConfigProblem
    from julnet_plugin.errors import InputError

    try:
        read(what)
    except (HostProblem, ConfigProblem) as exc:
        raise InputError(str(exc)) from exc


def _mlt(path: Path) -> None:
    from host_adapters.mlt.session import MltSession

    session = MltSession(str(path))
    for clip in session.list_clips():
        session.takes(clip)


def _prepared(path: Path) -> None:
    from trainer.dataset import read_clip

    clip = read_clip(path)
    for index in range(len(clip)):
        clip.crop(index)


def _timeline(plate: Path, line: Path) -> Any:
    import opentimelineio as otio

    def of(start: float, frames: float) -> Any:
        return otio.opentime.TimeRange(otio.opentime.RationalTime(start, 25), otio.opentime.RationalTime(frames, 25))

    clip = otio.schema.Clip(
        name="a",
        media_reference=otio.schema.ExternalReference(target_url=str(plate), available_range=of(0, 12)),
        source_range=of(0, 5),
        metadata={"julnet": {"dub": str(line)}},
    )
    return otio.schema.Timeline("cut", tracks=[otio.schema.Track("v1", [clip], kind="Video")])
