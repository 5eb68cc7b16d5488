"""The Fusion composition that shows a take through its matte: a file in the take, and what is painted with it."""

from __future__ import annotations

import json
import os

from host_adapters.base import ClipRef, MatteFile, SourceFrame, TakeRef, hash_pattern, sequence_files

EDITED = "edited"  #: folder in the take where the painted matte goes
ATTACHED = "resolve.json"  #: file in the take that says which matte its composition shows


def write_comp(clip: ClipRef, take: TakeRef, matte: MatteFile, count: int, before: int) -> str:
    """The Fusion composition as a file in the take, and the folder that its painted matte goes to.

    Args:
        count: frames of the take's media.
        before: frames of it that lie before the clip's first.
    """
    import shutil

    from julnet_plugin.interchange.comp import Footage
    from julnet_plugin.interchange.fusion_switch import Switch, fusion_switch

    folder = os.path.join(take.folder, EDITED)
    if edited_matte(take.folder, attached_matte(take.folder)):
        os.rename(folder, _free_folder(folder))  # a person has painted there
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    movie = "#" not in matte.path and "%" not in matte.path
    files = [] if movie else sequence_files(matte.path)
    for offset, file in enumerate(files):
        if file.lower().endswith(".png"):
            shutil.copyfile(file, os.path.join(folder, f"matte.{matte.first_number + offset:06d}.png"))
    plate_movie = "#" not in clip.path
    switch = Switch(
        frames=len(clip.record),
        plate=Footage(
            clip.path, clip.first_number, len(clip.media), -(clip.source.start - SourceFrame(0)), movie=plate_movie
        ),
        matte=Footage(hash_pattern(matte.path), 0 if movie else matte.first_number, count, -before, movie=movie),
        edited=os.path.join(folder, "matte."),
        edited_first=matte.first_number + before,
        white_shows=matte.white_shows,
        enabled=matte.enabled,
    )
    with open(os.path.join(take.folder, ATTACHED), "w", encoding="utf-8") as note:
        json.dump({"matte": matte.path}, note)
    path = os.path.join(take.folder, "resolve.comp")
    with open(path, "w", encoding="utf-8") as file_out:
        file_out.write(fusion_switch(switch))
    return path


def attached_matte(folder: str) -> str:
    """The matte that a take's composition was last made for, or ""."""
    try:
        with open(os.path.join(folder, ATTACHED), encoding="utf-8") as file:
            return str(json.load(file)["matte"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def edited_matte(folder: str, matte: str) -> str:
    """The pattern of a take's matte as it was painted in Fusion, or "" where it is the matte that was attached."""
    edited = os.path.join(folder, EDITED, "matte.######.png")
    files = sequence_files(edited)
    originals = sequence_files(matte) if "#" in matte or "%" in matte else []
    untouched = len(files) == len(originals) and all(map(_same_file, files, originals))
    return edited if files and not untouched else ""


def _free_folder(folder: str) -> str:
    number = 2
    while os.path.exists(f"{folder} {number}"):
        number += 1
    return f"{folder} {number}"


def _same_file(one: str, other: str) -> bool:
    with open(one, "rb") as first, open(other, "rb") as second:
        return first.read() == second.read()
