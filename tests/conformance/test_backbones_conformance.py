"""Every family's backbone prepares, cuts, describes and renews itself as the contract says."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from offline_backbones import Case, case_of, load
from torch import nn

from headstart.contracts.backbone import Backbone
from headstart.contracts.boundaries import failing_boundaries
from headstart.contracts.carriers import State, Tap
from headstart.contracts.features import Features
from headstart.contracts.generation import Generates
from headstart.engine.training.optimiser import train_mode
from headstart.kernel import registry
from headstart.kernel.errors import DataError
from headstart.kernel.user_settings import build


class Loaded(NamedTuple):
    name: str
    case: Case
    backbone: Backbone


NAMES = [name for name in registry.names("backbones") if name != "closed_forms"]  # no network: see its own tests
SEVERAL = [name for name in NAMES if "features" in registry.plugin("backbones", name).model_fields]


@pytest.fixture(scope="module", params=[*NAMES, *(f"{name} multi" for name in SEVERAL)])
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    name, _, features = request.param.partition(" ")
    case = case_of(name, tmp_path_factory.mktemp("backbones"))
    if features:
        case = replace(case, settings={**case.settings, "features": features})
    return Loaded(name, case, load(name, case))


def test_it_says_what_it_is(loaded: Loaded) -> None:
    backbone = loaded.backbone
    assert backbone.name and backbone.origin
    assert backbone.modality in registry.names("modalities")
    assert backbone.width >= 1 and len(backbone.stages) >= 1
    names = backbone.boundary_names()
    assert names[0] == "input" and len(set(names)) == len(names) == len(backbone.stages) + 1
    json.dumps(backbone.preparation(), allow_nan=False)


def test_its_family_knows_it_and_says_what_it_reads(loaded: Loaded) -> None:
    family = registry.plugin("backbones", loaded.name)
    reference = build(family, loaded.case.settings, where="backbone").reference
    assert family.suits(reference) and family.modality in ("", loaded.backbone.modality)
    assert all(isinstance(known, str) for known in family.known())


def test_stages_share_out_all_parameters_and_buffers(loaded: Loaded) -> None:
    module, stages = loaded.backbone.module, loaded.backbone.stages
    assert sorted(n for s in stages for n in s.parameters) == sorted(dict(module.named_parameters()))
    assert sorted(n for s in stages for n in s.buffers) == sorted(dict(module.named_buffers()))


def test_a_stage_in_training_mode_is_alone_in_it_and_whole(loaded: Loaded) -> None:
    backbone = loaded.backbone
    named = dict(backbone.module.named_modules())
    lively = {name for name, module in named.items() if _owns_state(module) or isinstance(module, nn.Dropout)}
    covered: set[str] = set()
    for number in range(len(backbone.stages)):
        train_mode(backbone, [], {number})
        training = {name for name in lively if named[name].training}
        assert not training & covered, f"stage {backbone.stages[number].name} shares {sorted(training & covered)}"
        covered |= training
    backbone.module.eval()
    assert lively - covered <= {""}, f"in no stage: {sorted(lively - covered)}"


def test_enough_boundaries_hold(loaded: Loaded) -> None:
    backbone = loaded.backbone
    assert len(backbone.stages) - 1 >= loaded.case.fewest_boundaries
    assert failing_boundaries(backbone, backbone.prepare(loaded.case.raws)) == []


def test_a_segment_runs_in_several_threads_at_once(loaded: Loaded) -> None:
    backbone = loaded.backbone
    whole = backbone.segment(0, len(backbone.stages), [Tap(name) for name in backbone.boundary_names()[1:]]).eval()
    states = [backbone.prepare(loaded.case.raws[:number]) for number in (1, 2)] * 20
    with torch.no_grad():
        expected = [whole(state).tensors() for state in states]

    def run(state: State) -> dict[str, torch.Tensor]:
        with torch.no_grad():
            return dict(whole(state).tensors())

    with ThreadPoolExecutor(4) as pool:
        for found, alone in zip(pool.map(run, states), expected, strict=True):
            assert all(torch.allclose(found[name], value, atol=1e-5) for name, value in alone.items())


def test_segments_put_together_equal_the_whole_bit_for_bit(loaded: Loaded) -> None:
    backbone, end = loaded.backbone, len(loaded.backbone.stages)
    example = backbone.prepare(loaded.case.raws)
    whole = run(backbone, example)
    chained = example
    for number in range(end):
        chained = run(backbone, chained, number, number + 1)
    assert torch.equal(chained.hidden, whole.hidden)
    for one, other in combinations(range(1, end), 2):
        cut = example
        for start, stop in pairwise((0, one, other, end)):
            cut = run(backbone, cut, start, stop)
        assert torch.equal(cut.hidden, whole.hidden), (one, other)


def test_a_segment_leaves_its_input_as_it_was(loaded: Loaded) -> None:
    backbone, end = loaded.backbone, len(loaded.backbone.stages)
    for start in range(end):
        state = backbone.prepare(loaded.case.raws)
        state = run(backbone, state, 0, start) if start else state
        before = State(state.hidden.clone(), {name: value.clone() for name, value in state.context.items()})
        run(backbone, state, start, end)
        same(state, before)


def test_taps_show_every_boundary_on_the_way(loaded: Loaded) -> None:
    backbone, example = loaded.backbone, loaded.backbone.prepare(loaded.case.raws)
    taps = [Tap(name, form) for name in backbone.boundary_names()[1:] for form in ("pooled", "map")]
    plain, tapped = run(backbone, example), run(backbone, example, taps=taps)
    assert torch.equal(plain.hidden, tapped.hidden)
    assert tapped.taps.keys() == {tap.key for tap in taps}
    for number, name in enumerate(backbone.boundary_names()[1:], start=1):
        pooled = tapped.taps[Tap(name).key]
        assert pooled.ndim == 2 and len(pooled) == len(loaded.case.raws) and bool(torch.isfinite(pooled).all())
        assert torch.equal(tapped.taps[Tap(name, "map").key], run(backbone, example, 0, number).hidden)


def test_preparing_depends_on_nothing_but_the_input(loaded: Loaded) -> None:
    backbone, raws = loaded.backbone, loaded.case.raws
    together = backbone.prepare(raws)
    same(together, backbone.prepare(raws))
    backwards = backbone.prepare(raws[::-1])
    for row, raw in enumerate(raws):
        alone = backbone.prepare([raw])
        same_but_for_padding(row_of(alone, 0), row_of(together, row))
        same_but_for_padding(row_of(alone, 0), row_of(backwards, len(raws) - 1 - row))
    assert together.hidden.device.type == "cpu"


def test_lengths_are_positive_numbers(loaded: Loaded) -> None:
    lengths = [loaded.backbone.length(raw) for raw in loaded.case.raws]
    assert all(isinstance(length, int) and length >= 1 for length in lengths)


@pytest.mark.parametrize("place", [0, 1])
def test_an_unreadable_input_is_a_data_error(loaded: Loaded, place: int) -> None:
    assert loaded.case.unreadable
    for bad in loaded.case.unreadable:
        with pytest.raises(DataError):
            loaded.backbone.prepare([loaded.case.raws[0], bad] if place else [bad])


def test_features_have_their_shapes_and_do_not_depend_on_the_batch(loaded: Loaded) -> None:
    backbone, raws = loaded.backbone, loaded.case.raws
    together = features(backbone, raws)
    assert together.pooled.shape == (len(raws), backbone.width)
    assert together.pooled.dtype == torch.float32
    if together.tokens is not None:
        assert together.tokens.shape == (len(raws), together.tokens.shape[1], backbone.width)
    if together.mask is not None and together.tokens is not None:
        assert together.mask.shape == together.tokens.shape[:2]
    assert all(level.ndim == 4 and len(level) == len(raws) for level in together.maps)
    sides = [level.shape[-1] for level in together.maps]
    assert sides == sorted(sides, reverse=True), "maps come finest first"
    for row, raw in enumerate(raws):
        torch.testing.assert_close(features(backbone, [raw]).pooled[0], together.pooled[row], atol=1e-5, rtol=1e-4)


def test_features_are_differentiable(loaded: Loaded) -> None:
    backbone = loaded.backbone
    parameters = dict(backbone.module.named_parameters())
    if not parameters:
        pytest.skip("it has no weights")
    state = backbone.segment(0, len(backbone.stages))(backbone.prepare(loaded.case.raws))
    backbone.features(state).pooled.square().sum().backward()
    stages = backbone.stages[: -backbone.decoder_stages] if isinstance(backbone, Generates) else backbone.stages
    reached = {stage.name for stage in stages if any(_reached(parameters[name]) for name in stage.parameters)}
    backbone.module.zero_grad()
    assert reached == {stage.name for stage in stages if stage.parameters}


def test_description_assets_and_weights_rebuild_it_bit_for_bit(loaded: Loaded, tmp_path: Path) -> None:
    backbone = loaded.backbone
    for name, content in backbone.assets().items():
        assert Path(name).name == name, "an asset is a file in one folder"
        (tmp_path / name).write_bytes(content)
    given = json.loads(json.dumps(backbone.describe(), allow_nan=False))
    again = build(registry.plugin("backbones", given["plugin"]), given["settings"], where="backbone").rebuild(tmp_path)
    again.module.load_state_dict(backbone.module.state_dict())
    assert again.describe() == backbone.describe()
    assert again.preparation() == backbone.preparation()
    assert again.assets() == backbone.assets()
    assert again.stages == backbone.stages and again.width == backbone.width
    assert again.weights_hash() == backbone.weights_hash()
    same(again.prepare(loaded.case.raws), backbone.prepare(loaded.case.raws))
    assert torch.equal(features(again, loaded.case.raws).pooled, features(backbone, loaded.case.raws).pooled)


def test_fresh_weights_are_a_function_of_the_seed(loaded: Loaded) -> None:
    backbone, before = loaded.backbone, loaded.backbone.weights_hash()
    torch.manual_seed(1)
    state = torch.get_rng_state()
    one = backbone.fresh(3)
    assert torch.equal(torch.get_rng_state(), state), "the global random state is nobody's to change"
    torch.manual_seed(2)
    same_seed, other_seed = backbone.fresh(3), backbone.fresh(4)
    assert one.weights_hash() == same_seed.weights_hash()
    assert backbone.weights_hash() == before
    if list(backbone.module.parameters()):
        assert len({before, one.weights_hash(), other_seed.weights_hash()}) == 3
    assert one.boundary_names() == backbone.boundary_names() and one.width == backbone.width
    assert features(one, loaded.case.raws).pooled.shape == (len(loaded.case.raws), backbone.width)


def test_a_fresh_one_shares_no_weights(loaded: Loaded) -> None:
    before, twin = loaded.backbone.weights_hash(), loaded.backbone.fresh(3)
    with torch.no_grad():
        for parameter in twin.module.parameters():
            parameter.add_(1)
    assert loaded.backbone.weights_hash() == before


def test_segments_of_a_fresh_one_run_its_own_weights(loaded: Loaded) -> None:
    twin = loaded.backbone.fresh(3)
    if not list(twin.module.parameters()):
        pytest.skip("it has no weights")
    before = features(twin, loaded.case.raws).pooled
    with torch.no_grad():
        for parameter in twin.module.parameters():
            parameter.mul_(0.5)
    assert not torch.equal(features(twin, loaded.case.raws).pooled, before)


def run(backbone: Backbone, state: State, start: int = 0, stop: int | None = None, taps: Any = ()) -> State:
    with torch.no_grad():
        end = len(backbone.stages) if stop is None else stop
        result: State = backbone.segment(start, end, taps).eval()(state)
    return result


def features(backbone: Backbone, raws: list[Any]) -> Features:
    with torch.no_grad():
        return backbone.features(run(backbone, backbone.prepare(raws)))


def same(one: State, other: State) -> None:
    assert torch.equal(one.hidden, other.hidden)
    assert one.context.keys() == other.context.keys()
    assert all(torch.equal(value, other.context[name]) for name, value in one.context.items())


def row_of(state: State, row: int) -> dict[str, torch.Tensor]:
    return {"hidden": state.hidden[row], **{name: value[row] for name, value in state.context.items()}}


def same_but_for_padding(alone: dict[str, torch.Tensor], padded: dict[str, torch.Tensor]) -> None:
    """Equal, or equal up to the length of the one without padding, behind which the mask is 0."""
    assert alone.keys() == padded.keys()
    for name, value in alone.items():
        if value.shape == padded[name].shape:
            assert torch.equal(value, padded[name]), name
        else:
            assert torch.equal(value, padded[name][: len(value)]), name
            assert not padded["attention_mask"][len(value) :].any()


def _owns_state(module: nn.Module) -> bool:
    return any(True for _ in (*module.parameters(recurse=False), *module.buffers(recurse=False)))


def _reached(parameter: torch.Tensor) -> bool:
    return parameter.grad is not None and bool(parameter.grad.abs().sum() > 0)
