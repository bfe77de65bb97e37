"""Evaluation mode reaches every module, wherever it stands."""

from __future__ import annotations

from torch import nn

from headstart.contracts.evaluation_mode import evaluation_mode


class Counted(nn.ReLU):
    """Counts how often it is switched."""

    switched = 0

    def train(self, mode: bool = True) -> Counted:
        self.switched += 1
        return super().train(mode)


def test_what_trains_beneath_a_resting_module_is_switched_too() -> None:
    module = nn.Sequential(nn.Sequential(nn.Dropout(), nn.BatchNorm1d(3)), nn.Dropout()).eval()
    module[0][1].train()
    evaluation_mode(module)
    assert not any(part.training for part in module.modules())


def test_what_rests_is_not_touched_and_what_trains_is_switched_by_its_own_method() -> None:
    counted = Counted()
    module = nn.Sequential(counted).eval()
    before = counted.switched
    evaluation_mode(module)
    assert counted.switched == before
    counted.train()
    evaluation_mode(module)
    assert counted.switched == before + 2
