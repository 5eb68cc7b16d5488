"""What files say about their origin is there, is true, and is gone or wrong when the pixels are others."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import av
import c2pa
import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from julnet_plugin.cli import main
from julnet_plugin.errors import SettingsError
from julnet_plugin.provenance import credentials
from julnet_plugin.provenance.certificate import CERTIFICATE, KEY, identity
from julnet_plugin.provenance.consent import read_consent
from julnet_plugin.provenance.credentials import forget_oldest
from julnet_plugin.provenance.verify import verify_file, verify_take
from julnet_plugin.provenance.xmp import DIGITAL_SOURCE_TYPE
from julnet_plugin.recomp import recomposite
from julnet_plugin.take import load_take
from julnet_plugin.types import Take

DELIVER = ("prores", "png", "exr")


@pytest.fixture(scope="module")
def signed(render: Callable[..., Take], tmp_path_factory: pytest.TempPathFactory) -> Take:
    """A take with every kind of file."""
    return render(tmp_path_factory.mktemp("signed") / "take", deliver=DELIVER, out_point="10")


def read_by_the_library(path: Path) -> dict[str, object] | None:
    """The c2pa library's own reader, without our settings."""
    reader = c2pa.Reader.try_create(path)
    if reader is None:
        return None
    with reader:
        store: dict[str, object] = json.loads(reader.json())
    return store


def with_sound(plate: Path, sound: Path, path: Path) -> Path:
    """The plate's own packets with a recording beside them."""
    with av.open(str(plate)) as video, av.open(str(sound)) as audio, av.open(str(path), "w") as out:
        pictures = out.add_stream_from_template(video.streams.video[0])
        heard = out.add_stream("pcm_s16le", rate=audio.streams.audio[0].rate)
        for packet in video.demux(video=0):
            if packet.dts is not None:
                packet.stream = pictures
                out.mux(packet)
        for frame in audio.decode(audio=0):
            out.mux(heard.encode(frame))
        out.mux(heard.encode())
    return path


def test_every_picture_and_movie_of_a_fresh_take_says_what_it_is(signed: Take) -> None:
    found = {str(one.file.relative_to(signed.path)): one for one in verify_take(signed.path)}
    assert {"dub.mov", "report.png", "png/dub.000003.png", "exr/layers.000003.exr"} <= set(found)
    assert {one.verdict for one in found.values()} == {"match"}, found
    claims = found["dub.mov"].claims
    assert claims["plate"]["sha256"] == signed.manifest["inputs"]["plate"]["sha256"]
    assert claims["dub"]["sha256"] == signed.manifest["inputs"]["dub"]["sha256"]
    assert claims["model"]["sha256"] == signed.manifest["model"]["sha256"]
    assert signed.manifest["credentials"] == {"kind": "c2pa", "certificate": "local", "vouched_by": "report.png"}


@pytest.mark.parametrize("name", ["dub.mov", "png/dub.000007.png"])
def test_the_library_s_own_reader_agrees(name: str, signed: Take) -> None:
    store = read_by_the_library(signed.path / name)
    assert store is not None
    assert store["validation_state"] == "Valid"
    manifest = store["manifests"][store["active_manifest"]]  # type: ignore[index]
    assert [i["relationship"] for i in manifest["ingredients"]] == ["parentOf", "inputTo"]
    actions = next(a["data"]["actions"] for a in manifest["assertions"] if a["label"].startswith("c2pa.actions"))
    assert [a["action"] for a in actions] == ["c2pa.opened", "c2pa.edited"]
    assert actions[1]["digitalSourceType"] == DIGITAL_SOURCE_TYPE
    assert DIGITAL_SOURCE_TYPE.encode() in (signed.path / name).read_bytes().replace(b"\0", b"")  # XMP, and actions


def test_a_plate_re_dubbed_with_its_own_sound_is_one_ingredient(
    render: Callable[..., Take], plate: Path, line: Path, tmp_path: Path
) -> None:
    spoken = with_sound(plate, line, tmp_path / "spoken.mov")
    take = render(tmp_path / "take", plate=spoken, dub=spoken, deliver=("prores",), out_point="6")
    assert not any("credentials" in warning for warning in take.manifest["warnings"])
    assert {one.verdict for one in verify_take(take.path)} == {"match"}
    store = read_by_the_library(take.path / "dub.mov")
    assert store is not None
    manifest = store["manifests"][store["active_manifest"]]  # type: ignore[index]
    assert [i["relationship"] for i in manifest["ingredients"]] == ["parentOf"]


def test_the_report_vouches_for_a_movie_that_is_too_large_to_hold_its_own(
    render: Callable[..., Take], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "MOST_EMBEDDED", 1000)
    movie = render(tmp_path / "take", deliver=("prores",), out_point="6").path / "dub.mov"
    assert read_by_the_library(movie) is None
    found = verify_file(movie)
    assert (found.verdict, found.claims["plate"]["name"]) == ("match", "plate.mov")
    movie.write_bytes(movie.read_bytes()[:-1] + b"x")
    assert verify_file(movie).verdict == "mismatch"


def test_a_movie_that_was_encoded_again_has_lost_them(signed: Take, tmp_path: Path) -> None:
    with av.open(str(signed.path / "dub.mov")) as old, av.open(str(tmp_path / "again.mov"), "w") as new:
        stream = new.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for frame in old.decode(video=0):
            new.mux(stream.encode(frame.reformat(format="yuv420p")))
        new.mux(stream.encode(None))
    assert verify_file(tmp_path / "again.mov").verdict == "none"
    assert read_by_the_library(tmp_path / "again.mov") is None


@pytest.mark.parametrize("name", ["dub.mov", "png/dub.000007.png", "exr/layers.000007.exr", "matte.mov"])
def test_one_changed_byte_of_picture_is_seen(name: str, signed: Take, tmp_path: Path) -> None:
    shutil.copytree(signed.path, tmp_path / "take")
    path = tmp_path / "take" / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    said = verify_file(path)
    assert said.verdict == "mismatch"
    assert "changed" in said.text
    if path.suffix == ".mov" and name != "matte.mov":
        store = read_by_the_library(path)
        assert store is not None
        assert store["validation_state"] == "Invalid"


def test_painted_pixels_under_the_old_credentials_are_seen(signed: Take, tmp_path: Path) -> None:
    """Somebody decodes, paints, encodes, and carries the credentials over."""
    original = signed.path / "png" / "dub.000007.png"
    data = original.read_bytes()
    start = data.index(b"caBX") - 4
    chunk = data[start : start + 12 + int.from_bytes(data[start : start + 4], "big")]
    with av.open(str(original)) as container:
        picture = next(container.decode(video=0)).to_ndarray(format="rgb24")
    picture[100:140, 100:180] = np.uint8(0)
    encoder = av.CodecContext.create("png", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = 320, 240, "rgb24", 1
    painted = b"".join(bytes(p) for p in encoder.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
    (tmp_path / "painted.png").write_bytes(painted[:33] + chunk + painted[33:])
    assert verify_file(tmp_path / "painted.png").verdict == "mismatch"
    store = read_by_the_library(tmp_path / "painted.png")
    assert store is not None
    assert store["validation_state"] == "Invalid"


def test_verify_says_yes_or_no_with_its_exit_code(
    signed: Take, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(signed.path / "dub.mov")]) == 0
    assert capsys.readouterr().out.startswith("yes  dub.mov is what was signed by JULNet on this machine (known here)")
    (tmp_path / "note.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert main(["verify", str(tmp_path / "note.png")]) == 2
    assert main(["verify", str(tmp_path / "nothing.mov")]) == 2
    assert main(["verify", "--json", str(signed.path)]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert {row["verdict"] for row in result["files"]} == {"match"}


def test_a_take_composited_again_without_a_change_has_the_same_bytes(
    signed: Take, contents: Callable[[Path], dict[str, str]], tmp_path: Path
) -> None:
    shutil.copytree(signed.path, tmp_path / "take")
    recomposite(tmp_path / "take")
    assert contents(tmp_path / "take") == contents(signed.path)


def test_the_studio_s_certificate_signs_when_it_is_named(
    render: Callable[..., Take], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain, key = _studio(tmp_path)
    monkeypatch.setenv(CERTIFICATE, str(chain))
    with pytest.raises(SettingsError, match="only one of"):
        render(tmp_path / "take")
    monkeypatch.setenv(KEY, str(key))
    take = render(tmp_path / "take", out_point="4")
    assert take.manifest["credentials"]["certificate"] == "studio"
    said = verify_file(take.path / "png" / "dub.000000.png")
    assert (said.verdict, said.signer, said.trusted) == ("match", "Studio", True)
    monkeypatch.delenv(CERTIFICATE)
    monkeypatch.delenv(KEY)
    assert not verify_file(take.path / "png" / "dub.000000.png").trusted


def _studio(folder: Path) -> tuple[Path, Path]:
    """A studio's authority and certificate with another kind of key, made by the same rules."""
    from julnet_plugin.provenance.certificate import _certificate

    authority_key, own_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))

    def certificate(name: str, public: object, issuer: x509.Certificate | None) -> x509.Certificate:
        return _certificate(name, public, issuer, authority_key)

    authority = certificate("Studio authority", authority_key.public_key(), None)
    own = certificate("Studio", own_key.public_key(), authority)
    pem = serialization.Encoding.PEM
    (folder / "studio.pem").write_bytes(own.public_bytes(pem) + authority.public_bytes(pem))
    (folder / "studio.key").write_bytes(
        own_key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "studio.pem", folder / "studio.key"


def test_where_credentials_cannot_be_attached_the_take_says_so_or_fails(
    render: Callable[..., Take], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("JULNET_HOME", str(tmp_path / "file" / "home"))
    take = render(tmp_path / "take", out_point="4")
    assert "the files carry no content credentials" in take.manifest["warnings"][-1]
    settings = {"provenance.credentials": "require"}
    with pytest.raises(Exception, match="content credentials are required"):
        render(tmp_path / "other", out_point="4", settings=settings)


def test_the_local_key_is_for_its_owner_alone() -> None:
    identity()
    key = Path(os.environ["JULNET_HOME"]) / "certificate" / "key.pem"
    assert key.stat().st_mode & 0o077 == 0 or os.name == "nt"


def test_only_the_newest_credentials_are_remembered(tmp_path: Path) -> None:
    (tmp_path / "ab").mkdir()
    for number in range(4):
        path = tmp_path / "ab" / f"{number}.c2pa"
        path.touch()
        os.utime(path, (number, number))
    forget_oldest(tmp_path, most=1)
    assert [path.name for path in (tmp_path / "ab").iterdir()] == ["3.c2pa"]


NOTE = {"who": "A. Speaker", "what": "new lines for the trailer", "until": "2999-12-31"}


def test_a_note_of_consent_is_carried_along(render: Callable[..., Take], tmp_path: Path) -> None:
    note = tmp_path / "consent.json"
    note.write_text(json.dumps(NOTE), "utf-8")
    take = render(tmp_path / "take", out_point="4", consent=note, settings={"provenance.require_consent": True})
    carried = load_take(take.path).manifest["consent"]
    assert {name: carried[name] for name in NOTE} == NOTE
    claims = verify_file(take.path / "png" / "dub.000000.png").claims
    assert claims["consent"] == {"sha256": carried["sha256"], "until": "2999-12-31"}


def test_without_a_note_nothing_is_rendered_where_one_is_required(render: Callable[..., Take], tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="consent is required"):
        render(tmp_path / "take", settings={"provenance.require_consent": True})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("note.json", "{", "is not JSON"),
        ("note.json", '["who"]', "holds no JSON object"),
        ("note.json", "[" * 100_000, "nested too deeply"),
        ("note.json", json.dumps({**NOTE, "who": " "}), 'no usable "who"'),
        ("note.json", json.dumps({**NOTE, "until": "soon"}), "which is no date"),
        ("note.json", json.dumps({**NOTE, "until": "2020-01-01"}), "ended on 2020-01-01"),
        ("note.toml", "who = ", "is not TOML"),
        ("note.json", " " * 300_000, "larger than"),
    ],
)
def test_a_note_that_says_nothing_usable_is_refused(name: str, text: str, why: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text, "utf-8")
    with pytest.raises(SettingsError, match=why):
        read_consent(tmp_path / name)


def test_a_toml_note_with_a_date_is_a_note(tmp_path: Path) -> None:
    (tmp_path / "note.toml").write_text('who = "A"\nwhat = "all"\nuntil = 2030-05-01\n', "utf-8")
    assert read_consent(tmp_path / "note.toml", dt.date(2030, 5, 1))["until"] == "2030-05-01"
