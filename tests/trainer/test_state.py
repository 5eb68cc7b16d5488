from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from trainer.dataset import DatasetError
from trainer.state import Ema, load_state, read_average, save_state


def learnt(steps: int = 3) -> tuple[nn.Module, Ema, torch.optim.Optimizer]:
    torch.manual_seed(0)
    net: nn.Module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(net.parameters(), 0.01)
    ema = Ema(net, 0.9)
    for _ in range(steps):
        optimiser.zero_grad()
        net(torch.rand(2, 3, 8, 8)).square().mean().backward()
        optimiser.step()
        ema.update(net)
    return net, ema, optimiser


def test_everything_comes_back_to_the_bit(tmp_path: Path) -> None:
    net, ema, optimiser = learnt()
    judge, its_optimiser = nn.Linear(2, 1), torch.optim.Adam([nn.Parameter(torch.zeros(1))], 0.1)
    best = {"0.bias": torch.ones(4)}
    save_state(tmp_path / "s", net, ema, optimiser, {"step": 3}, {"judge": (judge, its_optimiser)}, best)

    other, other_ema, other_optimiser = learnt(steps=0)
    other_judge = nn.Linear(2, 1)
    facts, found = load_state(
        tmp_path / "s", other, other_ema, other_optimiser, {"judge": (other_judge, its_optimiser)}
    )
    assert facts == {"step": 3}
    assert torch.equal(found["0.bias"], best["0.bias"])
    for key, value in net.state_dict().items():
        assert torch.equal(value, other.state_dict()[key])
        assert torch.equal(ema.values[key], other_ema.values[key])
    assert other_ema.updates == ema.updates
    assert torch.equal(judge.weight, other_judge.weight)
    for mine, theirs in zip(
        optimiser.state_dict()["state"].values(), other_optimiser.state_dict()["state"].values(), strict=True
    ):
        assert all(torch.equal(torch.as_tensor(mine[k]), torch.as_tensor(theirs[k])) for k in mine)
        assert mine["exp_avg"].stride() == theirs["exp_avg"].stride()


def test_weights_that_are_not_finite_never_replace_a_good_state(tmp_path: Path) -> None:
    net, ema, optimiser = learnt()
    save_state(tmp_path / "s", net, ema, optimiser, {"step": 3})
    good = (tmp_path / "s").read_bytes()
    with torch.no_grad():
        next(net.parameters()).fill_(float("nan"))
    with pytest.raises(FloatingPointError, match="not finite"):
        save_state(tmp_path / "s", net, ema, optimiser, {"step": 4})
    assert (tmp_path / "s").read_bytes() == good


def test_the_state_of_another_network_is_refused_in_one_sentence(tmp_path: Path) -> None:
    net, ema, optimiser = learnt()
    save_state(tmp_path / "s", net, ema, optimiser, {"step": 3})
    other = nn.Linear(3, 3)
    with pytest.raises(DatasetError, match="belongs to another network"):
        load_state(tmp_path / "s", other, Ema(other, 0.9), torch.optim.AdamW(other.parameters()))


def test_a_damaged_state_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "s").write_bytes(b"not a state of anything")
    with pytest.raises(DatasetError, match="damaged"):
        read_average(tmp_path / "s")


def test_the_average_is_short_at_first_and_follows_the_weights() -> None:
    net = nn.Linear(1, 1, bias=False)
    ema = Ema(net, 0.999)
    with torch.no_grad():
        net.weight.fill_(1.0)
        for _ in range(200):
            ema.update(net)
    assert float(ema.values["weight"]) == pytest.approx(1.0, abs=1e-3)


def test_the_average_of_a_state_is_what_validated_best(tmp_path: Path) -> None:
    net, ema, optimiser = learnt()
    best = {key: torch.zeros_like(value) for key, value in ema.values.items()}
    save_state(tmp_path / "s", net, ema, optimiser, {"step": 3}, best=best)
    _, average = read_average(tmp_path / "s")
    assert not average["0.weight"].any()
