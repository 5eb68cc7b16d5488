"""A take as an Open Job Description bundle: what AWS Deadline Cloud takes as it is, and `openjd run` runs.

    FOLDER/template.yaml           jobtemplate-2023-09: track -> paint -> write -> assemble
    FOLDER/parameter_values.yaml   this take's values, and how often a farm repeats a failed task
    FOLDER/asset_references.yaml   which files a farm that copies files must copy
    FOLDER/parameters.json         the same values as `openjd run -p file://…` wants them

Both YAML and JSON readers of farms read YAML, and every JSON document is YAML, so that is what is written.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from julnet_plugin.errors import SettingsError, TakeError
from julnet_plugin.requestio import request_to_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from julnet_plugin.types import FrameRange, MediaInfo, RedubRequest

TEMPLATE, VALUES, ASSETS, PARAMETERS = (
    "template.yaml",
    "parameter_values.yaml",
    "asset_references.yaml",
    "parameters.json",
)
STEP_NAMES = {"track": "Track", "paint": "Paint", "write": "Write", "assemble": "Assemble"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FarmOptions:
    """How the farm runs the job; nothing in here changes the take."""

    command: str = "julnet"  #: what starts JULNet on the farm's machines
    gpus: int | None = None  #: GPUs that tracking, painting and assembling ask for; None: 1 with --device cuda, else 0
    memory_mib: int = 4096
    timeout_s: int = 3600  #: of one task
    retries: int = 3  #: of a failed task, where the farm reads it
    task_frames: int = 0  #: frames of one task; 0 = one chunk

    def check(self) -> None:
        """Refuse what no farm can mean.

        Raises:
            SettingsError: a number is out of range.
        """
        limits = {"gpus": (0, 16), "memory_mib": (512, 1_048_576), "timeout_s": (10, 604_800), "retries": (0, 100)}
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise SettingsError(f"{name} is {value}, but {low} to {high} is possible", key=name)
        if not self.command.strip():
            raise SettingsError("the command that starts JULNet is empty: give its name or path", key="command")


def write_bundle(
    folder: Path, request: RedubRequest, info: MediaInfo, frames: FrameRange, chunk: int, options: FarmOptions
) -> list[Path]:
    """Write the bundle of one take.

    Args:
        folder: new or empty.
        request: what to render.
        info: the plate.
        frames: of the take.
        chunk: frames between two points from which a render can resume.
        options: how to run it.

    Raises:
        TakeError: the folder holds other files.
        SettingsError: an option is out of range.
    """
    options.check()
    gpus = options.gpus if options.gpus is not None else int(request.device.startswith("cuda"))
    values = parameter_values(request, frames, options)
    farm_values = {**values, "deadline:maxRetriesPerTask": options.retries}
    documents = {
        TEMPLATE: job_template(request, chunk, options, gpus),
        VALUES: {"parameterValues": [{"name": name, "value": value} for name, value in farm_values.items()]},
        ASSETS: asset_references(request, info),
        PARAMETERS: values,
    }
    texts = {name: json.dumps(document, indent=1, ensure_ascii=False) + "\n" for name, document in documents.items()}
    return write_folder(folder, texts)


def write_folder(folder: Path, texts: Mapping[str, str]) -> list[Path]:
    """Write a new folder of text files; it appears when all of them are whole.

    Raises:
        TakeError: the folder holds other files.
    """
    from julnet_plugin.pipeline.workfolder import flush

    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise TakeError(f"{folder} is not empty: a job needs a new folder, choose another one", folder)
    part = folder.absolute().with_name(f".{folder.absolute().name}.partial")
    shutil.rmtree(part, ignore_errors=True)  # what a process that was killed left
    part.mkdir(parents=True)
    try:
        for name, text in texts.items():
            (part / name).write_text(text, "utf-8")
            flush(part / name)
        if folder.exists():
            folder.rmdir()
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return [folder / name for name in texts]


def parameter_values(request: RedubRequest, frames: FrameRange, options: FarmOptions) -> dict[str, Any]:
    """This take's job parameters."""
    consent = {} if request.consent is None else {"Consent": str(request.consent.absolute())}
    return {
        "Plate": str(request.plate.absolute()),
        "Dub": str(request.dub.absolute()),
        "TakeDir": str(request.take_dir.absolute()),
        "Model": _model(request),
        **consent,
        "Frames": f"{frames.start}-{frames.stop - 1}",
        "Julnet": options.command,
    }


def asset_references(request: RedubRequest, info: MediaInfo) -> dict[str, Any]:
    """Files that the job reads, and the folder that it writes in."""
    if info.kind == "movie":
        files = [request.plate]
    else:
        from julnet_plugin.media.sequence import frame_path

        files = [frame_path(info, index) for index in range(info.frame_count)]
    files.append(request.dub)
    if _is_file(request.model):
        files.append(Path(request.model))
    if request.consent is not None:
        files.append(request.consent)
    return {
        "assetReferences": {
            "inputs": {"filenames": [str(path.absolute()) for path in files], "directories": []},
            "outputs": {"directories": [str(request.take_dir.absolute().parent)]},
            "referencedPaths": [],
        }
    }


def job_template(request: RedubRequest, chunk: int, options: FarmOptions, gpus: int) -> dict[str, Any]:
    """The job: four steps, each after the one before."""
    task_frames = options.task_frames or chunk
    steps = [
        _step("track", request, options, gpus=gpus),
        _step("paint", request, options, gpus=gpus, task_frames=task_frames, after="track"),
        _step("write", request, options, gpus=0, task_frames=task_frames, after="paint"),
        _step("assemble", request, options, gpus=gpus, after="write"),
    ]
    return {
        "specificationVersion": "jobtemplate-2023-09",
        "extensions": ["TASK_CHUNKING"],
        "name": f"JULNet {_plain(request.take_dir.name)}"[:128],
        "parameterDefinitions": _parameters(request),
        "steps": steps,
    }


def _parameters(request: RedubRequest) -> list[dict[str, Any]]:
    file = {"type": "PATH", "objectType": "FILE", "dataFlow": "NONE"}
    model = file if _is_file(request.model) else {"type": "STRING"}
    note = {"name": "Consent", **file, "description": "the note of consent"}
    return [
        {"name": "Plate", **file, "description": "movie, or image sequence (shot.####.exr)"},
        {"name": "Dub", **file, "description": "the new line"},
        {"name": "TakeDir", "type": "PATH", "objectType": "DIRECTORY", "dataFlow": "NONE", "description": "the take"},
        {"name": "Model", **model, "description": "shipped model's name, or a weights file"},
        *([] if request.consent is None else [note]),
        {"name": "Frames", "type": "STRING", "description": "frames of the take, last one included"},
        {"name": "Julnet", "type": "STRING", "default": "julnet", "description": "what starts JULNet on the worker"},
    ]


def _step(
    step: str,
    request: RedubRequest,
    options: FarmOptions,
    *,
    gpus: int,
    task_frames: int = 0,
    after: str | None = None,
) -> dict[str, Any]:
    """One step; with `task_frames`, one task a range of frames, and the model loaded once in its environment."""
    session = "{{Session.WorkingDirectory}}/julnet-session"
    arguments = [
        "farm",
        step,
        "{{Task.File.Request}}",
        *(f"--{name}={{{{Param.{value}}}}}" for name, value in _path_options(request).items()),
    ]
    made: dict[str, Any] = {"name": STEP_NAMES[step]}
    if after is not None:
        made["dependencies"] = [{"dependsOn": STEP_NAMES[after]}]
    amounts = [{"name": "amount.worker.memory", "min": options.memory_mib}]
    if gpus:
        amounts.append({"name": "amount.worker.gpu", "min": gpus})
    made["hostRequirements"] = {"amounts": amounts}
    if task_frames:
        arguments += [f"--session={session}", "--frames={{Task.Param.Frame}}"]
        made["stepEnvironments"] = [_model_environment(session, options)]
        made["parameterSpace"] = {
            "taskParameterDefinitions": [
                {
                    "name": "Frame",
                    "type": "CHUNK[INT]",
                    "range": "{{Param.Frames}}",
                    "chunks": {"defaultTaskCount": task_frames, "rangeConstraint": "CONTIGUOUS"},
                }
            ]
        }
    made["script"] = {
        "embeddedFiles": [{"name": "Request", "type": "TEXT", "filename": "request.json", "data": _request(request)}],
        "actions": {"onRun": _action(arguments, options.timeout_s)},
    }
    return made


def _path_options(request: RedubRequest) -> dict[str, str]:
    """Options of a task and the parameters whose paths the farm maps."""
    options = {"plate": "Plate", "dub": "Dub", "take-dir": "TakeDir", "model": "Model"}
    return options if request.consent is None else {**options, "consent": "Consent"}


def _model_environment(session: str, options: FarmOptions) -> dict[str, Any]:
    """Keeps one process with the model between the tasks of a worker's session."""
    return {
        "name": "Model",
        "script": {
            "actions": {
                "onEnter": _action(["farm", "enter", session], min(options.timeout_s, 300)),
                "onExit": _action(["farm", "leave", session], 60),
            }
        },
    }


def _action(arguments: list[str], timeout_s: int) -> dict[str, Any]:
    return {
        "command": "{{Param.Julnet}}",
        "args": arguments,
        "timeout": timeout_s,
        "cancelation": {"mode": "NOTIFY_THEN_TERMINATE", "notifyPeriodInSeconds": 30},
    }


def _request(request: RedubRequest) -> str:
    """The request without its paths, which the farm maps. Braces in texts must not look like a farm's variables."""
    values = request_to_json(request)
    for name in ("plate", "dub", "take_dir", "model", "consent", "resume"):
        values.pop(name, None)
    text = json.dumps(values, indent=1, ensure_ascii=True)
    return text.replace("{{", "{\\u007b").replace("}}", "}\\u007d") + "\n"


def _model(request: RedubRequest) -> str:
    return str(Path(request.model).absolute()) if _is_file(request.model) else request.model


def _is_file(model: str) -> bool:
    return Path(model).suffix.lower() in (".safetensors", ".onnx")


def _plain(text: str) -> str:
    """A text for a template's name: no control characters and no variables."""
    return "".join(c for c in text if c.isprintable()).replace("{{", "{ {").replace("}}", "} }")
