"""Every runner gives what plain PyTorch gives, on other batches than the one it was started with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import pytest
import torch
from offline_backbones import case_of, load
from plugins import sample

from headstart.contracts.backbone import Backbone
from headstart.contracts.carriers import State, Tap
from headstart.contracts.runner import CannotRun
from headstart.engine.frozen.feature_spec import FeatureSpec, FrozenSegment
from headstart.kernel import registry
from tiny_text_models import save_tiny

RELATIVE_ERROR = {"float32": 1e-5, "bfloat16": 1.5e-2}
"""Precision -> largest allowed norm of the difference, as a share of the norm of the plain result."""

QUICK: dict[str, dict[str, Any]] = {"compiled": {"backend": "aot_eager"}}
"""Settings with which a runner is ready in a moment; it is tested in earnest in a file of its own."""

FAMILIES = [name for name in registry.names("backbones") if name not in ("run_folder", "closed_forms")]
WISHES = {
    "pooled": lambda backbone: FeatureSpec("pooled", taps=tuple(Tap(name) for name in backbone.boundary_names()[1:])),
    "features": lambda backbone: FeatureSpec("features"),
    "inner state": lambda backbone: FeatureSpec("state", stop=max(1, len(backbone.stages) - 1)),
}


SLOW_TO_COMPILE = ("hf_audio", "hf_detector", "hf_seq2seq", "seq2seq_small", "side_by_side", "text_table")
"""Families of many small operations, of layers that another family compiles too."""
WRITES_GRAPHS = ("compiled", "openvino")
"""Runners that take seconds to start."""
ONE_OF_EACH_KIND = ("embedded", "hf_text", "onnx_file", "table_mlp")
"""Families on which these runners do everything; on the others they give pooled features, with taps of all stages."""


class Loaded(NamedTuple):
    family: str
    backbone: Backbone
    raws: list[Any]


@pytest.fixture(scope="module", params=FAMILIES)
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    folder = tmp_path_factory.mktemp("backbones")
    case = case_of(request.param, folder)
    if request.param == "hf_text":  # every layer takes its time to compile, and the third is as the second
        case = replace(case, settings={"reference": str(save_tiny(folder / "short", "bert", num_hidden_layers=2))})
    return Loaded(request.param, load(request.param, case), case.raws)


every_runner = pytest.mark.parametrize("name", registry.names("runners"))


@every_runner
def test_it_names_a_precision_that_can_be_stored(name: str) -> None:
    assert quick(name).precision in RELATIVE_ERROR


@every_runner
@pytest.mark.parametrize("spec", WISHES)
def test_results_equal_plain_pytorch_and_lie_on_the_cpu_without_gradients(name: str, spec: str, loaded: Loaded) -> None:
    if spec != "pooled":
        left_to_others(name, loaded)
    runner, backbone = quick(name), loaded.backbone
    segment = FrozenSegment(backbone, WISHES[spec](backbone), 0)
    execute = ready(runner, segment, backbone.prepare(loaded.raws[:2]), loaded)
    for raws in (loaded.raws[:2], loaded.raws, loaded.raws[::-1], loaded.raws[-1:]):
        state = backbone.prepare(raws)
        with torch.no_grad():
            expected: State = segment.eval()(backbone.prepare(raws))
        found = execute(state)
        for value in (found.hidden, *found.context.values(), *found.taps.values()):
            assert value.device.type == "cpu" and not value.requires_grad
        close(found.hidden, expected.hidden, RELATIVE_ERROR[runner.precision])
        for mine, plain in ((found.context, expected.context), (found.taps, expected.taps)):
            assert mine.keys() == plain.keys()
            for key, value in plain.items():
                close(mine[key], value, RELATIVE_ERROR[runner.precision])


@every_runner
def test_the_given_state_and_the_weights_stay_as_they_are(name: str, loaded: Loaded) -> None:
    left_to_others(name, loaded)
    backbone, before = loaded.backbone, loaded.backbone.weights_hash()
    backbone.module.train()  # a runner has to see to evaluation mode itself
    execute, state = started(name, loaded), loaded.backbone.prepare(loaded.raws)
    first, again = execute(state), execute(state)
    assert torch.equal(first.hidden, again.hidden)
    untouched = backbone.prepare(loaded.raws)
    assert torch.equal(state.hidden, untouched.hidden)
    assert all(torch.equal(state.context[key], value) for key, value in untouched.context.items())
    assert backbone.weights_hash() == before


@every_runner
def test_one_backbone_may_have_several_segments_running(name: str, loaded: Loaded) -> None:
    left_to_others(name, loaded)
    backbone, runner = loaded.backbone, quick(name)
    end = len(backbone.stages)
    if end < 2:
        pytest.skip("it has one stage")
    state = backbone.prepare(loaded.raws)
    first = ready(runner, backbone.segment(0, 1), state, loaded)
    middle = first(state)
    second = ready(runner, backbone.segment(1, end), middle, loaded)
    with torch.no_grad():
        expected = backbone.segment(0, end)(state)
    close(second(first(state)).hidden, expected.hidden, RELATIVE_ERROR[runner.precision])


def left_to_others(name: str, loaded: Loaded) -> None:
    """Skip what does not depend on the family where it takes long."""
    if name in WRITES_GRAPHS and loaded.family not in ONE_OF_EACH_KIND:
        pytest.skip("tried on one family of each kind")


def quick(name: str) -> Any:
    return sample("runners", name).model_copy(update=QUICK.get(name, {}))


def started(name: str, loaded: Loaded) -> Any:
    segment = FrozenSegment(loaded.backbone, WISHES["pooled"](loaded.backbone), 0)
    return ready(quick(name), segment, loaded.backbone.prepare(loaded.raws[:2]), loaded)  # a graph of one is another


def ready(runner: Any, segment: Any, example: State, loaded: Loaded) -> Any:
    """The started segment. Features that depend on the padding are made clip by clip, which no graph can do."""
    if registry.name_of(runner) == "compiled" and loaded.family in SLOW_TO_COMPILE:
        pytest.skip("it takes long to compile, and compiles as other families do")
    try:
        return runner.start(segment, example, torch.device("cpu"))
    except CannotRun as error:
        if getattr(loaded.backbone, "padding_exact", True):
            raise
        pytest.skip(str(error).splitlines()[0])


def close(found: torch.Tensor, expected: torch.Tensor, most: float) -> None:
    """Numbers of a layer by their relative error; masks and token numbers exactly."""
    assert found.shape == expected.shape
    if not expected.is_floating_point():
        assert found.dtype == expected.dtype and torch.equal(found, expected)
        return
    difference = float((found.double() - expected.double()).norm() / expected.double().norm().clamp_min(1e-12))
    assert difference <= most, f"relative error {difference:.2g}"
