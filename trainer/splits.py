"""Who is held out: whole speakers, never some of their clips."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from trainer.dataset import Clip, DatasetError

LEAST = 4  #: speakers from which on at least one is held out


def assign_splits(
    speakers: Collection[str], given: Mapping[str, str], remembered: Mapping[str, str], fraction: float
) -> dict[str, str]:
    """A split for every speaker.

    An index decides where it says so; who was on one side stays there when footage is added; of the others, those whose
    name hashes lowest are held out until the fraction is reached. So a split does not depend on order or on luck.

    Args:
        speakers: all of them.
        given: "train" or "val", by an index.
        remembered: from an earlier run on the same dataset.
        fraction: of the speakers to hold out.

    Raises:
        DatasetError: the index moves a speaker to the side that the dataset does not have them on.
    """
    for speaker in sorted(given.keys() & remembered.keys()):
        if given[speaker] != remembered[speaker]:
            msg = (
                f"the index puts {speaker!r} in {given[speaker]} and this dataset has them in {remembered[speaker]}; "
                "prepare into a new folder, or leave them where they are"
            )
            raise DatasetError(msg)
    splits = {speaker: {**remembered, **given}.get(speaker, "") for speaker in sorted(speakers)}
    free = sorted((s for s, split in splits.items() if not split), key=_lot)
    wanted = round(fraction * len(splits))
    if fraction > 0 and len(splits) >= LEAST:
        wanted = max(wanted, 1)
    if given and any(split == "val" for split in given.values()):
        wanted = 0  # whoever names the held-out speakers means these
    held_out = sum(split == "val" for split in splits.values())
    for speaker in free:
        splits[speaker] = "val" if held_out < wanted else "train"
        held_out += splits[speaker] == "val"
    return splits


def _lot(speaker: str) -> str:
    return hashlib.sha256(speaker.encode("utf-8", "surrogateescape")).hexdigest()


def choosing_speakers(clips: Sequence[Clip], share: float) -> tuple[list[Clip], list[Clip]]:
    """Clips to learn from, and clips of other speakers that choose the best weights; none where there are few."""
    speakers = sorted({clip.header.speaker for clip in clips})
    count = round(share * len(speakers))
    chosen = {speakers[k] for k in np.linspace(0, len(speakers) - 1, count + 2)[1:-1].astype(int)} if count else set()
    return (
        [clip for clip in clips if clip.header.speaker not in chosen],
        [clip for clip in clips if clip.header.speaker in chosen],
    )
