"""Weights measured on held-out speakers with things that nobody was taught with: cut-outs, a microphone, a cup."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from julnet_plugin.face.cover import WEIGHTS
from trainer.cover.network import load_network
from trainer.cover.visits import UNIT, CoverScores, Seen, Visit, held, logits_of, score, seen_in, visit
from trainer.dataset import DatasetError, clip_paths, read_clip, read_header

Float32 = NDArray[np.float32]

_WIDTHS = (0.55, 0.8, 1.1)  #: of things, face units
_HAND = "hand"  #: how names of cut-outs begin that take the face's tint
_MIDDLE = slice(8, 40), slice(8, 40)


def measure(
    dataset: Path, weights: Sequence[Path] | None, things: Path | None
) -> Iterator[tuple[Path, dict[str, CoverScores]]]:
    """Scores of each weights file on the held-out speakers of a dataset, by kind of thing and by width.

    Every clip is visited once in each width, by things in turn; the same for all weights.

    Args:
        dataset: what `julnet prepare` wrote.
        weights: files; None = those in use.
        things: a folder of PNGs with alpha that come as well, or None.

    Raises:
        DatasetError: nobody is held out, or a file cannot be read.
    """
    seen = [seen_in(read_clip(p)) for p in clip_paths(dataset) if _is_asked(p)]
    if not seen:
        msg = f"{dataset} holds out no speaker with pictures; prepare with --val-fraction or an index that says who"
        raise DatasetError(msg, dataset)
    known = {**drawn_things(), **({} if things is None else read_things(things))}
    visits = list(_visits(seen, known))
    for path in weights or [WEIGHTS]:
        network = load_network(path)
        clean = [held(logits_of(network, s.faces), s.rate) for s in seen]
        judged = [(held(logits_of(network, v.faces), v.rate), v, name, width) for v, name, width in visits]
        found = {"everything": score(clean, [(h, v) for h, v, *_ in judged])}
        for kind in dict.fromkeys(_kind(name) for name in known):
            found[kind] = score([], [(h, v) for h, v, name, _ in judged if _kind(name) == kind])
        for wanted in _WIDTHS:
            found[f"width {wanted:g}"] = score([], [(h, v) for h, v, _, width in judged if width == wanted])
        yield path, found


def drawn_things() -> dict[str, Float32]:
    """A microphone, and the cup of an installed package's photograph: (h, w, 4) in [0, 1]."""
    from skimage import data

    microphone = np.zeros((360, 200, 4), np.float32)
    cv2.line(microphone, (100, 150), (100, 359), (0.13, 0.13, 0.14, 1.0), 70, cv2.LINE_AA)
    cv2.circle(microphone, (100, 100), 98, (0.32, 0.32, 0.34, 1.0), -1, cv2.LINE_AA)
    rows, columns = np.mgrid[:360, :200]
    net = ((rows % 12 < 4) | (columns % 12 < 4)) & (np.hypot(rows - 100, columns - 100) < 94)
    light = 1 - 0.006 * np.clip(columns - 60, 0, None)
    microphone[net, :3] = (0.62, 0.62, 0.64)
    microphone[..., :3] *= light[..., None]
    photograph = np.asarray(data.coffee(), np.float32) / 255  # type: ignore[no-untyped-call]
    cup = photograph[10:390, 110:520]
    inside = np.zeros(cup.shape[:2], np.float32)
    cv2.ellipse(inside, (205, 185), (180, 165), 0, 0, 360, (1.0,), -1, cv2.LINE_AA)
    return {"microphone": microphone, "cup": np.concatenate([cup, inside[..., None]], axis=2)}


def read_things(folder: Path) -> dict[str, Float32]:
    """The cut-outs in a folder by the names of their files: (h, w, 4) in [0, 1].

    Raises:
        DatasetError: there is none, or one is no PNG with alpha.
    """
    files = sorted(folder.glob("*.png"))
    if not files:
        msg = f"{folder} holds no PNG; give a folder of cut-outs with alpha"
        raise DatasetError(msg, folder)
    found = {}
    for path in files:
        picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if picture is None or picture.ndim != 3 or picture.shape[2] != 4:
            msg = f"{path} is no PNG with alpha; save the cut-out with transparency around it"
            raise DatasetError(msg, path)
        deep = 65535.0 if picture.dtype == np.uint16 else 255.0
        found[path.stem] = np.asarray(picture[..., [2, 1, 0, 3]] / deep, np.float32)
    return found


def _visits(seen: Sequence[Seen], things: dict[str, Float32]) -> Iterator[tuple[Visit, str, float]]:
    names = list(things)
    for number, own in enumerate(seen):
        for step, width in enumerate(_WIDTHS):
            name = names[(number * len(_WIDTHS) + step + number // len(names)) % len(names)]
            thing = things[name]
            if _kind(name) == _HAND:
                thing = _tinted(thing, own.faces[len(own.faces) // 2])
            yield visit(own, _sized(thing, width), np.random.default_rng([number, step])), name, width


def _sized(thing: Float32, width: float) -> Float32:
    """As wide as so many face units at the size of lower faces; what is clear has no colour that could bleed."""
    k = width * UNIT / thing.shape[1]
    size = (max(round(thing.shape[1] * k), 1), max(round(thing.shape[0] * k), 1))
    clear = np.concatenate([thing[..., :3] * thing[..., 3:], thing[..., 3:]], axis=2)
    small = np.asarray(cv2.resize(clear, size, interpolation=cv2.INTER_AREA), np.float32)
    small[..., :3] /= np.maximum(small[..., 3:], 1e-3)
    return small


def _tinted(thing: Float32, face: Float32) -> Float32:
    """A hand in the light of a face: its mean colour becomes the face's usual one."""
    solid = thing[..., 3] > 0.5
    usual = np.median(face[_MIDDLE].reshape(-1, 3), axis=0)
    colour = np.clip(thing[..., :3] * (usual / np.maximum(thing[solid, :3].mean(axis=0), 1e-3)), 0, 1)
    return np.concatenate([colour, thing[..., 3:]], axis=2, dtype=np.float32)


def _kind(name: str) -> str:
    return _HAND if name.startswith(_HAND) else name


def _is_asked(path: Path) -> bool:
    header = read_header(path)
    return header.split == "val" and header.has_pictures
