"""Footage to a dataset: cut every piece into clips, split the speakers, find the sound's offset, write the table.

A dataset is a folder of prepared clips (`dataset.py`) with `table.tsv`, `dataset.json` and a record of each piece of
footage that lets a later run keep what is done. Footage that fails is named in the table and never ends the run.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import julnet_plugin
from julnet_plugin.errors import MediaError, RedubCancelled
from trainer import gates as g
from trainer.config import LipTraining
from trainer.cutting import Cutter, CuttingSettings, Row, rejected
from trainer.dataset import Clip, DatasetError, read_clip, read_header, rewrite_header
from trainer.footage import PICTURES, Source, file_name, find_sources
from trainer.records import (
    ASIDE,
    RECORDS,
    Record,
    digest,
    give_back,
    is_there,
    read_json,
    read_record,
    remove_clips,
    write_json,
    write_record,
)
from trainer.splits import assign_splits
from trainer.table import summary, write_table
from trainer.workers import Crash, work

if TYPE_CHECKING:
    from julnet_plugin.manager import Manager
    from julnet_plugin.types import ProgressFn
    from trainer.sync import Sync
    from trainer.teacher import LipTeacher

log = logging.getLogger(__name__)

SCHEMA = 1
DATASET = "dataset.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareSettings:
    """How footage becomes a dataset."""

    cutting: CuttingSettings = field(default_factory=CuttingSettings)
    val_fraction: float = 0.1  #: of the speakers, where no index says who is held out
    workers: int = 0  #: processes; 0 = this one
    sync: bool = True  #: measure and correct offsets between sound and picture
    plugins: bool = True  #: whether workers load third-party plugins
    model: str = "rt"  #: listens where there is too little footage to teach an ear of its own
    #: the ear of its own; seven rounds are enough to hear offsets
    lips: LipTraining = field(default_factory=lambda: LipTraining(epochs=7, batch=512))


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What a run of `prepare` leaves."""

    folder: Path
    rows: list[Row]
    table: Path
    heard_by: str  #: who measured the offsets; "" where nobody could

    @property
    def kept(self) -> list[Row]:
        """Rows that became clips."""
        return [row for row in self.rows if row.verdict != g.REJECTED]

    def text(self) -> str:
        """The table's summary."""
        by = self.heard_by or "nobody: there is little footage and no trained model to listen with"
        return f"{summary(self.rows)}\noffsets measured by {by}\ntable  {self.table}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """One source for one worker."""

    source: Source
    folder: Path
    settings: CuttingSettings
    plugins: bool


def prepare(
    footage: Sequence[Path],
    folder: Path,
    settings: PrepareSettings,
    manager: Manager,
    *,
    index: Path | None = None,
    teacher: LipTeacher | None = None,
    progress: ProgressFn | None = None,
) -> Prepared:
    """Make a dataset, or add to one; what an earlier run prepared from the same bytes is kept.

    Args:
        footage: movies, image sequences, and folders of them.
        folder: of the dataset; created when missing.
        settings: how.
        manager: gives the face tracker and the audio features when `settings.workers` is 0.
        index: speakers and splits; see `footage.find_sources`.
        teacher: measures the offsets; None = an ear taught on this footage, or else the one of `settings.model`.
        progress: `progress("prepare", done, total)` after every source.

    Raises:
        DatasetError: no footage, an index that contradicts itself, or nothing of the footage can be used.
        RedubCancelled: from `progress`; what is prepared is kept for the next run.
    """
    sources = find_sources(footage, index)
    cutter = Cutter(settings.cutting, manager)  # refuses unknown features now, not in a worker
    (folder / RECORDS).mkdir(parents=True, exist_ok=True)
    jobs = [_Job(source=s, folder=folder, settings=settings.cutting, plugins=settings.plugins) for s in sources]
    here = partial(_cut_here, cutter=cutter, progress=progress)
    done: list[Record] = []
    for job, result in work(here if settings.workers < 1 else _cut_in_worker, jobs, settings.workers):
        done.append(_crashed(job.source) if isinstance(result, Crash) else result)
        log.info("%s: %s", job.source.name, ", ".join(sorted({row.reason or row.verdict for row in done[-1].rows})))
        if progress is not None:
            progress("prepare", len(done), len(jobs))
    records = _without_duplicates(folder, done)
    heard_by = _finish(folder, records, sources, settings, manager, teacher, progress)
    rows = sorted(_final_rows(folder, records), key=lambda row: (row.file, row.first_frame))
    prepared = Prepared(folder=folder, rows=rows, table=write_table(rows, folder), heard_by=heard_by)
    if not prepared.kept:
        raise DatasetError(_nothing(prepared), folder)
    return prepared


# -- one source -----------------------------------------------------------------------------------------------------

_CUTTERS: dict[str, Cutter] = {}  #: of this process: trackers and features are dear to make


def _cut_in_worker(job: _Job) -> Record:
    from julnet_plugin.manager import make_manager

    key = digest(job.settings.to_json())
    if key not in _CUTTERS:
        _CUTTERS[key] = Cutter(job.settings, make_manager(third_party=job.plugins))
    return _cut_here(job, _CUTTERS[key])


def _cut_here(job: _Job, cutter: Cutter, progress: ProgressFn | None = None) -> Record:
    """Cut one source, unless an earlier run did."""
    source = job.source
    path = job.folder / RECORDS / f"{file_name(source.name)}.json"
    try:
        source_hash = _hash(source.path)
    except MediaError as exc:
        return Record(source=source.name, rows=[rejected(source, g.CORRUPT, str(exc))])
    facts = [SCHEMA, source_hash, source.speaker, source.lips_only, job.settings.to_json()]
    known = read_record(path)
    if known is not None and known.key == digest(facts) and all(is_there(job.folder, row) for row in known.rows):
        return known
    if known is not None:
        remove_clips(job.folder, known.rows)
    try:
        rows = cutter.cut(source, source_hash, job.folder, progress)
    except RedubCancelled:
        raise
    except Exception as exc:  # noqa: BLE001 - one piece of footage must not end the run, whatever a library makes of it
        detail = f"{type(exc).__name__}: {' '.join(str(exc).split())}"
        return Record(source=source.name, rows=[rejected(source, g.CRASHED, detail)])
    record = Record(source=source.name, key=digest(facts), source_hash=source_hash, rows=rows)
    write_record(path, record)
    return record


def _crashed(source: Source) -> Record:
    detail = "reading it ended the process that did; it is damaged in a way that the decoder does not survive"
    return Record(source=source.name, rows=[rejected(source, g.CRASHED, detail)])


def _hash(path: Path) -> str:
    from julnet_plugin.pipeline.hashing import file_hash, files_hash

    if path.is_dir():
        return files_hash(sorted(p for p in path.iterdir() if p.suffix.lower() in PICTURES))
    return file_hash(path)


# -- the whole dataset ----------------------------------------------------------------------------------------------


def _without_duplicates(folder: Path, done: Sequence[Record]) -> list[Record]:
    """This run's records and those of earlier runs. Of equal footage only the first counts: two could be split."""
    names = {record.source for record in done}
    earlier = [r for p in sorted((folder / RECORDS).glob("*.json")) if (r := read_record(p)) and r.source not in names]
    records: list[Record] = []
    first: dict[str, str] = {}
    for record in (*earlier, *sorted(done, key=lambda r: r.source)):
        twin = first.setdefault(record.source_hash, record.source) if record.source_hash else record.source
        if twin == record.source:
            records.append(record)
            continue
        remove_clips(folder, record.rows)
        (folder / RECORDS / f"{file_name(record.source)}.json").unlink(missing_ok=True)
        row = Row(file=record.source, speaker=record.rows[0].speaker, verdict=g.REJECTED, reason=g.DUPLICATE)
        records.append(Record(source=record.source, rows=[replace(row, detail=f"the same bytes as {twin}")]))
    return records


def _finish(
    folder: Path,
    records: Sequence[Record],
    sources: Sequence[Source],
    settings: PrepareSettings,
    manager: Manager,
    teacher: LipTeacher | None,
    progress: ProgressFn | None,
) -> str:
    """Write splits and offsets into the clips' headers, set aside what is out of sync; returns who listened."""
    known = read_json(folder / DATASET)
    clips = sorted(row.clip for record in records for row in record.rows if row.clip and is_there(folder, row))
    heard_key = digest([clips, [r.key for r in records], asdict(settings.lips), settings.sync, teacher is None])
    speakers = {row.speaker for record in records for row in record.rows if row.clip}
    given = {source.speaker: source.split for source in sources if source.split}
    splits = assign_splits(speakers, given, known.get("speakers", {}), settings.val_fraction)
    heard = known.get("heard", {})
    if heard.get("key") == heard_key:
        for path in (folder / name for name in clips):
            if path.exists():
                rewrite_header(path, replace(read_header(path), split=splits[read_header(path).speaker]))
    else:
        give_back(folder)
        heard = {"key": heard_key, "by": _synchronise(folder, clips, splits, settings, manager, teacher, progress)}
    facts = {"schema": SCHEMA, "created_by": f"julnet {julnet_plugin.__version__}", "speakers": splits, "heard": heard}
    write_json(folder / DATASET, facts)
    return str(heard["by"])


def _synchronise(
    folder: Path,
    names: Sequence[str],
    splits: dict[str, str],
    settings: PrepareSettings,
    manager: Manager,
    teacher: LipTeacher | None,
    progress: ProgressFn | None,
) -> str:
    """Measure offsets, write the headers; returns who listened."""
    clips = [read_clip(folder / name, pictures=False) for name in names]
    for clip in clips:
        known = replace(clip.header, split=splits[clip.header.speaker])
        clip.header = replace(known, offset_s=0.0, offset_confidence=0.0, set_aside="")
    found, by = _listen(clips, settings, manager, teacher, progress) if settings.sync and clips else ([], "")
    for k, (name, clip) in enumerate(zip(names, clips, strict=True)):
        path, header = folder / name, clip.header
        if found:
            sync = found[k]
            header = replace(header, offset_s=sync.offset_s, offset_confidence=sync.confidence, set_aside=sync.why)
        rewrite_header(path, header)
        if found and found[k].why:
            path.replace(path.with_suffix(ASIDE))
    return by


def _listen(
    clips: Sequence[Clip],
    settings: PrepareSettings,
    manager: Manager,
    teacher: LipTeacher | None,
    progress: ProgressFn | None,
) -> tuple[list[Sync], str]:
    from trainer.sync import has_enough, measure, measure_with_own_ear
    from trainer.teacher import LipTeacher

    gates = settings.cutting.gates
    if teacher is None and has_enough(clips):
        return measure_with_own_ear(clips, settings.lips, gates, progress), "an encoder taught on this footage"
    teacher = teacher or LipTeacher.of_model(settings.model, manager.generator)
    if teacher is None or teacher.features != settings.cutting.features:
        return [], ""
    return measure(clips, teacher, gates), f"the model {settings.model}"


def _final_rows(folder: Path, records: Iterable[Record]) -> Iterator[Row]:
    """The rows as the clips' headers now have them; rows whose clip somebody removed are gone."""
    for row in (row for record in records for row in record.rows):
        if not row.clip:
            yield row
            continue
        path = folder / row.clip
        aside = path.with_suffix(ASIDE)
        if not path.exists() and not aside.exists():
            continue
        header = read_header(path if path.exists() else aside)
        row = replace(
            row,
            split=header.split,
            offset_ms=round(header.offset_s * 1000, 1),
            sync=header.offset_confidence or None,
        )
        if path.exists():
            yield row
        else:
            row = replace(row, reason=g.OUT_OF_SYNC, detail=header.set_aside)
            yield replace(row, verdict=g.REJECTED, clip="", split="")


def _nothing(prepared: Prepared) -> str:
    counts = Counter(row.reason for row in prepared.rows).most_common()
    found = ", ".join(f"{reason} {count}" for reason, count in counts)
    return (
        f"none of the footage can be used ({found}); {prepared.table} says why for each piece: give clips of a face "
        "towards the camera that speaks, with its sound"
    )
