from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from julnet_plugin.cli import main
from julnet_plugin.errors import InputError
from trainer.study.page import parse_systems, write_study
from trainer.study.scores import sign_test, summarise_study

MakeMovie = Callable[..., Path]


@pytest.fixture
def systems(make_movie: MakeMovie, tmp_path: Path) -> dict[str, Path]:
    """Two systems with two movies each; one made a third."""
    folders = {}
    for system, clips in {"ours": ("a", "b", "c"), "theirs": ("a", "b")}.items():
        folders[system] = tmp_path / system
        folders[system].mkdir()
        for clip in clips:
            made = make_movie(f"{system}-{clip}.mp4", size=(64, 48), frames=4, codec="libx264")
            made.rename(folders[system] / f"{clip}.mp4")
    return folders


def embedded(page: Path, name: str) -> Any:
    found = re.search(rf"^const {name} = (.*);$", page.read_text("utf-8"), re.MULTILINE)
    assert found
    return json.loads(found[1])


def test_the_page_holds_everything_and_tells_nobody_who_made_what(systems: dict[str, Path], tmp_path: Path) -> None:
    study = write_study(systems, tmp_path / "page.html", title="A <b>title</b> </script>")
    text = study.page.read_text("utf-8")
    movies, content = embedded(study.page, "movies"), embedded(study.page, "content")
    assert study.movies == len(movies) == 4
    assert all(data.startswith("data:video/mp4;base64,") for data in movies.values())
    assert "ours" not in text
    assert "theirs" not in text
    assert "http" not in text
    assert text.count("</script>") == 1
    key = json.loads(study.key.read_text("utf-8"))
    assert key["study"] == content["study"]
    assert set(key["movies"]) == set(movies) == set(content["asked"]["mos"])
    assert study.questions == 4 + 2
    for first, second in content["asked"]["ab"]:
        assert key["movies"][first]["clip"] == key["movies"][second]["clip"]
        assert {key["movies"][m]["system"] for m in (first, second)} == {"ours", "theirs"}


def answers(study_id: str, key: dict[str, dict[str, str]], favourite: str, participant: str) -> dict[str, Any]:
    """Somebody who loves one system."""
    by_clip: dict[str, list[str]] = {}
    for movie, what in key.items():
        by_clip.setdefault(what["clip"], []).append(movie)
    loved = {movie: what["system"] == favourite for movie, what in key.items()}
    given: list[dict[str, Any]] = [
        {"kind": "mos", "movies": [m], "quality": 5 if loved[m] else 2, "realness": 4, "sync": 3} for m in key
    ]
    given += [
        {"kind": "ab", "movies": pair, "choice": "left" if loved[pair[0]] else "right"} for pair in by_clip.values()
    ]
    return {"study": study_id, "participant": participant, "answers": given}


def test_saved_answers_add_up_to_scores_and_preferences(
    systems: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, out = tmp_path / "page.html", tmp_path / "result"
    words = [f"{name}={folder}" for name, folder in systems.items()]
    assert main(["study", *words, "-o", str(page), "--no-plugins"]) == 0
    key = json.loads((tmp_path / "page.key.json").read_text("utf-8"))
    files = []
    for person, favourite in (("1", "ours"), ("2", "ours"), ("3", "theirs")):
        path = tmp_path / f"scores-{person}.json"
        path.write_text(json.dumps(answers(key["study"], key["movies"], favourite, person)), "utf-8")
        files.append(str(path))
    command = ["study", "-o", str(out), "--key", str(tmp_path / "page.key.json"), "--scores", *files, "--no-plugins"]
    assert main(command) == 0
    assert "ours preferred to theirs: 4 of 6, the other 2" in capsys.readouterr().out
    result = json.loads((out / "study.json").read_text("utf-8"))
    assert result["participants"] == 3
    assert result["opinions"]["ours"]["quality"]["mean"] == pytest.approx(4.0)
    assert result["opinions"]["theirs"]["quality"]["mean"] == pytest.approx(3.0)
    assert result["preferences"][0]["p_value"] == pytest.approx(sign_test(4, 2))


def test_the_sign_test_is_the_binomial_one() -> None:
    assert sign_test(0, 0) == 1.0
    assert sign_test(5, 5) == 1.0
    assert sign_test(6, 0) == pytest.approx(2 / 64)
    assert sign_test(1, 7) == pytest.approx(2 * 9 / 256)


def test_answers_of_another_study_or_with_nonsense_are_refused(systems: dict[str, Path], tmp_path: Path) -> None:
    study = write_study(systems, tmp_path / "page.html")
    key = json.loads(study.key.read_text("utf-8"))
    saved = tmp_path / "scores.json"
    good = answers(key["study"], key["movies"], "ours", "1")
    for broken, message in (
        (good | {"study": "another"}, "no answers of this study"),
        (good | {"answers": [{"kind": "mos", "movies": ["nobody"]}]}, "does not write"),
        (good | {"answers": [good["answers"][0] | {"quality": 9}]}, "does not write"),
        ([], "is not of a study"),
    ):
        saved.write_text(json.dumps(broken), "utf-8")
        with pytest.raises(InputError, match=message):
            summarise_study(study.key, [saved])


def test_what_cannot_be_judged_is_refused_in_one_sentence(
    systems: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], make_movie: MakeMovie
) -> None:
    page = str(tmp_path / "page.html")
    alone = f"ours={systems['ours']}"
    odd = tmp_path / "odd"
    odd.mkdir()
    make_movie("odd.mov", size=(64, 48), frames=2, codec="mpeg4").rename(odd / "a.mov")
    (tmp_path / "none").mkdir()
    for words, message in (
        ([alone, "-o", page], "pairs need two systems"),
        (["ours", "-o", page], "NAME=FOLDER"),
        ([alone, f"odd={odd}", "-o", page], "which browsers do not play"),
        ([alone, f"no={tmp_path / 'none'}", "-o", page], "no movie name is in every folder"),
        ([alone, "--no-pairs", "-o", str(tmp_path / "page.txt")], "ends in .html"),
        (["-o", page], "give either"),
        (["-o", page, "--scores", "x.json"], "give --key"),
    ):
        assert main(["study", *words, "--no-plugins"]) == 2
        assert message in capsys.readouterr().err
    assert not Path(page).exists()
    with pytest.raises(InputError, match="twice"):
        parse_systems(["a=x", "a=y"])
