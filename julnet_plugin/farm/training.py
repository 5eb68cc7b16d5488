"""Training on several machines as a farm job: an Open Job Description template around `torchrun`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from julnet_plugin.errors import TakeError

if TYPE_CHECKING:
    from pathlib import Path

TRAINING = "training.yaml"


def training_template() -> dict[str, Any]:
    """One task a machine; each starts `torchrun`, and all of them meet at `Rendezvous`.

    A farm must start all tasks at once: they wait for one another, for as long as `torchrun` waits.
    """
    return {
        "specificationVersion": "jobtemplate-2023-09",
        "name": "JULNet training",
        "parameterDefinitions": [
            {"name": "Machines", "type": "INT", "default": 1, "minValue": 1, "maxValue": 64},
            {"name": "GpusPerMachine", "type": "INT", "default": 1, "minValue": 1, "maxValue": 16},
            {"name": "Rendezvous", "type": "STRING", "default": "localhost:29400", "description": "HOST:PORT"},
            {"name": "RunId", "type": "STRING", "default": "julnet"},
            {"name": "Torchrun", "type": "STRING", "default": "torchrun"},
            {"name": "Recipe", "type": "STRING", "default": "rt", "description": "shipped recipe, or a TOML file"},
            {"name": "Dataset", "type": "PATH", "objectType": "DIRECTORY", "dataFlow": "IN"},
            {"name": "RunFolder", "type": "PATH", "objectType": "DIRECTORY", "dataFlow": "OUT"},
        ],
        "steps": [
            {
                "name": "Train",
                "hostRequirements": {"amounts": [{"name": "amount.worker.gpu", "min": 1}]},
                "parameterSpace": {
                    "taskParameterDefinitions": [{"name": "Machine", "type": "INT", "range": "1-{{Param.Machines}}"}]
                },
                "script": {
                    "actions": {
                        "onRun": {
                            "command": "{{Param.Torchrun}}",
                            "args": [
                                "--nnodes={{Param.Machines}}",
                                "--nproc-per-node={{Param.GpusPerMachine}}",
                                "--rdzv-backend=c10d",
                                "--rdzv-id={{Param.RunId}}",
                                "--rdzv-endpoint={{Param.Rendezvous}}",
                                "--module",
                                "julnet_plugin",
                                "train",
                                "{{Param.Dataset}}",
                                "--recipe={{Param.Recipe}}",
                                "-o",
                                "{{Param.RunFolder}}",
                            ],
                            "timeout": 604800,
                            "cancelation": {"mode": "NOTIFY_THEN_TERMINATE", "notifyPeriodInSeconds": 120},
                        }
                    }
                },
            }
        ],
    }


def write_training(folder: Path) -> Path:
    """Write the template into a folder.

    Raises:
        TakeError: there is one already.
    """
    path = folder / TRAINING
    if path.exists():
        raise TakeError(f"{path} exists already: choose another folder", path)
    from julnet_plugin.pipeline.workfolder import write_json

    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, training_template())
    return path
