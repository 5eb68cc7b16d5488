"""What a run learns from, read from a dataset folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trainer.dataset import Clip, DatasetError, clip_paths, read_clip
from trainer.records import digest

LEAST_S = 10.0  #: of footage with pictures, or nothing can be learnt


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Corpus:
    """What a run learns from."""

    clips: list[Clip]  #: with pictures
    lips: list[Clip]  #: only their lips
    held_out: list[Clip]  #: of other speakers, with pictures
    features: str
    key: str  #: changes with the clips, their offsets and their split

    @property
    def seconds(self) -> float:
        """Length of the clips with pictures."""
        return seconds_of(self.clips)

    def describe(self) -> str:
        """For the header of the weights."""
        speakers = len({clip.header.speaker for clip in self.clips})
        text = f"{len(self.clips)} clips ({self.seconds / 60:.1f} minutes, {speakers} speakers)"
        if self.lips:
            text += f" and the lips of {len(self.lips)} more ({seconds_of(self.lips) / 60:.1f} minutes)"
        return text


def read_corpus(dataset: Path) -> Corpus:
    """Read a dataset folder.

    Raises:
        DatasetError: nothing prepared there, several kinds of audio features, or too little.
    """
    clips = [read_clip(path) for path in clip_paths(dataset)]
    features = {clip.header.features for clip in clips}
    if len(features) > 1:
        msg = f"{dataset} mixes audio features ({', '.join(sorted(features))}); prepare all of the footage alike"
        raise DatasetError(msg, dataset)
    taught = [clip for clip in clips if clip.header.split != "val"]
    pictures = [clip for clip in taught if clip.jpeg]
    have = seconds_of(pictures)
    if have < LEAST_S:
        msg = f"{dataset} holds {have:.1f} s of footage with pictures to learn from, {LEAST_S:g} s are needed; add some"
        raise DatasetError(msg, dataset)
    facts = [[c.header.name, c.header.source_hash, c.header.split, c.header.offset_s, len(c)] for c in clips]
    return Corpus(
        clips=pictures,
        lips=[clip for clip in taught if not clip.jpeg],
        held_out=[clip for clip in clips if clip.header.split == "val" and clip.jpeg],
        features=features.pop(),
        key=digest(facts),
    )


def seconds_of(clips: Sequence[Clip]) -> float:
    """Length of clips, counting the frames that they hold."""
    return float(sum(len(clip) / clip.header.rate for clip in clips))
