"""Write a report: `report.json` for programs, `report.md` for people, pictures beside them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from julnet_plugin.pipeline.workfolder import write_json, write_text
from trainer.evaluation.markdown import markdown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trainer.evaluation.render import Rendered
    from trainer.evaluation.summary import Table


def write_report(folder: Path, report: Table, examples: Sequence[Sequence[Rendered]] = ()) -> list[Path]:
    """Write everything into `folder`, which is made; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / "report.json", folder / "report.md"]
    write_json(files[0], finite(report))
    pictures = []
    if examples:
        pictures.append(write_examples(folder / "examples.png", examples))
    if report.get("uncertainty", {}).get("curves"):
        pictures.append(write_curves(folder / "uncertainty.png", report["uncertainty"]))
    write_text(files[1], markdown(report, [p.name for p in pictures]))
    return files + pictures


def finite(value: Any) -> Any:
    """The same with None in place of NaN and infinity, which JSON doesn't have."""
    if isinstance(value, dict):
        return {str(k): finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(v) for v in value]
    if isinstance(value, np.generic):
        return finite(value.item())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_examples(path: Path, examples: Sequence[Sequence[Rendered]], height: int = 208) -> Path:
    """A contact sheet: for each clip, one frame as it is, by every method, and σ; one row a clip."""
    rows = []
    for drawn in examples:
        k = drawn[0].example_index
        cells = [drawn[0].truth[k], *(d.image[k] for d in drawn)]
        if drawn[0].example is not None:
            cells.append(_heat(drawn[0].example))
        rows.append(np.concatenate([_resized(c, height) for c in cells], axis=1))
    width = max(r.shape[1] for r in rows)
    sheet = np.concatenate([np.pad(r, ((0, 4), (0, width - r.shape[1]), (0, 0))) for r in rows])
    cv2.imwrite(str(path), sheet[..., ::-1])
    return path


def _resized(picture: NDArray[np.uint8], height: int) -> NDArray[np.uint8]:
    width = round(picture.shape[1] * height / picture.shape[0])
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _heat(sigma: NDArray[np.float32]) -> NDArray[np.uint8]:
    """σ from black (0) to bright (0.1 and more)."""
    grey = np.clip(sigma / 0.1 * 255, 0, 255).astype(np.uint8)
    return np.asarray(cv2.applyColorMap(grey, cv2.COLORMAP_INFERNO)[..., ::-1], np.uint8)


def write_curves(path: Path, uncertainty: Table) -> Path:
    """Sparsification curves and interval coverage."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    curves = uncertainty["curves"]
    for name, values in curves.items():
        if name != "removed":
            left.plot(curves["removed"], values, "--" if name == "oracle" else "-", label=name)
    left.set(
        xlabel="most uncertain pixels removed",
        ylabel="mean error left, relative",
        title="sparsification",
        ylim=(0, 1.3),
    )
    left.legend()
    right.plot([0, 1], [0, 1], "k:", label="nominal")
    for name, values in uncertainty["intervals"].items():
        right.plot([float(k) for k in values], list(values.values()), "o-", label=name.replace("_", " "))
    right.set(xlabel="nominal coverage", ylabel="coverage", title="intervals", xlim=(0.4, 1), ylim=(0.2, 1))
    right.legend(fontsize="small")
    figure.savefig(path, dpi=110)
    return path
