"""From a clip in a host to a take beside it, by a real worker; and what can go wrong on the way."""

from __future__ import annotations

import os
import queue
import shutil
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import soundfile
import torch
from bench import Bench, Shot, pictures_of
from bench_nuke import make as make_nuke
from bench_resolve import make as make_resolve

import julnet_plugin
from host_adapters.base import ClipRef, HostSession, MediaMissing, SourceRange, read_take, sequence_files
from host_adapters.redub import Redub, Status, Wishes, fresh_take_dir, redub_request
from host_adapters.resolve.menu import DELIVER
from host_adapters.resolve.session import COMP
from host_adapters.worker_client import WorkerClient
from julnet_plugin.demo import camera_move
from julnet_plugin.manager import make_manager
from julnet_plugin.model.checkpoint import save_checkpoint
from julnet_plugin.model.info import CheckpointInfo
from julnet_plugin.model.rt import RtConfig, RtGenerator

ROOT = Path(julnet_plugin.__file__).parents[1]
FRAMES = 12
SIZE = (320, 240)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Weights that were drawn at random."""
    torch.manual_seed(3)
    name, features = next(iter(make_manager(third_party=False).contributed("julnet_audio_features").items()))
    network = RtGenerator(RtConfig(width=8, fine_width=8, crop_size=(208, 160), audio_size=features.size))
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.12)
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    info = CheckpointInfo.of(network, architecture="rt", audio_feature=name, calibration=((0.0, 0.0), (0.5, 0.25)))
    save_checkpoint(network, info, path)
    return str(path)


@pytest.fixture(scope="module")
def dub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half a second of the demo's line, under a name that needs care."""
    samples, rate = soundfile.read(ROOT / "julnet_plugin" / "data" / "demo_line.flac")
    path = tmp_path_factory.mktemp("dub") / "Zeile ü, 1.wav"
    soundfile.write(path, samples[rate // 4 : rate // 4 + rate // 2], rate)
    return path


@pytest.fixture(scope="module")
def client() -> Iterator[WorkerClient]:
    """One real worker for all of this file."""
    made = WorkerClient(environment={**os.environ, "PYTHONPATH": str(ROOT)})
    yield made
    made.close()


@pytest.fixture
def shot(tmp_path: Path, make_movie: Callable[..., Path]) -> Shot:
    """A face under a moving camera, of which the clip shows all but two frames at each end."""
    faces = [np.asarray(cv2.resize(p, SIZE, interpolation=cv2.INTER_AREA), np.uint8) for p in camera_move(FRAMES)]
    (tmp_path / "my plates é").mkdir()
    name = "my plates é/shot 1.mov"
    rate = Fraction(24000, 1001)
    make_movie(
        name, codec="png", pixel_format="rgb24", rate=rate, frames=FRAMES, size=SIZE, timecode="01:00:00:00",
        picture=lambda index: faces[index],
    )  # fmt: skip
    return Shot(
        plate=tmp_path / name, frames=FRAMES, start=2, stop=10, record_in=3, rate=rate, record_rate=Fraction(24)
    )


@pytest.fixture(params=[make_resolve, make_nuke], ids=["resolve", "nuke"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    return request.param(tmp_path / "project")  # type: ignore[no-any-return]


Ask = Callable[..., Wishes]


@pytest.fixture
def ask(model: str, dub: Path) -> Ask:
    def make(**changes: Any) -> Wishes:
        settings = {"render.chunk_frames": 4, "render.threads": 1}
        values = {"dub": str(dub), "model": model, "device": "cpu", "deliver": ("png",), "settings": settings}
        return Wishes(**{**values, **changes})

    return make


def ended(*redubs: Redub, within_s: float = 240) -> list[Status]:
    deadline = time.monotonic() + within_s
    while not all(redub.poll().ended for redub in redubs) and time.monotonic() < deadline:
        time.sleep(0.02)
    return [redub.status for redub in redubs]


def begun(session: HostSession, client: WorkerClient, wishes: Wishes) -> Redub:
    redub = Redub(session, client, session.selection()[0], wishes)
    redub.start()
    return redub


def test_a_clip_with_handles_becomes_a_take_that_is_shown(
    shot: Shot, client: WorkerClient, ask: Ask, tmp_path: Path
) -> None:
    session = make_nuke(tmp_path / "project").open(shot)
    (clip,) = session.selection()
    (status,) = ended(begun(session, client, ask(handles=1)))
    assert status.state == "done", status
    take = read_take(status.folder)
    assert take.frames == SourceRange.of(1, 11)
    assert Path(status.folder).parent == shot.plate.parent / "julnet_takes"
    got = pictures_of(session.render(clip.record, str(tmp_path / "out")))
    dub, plate = pictures_of(take.picture)[1:9], pictures_of(str(shot.plate))[2:10]
    assert np.array_equal(got, dub)
    assert not np.array_equal(got, plate)
    session.select_take(clip, None)
    assert np.array_equal(pictures_of(session.render(clip.record, str(tmp_path / "plain"))), plate)


def test_two_renders_of_one_clip_at_once_are_two_takes(
    shot: Shot, client: WorkerClient, ask: Ask, tmp_path: Path
) -> None:
    bench = make_resolve(tmp_path / "project")
    session = bench.open(shot)
    one, two = begun(session, client, ask(deliver=DELIVER)), begun(session, client, ask())
    assert [status.state for status in ended(one, two)] == ["done", "done"]
    assert one.take_dir != two.take_dir
    matte = read_take(one.take_dir).matte
    assert matte is not None
    assert len(sequence_files(matte)) == 8
    assert list(bench.app.open.timelines[0].tracks[0].items[0].comps) == [COMP]  # type: ignore[union-attr]
    assert len((Path(one.take_dir) / "resolve.comp").read_text("utf-8")) > 500
    assert [take.active for take in session.takes(session.list_clips()[0])] == [False, True]


def test_a_project_that_is_closed_during_the_render_loses_nothing(
    shot: Shot, client: WorkerClient, ask: Ask, tmp_path: Path
) -> None:
    bench = make_resolve(tmp_path / "project")
    redub = begun(bench.open(shot), client, ask())
    bench.close_project()
    (status,) = ended(redub)
    assert status.state == "failed"
    assert "closed" in status.sentence
    assert redub.take_dir in status.sentence
    assert (Path(redub.take_dir) / "take.json").is_file()
    session = bench.reopen()
    (clip,) = session.list_clips()
    assert session.place_take(clip, read_take(redub.take_dir)).active


def test_a_cancelled_render_leaves_the_project_as_it_was(
    shot: Shot, client: WorkerClient, ask: Ask, tmp_path: Path
) -> None:
    session = make_resolve(tmp_path / "project").open(shot)
    redub = begun(session, client, ask())
    redub.cancel()
    assert ended(redub)[0] == Status("cancelled", "Stopped")
    assert session.takes(session.list_clips()[0]) == []


def test_a_plate_that_was_moved_is_said_before_anything_is_rendered(
    bench: Bench, shot: Shot, client: WorkerClient, ask: Ask
) -> None:
    session = bench.open(shot)
    clips = session.selection()
    shutil.move(shot.plate, shot.plate.with_name("elsewhere.mov"))
    with pytest.raises(MediaMissing, match=r"shot 1.mov is not there: it was moved"):
        Redub(session, client, clips[0], ask()).start()


def test_what_the_worker_refuses_is_told_in_its_own_words(
    shot: Shot, client: WorkerClient, ask: Ask, tmp_path: Path
) -> None:
    session = make_resolve(tmp_path / "project").open(shot)
    (status,) = ended(begun(session, client, ask(model="nobody")))
    assert status.state == "failed"
    assert "nobody" in status.sentence


def test_a_worker_that_is_killed_ends_the_job_and_the_next_one_gets_another(
    shot: Shot, client: WorkerClient, ask: Ask, tmp_path: Path
) -> None:
    session = make_nuke(tmp_path / "project").open(shot)
    before = session.list_clips()
    redub = begun(session, client, ask())
    while redub.poll().share == 0:
        time.sleep(0.02)
    assert client._process is not None
    client._process.kill()
    (status,) = ended(redub)
    assert "was ended by signal 9" in status.sentence
    assert (session.list_clips(), session.takes(before[0])) == (before, [])
    heard: queue.Queue[dict[str, Any]] = queue.Queue()
    client.request("ping", heard.put)
    assert heard.get(timeout=120)["pong"]


def clip(path: str, name: str = "shot") -> ClipRef:
    frames = SourceRange.of(10, 34)
    record: Any = None
    return ClipRef("1", name, path, frames, record, Fraction(25), Fraction(25), SourceRange.of(0, 36))


def test_handles_move_the_dub_with_them() -> None:
    wishes = Wishes(dub="/d.wav", offset_s=0.5, handles=5)
    request = redub_request(clip("/p.mov"), wishes, "/t")
    assert (request["in_point"], request["out_point"], request["dub_offset_s"]) == ("5", "36", 0.7)


def test_a_network_path_stays_one(tmp_path: Path) -> None:
    wishes = Wishes(dub="//server/dubs/line.wav", takes_folder=str(tmp_path))
    request = redub_request(clip("//server/share/shot.####.exr"), wishes, "//server/takes/1")
    assert (request["plate"], request["take_dir"]) == ("//server/share/shot.####.exr", "//server/takes/1")


def test_take_folders_have_names_that_every_system_takes(tmp_path: Path) -> None:
    wishes = Wishes(dub='/d/li?ne "1".wav', takes_folder=str(tmp_path))
    (tmp_path / "a_b_c li_ne _1_").mkdir()
    (tmp_path / ".a_b_c li_ne _1_ 2.partial").mkdir()
    assert fresh_take_dir(clip("/p.mov", "a/b:c"), wishes) == str(tmp_path / "a_b_c li_ne _1_ 3")
    assert fresh_take_dir(clip("/p.mov", "a/b:c"), wishes) == str(tmp_path / "a_b_c li_ne _1_ 4")
