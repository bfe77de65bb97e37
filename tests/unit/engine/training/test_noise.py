from __future__ import annotations

import copy
from typing import Any

import pytest
import timm
import torch
from torch import nn

from headstart.contracts.backbone import Backbone
from headstart.contracts.network import Stage
from headstart.engine.training.noise import DropBranch, Noise
from headstart.kernel.errors import TrainingError
from small_trainings import changed, small_loop, weights
from tiny_backbone import TinyBackbone


class Blocks(TinyBackbone):
    """A real network of timm or transformers whose blocks are the stages; it is never run as a backbone here."""

    def __init__(self, module: nn.Module, blocks: str) -> None:
        super().__init__()
        self.module = module.eval()
        count = len(module.get_submodule(blocks))  # type: ignore[arg-type]
        self.stages = tuple(Stage(f"block{k}", (), (), (f"{blocks}.{k}",)) for k in range(count))

    def stage(self, k: int) -> nn.Module:
        return self.module.get_submodule(self.stages[k].modules[0])


def vit() -> Blocks:
    return Blocks(timm.create_model("test_vit", pretrained=False), "blocks")


def noise(backbone: Backbone, moving: set[int], **rates: Any) -> Noise:
    return Noise(backbone, moving, **{"dropout": None, "stochastic_depth": None, **rates})


def test_dropout_reaches_the_moving_stages_and_is_taken_back() -> None:
    backbone = TinyBackbone(dropout=0.2)
    with noise(backbone, {-1, 1}, dropout=0.5).on():
        assert backbone.module[1][3].p == 0.5
    assert backbone.module[1][3].p == 0.2


def test_every_dropout_of_a_transformers_block_is_set() -> None:
    from transformers import BertConfig, BertModel

    sizes = {"hidden_size": 8, "num_attention_heads": 2, "intermediate_size": 8, "num_hidden_layers": 3}
    backbone = Blocks(BertModel(BertConfig(**sizes)), "encoder.layer")

    def rates(k: int) -> set[float]:
        return {module.p for module in backbone.stage(k).modules() if isinstance(module, nn.Dropout)}

    with noise(backbone, {1, 2}, dropout=0.35).on():
        assert [rates(k) for k in range(3)] == [{0.1}, {0.35}, {0.35}]
    assert [rates(k) for k in range(3)] == [{0.1}] * 3


def test_stochastic_depth_rises_over_the_branches_of_the_whole_network() -> None:
    backbone = vit()
    branches = [module for module in backbone.module.blocks for _ in range(2)]
    with noise(backbone, {len(backbone.stages) - 1}, stochastic_depth=0.4).on():
        last = backbone.module.blocks[-1]
        assert last.drop_path2.rate == pytest.approx(0.4)
        assert last.drop_path1.rate == pytest.approx(0.4 * (len(branches) - 1) / len(branches))
        assert not isinstance(backbone.module.blocks[0].drop_path1, DropBranch)
    assert isinstance(backbone.module.blocks[-1].drop_path1, nn.Identity)


def test_a_place_that_holds_nothing_holds_nothing_again() -> None:
    backbone = Blocks(timm.create_model("test_resnet", pretrained=False), "layer1")
    block = backbone.module.layer1[-1]
    assert block.drop_path is None
    with noise(backbone, {0}, stochastic_depth=0.3).on():
        assert isinstance(backbone.module.layer1[0].drop_path, DropBranch)
    assert all(one.drop_path is None for one in backbone.module.layer1)
    assert not any(isinstance(module, DropBranch) for module in backbone.module.modules())


@pytest.mark.parametrize("name", ["test_vit", "test_resnet", "test_convnext"])
def test_stochastic_depth_changes_training_and_nothing_else(name: str) -> None:
    network = timm.create_model(name, pretrained=False, num_classes=0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)  # timm begins with residual branches of zero
    backbone, pictures = TinyBackbone(), torch.randn(4, 3, 160, 160)
    backbone.module = network.eval()
    backbone.stages = (Stage("all", (), (), ("",)),)
    with torch.no_grad():
        before = network(pictures)
        with noise(backbone, {0}, stochastic_depth=0.5).on():
            assert torch.equal(network(pictures), before)
            for module in network.modules():
                if isinstance(module, DropBranch):
                    module.train()
            assert not torch.equal(network(pictures), before)
        assert torch.equal(network(pictures), before)


def test_a_dropped_branch_keeps_its_mean() -> None:
    torch.manual_seed(0)
    branch = DropBranch(0.25).train()
    found = branch(torch.ones(20_000, 2, 1))
    assert found.unique().tolist() == pytest.approx([0.0, 4 / 3])
    assert found.mean().item() == pytest.approx(1.0, abs=0.02)
    assert torch.equal(found[:, 0], found[:, 1]), "a branch is dropped for an example as a whole"
    assert torch.equal(branch.eval()(found), found)


@pytest.mark.parametrize("rates", [{"dropout": 0.1}, {"stochastic_depth": 0.1}])
@pytest.mark.parametrize("moving", [{-1}, {-1, 0}])
def test_noise_without_a_place_is_refused(rates: dict[str, float], moving: set[int]) -> None:
    with pytest.raises(
        TrainingError, match=f"{next(iter(rates))} = 0.1 would do nothing.*Leave {next(iter(rates))} out"
    ):
        noise(TinyBackbone(), moving, **rates)


def test_a_training_has_the_noise_and_the_model_afterwards_has_not() -> None:
    plain, noisy = (small_loop(changed(dropout=rate), backbone=TinyBackbone(dropout=0.0)) for rate in (None, 0.6))
    modules = copy.copy(list(noisy.model.backbone.module.modules()))
    plain.run()
    noisy.run()
    assert weights(plain) != weights(noisy)
    assert list(noisy.model.backbone.module.modules()) == modules
    assert noisy.model.backbone.module[1][3].p == 0.0
