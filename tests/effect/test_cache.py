"""What is remembered of a plate makes the next take quicker, and never another one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile

import julnet_plugin
from julnet_plugin.pipeline.cache import Cache, makers, open_cache
from julnet_plugin.types import Take

Contents = Callable[[Path], dict[str, str]]
Render = Callable[..., Take]


@pytest.fixture
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own, switched on."""
    monkeypatch.setenv("JULNET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def counting(stages: dict[str, int]) -> Callable[[str, int, int], None]:
    def progress(stage: str, done: int, total: int) -> None:
        stages[stage] = stages.get(stage, 0) + 1

    return progress


def entries(folder: Path, kind: str) -> list[Path]:
    return sorted(folder.glob(f"{kind}-*"))


def test_another_dub_on_the_same_plate_does_not_track_again_and_gives_the_bytes_of_a_cold_render(
    render: Render, line: Path, tmp_path: Path, cache_folder: Path, contents: Contents, monkeypatch: pytest.MonkeyPatch
) -> None:
    render(tmp_path / "first")
    samples, rate = soundfile.read(line)
    other = tmp_path / "other.wav"
    soundfile.write(other, samples[::-1], rate)
    stages: dict[str, int] = {}
    warm = render(tmp_path / "warm" / "take", counting(stages), dub=other)
    assert stages["track"] == 1
    assert stages["render"] == 24
    monkeypatch.setenv("JULNET_CACHE", "off")
    cold = render(tmp_path / "cold" / "take", dub=other)
    assert contents(warm.path) == contents(cold.path)
    assert [len(entries(cache_folder, kind)) for kind in ("faces", "grain", "references", "dub")] == [1, 1, 1, 2]


@pytest.mark.parametrize("kind", ["faces", "references", "dub"])
def test_a_damaged_entry_is_made_anew(
    render: Render, tmp_path: Path, cache_folder: Path, contents: Contents, kind: str
) -> None:
    first = render(tmp_path / "first" / "take")
    (entry,) = entries(cache_folder, kind)
    largest = max(entry.iterdir(), key=lambda path: path.stat().st_size)
    spoilt = bytearray(largest.read_bytes())
    spoilt[len(spoilt) // 2] ^= 0xFF
    largest.write_bytes(spoilt)
    assert contents(render(tmp_path / "second" / "take").path) == contents(first.path)
    assert largest.read_bytes() != bytes(spoilt), "the entry was replaced"


def test_a_range_of_what_was_tracked_is_not_tracked_again_and_gives_the_bytes_of_a_cold_render(
    render: Render, tmp_path: Path, cache_folder: Path, contents: Contents, monkeypatch: pytest.MonkeyPatch
) -> None:
    render(tmp_path / "first")
    stages: dict[str, int] = {}
    warm = render(tmp_path / "warm" / "take", counting(stages), in_point="3")
    assert stages["track"] == 1
    monkeypatch.setenv("JULNET_CACHE", "off")
    assert contents(warm.path) == contents(render(tmp_path / "cold" / "take", in_point="3").path)


def test_an_entry_is_for_its_own_settings_alone(render: Render, tmp_path: Path, cache_folder: Path) -> None:
    render(tmp_path / "first")
    stages: dict[str, int] = {}
    render(tmp_path / "take", counting(stages), settings={"face.max_faces": 2, "render.threads": 1})
    assert stages["track"] > 1


def test_a_cache_that_cannot_be_written_changes_nothing(
    render: Render, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("JULNET_CACHE", str(tmp_path / "file"))
    assert render(tmp_path / "take").files


def file_of(folder: Path, name: str, size: int) -> Path:
    path = folder / name
    path.write_bytes(os.urandom(size))
    return path


def test_what_was_not_used_for_longest_goes_first(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", limit=3000)
    made = file_of(tmp_path, "a.bin", 1000)
    for number in range(3):
        cache.store("thing", {"n": number}, [made])
    assert cache.fetch("thing", {"n": 0}, tmp_path / "used")
    cache.store("thing", {"n": 3}, [made])
    there = [cache.fetch("thing", {"n": number}, tmp_path / f"out{number}") for number in range(4)]
    assert there == [True, False, True, True]
    cache.store("thing", {"n": 4}, [file_of(tmp_path, "b.bin", 2000)])
    assert not cache.fetch("thing", {"n": 4}, tmp_path / "large"), "one entry would push out most of the others"


def test_what_a_dead_process_left_is_removed_in_time(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    left, fresh, broken = folder / ".old.part", folder / ".new.part", folder / "thing-broken"
    for path in (left, fresh, broken):
        path.mkdir(parents=True)
    (broken / "entry.json").write_text("{")
    os.utime(left, (1, 1))
    Cache(folder).trim()
    assert [left.exists(), fresh.exists(), broken.exists()] == [False, True, False]


HAMMER = """
import hashlib, sys
from pathlib import Path
from julnet_plugin.pipeline.cache import Cache
folder, own = Path(sys.argv[1]), Path(sys.argv[2])
own.mkdir()
cache, found = Cache(folder, limit=40_000), 0
for turn in range(60):
    number = turn // 2 % 7  # twice in a row: more of them than fit, and yet each is asked for while it is there
    content = hashlib.sha256(str(number).encode()).digest() * 300
    (own / "file").write_bytes(content)
    target = own / f"out{turn}"
    if cache.fetch("thing", {"n": number}, target):
        found += 1
        assert (target / "file").read_bytes() == content, number
    else:
        cache.store("thing", {"n": number}, [own / "file"])
print(found)
"""


def test_processes_that_share_a_small_cache_never_see_half_an_entry(tmp_path: Path) -> None:
    commands = [[sys.executable, "-c", HAMMER, str(tmp_path / "cache"), str(tmp_path / f"own{n}")] for n in range(3)]
    runs = [subprocess.Popen(c, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for c in commands]
    said = [run.communicate(timeout=120) for run in runs]
    for run, (out, err) in zip(runs, said, strict=True):
        assert run.returncode == 0, err
        assert int(out) > 0


def test_the_environment_names_the_cache_and_its_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("JULNET_CACHE", "off")
    assert open_cache().folder is None
    monkeypatch.setenv("JULNET_CACHE", str(tmp_path))
    monkeypatch.setenv("JULNET_CACHE_GB", "0.5")
    assert open_cache() == Cache(tmp_path, 0.5e9)
    monkeypatch.setenv("JULNET_CACHE_GB", "much")
    assert open_cache().limit > 0
    assert "JULNET_CACHE_GB" in caplog.text


def test_what_was_remembered_with_other_weights_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = file_of(tmp_path, "cover.safetensors", 10)
    monkeypatch.setattr(julnet_plugin, "__file__", str(tmp_path / "__init__.py"))
    makers.cache_clear()
    before = makers()
    makers.cache_clear()
    file_of(tmp_path, weights.name, 11)
    assert makers() != before
    monkeypatch.undo()
    makers.cache_clear()
