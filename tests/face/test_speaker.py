from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from julnet_plugin.errors import InputError, NoFaceFoundError, SettingsError, TimeRangeError
from julnet_plugin.face.speaker import choose_track, describe, speech_envelope, talking_faces
from julnet_plugin.face.tracks import QUALITY, FaceTrack, Tracking
from julnet_plugin.types import FrameRange

SPAN = FrameRange(start=100, stop=220)
RNG = np.random.default_rng(4)
SPEECH = np.clip(np.convolve(RNG.normal(size=140), np.ones(4) / 4, "valid")[:120] * 0.1 + 0.1, 0, None)
CHATTER = np.clip(np.convolve(RNG.normal(size=140), np.ones(4) / 4, "valid")[:120] * 0.1 + 0.1, 0, None)
STILL = RNG.normal(0.02, 0.004, 120)
LOOKS = RNG.integers(0, 255, (3, 12, 12, 3)).astype(np.uint8)  #: three people


def face(
    index: int,
    x: float,
    aperture: NDArray[np.float64],
    *,
    size: float = 60.0,
    frames: FrameRange = SPAN,
    shot: int = 0,
    person: int = 0,
) -> FaceTrack:
    count = len(frames)
    quality = np.zeros(count, QUALITY)
    quality["found"] = True
    quality["mouth_px"] = size
    quality["aperture"] = aperture[:count]
    quality["box"] = [x - size, 100 - size, x + size, 100 + size]
    return FaceTrack(
        index=index,
        shot=shot,
        frames=frames,
        landmarks=np.zeros((count, 478, 3), np.float32),
        quality=quality,
        looks=np.repeat(LOOKS[person : person + 1], count, axis=0),
    )


def clip(*tracks: FaceTrack, shots: tuple[FrameRange, ...] = (SPAN,)) -> Tracking:
    return Tracking(span=SPAN, shots=shots, tracks=tracks, width=960, height=400, rate=Fraction(25), tracker="test")


def index_of(tracking: Tracking, face: str, envelope: NDArray[np.float64] | None = None) -> int:
    (choice,) = choose_track(tracking, face, envelope)
    assert choice.track is not None
    return choice.track.index


def test_of_two_moving_mouths_the_one_that_follows_the_sound_is_taken() -> None:
    both = clip(face(0, 200, CHATTER, size=90), face(1, 700, SPEECH))
    assert index_of(both, "auto", SPEECH) == 1
    assert index_of(both, "auto", CHATTER) == 0


@pytest.mark.parametrize("lag", [-3, 2])
def test_sound_that_is_a_little_late_still_tells_who_speaks(lag: int) -> None:
    both = clip(face(0, 200, CHATTER), face(1, 700, SPEECH))
    assert index_of(both, "auto", np.roll(SPEECH, lag)) == 1


def test_without_sound_the_moving_mouth_is_taken() -> None:
    assert index_of(clip(face(0, 200, STILL, size=90), face(1, 700, SPEECH)), "auto") == 1


def test_talking_faces_are_those_whose_lips_move_as_in_speech_and_not_those_that_listen() -> None:
    both = clip(face(0, 200, CHATTER), face(1, 700, SPEECH), face(2, 900, STILL))
    assert [track.index for track in talking_faces(both, 0)] == [0, 1]
    assert [track.index for track in talking_faces(clip(face(0, 200, SPEECH)), 0)] == [0]
    assert talking_faces(clip(face(0, 200, STILL)), 0) == []
    assert talking_faces(clip(), 0) == []


def test_when_nobody_speaks_the_largest_face_is_taken() -> None:
    both = clip(face(0, 200, STILL), face(1, 700, STILL[::-1], size=90))
    assert index_of(both, "auto", SPEECH) == 1
    assert "the largest; 2 faces are there" in choose_track(both)[0].why


def test_when_all_talk_and_there_is_no_sound_the_largest_is_taken() -> None:
    both = clip(face(0, 200, SPEECH), face(1, 700, CHATTER, size=90))
    assert index_of(both, "auto") == 1
    assert index_of(both, "auto", np.zeros(120)) == 1


def test_somebody_passing_by_is_not_taken() -> None:
    passing = face(0, 200, SPEECH, size=200, frames=FrameRange(start=100, stop=110))
    assert index_of(clip(passing, face(1, 700, STILL)), "auto") == 1


def test_each_shot_gets_its_own_choice_and_a_reason() -> None:
    shots = (FrameRange(start=100, stop=160), FrameRange(start=160, stop=180), FrameRange(start=180, stop=220))
    tracking = clip(face(0, 200, SPEECH, frames=shots[0]), face(1, 800, SPEECH, frames=shots[2], shot=2), shots=shots)
    choices = choose_track(tracking)
    assert [None if c.track is None else c.track.index for c in choices] == [0, None, 1]
    assert [c.frames for c in choices] == list(shots)
    assert choices[0].why == "shot 0 (frames 100 to 159): face 0 (left, frames 100 to 159): the only face of the shot"
    assert "passes through" in choices[1].why


def test_a_number_or_a_point_chooses_a_person_and_finds_them_in_other_shots() -> None:
    shots = (FrameRange(start=100, stop=160), FrameRange(start=160, stop=220))
    tracking = clip(
        face(0, 200, STILL, frames=shots[0], person=0),
        face(1, 700, SPEECH, frames=shots[0], person=1),
        face(2, 300, SPEECH, frames=shots[1], shot=1, person=2),
        face(3, 500, STILL, frames=shots[1], shot=1, person=0),
        shots=shots,
    )
    for asked in ("0", " 200,100@100 ", "260.5,130@159"):
        tracks = [choice.track for choice in choose_track(tracking, asked, SPEECH)]
        assert [track.index for track in tracks if track is not None] == [0, 3]
    first, second = choose_track(tracking, "1")
    assert first.track is not None
    assert second.track is None
    assert "nobody in this shot looks like face 1" in second.why


def test_of_overlapping_faces_the_point_takes_the_nearer_one() -> None:
    both = clip(face(0, 300, STILL, size=90), face(1, 380, STILL, size=90))
    assert index_of(both, "330,100@150") == 0
    assert index_of(both, "350,100@150") == 1


@pytest.mark.parametrize(
    ("asked", "kind", "says"),
    [
        ("7", SettingsError, r"no face 7; the plate shows face 0 \(left, frames 100 to 219\), face 1 \(right"),
        ("left", SettingsError, "auto, a face's number, or a point"),
        ("-1", SettingsError, "auto"),
        ("480,100@150", InputError, "shows face 0 at 200,100, face 1 at 700,100"),
        ("200,100@99", TimeRangeError, "100 to 219"),
    ],
)
def test_a_wrong_choice_is_one_sentence_that_says_what_there_is(asked: str, kind: type[InputError], says: str) -> None:
    with pytest.raises(kind, match=says) as caught:
        choose_track(clip(face(0, 200, SPEECH), face(1, 700, STILL)), asked)
    assert "\n" not in str(caught.value)


def test_pointing_at_a_frame_without_a_face_says_so() -> None:
    early = face(0, 200, SPEECH, frames=FrameRange(start=100, stop=150))
    with pytest.raises(InputError, match="no face was found on frame 200"):
        choose_track(clip(early), "200,100@200")


@pytest.mark.parametrize("asked", ["auto", "0", "1,1@100"])
def test_a_clip_without_faces_is_the_users_to_mend(asked: str) -> None:
    with pytest.raises(NoFaceFoundError, match="frames 100 to 219") as caught:
        choose_track(clip(), asked)
    assert caught.value.frame_index == 100


def test_faces_are_described_by_where_they_are() -> None:
    assert [describe(face(0, x, STILL), 960)[:12] for x in (100, 480, 900)] == [
        "face 0 (left",
        "face 0 (midd",
        "face 0 (righ",
    ]


def test_the_envelope_is_loud_where_the_sound_is() -> None:
    rate = 16000
    samples = np.zeros(2 * rate, np.float32)
    samples[rate // 2 : rate] = 0.5 * np.sin(np.arange(rate // 2) * 2 * np.pi * 900 / rate)
    levels = speech_envelope(samples, rate, [-3.0, 0.25, 0.75, 1.25, 9.0])
    assert levels[2] == pytest.approx(0.125**0.25, rel=0.02)
    assert np.abs(levels[[0, 1, 3, 4]]).max() < 0.01


def test_hum_and_hiss_are_not_speech() -> None:
    rate, clock = 16000, np.arange(16000) / 16000
    hum, vowel, hiss = (0.5 * np.sin(2 * np.pi * hz * clock) for hz in (50, 800, 7000))
    levels = [float(speech_envelope(sound, rate, [0.5])[0]) for sound in (hum, vowel, hiss)]
    assert max(levels[0], levels[2]) < 0.4 * levels[1]


@pytest.mark.parametrize("rate", [8000, 22050, 44100])
def test_long_sound_gives_what_short_sound_gives_and_none_is_silent(rate: int) -> None:
    samples = np.random.default_rng(0).normal(size=rate * 30).astype(np.float32)
    late = speech_envelope(samples, rate, [25.0, 26.0])
    assert speech_envelope(samples[rate * 24 :], rate, [1.0, 2.0]) == pytest.approx(late, rel=0.02)
    assert speech_envelope(samples[:0], rate, [0.0, 1.0]).tolist() == [0.0, 0.0]
