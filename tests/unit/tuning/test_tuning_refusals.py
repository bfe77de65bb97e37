"""Tunings refuse backbones on which they would do nothing, and say what would do instead."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from forked_processes import Forked
from headstart.backbones.hf_text import HfText
from headstart.backbones.table_features import TableFeatures
from headstart.contracts.backbone import Backbone
from headstart.contracts.format import Columns
from headstart.contracts.model import Model
from headstart.engine.training.interpolation import between
from headstart.engine.training.training_plan import TrainingPlan
from headstart.engine.training.weights import MovingWeights
from headstart.kernel import registry
from headstart.kernel.errors import SettingsError, TrainingError
from headstart.kernel.user_settings import build
from headstart.objectives.l2_sp import L2SP
from headstart.tasks.classification.task import Classification
from headstart.tuning.bias_only import BiasOnly
from headstart.tuning.full import Full
from headstart.tuning.lora import Lora
from headstart.tuning.lp_ft import LpFt
from headstart.tuning.partial import Partial
from small_trainings import small_loop
from tiny_backbone import TinyBackbone
from tiny_text_models import save_tiny


def test_partial_moves_a_quarter_of_the_stages_unless_told() -> None:
    assert [Partial().first_stage(stages) for stages in (1, 2, 5, 7, 13)] == [0, 1, 4, 5, 10]
    assert Partial(last=4).first_stage(5) == 1
    Partial(last=3).check(TinyBackbone())


@pytest.mark.parametrize("kind", [Partial, LpFt, Lora])
def test_more_stages_than_there_are_are_refused(kind: type[Partial | LpFt | Lora]) -> None:
    with pytest.raises(SettingsError, match=r"tuning.last = 4: tiny has 3 stages \(stage0, stage1, stage2\)"):
        kind(last=4).check(TinyBackbone())
    kind(last=3).check(TinyBackbone())


def test_bias_only_refuses_a_backbone_without_biases(tmp_path: Path) -> None:
    llama = HfText(reference=str(save_tiny(tmp_path / "llama", "llama", num_hidden_layers=2))).load()
    with pytest.raises(SettingsError, match="has no biases"):
        BiasOnly().check(llama)
    BiasOnly().check(TinyBackbone())


def test_bias_only_names_biases_and_nothing_else() -> None:
    assert BiasOnly().moves("layer1.0.bn1.bias") and BiasOnly().moves("bias")
    assert not BiasOnly().moves("blocks.0.attn.relative_position_bias_table")
    assert not BiasOnly().moves("bias.weight")


def test_lora_names_the_layers_there_are_when_a_choice_matches_none(tmp_path: Path) -> None:
    bert = HfText(reference=str(save_tiny(tmp_path / "bert", "bert", num_hidden_layers=2))).load()
    with pytest.raises(SettingsError, match=r"layer 'quary' is not known\. Did you mean 'query'"):
        Lora(layers=("quary",)).check(bert)
    with pytest.raises(SettingsError, match="Known: dense, key, query, value"):
        Lora(layers=("c_attn",)).check(bert)
    Lora(layers=("query", "attention.output.dense")).check(bert)


def test_lora_adapts_the_chosen_layers_of_the_last_stages(tmp_path: Path) -> None:
    bert = HfText(reference=str(save_tiny(tmp_path / "bert", "bert", num_hidden_layers=3))).load()
    recipe = Lora(layers=("query", "value"), last=2)
    twin = recipe.adapted(bert, 0)
    adapted = {name.partition(".lora_")[0] for name, _ in twin.module.named_parameters() if recipe.moves(name)}
    assert adapted == {f"encoder.layer.{k}.attention.self.{w}" for k in (1, 2) for w in ("query", "value")}
    assert recipe.first_stage(4) == 2
    owned = [name for stage in twin.stages for name in stage.parameters]
    assert sorted(owned) == sorted(name for name, _ in twin.module.named_parameters())
    recipe.merge(twin)


def test_lora_refuses_a_backbone_without_layers() -> None:
    with pytest.raises(SettingsError, match="no plain Linear or Conv2d layer"):
        Lora().check(TableFeatures(columns=3).load())


def test_lora_says_what_to_install_where_peft_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(SettingsError, match=r"pip install 'headstart\[lora\]'"):
        Lora().check(TinyBackbone())


def test_lora_goes_back_towards_the_pretrained_weights_in_a_straight_line() -> None:
    recipe, ends = Lora(), []
    pretrained = {name: tensor.clone() for name, tensor in TinyBackbone().module.state_dict().items()}
    for alpha in (1.0, 0.4):
        backbone = TinyBackbone()
        twin = recipe.adapted(backbone, 0)
        weights = MovingWeights(model_of(twin), {0, 1, 2}, recipe.moves)
        start, draws = weights.copy(), torch.Generator().manual_seed(0)
        tuned = {name: torch.randn(value.shape, generator=draws).to(value.dtype) for name, value in start.items()}
        weights.load(between(start, tuned, alpha, recipe.goes_back))
        recipe.merge(twin)
        ends.append(backbone.module.state_dict())
    moved = [name for name, tensor in pretrained.items() if not torch.equal(tensor, ends[0][name])]
    assert len(moved) >= 3
    for name in moved:
        torch.testing.assert_close(ends[1][name], torch.lerp(pretrained[name], ends[0][name], 0.4))


def test_lora_is_not_held_to_pretrained_weights_that_it_does_not_move() -> None:
    with pytest.raises(TrainingError, match="moves matrices beside them"):
        TrainingPlan(L2SP(), Lora(), Lora().rates(3), 0, 0).check({})
    TrainingPlan(L2SP(), Full(), Full().rates(3), 0, 0).check(small_loop().streams)


def model_of(backbone: Backbone) -> Model:
    """With no head."""
    return Model(backbone, Classification(), nn.ModuleDict(), Columns(), {})


def test_adapters_are_the_same_for_the_same_seed_and_leave_torch_its_own() -> None:
    before = torch.random.get_rng_state()
    weights = []
    for seed in (1, 1, 2):
        backbone = TinyBackbone()
        twin = Lora().adapted(backbone, seed)
        weights.append(next(p for name, p in twin.module.named_parameters() if "lora_A" in name).detach())
    assert torch.random.get_rng_state().equal(before)
    assert weights[0].equal(weights[1]) and not weights[0].equal(weights[2])


def load_every_tuning_without_peft() -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "peft" or name.startswith("headstart.tuning.")]:
        del sys.modules[name]
    sys.modules["peft"] = None  # type: ignore[assignment]
    for name in registry.names("tuning"):
        registry.plugin("tuning", name)


@pytest.mark.slow
def test_what_is_not_lora_needs_no_peft() -> None:
    with Forked(load_every_tuning_without_peft) as process:
        assert process.wait() == 0, process.err


def test_a_soup_of_the_last_epoch_alone_is_refused() -> None:
    with pytest.raises(SettingsError, match="keeps none of them"):
        build(Full, {"soup": True, "keep": "last"}, where="tuning full")
