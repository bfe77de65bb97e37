"""Every family of text models is cut at the inputs of its layers, exactly, and without touching the live model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from headstart.backbones.hf_text import HfText
from headstart.contracts.backbone import Backbone, state_hash
from headstart.contracts.carriers import State, Tap
from headstart.kernel.errors import BackboneError
from tiny_text_models import FAMILIES, LAYERS, SENTENCES, save_tiny

LAYER_NAMES = tuple(f"layer.{k}" for k in range(LAYERS))


@pytest.fixture(scope="module", params=FAMILIES)
def backbone(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    return _load(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    return _load(tmp_path_factory.mktemp("bert_alone"), "bert")


def _load(folder: Path, family: str, **changes: object) -> Backbone:
    return HfText(reference=str(save_tiny(folder, family, **changes))).load()


def _own_output(backbone: Backbone, state: State) -> Tensor:
    with torch.no_grad():
        output: Tensor = backbone.module(input_ids=state.hidden, **state.context).last_hidden_state
    return output


@pytest.mark.slow
def test_each_layer_is_a_stage(backbone: Backbone) -> None:
    assert backbone.boundary_names() == ("input", "embeddings", *LAYER_NAMES)


@pytest.mark.slow
def test_two_segments_equal_the_model_bit_for_bit_at_every_boundary(backbone: Backbone) -> None:
    state = backbone.prepare(SENTENCES)
    expected = _own_output(backbone, state)
    end = len(backbone.stages)
    assert expected.std() > 0.01
    with torch.no_grad():
        for k in range(1, end):
            final = backbone.segment(k, end)(backbone.segment(0, k)(state))
            assert torch.equal(final.hidden, expected), backbone.boundary_names()[k]


def test_inner_segments_chain(backbone: Backbone) -> None:
    state = backbone.prepare(SENTENCES)
    expected = _own_output(backbone, state)
    with torch.no_grad():
        for start, stop in ((0, 2), (2, 3), (3, 6), (6, LAYERS + 1)):
            state = backbone.segment(start, stop)(state)
    assert torch.equal(state.hidden, expected)


def test_taps_show_what_shorter_segments_give(backbone: Backbone) -> None:
    state = backbone.prepare(SENTENCES)
    end = len(backbone.stages)
    taps = [Tap(name, form) for name in backbone.boundary_names()[1:] for form in ("pooled", "map")]
    with torch.no_grad():
        result = backbone.segment(0, end, taps)(state)
        assert set(result.taps) == {tap.key for tap in taps}
        for k, name in enumerate(backbone.boundary_names()[1:], start=1):
            hidden = backbone.segment(0, k)(state).hidden
            assert torch.equal(result.taps[f"{name}.map"], hidden)
            torch.testing.assert_close(
                result.taps[f"{name}.pooled"], backbone.features(State(hidden, state.context)).pooled
            )


def test_every_parameter_and_buffer_belongs_to_one_stage(backbone: Backbone) -> None:
    parameters = [name for stage in backbone.stages for name in stage.parameters]
    buffers = [name for stage in backbone.stages for name in stage.buffers]
    assert sorted(parameters) == sorted(name for name, _ in backbone.module.named_parameters())
    assert sorted(buffers) == sorted(name for name, _ in backbone.module.named_buffers())
    for stage in backbone.stages:
        held = [name for module in stage.modules for name in _names_under(backbone, module)]
        assert set(held) <= {*stage.parameters, *stage.buffers}


def _names_under(backbone: Backbone, module: str) -> list[str]:
    part = backbone.module.get_submodule(module)
    return [f"{module}.{name}" for name, _ in (*part.named_parameters(), *part.named_buffers())]


def test_gradients_reach_the_stages_of_the_segment_alone(backbone: Backbone) -> None:
    state = backbone.segment(0, 4)(backbone.prepare(SENTENCES))
    backbone.module.zero_grad(set_to_none=True)
    start = State(state.hidden.detach(), state.context)
    backbone.features(backbone.segment(4, len(backbone.stages))(start)).pooled.square().sum().backward()
    touched = {name for name, parameter in backbone.module.named_parameters() if parameter.grad is not None}
    later = {name for stage in backbone.stages[4:] for name in stage.parameters}
    earlier = {name for stage in backbone.stages[1:4] for name in stage.parameters}
    assert later <= touched
    assert not touched & earlier
    assert touched - later <= set(backbone.stages[0].parameters)  # what every layer uses: relative positions
    if backbone.module.config.model_type not in ("deberta", "deberta-v2", "mpnet"):
        assert touched == later
    backbone.module.zero_grad(set_to_none=True)


def test_a_segment_shares_the_live_weights_and_leaves_the_model_as_it_was(bert: Backbone) -> None:
    state = bert.prepare(SENTENCES)
    before, weights = _own_output(bert, state), state_hash(bert.module.state_dict())
    segment = bert.segment(2, 5)
    middle = bert.segment(0, 2)(state)
    given = middle.hidden.clone()
    first = segment(middle).hidden
    assert torch.equal(middle.hidden, given)
    assert torch.equal(_own_output(bert, state), before)
    assert state_hash(bert.module.state_dict()) == weights
    assert not any(module._forward_pre_hooks or module._forward_hooks for module in bert.module.modules())
    weight = bert.module.get_parameter("encoder.layer.2.output.dense.weight")
    with torch.no_grad():
        kept = weight.clone()
        weight.add_(1.0)
        assert not torch.equal(segment(middle).hidden, first)
        weight.copy_(kept)


def test_a_replaced_submodule_of_a_layer_is_seen_by_a_segment_made_before(bert: Backbone) -> None:
    segment, state = bert.segment(0, 4), bert.prepare(SENTENCES)
    first = segment(state).hidden
    attention = bert.module.get_submodule("encoder.layer.1.attention.self")
    query = attention.query
    attention.query = torch.nn.Linear(32, 32)
    assert not torch.equal(segment(state).hidden, first)
    attention.query = query
    assert torch.equal(segment(state).hidden, first)


def test_dropout_follows_the_live_modules_mode(bert: Backbone) -> None:
    state = bert.prepare(SENTENCES)
    prefix, rest = bert.segment(0, 3), bert.segment(3, len(bert.stages))
    bert.module.train()
    for stage in bert.stages[:3]:
        for name in stage.modules:
            bert.module.get_submodule(name).eval()
    middle = prefix(state)
    assert torch.equal(prefix(state).hidden, middle.hidden)
    assert not torch.equal(rest(middle).hidden, rest(middle).hidden)
    assert not prefix.model.training and rest.model.training  # some models drop out in their own forward
    bert.module.eval()
    assert torch.equal(rest(middle).hidden, rest(middle).hidden)


def test_a_train_mode_segment_equals_the_train_mode_model(bert: Backbone) -> None:
    state = bert.prepare(SENTENCES)
    bert.module.train()
    torch.manual_seed(3)
    expected = bert.module(input_ids=state.hidden, **state.context).last_hidden_state
    torch.manual_seed(3)
    assert torch.equal(bert.segment(0, len(bert.stages))(state).hidden, expected)
    bert.module.eval()


def test_skipped_layers_are_no_part_of_a_segment(bert: Backbone) -> None:
    of_segment = {id(parameter) for parameter in bert.segment(2, 4).parameters()}
    for k, stage in enumerate(bert.stages[1:], start=1):
        inside = all(id(bert.module.get_parameter(name)) in of_segment for name in stage.parameters)
        assert inside == (k in (2, 3)), stage.name


def test_final_normalisation_belongs_to_the_last_stage_and_what_all_layers_share_to_the_first(tmp_path: Path) -> None:
    gpt2, deberta = _load(tmp_path / "gpt2", "gpt2"), _load(tmp_path / "deberta", "deberta")
    assert "ln_f.weight" in gpt2.stages[-1].parameters
    assert "wte.weight" in gpt2.stages[0].parameters
    assert "encoder.rel_embeddings.weight" in deberta.stages[0].parameters


def test_a_boundary_that_needs_more_than_one_tensor_is_dropped(tmp_path: Path) -> None:
    """DeBERTa-v2's convolution adds the embeddings to what the first layer gives."""
    backbone = _load(tmp_path, "deberta-v2", conv_kernel_size=3, conv_act="gelu")
    assert backbone.boundary_names() == ("input", *LAYER_NAMES)
    assert {"embeddings", "encoder.conv", "encoder.layer.0"} <= set(backbone.stages[0].modules)
    state = backbone.prepare(SENTENCES)
    with torch.no_grad():
        final = backbone.segment(1, LAYERS)(backbone.segment(0, 1)(state))
    assert torch.equal(final.hidden, _own_output(backbone, state))


def test_a_model_without_a_list_of_layers_stays_whole(tmp_path: Path) -> None:
    backbone = _load(tmp_path, "albert", embedding_size=16)
    assert backbone.boundary_names() == ("input", "whole")
    state = backbone.prepare(SENTENCES)
    with torch.no_grad():
        result = backbone.segment(0, 1, [Tap("whole")])(state)
    assert torch.equal(result.hidden, _own_output(backbone, state))
    assert torch.equal(result.taps["whole.pooled"], backbone.features(result).pooled)


def test_a_failed_call_leaves_nothing_behind(bert: Backbone) -> None:
    state = bert.prepare(SENTENCES)
    middle = bert.segment(0, 2)(state)
    segment = bert.segment(2, 4)
    expected = segment(middle).hidden
    with pytest.raises((RuntimeError, ValueError)):
        segment(State(middle.hidden[..., :-1], middle.context))
    assert torch.equal(segment(middle).hidden, expected)


@pytest.mark.parametrize(("start", "stop"), [(2, 2), (3, 1), (-1, 2), (0, 9)])
def test_segments_that_do_not_exist_are_refused(bert: Backbone, start: int, stop: int) -> None:
    with pytest.raises(BackboneError, match="has no segment"):
        bert.segment(start, stop)


@pytest.mark.parametrize("tap", [Tap("layer.9"), Tap("layer.0"), Tap("input"), Tap("layer.2", "pooed")])
def test_taps_outside_the_segment_are_refused(bert: Backbone, tap: Tap) -> None:
    with pytest.raises(BackboneError, match="is not known"):
        bert.segment(2, 5, [tap])
