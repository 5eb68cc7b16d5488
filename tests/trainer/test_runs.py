from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from julnet_plugin.errors import InputError, ModelError, RedubCancelled, SettingsError
from julnet_plugin.manager import Manager, make_manager
from julnet_plugin.model.checkpoint import load_checkpoint, save_checkpoint
from julnet_plugin.model.info import CheckpointInfo
from julnet_plugin.model.rt import RtConfig, RtGenerator
from julnet_plugin.model.wav2lip import Wav2LipConfig, Wav2LipGenerator
from trainer import export as export_room
from trainer import runs
from trainer.dataset import Clip, DatasetError, clip_paths, read_clip, rewrite_header, write_clip
from trainer.export import export_model
from trainer.recipe import load_recipe
from trainer.runs import grown, train_run
from trainer.teacher import LipTeacher

pytestmark = pytest.mark.usefixtures("no_weights")

MakeClip = Callable[..., Clip]
TINY = [
    "train.minutes=0",
    "train.max_steps=4",
    "train.device='cpu'",
    "train.threads=1",
    "train.log_every=1",
    "network.width=8",
    "network.fine_width=8",
    "network.n_refs=2",
    "network.codes=3",
    "network.crop_size=[208,160]",
    "lips.codes=3",
    "lips.epochs=2",
    "data.clips=1",
    "data.frames=1",
    "loss.perceptual=0",
]


@pytest.fixture(scope="module")
def manager() -> Manager:
    return make_manager(third_party=False)


def test_a_dataset_becomes_a_model_that_says_what_it_is(dataset: Path, tmp_path: Path, manager: Manager) -> None:
    stages: list[str] = []
    trained = train_run(
        dataset, tmp_path, load_recipe("rt", TINY), manager, progress=lambda stage, done, total: stages.append(stage)
    )
    info, network = load_checkpoint(trained.model, manager.generator)
    assert (info.architecture, info.audio_feature, info.n_refs, info.step) == ("rt", "phone-42", 2, trained.step)
    assert info.data == "3 clips (0.2 minutes, 3 speakers) and the lips of 1 more (0.0 minutes)"
    assert {"val_psnr", "val_filterbank-distance"} <= info.scores.keys()
    assert 10 < info.scores["val_psnr"] < 60
    assert len(info.calibration) > 1
    assert set(info.interval_factors) == {"0.5", "0.8", "0.95"}
    teacher = LipTeacher.of_network(network, info.audio_feature)
    assert np.abs(teacher.basis.components).sum() > 0
    assert list(dict.fromkeys(stages)) == [
        "hearing lips",
        "hearing unknown speakers",
        "training: shapes",
        "training: heard",
        "training: doubt",
        "scoring",
    ]  # no clip is large enough for the stage at full size, which is left out


def test_a_run_that_is_stopped_in_its_second_stage_ends_as_one_that_is_not(
    dataset: Path, tmp_path: Path, manager: Manager
) -> None:
    recipe = load_recipe("rt", TINY)
    unbroken = train_run(dataset, tmp_path / "unbroken", recipe, manager)

    def stop(stage: str, done: int, total: int) -> None:
        if stage == "training: heard" and done > 0:
            raise RedubCancelled

    with pytest.raises(RedubCancelled):
        train_run(dataset, tmp_path / "stopped", recipe, manager, progress=stop)
    assert not (tmp_path / "stopped" / runs.MODEL).exists()
    resumed = train_run(dataset, tmp_path / "stopped", recipe, manager, resume=True)
    (info, network), (other_info, other) = (load_checkpoint(r.model, manager.generator) for r in (unbroken, resumed))
    assert info == other_info
    assert all(torch.equal(value, other.state_dict()[key]) for key, value in network.state_dict().items())


def test_a_folder_with_a_run_is_only_touched_to_resume_the_same_run(
    dataset: Path, tmp_path: Path, manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "set"
    shutil.copytree(dataset, mine)
    monkeypatch.setattr(runs, "train_stages", lambda *_: ((208, 160), 0))
    train_run(mine, tmp_path / "run", load_recipe("rt", TINY), manager)
    with pytest.raises(SettingsError, match="holds a run already"):
        train_run(mine, tmp_path / "run", load_recipe("rt", TINY), manager)
    with pytest.raises(SettingsError, match=r"another data.jitter"):
        train_run(mine, tmp_path / "run", load_recipe("rt", [*TINY, "data.jitter=0.5"]), manager, resume=True)
    first = clip_paths(mine)[0]
    rewrite_header(first, replace(read_clip(first).header, offset_s=0.04))
    with pytest.raises(DatasetError, match="dataset changed"):
        train_run(mine, tmp_path / "run", load_recipe("rt", TINY), manager, resume=True)


HEAD = [text for text in TINY if not text.startswith(("network.", "lips."))] + ["data.min_mouth_px=10"]


@pytest.fixture(scope="module")
def base(dataset: Path, tmp_path_factory: pytest.TempPathFactory, manager: Manager) -> Path:
    """Weights to go on from."""
    return train_run(dataset, tmp_path_factory.mktemp("base") / "run", load_recipe("rt", TINY), manager).model


def test_an_uncertainty_head_learns_alone_on_top_of_a_models_weights(
    dataset: Path, base: Path, tmp_path: Path, manager: Manager
) -> None:
    recipe = load_recipe("uncertainty", [*HEAD, f"train.base={str(base)!r}"])
    trained = train_run(dataset, tmp_path / "head", recipe, manager)
    (before, old), (after, new) = (load_checkpoint(path, manager.generator) for path in (base, trained.model))
    moved = {name for name, value in old.state_dict().items() if not torch.equal(value, new.state_dict()[name])}
    assert moved
    assert all(name.startswith("uncertainty.") for name in moved)
    assert (after.name, after.architecture, after.step) == (before.name, before.architecture, before.step + 4)
    assert (after.config, after.data) == (before.config, f"{before.data}; then {before.data}")
    assert after.calibration != before.calibration
    assert not (tmp_path / "head" / "lips.safetensors").exists()


def test_a_run_on_top_of_weights_is_resumed_only_on_top_of_the_same(
    dataset: Path, base: Path, tmp_path: Path, manager: Manager
) -> None:
    shutil.copy(base, tmp_path / "base.safetensors")
    recipe = load_recipe("uncertainty", [*HEAD, f"train.base={str(tmp_path / 'base.safetensors')!r}"])

    def stop(stage: str, done: int, total: int) -> None:
        if stage.startswith("training") and done > 0:
            raise RedubCancelled

    with pytest.raises(RedubCancelled):
        train_run(dataset, tmp_path / "head", recipe, manager, progress=stop)
    resumed = train_run(dataset, tmp_path / "head", recipe, manager, resume=True)
    unbroken = train_run(dataset, tmp_path / "unbroken", recipe, manager)
    (info, network), (other_info, other) = (load_checkpoint(r.model, manager.generator) for r in (unbroken, resumed))
    assert info == other_info
    assert all(torch.equal(value, other.state_dict()[key]) for key, value in network.state_dict().items())
    told, other = load_checkpoint(base, manager.generator)
    with torch.no_grad():
        next(other.parameters()).add_(1)
    save_checkpoint(other, told, tmp_path / "base.safetensors")
    with pytest.raises(SettingsError, match=r"another train\.base"):
        train_run(dataset, tmp_path / "head", recipe, manager, resume=True)


def test_weights_learn_to_hear_by_other_features_and_draw_as_before(
    dataset: Path, base: Path, tmp_path: Path, manager: Manager
) -> None:
    mine = tmp_path / "set"
    mine.mkdir()
    for path in clip_paths(dataset):
        clip = read_clip(path)
        clip.audio = np.pad(clip.audio, ((0, 0), (0, 54)))
        clip.header = replace(clip.header, features="whisper-96")
        write_clip(clip, mine / path.name)
    changes = ["train.max_steps=4", "lips.codes=3", "lips.epochs=2", "data.min_mouth_px=10", "loss.adversarial=0"]
    own = [f"stage.{name}.data.{key}" for name in ("sharp", "doubt") for key in ("full_size=false", "clips=1")]
    words = [*HEAD, *changes, *own, "network.ears=2", f"train.base={str(base)!r}"]
    with pytest.raises(SettingsError, match=r"let it learn to hear again: --set lips.again=true"):
        train_run(mine, tmp_path / "deaf", load_recipe("hear", [*words, "lips.again=false"]), manager)
    with pytest.raises(SettingsError, match=r"lips.again changes the audio branch alone"):
        train_run(mine, tmp_path / "wide", load_recipe("hear", [*words, "network.width=16"]), manager)
    trained = train_run(mine, tmp_path / "run", load_recipe("hear", words), manager)
    (before, old), (after, new) = (load_checkpoint(path, manager.generator) for path in (base, trained.model))
    assert (before.audio_feature, after.audio_feature, after.audio_size) == ("phone-42", "whisper-96", 96)
    assert len(new.audio_encoder.ears) == 2
    for name in ("lip_components", "lip_spread", "lip_mean", "lip_flow"):
        assert torch.equal(getattr(old, name), getattr(new, name)), name


def test_weights_that_know_the_speakers_can_go_on_as_if_they_heard_strangers(
    dataset: Path, base: Path, tmp_path: Path, manager: Manager
) -> None:
    words = [*HEAD, "lips.codes=3", "lips.epochs=2", f"train.base={str(base)!r}"]
    own = train_run(dataset, tmp_path / "own", load_recipe("uncertainty", words), manager)
    strangers = train_run(
        dataset, tmp_path / "new", load_recipe("uncertainty", [*words, "lips.strangers=true"]), manager
    )
    assert not (tmp_path / "own" / "codes.safetensors").exists()
    assert (tmp_path / "new" / "codes.safetensors").exists()
    assert not (tmp_path / "new" / "lips.safetensors").exists(), "what the weights hear stays"
    networks = [load_checkpoint(path, manager.generator)[1].state_dict() for path in (base, own.model, strangers.model)]
    differ = {name for name, value in networks[1].items() if not torch.equal(value, networks[2][name])}
    assert differ
    kept = [name for name in networks[0] if not name.startswith("uncertainty.")]
    assert all(torch.equal(networks[0][name], networks[2][name]) for name in kept)


def test_a_base_that_cannot_be_gone_on_from_is_refused(
    dataset: Path, base: Path, tmp_path: Path, manager: Manager
) -> None:
    torch.manual_seed(0)
    network = Wav2LipGenerator(Wav2LipConfig(width=4, audio_channels=8, crop_size=(64, 48)))
    info = CheckpointInfo.of(network, architecture="wav2lip", audio_feature="log-mel")
    save_checkpoint(network, info, tmp_path / "w.safetensors")
    with pytest.raises(SettingsError, match="hears 'log-mel', and the dataset was prepared with 'phone-42'"):
        train_run(
            dataset,
            tmp_path / "a",
            load_recipe("uncertainty", [f"train.base={str(tmp_path / 'w.safetensors')!r}"]),
            manager,
        )
    for wrong in ("width=4", "codes=12"):
        with pytest.raises(
            SettingsError, match=r"network\.\w+ cannot be set on top of trained weights: .* would not fit"
        ):
            train_run(
                dataset,
                tmp_path / "b",
                load_recipe("uncertainty", [f"network.{wrong}", f"train.base={str(base)!r}"]),
                manager,
            )


def test_a_head_that_sees_more_says_what_it_said_until_it_learns(manager: Manager) -> None:
    torch.manual_seed(0)
    network = RtGenerator(RtConfig(width=8, fine_width=8, n_refs=2, codes=3)).eval()
    nn.init.normal_(network.uncertainty.out.weight)
    larger = grown(network, "rt", {"texture": True}, manager).eval()
    assert isinstance(larger, RtGenerator)
    assert larger.config.texture
    source, mask, lips = torch.rand(1, 3, 416, 320), torch.ones(1, 1, 416, 320), torch.zeros(1, 3)
    refs = torch.rand(1, 2, 3, 416, 320)
    with torch.inference_mode():
        was, now = (n.render(source, mask, lips, n.encode_references(refs)) for n in (network, larger))
    assert torch.equal(was.image, now.image)
    assert torch.allclose(was.log_sigma, now.log_sigma, atol=1e-5)


def test_too_little_footage_or_none_is_refused_with_what_is_missing(
    tmp_path: Path, make_clip: MakeClip, manager: Manager
) -> None:
    recipe = load_recipe("rt", TINY)
    with pytest.raises(InputError, match="julnet prepare"):
        train_run(tmp_path / "nowhere", tmp_path / "run", recipe, manager)
    write_clip(make_clip(frames=50), tmp_path / "one.safetensors")
    with pytest.raises(DatasetError, match=r"2.0 s of footage with pictures to learn from, 10 s are needed"):
        train_run(tmp_path, tmp_path / "run", recipe, manager)


def test_a_network_section_that_does_not_fit_is_the_users_to_mend(
    dataset: Path, tmp_path: Path, manager: Manager
) -> None:
    with pytest.raises(SettingsError, match="did you mean 'width'"):
        train_run(dataset, tmp_path / "a", load_recipe("rt", [*TINY, "network.widht=8"]), manager)
    with pytest.raises(SettingsError, match=r"lips.codes must equal network.codes"):
        train_run(dataset, tmp_path / "b", load_recipe("rt", [*TINY, "lips.codes=4"]), manager)


def test_weights_that_diverge_are_our_failure_and_say_where_the_last_good_state_is(
    dataset: Path, tmp_path: Path, manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverge(*_: object, **__: object) -> None:
        message = "the loss became nan at step 3"
        raise FloatingPointError(message)

    monkeypatch.setattr("trainer.stages.train", diverge)
    with pytest.raises(ModelError, match="the loss became nan at step 3; nothing was saved yet"):
        train_run(dataset, tmp_path, load_recipe("rt", TINY), manager)


def test_a_network_without_lip_shapes_is_trained_from_sound_by_the_same_run(
    dataset: Path, tmp_path: Path, manager: Manager
) -> None:
    tiny = [text for text in TINY if not text.startswith("network.")]
    tiny += ["network.width=4", "network.audio_channels=8", "network.crop_size=[208,160]"]
    trained = train_run(dataset, tmp_path, load_recipe("wav2lip", tiny), manager)
    info, _ = load_checkpoint(trained.model, manager.generator)
    assert (info.architecture, trained.step) == ("wav2lip", 4)
    assert not (tmp_path / "lips.safetensors").exists()


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    network = Wav2LipGenerator(Wav2LipConfig(width=4, audio_channels=8, crop_size=(64, 48)))
    info = CheckpointInfo.of(network, architecture="wav2lip", audio_feature="phone-42")
    save_checkpoint(network, info, tmp_path / "w.safetensors")
    return tmp_path / "w.safetensors"


def test_an_exported_model_draws_what_torch_draws(weights: Path, tmp_path: Path, manager: Manager) -> None:
    done = export_model(weights, tmp_path / "out" / "w.onnx", manager.generator, manager.audio_features)
    assert [file.name for file in done.files] == ["w.onnx", "w.refs.onnx"]
    assert all(file.exists() for file in done.files)
    assert done.difference < 1e-4


def test_a_network_that_wants_its_references_lips_is_exported_and_compared_with_them(
    tmp_path: Path, manager: Manager
) -> None:
    torch.manual_seed(0)
    network = RtGenerator(RtConfig(width=8, fine_width=8, codes=3, n_refs=2, crop_size=(208, 160)))
    info = CheckpointInfo.of(network, architecture="rt", audio_feature="phone-42")
    save_checkpoint(network, info, tmp_path / "rt.safetensors")
    assert network.uses_lips
    assert export_model(tmp_path / "rt.safetensors", tmp_path / "rt.onnx", manager.generator).difference < 1e-3


def test_an_export_that_cannot_be_compared_leaves_no_file(
    weights: Path, tmp_path: Path, manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_room, "OnnxEngine", lambda *_: pytest.fail("the runtime is broken"))
    with pytest.raises(pytest.fail.Exception):
        export_model(weights, tmp_path / "w.onnx", manager.generator)
    assert not list(tmp_path.glob("*.onnx"))


def test_an_export_that_differs_is_our_failure_and_is_removed(
    weights: Path, tmp_path: Path, manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_room, "TOLERANCE", -1.0)
    with pytest.raises(ModelError, match="differs from torch"):
        export_model(weights, tmp_path / "w.onnx", manager.generator)
    assert not list(tmp_path.glob("*.onnx"))
