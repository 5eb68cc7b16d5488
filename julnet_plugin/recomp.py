"""Edit a finished take without the model: derive its matte again, or composite it again.

Both work from `data/`, where the render left what the network drew, and from the plate, which must not have changed.
New files are made beside the old ones and swapped in when all are whole, `take.json` last.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from julnet_plugin.errors import MediaError, SettingsError
from julnet_plugin.interchange.comp import held_keys
from julnet_plugin.matte.calibration import calibration_of
from julnet_plugin.matte.document import MatteDocument, load_document, save_document
from julnet_plugin.matte.spans import find_spans
from julnet_plugin.pipeline.cropdata import DATA
from julnet_plugin.pipeline.deliver import write_range
from julnet_plugin.pipeline.hashing import file_hash, plate_hash
from julnet_plugin.pipeline.inputs import find_writers
from julnet_plugin.pipeline.manifest import PAGE, REPORT, frame_stats, review_rows, to_text, updated_rows
from julnet_plugin.pipeline.mattefiles import open_matte_sessions
from julnet_plugin.pipeline.outputs import close_sessions, open_sessions, split, writer_settings
from julnet_plugin.pipeline.overrides import Overrides
from julnet_plugin.pipeline.patches import MatteMaker, PatchMaker
from julnet_plugin.pipeline.readback import drop_stale, take_in
from julnet_plugin.pipeline.references import REFERENCES, References
from julnet_plugin.pipeline.scripts import script_files, write_scripts
from julnet_plugin.pipeline.sheet import write_reports
from julnet_plugin.pipeline.staging import Staging
from julnet_plugin.pipeline.takedata import TakeData
from julnet_plugin.pipeline.workfolder import MANIFEST, locked, write_text
from julnet_plugin.provenance.credentials import credentials_or_warning
from julnet_plugin.take import STROKES, frames_of, load_take, matte_document
from julnet_plugin.types import DeliveryJob, Take

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from julnet_plugin.interfaces import TakeWriter
    from julnet_plugin.manager import Manager
    from julnet_plugin.matte.settings import Drive
    from julnet_plugin.media.reader import PlateReader
    from julnet_plugin.pipeline.readback import ReadBack
    from julnet_plugin.types import FrameRange, MediaInfo, ProgressFn


def recomposite(
    take_dir: Path,
    progress: ProgressFn | None = None,
    manager: Manager | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Take:
    """Composite a take again from its stored crops, its `strokes.json` and the plate; every delivery is written anew.

    Args:
        take_dir: the take folder.
        progress: called as `progress("deliver", done, total)`; raising from it leaves the take as it was.
        manager: the plugins of this run; found anew when None.
        settings: `matte.*` and `drive.*` by dotted key, over what `strokes.json` says.

    Raises:
        TakeError: there is no take, or it is damaged or in use.
        MediaError: the plate or the dub is gone, or is another one than the take was made from.
        SettingsError: `strokes.json` is damaged, or a setting is unknown or impossible.
    """
    change = partial(with_settings, changes=settings) if settings else None
    return _edited(take_dir, Edit(pictures=True, change=change), progress, manager)


def rederive_matte(
    take_dir: Path,
    settings: Mapping[str, Any] | None = None,
    progress: ProgressFn | None = None,
    strokes: Path | None = None,
    manager: Manager | None = None,
    *,
    deliver: Sequence[str] = (),
    read_back: ReadBack | None = None,
    drop_override: bool = False,
) -> Take:
    """Derive the uncertainty matte from σ again; the files that show it are written anew, no others.

    Args:
        take_dir: the take folder.
        settings: `matte.*` and `drive.*` by dotted key, over what `strokes.json` says.
        progress: called as `progress("deliver", done, total)`; raising from it leaves the take as it was.
        strokes: a matte document to take the place of the take's `strokes.json`, before `settings`.
        manager: the plugins of this run; found anew when None.
        deliver: further deliveries, which the take keeps up to date from now on.
        read_back: a matte that was edited in another program; what it changes becomes the take's override layer.
        drop_override: take the override layer away first.

    Raises:
        TakeError: there is no take, or it is damaged or in use.
        MediaError: the plate is gone, or is another one than the take was made from; or the matte to read back cannot
            be read or does not fit.
        TimeRangeError: the matte to read back has no frame in common with the take.
        SettingsError: a setting or a delivery is unknown or impossible, or a matte document is damaged.
    """

    def change(document: MatteDocument) -> MatteDocument:
        base = document if strokes is None else load_document(strokes)
        return with_settings(base, settings or {})

    edit = Edit(change=change, deliver=tuple(deliver), read_back=read_back, drop_override=drop_override)
    return _edited(take_dir, edit, progress, manager)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """What is done to a finished take."""

    change: Callable[[MatteDocument], MatteDocument] | None = None
    pictures: bool = False  #: composite again, instead of only redrawing what shows the matte
    deliver: tuple[str, ...] = ()
    read_back: ReadBack | None = None
    drop_override: bool = False


def with_settings(document: MatteDocument, changes: Mapping[str, Any]) -> MatteDocument:
    """A document with other parameters; strokes and holds stay.

    Raises:
        SettingsError: a setting is unknown or impossible, or belongs to the render and not to the matte.
    """
    from julnet_plugin.config import flattened, load_settings

    changed = flattened(changes)
    foreign = [key for key in changed if key.partition(".")[0] not in ("matte", "drive")]
    if foreign:
        raise SettingsError(
            f"{foreign[0]} is not a setting of the matte: give matte.* or drive.* settings, or render the take again",
            key=foreign[0],
        )
    drive = {key: value for key, value in document.drive.to_json().items() if value is not None}
    now = flattened({"matte": document.settings.to_json(), "drive": drive})
    settings = load_settings({**now, **changed})
    return replace(document, settings=settings.matte, drive=settings.drive)


def _edited(
    take_dir: Path,
    edit: Edit,
    progress: ProgressFn | None,
    manager: Manager | None,
) -> Take:
    """The one road of all edits: open, derive, write beside, swap in."""
    from julnet_plugin.manager import make_manager
    from julnet_plugin.media.reader import open_plate

    take, manager = load_take(Path(take_dir)), manager or make_manager()
    with locked(take.path):
        document = matte_document(take)
        document = document if edit.change is None else edit.change(document)
        writers = deliveries_of(take, edit.deliver, manager)
        with open_plate(_plate_of(take)) as plate, Staging(take.path) as staging:
            manifest = _derive(take, edit, document, writers, plate, staging, progress or _silent, manager)
            staging.swap_in()
            write_text(take.path / MANIFEST, to_text(manifest))
            drop_stale(take.path, manifest)
    return load_take(take.path)


def _derive(
    take: Take,
    edit: Edit,
    document: MatteDocument,
    writers: list[TakeWriter],
    plate: PlateReader,
    staging: Staging,
    progress: ProgressFn,
    manager: Manager,
) -> dict[str, Any]:
    """Write the new files into the staging folder; returns the new `take.json`."""
    from julnet_plugin.config import load_settings
    from julnet_plugin.media.colour import DisplayTransform

    model, frames = take.manifest["model"], frames_of(take)
    settings = load_settings(take.manifest["job"]["settings"])
    data = TakeData(take.path, frames, chunk_frames=settings.render.chunk_frames)
    chunks = split(frames, settings.render.chunk_frames)
    delivery = _delivery_job(take, plate.info, chunks, staging, document.drive)
    pictures = edit.pictures or any(writer.name in edit.deliver and writer.kind != "matte" for writer in writers)

    def maker(kind: type[PatchMaker], overrides: Overrides | None) -> PatchMaker:
        return kind(
            data=data,
            plate=plate,
            transform=DisplayTransform(plate.info, take.manifest["job"]["colour_space"]),
            document=document,
            operators=manager.matte_operators(),
            calibration=calibration_of(model["calibration"], model.get("interval_factors")),
            settings=settings.compose,
            seed=take.manifest["job"]["seed"],
            overrides=overrides,
        )

    said, overrides = None if edit.drop_override else take.manifest.get("override"), None
    if edit.read_back is not None:
        said = take_in(edit.read_back, take.path, said, maker(MatteMaker, None), staging, progress)
        overrides = Overrides.of(staging.root, {"override": said})
    elif said is not None:
        overrides = Overrides.of(take.path, {"override": said})
    sessions, whole = (open_sessions(writers, delivery), True) if pictures else open_matte_sessions(writers, delivery)
    kind = PatchMaker if whole else MatteMaker
    numbers = write_range(maker(kind, overrides), sessions, chunks, staging.work, progress)
    files = close_sessions(sessions)
    save_document(staging.root / STROKES, document)
    reasons = [str(row.get("reason", "")) for row in take.manifest["frames"]]
    stats = frame_stats(numbers, data.plan, reasons, frames, References.load(take.path / DATA / REFERENCES))
    spans = find_spans(stats, float(plate.info.rate))
    made_from = file_hash(staging.root / STROKES)
    files = {**take.manifest["files"], **files, "page": PAGE}
    manifest = {
        **take.manifest,
        "review": review_rows(spans),
        "comp": {**take.manifest.get("comp", {}), "matte": made_from, **({"picture": made_from} if pictures else {})},
        "override": said,
        "holds_plate": held_keys(document.drive.holds(frames), frames.start),
        "deliveries": [writer.name for writer in writers],
        "files": {**files, **script_files(files)},
        "frames": updated_rows(take.manifest["frames"], numbers) if pictures else take.manifest["frames"],
    }
    write_reports(staging.root, maker(PatchMaker, overrides), manifest, stats, spans)
    write_scripts(staging.root, manifest)
    mode = settings.provenance.credentials
    credentials_or_warning(staging.root, manifest, mode, report=REPORT, beside=take.path)
    return manifest


def _plate_of(take: Take) -> MediaInfo:
    """The plate that the take was made from.

    Raises:
        MediaError: it is gone, or its contents have changed.
    """
    from julnet_plugin.media.probe import probe

    made_from = take.manifest["inputs"]["plate"]
    path = Path(made_from["path"])
    info = probe(path)
    if plate_hash(info) != made_from["sha256"]:
        raise MediaError(
            f"{path} is not the plate that {take.path.name} was made from any more: put the original file back, or "
            "render the take again",
            path,
        )
    return info


def deliveries_of(take: Take, more: Sequence[str], manager: Manager) -> list[TakeWriter]:
    """The writers of what a take delivers, and of what it shall deliver besides.

    Raises:
        SettingsError: a delivery is unknown, or a plugin that the take was rendered with is gone.
    """
    kept = take.manifest.get("deliveries", take.manifest["request"]["deliver"])
    wanted = find_writers(more, manager) if more else {}
    return list({**{name: _writer(name, manager) for name in kept}, **wanted}.values())


def _writer(name: str, manager: Manager) -> TakeWriter:
    known = manager.writers()
    if name not in known:
        raise SettingsError(
            f"the take was delivered as {name!r}, which no plugin here writes: install one, or render the take again",
            key="deliver",
        )
    return known[name]


def _delivery_job(
    take: Take, info: MediaInfo, chunks: tuple[FrameRange, ...], staging: Staging, drive: Drive
) -> DeliveryJob:
    dub, job = take.manifest["inputs"]["dub"], take.manifest["job"]
    return DeliveryJob(
        folder=staging.root,
        work=staging.work,
        info=info,
        frames=frames_of(take),
        chunks=chunks,
        dub=Path(dub["path"]),
        dub_offset_s=job["dub_offset_s"],
        dub_track=dub["track"],
        settings=writer_settings(drive, frames_of(take), take.manifest["model"]["crop_size"]),
    )


def _silent(stage: str, done: int, total: int) -> None:
    """Progress that nobody wants."""
