"""The folder a take grows in."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from julnet_plugin.errors import TakeError
from julnet_plugin.pipeline.workfolder import MANIFEST, WorkFolder, check_free, read_json, replacing, write_json

JOB = {"plate": "aa", "seed": 0}


def interrupted(take: Path, by: BaseException | None = None) -> None:
    with WorkFolder(take) as folder:
        folder.begin(JOB, resume=False)
        if by:
            raise by


def listing(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


def test_a_finished_take_appears_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    with WorkFolder(tmp_path / "new" / "take") as folder:
        assert folder.begin(JOB, resume=False) is False
        (folder.root / "dub.mov").write_bytes(b"x")
        assert not folder.take_dir.exists()
        folder.finish(json.dumps({"job": JOB}))
    assert listing(tmp_path) == ["new", "new/take", "new/take/dub.mov", "new/take/take.json"]


def test_a_discarded_job_leaves_no_trace_not_even_the_parents_it_made(tmp_path: Path) -> None:
    with WorkFolder(tmp_path / "a" / "b" / "take") as folder:
        folder.begin(JOB, resume=False)
        folder.discard()
    assert listing(tmp_path) == []


def test_an_interrupted_job_keeps_its_work(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        interrupted(tmp_path / "take", by=KeyboardInterrupt())
    assert ".take.partial/.work/job.json" in listing(tmp_path)
    assert ".take.lock" not in listing(tmp_path)


def test_unfinished_work_is_continued_only_when_asked(tmp_path: Path) -> None:
    interrupted(tmp_path / "take")
    with pytest.raises(TakeError, match="--resume"), WorkFolder(tmp_path / "take") as folder:
        folder.begin(JOB, resume=False)
    with WorkFolder(tmp_path / "take") as folder:
        assert folder.begin(JOB, resume=True) is False


def test_another_request_does_not_continue_it_and_hears_what_differs(tmp_path: Path) -> None:
    interrupted(tmp_path / "take")
    with pytest.raises(TakeError, match="another seed"), WorkFolder(tmp_path / "take") as folder:
        folder.begin({**JOB, "seed": 3}, resume=True)


def test_resuming_a_finished_take_returns_at_once(tmp_path: Path) -> None:
    with WorkFolder(tmp_path / "take") as folder:
        folder.begin(JOB, resume=False)
        folder.finish(json.dumps({"job": JOB}))
    with WorkFolder(tmp_path / "take") as folder:
        assert folder.begin(JOB, resume=True) is True


def test_a_job_killed_after_its_manifest_and_before_the_rename_can_still_finish(tmp_path: Path) -> None:
    interrupted(tmp_path / "take")
    write_json(tmp_path / ".take.partial" / MANIFEST, {"job": JOB})
    with WorkFolder(tmp_path / "take") as folder:
        assert folder.begin(JOB, resume=True) is False
        folder.finish(json.dumps({"job": JOB}))
    assert read_json(tmp_path / "take" / MANIFEST) == {"job": JOB}


def test_what_is_not_ours_is_never_touched(tmp_path: Path) -> None:
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "photo.jpg").write_bytes(b"precious")
    (tmp_path / "file").write_bytes(b"precious")
    for name in ("holiday", "file"):
        with pytest.raises(TakeError, match="choose another output"):
            check_free(tmp_path / name, resume=True)
    assert listing(tmp_path) == ["file", "holiday", "holiday/photo.jpg"]


def test_an_existing_take_is_refused_without_resume(tmp_path: Path) -> None:
    write_json_folder = tmp_path / "take"
    write_json_folder.mkdir()
    write_json(write_json_folder / MANIFEST, {"job": JOB})
    with pytest.raises(TakeError, match="already holds a take"):
        check_free(write_json_folder, resume=False)


def test_an_empty_folder_may_become_the_take(tmp_path: Path) -> None:
    (tmp_path / "take").mkdir()
    with WorkFolder(tmp_path / "take") as folder:
        folder.begin(JOB, resume=False)
        folder.finish(json.dumps({"job": JOB}))
    assert (tmp_path / "take" / MANIFEST).is_file()


def test_an_output_under_a_file_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(TakeError, match="choose another output"), WorkFolder(tmp_path / "file" / "take"):
        pass
    assert listing(tmp_path) == ["file"]


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="the super-user may write anywhere")
def test_an_unwritable_output_is_refused_in_one_sentence(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(TakeError, match="may write to"), WorkFolder(tmp_path / "take"):
        pass


def test_two_processes_cannot_render_one_take(tmp_path: Path) -> None:
    script = textwrap.dedent("""
        import sys
        from pathlib import Path
        from julnet_plugin.pipeline.workfolder import WorkFolder
        with WorkFolder(Path(sys.argv[1])):
            print("locked", flush=True)
            sys.stdin.readline()
    """)
    command = [sys.executable, "-c", script, str(tmp_path / "take")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(TakeError, match="another process"), WorkFolder(tmp_path / "take"):
            pass
        other.communicate("done\n")
    with WorkFolder(tmp_path / "take"):
        pass


def test_a_damaged_manifest_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text("{ half")
    with pytest.raises(TakeError, match="render it again"):
        read_json(tmp_path / MANIFEST)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "x"
    target.write_text("old")
    with contextlib.suppress(RuntimeError), replacing(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert listing(tmp_path) == ["x"]
