"""Every task binds, trains, solves, decodes, judges and shows, and all of it agrees about the same examples."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from plugins import every, samples_outside
from pydantic import TypeAdapter
from torch import nn

from batch_in_parts import Found, head_step, part_of, same
from detected_boxes import MAPS as BOX_MAPS
from detected_boxes import box_maps, boxed_pictures
from forked_processes import launched
from head_shapes import Shapes
from headstart.contracts.carriers import Batch, Mixed, State
from headstart.contracts.examples import SEVERAL, Examples, LabelRoles, Schema
from headstart.contracts.features import Features
from headstart.contracts.modality import raws_of
from headstart.contracts.panels import Mistake, Panel
from headstart.contracts.placed_targets import ClassMaps
from headstart.contracts.prediction import Prediction
from headstart.contracts.presentation import presentation_of
from headstart.contracts.target_kinds import TAG_SEQUENCES
from headstart.contracts.targets import PADDED_TARGET
from headstart.contracts.task import BoundTask
from headstart.contracts.task_capabilities import (
    ClosedForm,
    DecodesTensors,
    Extends,
    ReadsWithin,
    Sampled,
    WritesFiles,
    learnt_of,
    made_of_sums,
)
from headstart.engine.exported.whole_graph import decoded as decoded_elsewhere
from headstart.engine.process_group import ALONE, ProcessGroup, process_group
from headstart.engine.solved.solve import solve_head
from headstart.engine.streams import Stream
from headstart.kernel import registry
from headstart.kernel.errors import DataError, SettingsError
from headstart.kernel.user_settings import build
from headstart.tasks.tagging.words import WORDS
from interaction_tables import histories, history_features
from labelled import labelled
from masked_pictures import MAPS, maps_of, masked_pictures
from spoken_letters import frame_features, frame_state, spoken_letters
from tagged_texts import tagged_texts, token_features, token_state

N, WIDTH, LENGTH = 60, 12, 5
STEPS, STEP_SIZE = 30, 1e-2
"""Of heads that cannot be solved for."""
PLACE_ERROR = 1e-4
DRAWS = np.random.default_rng(0)
LABELS: dict[str, list[Any]] = {
    "texts": [("cat", "dog", "grade 10")[row % 3] for row in range(N)],
    "two texts": [("no", "yes")[row % 5 == 0] for row in range(N)],
    "true or false": [row % 3 == 0 for row in range(N)],
    "few whole numbers": [row % 4 for row in range(N)],
    "many whole numbers": DRAWS.permutation(10 * N)[:N].tolist(),
    "decimal numbers": DRAWS.normal(50.0, 7.0, N).tolist(),
    "lists": [(["cat"], ["cat", "dog"], ["dog", "grade 10"], [])[row % 4] for row in range(N)],
    "names with a bar": [("cat", "cat|dog", "dog|grade 10", None)[row % 4] for row in range(N)],
}
"""Candidate labels, one value per example: a task is tested on every one that suits it."""

STEADY: dict[str, dict[str, Any]] = {"transcription": {"masks": 0, "dropout": 0.0, "hidden": 32}}
"""Settings of heads that else draw something in training."""

FeaturesOf = Callable[[np.ndarray], Features]
"""Rows -> features in which their labels can be found linearly."""

StateOf = Callable[[np.ndarray], State]
"""Rows -> the state that a head sees beside their features."""


class Data(NamedTuple):
    """Examples and what a backbone would make of them."""

    examples: Examples
    features: FeaturesOf
    shapes: Shapes
    """The backbone as the task sees it."""
    state: StateOf | None = None
    """The pooled features where it is None."""


def _masked() -> Data:
    examples = masked_pictures(N)
    return Data(examples, lambda rows: maps_of(examples.take(rows)), Shapes(WIDTH, MAPS))


def _boxes() -> Data:
    examples = boxed_pictures(N)
    return Data(examples, lambda rows: box_maps(examples.take(rows)), Shapes(WIDTH, BOX_MAPS))


def _spans() -> Data:
    examples = tagged_texts(N)

    def state(rows: np.ndarray) -> State:
        return token_state(examples.take(rows), WIDTH)

    return Data(examples, lambda rows: token_features(state(rows)), Shapes(WIDTH), state)


def _several() -> Data:
    """Classes, numbers and sets of each example; every fourth lacks its number."""
    sizes = [None if row % 4 == 0 else 2.0 * row for row in range(N)]
    columns = {"kind": LABELS["texts"], "size": sizes, "marks": LABELS["lists"]}
    table = pa.table(
        {
            "text": [f"text {row}" for row in range(N)],
            "all": [dict(zip(columns, row)) for row in zip(*columns.values())],
        }
    )
    roles = {name: LabelRoles() for name in columns}
    schema = Schema(modality="text", inputs=("text",), targets={SEVERAL: "all"}, each_label=roles, origin="text")
    pooled = features_for(LABELS["texts"])
    pooled[:, 6] = np.arange(N) / N
    pooled[:, 7] = np.arange(N) % 4
    return Data(Examples(table, schema), lambda rows: as_features(pooled[rows]), Shapes(WIDTH))


def _histories() -> Data:
    examples = histories(N)
    pooled = history_features(examples, WIDTH)
    return Data(examples, lambda rows: as_features(pooled[rows]), Shapes(WIDTH))


def _transcripts() -> Data:
    examples = spoken_letters(N)

    def state(rows: np.ndarray) -> State:
        return frame_state(examples.take(rows), WIDTH)

    return Data(examples, lambda rows: frame_features(state(rows)), Shapes(WIDTH), state)


def _outside(name: str) -> Data:
    found = samples_outside()["tasks", name](N)
    pooled = found["features"]
    return Data(found["examples"], lambda rows: as_features(pooled[rows]), Shapes(pooled.shape[1]))


DENSE: dict[str, Callable[[], Data]] = {
    "masks": _masked,
    "histories": _histories,
    "boxes": _boxes,
    "spans": _spans,
    "several": _several,
    "transcripts": _transcripts,
    **{f"of {name}": partial(_outside, name) for family, name in samples_outside() if family == "tasks"},
}
"""Candidate labels with more than a value per example, and those of packages outside."""


@dataclass(frozen=True)
class Case:
    """A task bound to examples, with a linear head that is solved on their features where a test asks for it."""

    task: Any
    data: Data

    @property
    def examples(self) -> Examples:
        return self.data.examples

    @cached_property
    def targets(self) -> Mapping[str, np.ndarray]:
        found: Mapping[str, np.ndarray] = self.task.targets(self.examples)
        return found

    @cached_property
    def solution(self) -> tuple[nn.Module, Mapping[str, float]]:
        with torch.enable_grad():
            return solved(self)

    @property
    def head(self) -> nn.Module:
        return self.solution[0]

    @property
    def chosen(self) -> Mapping[str, float]:
        return self.solution[1]

    def fresh(self) -> nn.Module:
        """A head that has learnt nothing."""
        head: nn.Module = self.task.head(self.data.shapes)
        return head


@cache
def data_of(kind: str) -> Data:
    if kind in DENSE:
        return DENSE[kind]()
    pooled = features_for(LABELS[kind])
    return Data(
        labelled(LABELS[kind], "|" if kind == "names with a bar" else ""),
        lambda rows: as_features(pooled[rows]),
        Shapes(WIDTH),
    )


@cache
def case(name: str, kind: str) -> Case | None:
    """None where the labels do not suit the task."""
    plugin, data = registry.plugin("tasks", name), data_of(kind)
    try:
        reason = plugin.suits(data.examples)
    except DataError:
        return None
    within = [other for other in registry.names("tasks") if isinstance(registry.plugin("tasks", other), ReadsWithin)]
    if reason is None or (name not in within and any(case(other, kind) for other in within)):
        return None
    assert isinstance(reason, str) and reason.strip()
    return Case(plugin(**STEADY.get(name, {})).bind(data.examples, data.shapes).linear(), data)


def stepped(c: Case) -> nn.Module:
    """A head that learnt by steps, of a task without a solution in closed form."""
    torch.manual_seed(0)
    head, features, batch = c.fresh(), c.data.features(np.arange(N)), as_batch(c)
    optimiser = torch.optim.Adam(head.parameters(), STEP_SIZE)
    for _ in range(STEPS):
        losses = c.task.losses(c.task.forward(head, features, batch.head_inputs), batch.targets)
        optimiser.zero_grad()
        sum(losses.values()).backward()
        optimiser.step()
    return head.eval()


def solved(c: Case, groups: np.ndarray | None = None) -> tuple[nn.Module, dict[str, float]]:
    """The task's own solution, as a fit asks for it."""
    if not isinstance(c.task, ClosedForm):
        return stepped(c), {}
    features = c.data.features(np.arange(N))
    if not isinstance(c.task, Sampled):
        return solve_head(c.task, features.pooled.numpy(), c.targets, groups, 0)
    batch = as_batch(c)
    vectors, targets, positions = c.task.samples(features, batch.head_inputs, batch.targets, batch.rows.tolist(), 0)
    return solve_head(c.task, vectors, targets, None if groups is None else groups[positions], 0)


def features_for(labels: list[Any]) -> np.ndarray:
    """The rank of the label, which of the first values it is, and noise."""
    _, codes = np.unique(np.array([str(label) for label in labels]), return_inverse=True)
    numbers = codes if isinstance(labels[0], (str, list)) else np.array(labels, dtype=np.float64)
    draws = np.random.default_rng(1)
    found = draws.normal(0, 0.7, (len(labels), WIDTH))
    found[:, 0] += (numbers - numbers.mean()) / numbers.std()
    found[:, 1:5] += 2 * (codes[:, None] == np.arange(4))
    return found.astype(np.float32)


def as_features(pooled: np.ndarray) -> Features:
    """Everything that a head may read, made from pooled features."""
    vectors = torch.from_numpy(pooled)
    tokens = vectors[:, None].repeat(1, LENGTH, 1)
    return Features(vectors, tokens, torch.ones(len(pooled), LENGTH), (vectors[:, :, None, None].repeat(1, 1, 4, 4),))


def as_batch(c: Case, rows: np.ndarray | None = None) -> Batch:
    """The examples as the training loop hands them over."""
    rows = np.arange(N) if rows is None else rows
    state = c.data.state or (lambda chosen: State(c.data.features(chosen).pooled))
    inputs, kinds = c.task.inputs(c.examples), c.task.target_kinds
    stream = Stream("source", rows, c.targets, state, N, 0, head_inputs=inputs, target_kinds=kinds)
    return stream.batch(rows)


KINDS = (*LABELS, *DENSE)
SUITED = [(name, kind) for name in registry.names("tasks") for kind in KINDS if case(name, kind) is not None]
every_case = pytest.mark.parametrize(("name", "kind"), SUITED, ids=[f"{name}-{kind}" for name, kind in SUITED])


@every("tasks")
def test_some_labels_suit_it(name: str) -> None:
    if name == "generation":
        pytest.skip("its head is a backbone's decoder: see tests/unit/tasks/test_generation.py")
    kinds = [kind for suited, kind in SUITED if suited == name]
    assert kinds, f"no labels suit '{name}': add some to LABELS or DENSE in {__file__}"


@pytest.mark.parametrize("kind", KINDS)
def test_plain_labels_suit_exactly_one_task(kind: str) -> None:
    assert len([name for name, suited in SUITED if suited == kind]) == 1


@every("tasks")
def test_data_without_labels_suit_nothing(name: str) -> None:
    examples = labelled(LABELS["texts"])
    bare = Examples(examples.table, examples.schema.model_copy(update={"targets": {}}))
    assert registry.plugin("tasks", name).suits(bare) is None


@every_case
def test_what_was_learnt_survives_json_apart_from_the_settings(name: str, kind: str) -> None:
    c = bound(name, kind)
    settings, learnt = json.loads(json.dumps(learnt_of(c.task), allow_nan=False))
    again = build(registry.plugin("tasks", name), settings, where="task").restore(learnt)
    assert again == c.task
    assert equal_columns(again.targets(c.examples), c.targets)
    assert equal_columns(finished(again, c).columns, finished(c.task, c).columns)


@every_case
def test_what_is_learnt_is_no_setting(name: str, kind: str) -> None:
    c, plugin = bound(name, kind), registry.plugin("tasks", name)
    unbound = plugin()
    assert unbound.bind(c.examples, c.data.shapes).settings == unbound
    for learnt in set(type(c.task).model_fields) - set(plugin.model_fields) - {"settings"}:
        with pytest.raises(SettingsError, match=f"task.{learnt} is not a setting"):
            build(plugin, {learnt: 1}, where="task")


@every_case
def test_targets_are_one_entry_per_example_in_any_order(name: str, kind: str) -> None:
    c, rows = bound(name, kind), np.array([7, 0, 31])
    assert c.targets and all(len(values) == N for values in c.targets.values())
    assert equal_columns(c.task.targets(c.examples.take(rows)), taken(c.targets, rows))
    policy = registry.plugin("tasks", name)().split_policy(c.examples)
    assert policy.strata.shape == (N,) and policy.strata.dtype.kind == "i"
    assert policy.strata.min() >= 0 and policy.strata.max() < len(policy.names)
    assert np.array_equal(policy.strata, c.task.split_policy(c.examples).strata)
    assert policy.held is None or all(stratum in some for stratum, some in zip(policy.strata, policy.held))


@every_case
def test_each_target_has_a_kind_that_collates_and_identifies_it(name: str, kind: str) -> None:
    c = bound(name, kind)
    assert c.task.target_kinds.keys() == c.targets.keys()
    for target, values in c.targets.items():
        of_kind = c.task.target_kinds[target]
        assert len(of_kind.collated(values[:5])) == 5 and of_kind.title
        assert json.loads(json.dumps(of_kind.identity(values))) == of_kind.identity(values)


@every_case
def test_extended_by_the_same_data_it_stays_as_it_is(name: str, kind: str) -> None:
    c = bound(name, kind)
    assert isinstance(c.task, Extends) and c.task.extended(c.examples, c.data.shapes) == c.task


@every_case
def test_what_it_knows_keeps_its_place_when_it_is_extended(name: str, kind: str) -> None:
    c = bound(name, kind)
    some = c.examples.take(np.arange(N // 2))
    extended = c.task.extended(some, c.data.shapes)
    assert equal_columns(extended.targets(some), c.task.targets(some))
    old, new = c.fresh().state_dict(), extended.head(c.data.shapes).state_dict()
    assert {key: value.shape for key, value in new.items()} == {key: value.shape for key, value in old.items()}


@every_case
def test_losses_are_finite_scalars_that_train_every_weight_of_the_head(name: str, kind: str) -> None:
    c = bound(name, kind)
    torch.manual_seed(0)
    head, features = c.fresh(), c.data.features(np.arange(N))
    batch = as_batch(c)
    losses = c.task.losses(c.task.forward(head, features, batch.head_inputs), batch.targets)
    assert losses and all(loss.shape == () and bool(torch.isfinite(loss)) for loss in losses.values())
    sum(losses.values()).backward()
    assert list(head.parameters())
    assert all(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in head.parameters())


@every_case
def test_a_fresh_head_is_random_in_torchs_own_seed_and_starts_small(name: str, kind: str) -> None:
    c = bound(name, kind)
    heads = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        heads.append(c.fresh().state_dict())
    assert all(torch.equal(value, heads[1][key]) for key, value in heads[0].items())
    assert any(not torch.equal(value, heads[2][key]) for key, value in heads[0].items())


@every_case
def test_the_solved_head_has_the_form_of_a_fresh_one_and_predicts_better(name: str, kind: str) -> None:
    c = bound(name, kind)
    torch.manual_seed(0)
    fresh, copy = c.fresh(), c.fresh()
    copy.load_state_dict(c.head.state_dict(), strict=True)
    best = finished(c.task, c)
    assert equal_columns(finished(c.task, c, head=copy).columns, best.columns)
    metric, start = c.task.evaluation.primary, finished(c.task, c, head=fresh)
    gain = metric.score(c.targets, best) - metric.score(c.targets, start)
    assert (gain if metric.greater_is_better else -gain) > 0.1
    assert total_loss(c, c.head) < 0.8 * total_loss(c, fresh)
    json.dumps(dict(c.chosen))
    assert all(isinstance(value, (int, float)) for value in c.chosen.values())


@every_case
def test_solving_is_a_function_of_its_arguments_and_takes_groups(name: str, kind: str) -> None:
    c = bound(name, kind)
    torch.manual_seed(5)
    again, chosen = solved(c)
    assert all(torch.equal(value, c.head.state_dict()[key]) for key, value in again.state_dict().items())
    assert chosen == c.chosen
    grouped, _ = solved(c, np.arange(N) // 4)
    assert grouped.state_dict().keys() == again.state_dict().keys()


@every_case
def test_predictions_do_not_depend_on_how_examples_are_batched(name: str, kind: str) -> None:
    c = bound(name, kind)
    whole = finished(c.task, c)
    assert len(whole) == N and all(len(column) == N for column in whole.columns.values())
    parts = [decoded(c.task, c, rows) for rows in np.array_split(np.arange(N), 7)]
    joined = c.task.evaluation.finish(Prediction.join(parts), {})
    assert joined.columns.keys() == whole.columns.keys()
    for key, column in whole.columns.items():
        assert column.dtype == joined.columns[key].dtype
        assert close(joined.columns[key], column), key


@every_case
def test_outputs_computed_elsewhere_are_decoded_as_its_own(
    name: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    c, rows, calls, forward = bound(name, kind), np.arange(5), list[int](), type(bound(name, kind).task).forward
    features, asked = c.data.features(rows), as_batch(c, rows).head_inputs
    with torch.no_grad():
        outputs = c.task.forward(c.head, features, asked)
    monkeypatch.setattr(type(c.task), "forward", lambda *given: calls.append(1) or forward(*given))
    with torch.no_grad():
        expected = c.task.predict(c.head, features, asked)
    if len(calls) != 1:
        return  # it predicts step by step, and its export is refused
    assert equal_columns(decoded_elsewhere(c.task, outputs, asked).columns, expected.columns)
    if isinstance(c.task, DecodesTensors):
        own = c.task.evaluation.finish(expected, c.chosen).columns
        for answer, values in c.task.decoded(outputs, c.chosen).items():
            assert len(values) == len(rows)
            if answer in own and own[answer].dtype != object:
                greatest = float(np.abs(own[answer].astype(float)).max(initial=1.0))  # float32 rounds by it
                assert close(values.detach().numpy(), own[answer], 1e-6 * greatest), answer


class Flat(nn.Module):
    """A task's `forward` as a function of tensors, as exported graphs have it."""

    def __init__(self, task: BoundTask, head: nn.Module, features: Features, asked: Mapping[str, torch.Tensor]) -> None:
        super().__init__()
        self.task, self.head, self.asked = task, head, tuple(asked)
        self.has = tuple(n for n in ("pooled", "tokens", "mask", "places") if getattr(features, n) is not None)
        self.levels = len(features.maps)

    def given(self, features: Features, asked: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, ...]:
        return (*(getattr(features, n) for n in self.has), *features.maps, *(asked[n] for n in self.asked))

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        named, rest = dict(zip(self.has, tensors)), tensors[len(self.has) :]
        features = Features(**named, maps=rest[: self.levels])  # type: ignore[arg-type]
        return tuple(self.task.forward(self.head, features, dict(zip(self.asked, rest[self.levels :]))).values())


@every_case
def test_a_traced_graph_of_it_takes_batches_of_any_size(name: str, kind: str) -> None:
    c, few, many = bound(name, kind), np.arange(2), np.arange(2, 7)
    if not isinstance(c.task, DecodesTensors):
        return
    (small, asked), (large, others) = ((c.data.features(r), as_batch(c, r).head_inputs) for r in (few, many))
    flat = Flat(c.task, c.head, small, asked)
    with torch.no_grad():
        traced = torch.jit.trace(flat, flat.given(large, others), check_trace=False)
        for found, expected in zip(traced(*flat.given(small, asked)), flat(*flat.given(small, asked)), strict=True):
            assert torch.equal(found, expected)


@every_case
def test_calibration_is_a_few_numbers_that_finishing_takes(name: str, kind: str) -> None:
    c = bound(name, kind)
    raw = decoded(c.task, c)
    calibration = c.task.evaluation.calibrate(raw, c.targets)
    assert json.loads(json.dumps(dict(calibration), allow_nan=False)) == calibration
    assert c.task.evaluation.calibrate(raw, c.targets) == calibration
    plain, calibrated = c.task.evaluation.finish(raw, {}), c.task.evaluation.finish(raw, calibration)
    assert plain.columns.keys() == calibrated.columns.keys()
    primary = c.task.evaluation.primary
    assert math.isfinite(primary.score(c.targets, calibrated))


@every_case
def test_finishing_and_taking_may_change_places(name: str, kind: str) -> None:
    c, rows = bound(name, kind), np.array([40, 3, 3, 17])
    raw = decoded(c.task, c)
    assert equal_columns(
        c.task.evaluation.finish(raw.take(rows), {}).columns, c.task.evaluation.finish(raw, {}).take(rows).columns
    )


@every_case
def test_metrics_lie_within_their_bounds(name: str, kind: str) -> None:
    c = bound(name, kind)
    metrics = c.task.evaluation.metrics
    assert metrics and len({metric.name for metric in metrics}) == len(metrics)
    for metric in metrics:
        value = metric.score(c.targets, finished(c.task, c))
        assert isinstance(value, float) and metric.bounds[0] <= value <= metric.bounds[1], metric.name


@every_case
def test_reweighting_by_ones_gives_the_metric_itself(name: str, kind: str) -> None:
    c, prediction = bound(name, kind), finished(bound(name, kind).task, bound(name, kind))
    for metric in c.task.evaluation.metrics:
        replicates = metric.replicates(c.targets, prediction)(np.ones((3, N)))
        assert replicates.shape == (3,)
        np.testing.assert_allclose(replicates, metric.score(c.targets, prediction), rtol=1e-9, err_msg=metric.name)


@every_case
def test_a_weight_is_how_often_an_example_counts(name: str, kind: str) -> None:
    c, prediction = bound(name, kind), finished(bound(name, kind).task, bound(name, kind))
    weights = np.random.default_rng(3).integers(0, 4, (3, N)).astype(np.float64)
    weights[0] = 2.0
    for metric in c.task.evaluation.metrics:
        found = metric.replicates(c.targets, prediction)(weights)
        for row, counts in zip(found, weights):
            rows = np.repeat(np.arange(N), counts.astype(int))
            expected = metric.score(taken(c.targets, rows), prediction.take(rows))
            assert row == pytest.approx(expected, rel=1e-6, nan_ok=True), metric.name


@every_case
def test_rows_are_columns_of_a_table(name: str, kind: str) -> None:
    c = bound(name, kind)
    rows = presentation_of(c.task).columns(finished(c.task, c))
    (first, *_) = [column for column in rows if column.endswith("prediction")]
    assert all(np.asarray(column).shape == (N,) for column in rows.values())
    assert len(pd.DataFrame(dict(rows))) == N
    few = presentation_of(c.task).columns(finished(c.task, c).take(np.array([4])))
    assert few.keys() == rows.keys() and few[first][0] == rows[first][4]


@every_case
def test_labels_are_one_per_example(name: str, kind: str) -> None:
    c = bound(name, kind)
    shown = presentation_of(c.task).labels(c.examples)
    assert len(shown) == N and len({str(value) for value in shown}) >= 2
    assert sum(presentation_of(c.task).tally(shown).values()) > 0


@every_case
def test_files_are_written_for_each_example_if_any(name: str, kind: str, tmp_path: Path) -> None:
    c, rows = bound(name, kind), np.array([4, 7])
    if isinstance(presentation_of(c.task), WritesFiles):
        some, raws = finished(c.task, c).take(rows), raws_of(c.examples.take(rows))
        files = presentation_of(c.task).files(some, raws, ["a/one", "two"], tmp_path)
        assert len(files) in (0, 2) and all((tmp_path / file).is_file() for file in files)
        assert files or any(tmp_path.iterdir())


@every_case
def test_exhibits_survive_json(name: str, kind: str) -> None:
    c = bound(name, kind)
    panels = TypeAdapter(tuple[Panel, ...])
    shown = presentation_of(c.task).panels(finished(c.task, c), c.targets)
    assert shown and all(panel.title for panel in shown)
    assert panels.validate_json(panels.dump_json(shown)) == shown


@every_case
@pytest.mark.parametrize("most", [0, 1, 5, 1000])
def test_mistakes_are_real_and_the_worst_come_first(name: str, kind: str, most: int) -> None:
    c = bound(name, kind)
    torch.manual_seed(0)
    poor = finished(c.task, c, head=c.fresh())
    mistakes = presentation_of(c.task).mistakes(poor, c.targets, most)
    assert len(mistakes) <= most and (mistakes or not most)
    assert all(isinstance(mistake, Mistake) and 0 <= mistake.row < N for mistake in mistakes)
    assert len({mistake.row for mistake in mistakes}) == len(mistakes)
    weights = [mistake.weight for mistake in mistakes]
    assert weights == sorted(weights, reverse=True)
    assert all(mistake.truth != mistake.predicted and mistake.weight_text for mistake in mistakes)


@every_case
def test_one_example_can_be_predicted_and_judged(name: str, kind: str) -> None:
    c, row = bound(name, kind), np.array([5])
    alone = finished(c.task, c).take(row)
    for metric in c.task.evaluation.metrics:
        value = metric.score(taken(c.targets, row), alone)
        assert math.isnan(value) or metric.bounds[0] <= value <= metric.bounds[1], metric.name
    presentation_of(c.task).panels(alone, taken(c.targets, row))
    presentation_of(c.task).mistakes(alone, taken(c.targets, row), 3)


OTHERWISE: dict[str, tuple[dict[str, Any], ...]] = {
    "classification": ({"class_weights": "balanced", "label_smoothing": 0.2},),
    "segmentation": tuple({"loss": loss} for loss in ("cross_entropy", "dice", "focal_tversky")),
}
"""Settings under which losses are made in another way."""

PARTED = [(*suited, settings) for suited in SUITED for settings in ({}, *OTHERWISE.get(suited[0], ()))]


def step_of(name: str, kind: str, settings: Mapping[str, Any], most: int = 0, group: ProcessGroup = ALONE) -> Found:
    """A step of a fresh head on examples some of whose targets and words nobody knows; by a share of a group."""
    c = bound(name, kind)
    torch.manual_seed(0)
    task, head = c.task.model_copy(update={"settings": c.task.settings.model_copy(update=settings)}), c.fresh()
    batch = as_batch(c, np.arange(11))
    for target, values in batch.targets.items():
        if task.target_kinds[target] in (ClassMaps(), TAG_SEQUENCES):
            values[:4], values[4:6, ::2] = PADDED_TARGET, PADDED_TARGET
    if WORDS in batch.head_inputs:
        batch.head_inputs[WORDS][6:8] = 10_000  # words that have no token
    batch = replace(batch, mixed=Mixed({name: values.flip(0) for name, values in batch.targets.items()}, 0.3))
    batch = part_of(batch, torch.from_numpy(group.share(np.arange(11))))
    return head_step(task, head, lambda of: c.data.features(of.rows.numpy()), batch, most, group)


def step_together(folder: Path) -> None:
    """The part of a process in a step of every task."""
    torch.set_num_threads(1)
    group = process_group()
    torch.save([step_of(*case, most=3 * group.rank, group=group) for case in PARTED], folder / f"{group.rank}.pt")


@pytest.mark.parametrize("most", [1, 4])
@pytest.mark.parametrize(("name", "kind", "settings"), PARTED)
def test_the_gradient_of_a_batch_in_any_parts_is_that_of_the_whole(
    name: str, kind: str, settings: Mapping[str, Any], most: int
) -> None:
    same(step_of(name, kind, settings, most), step_of(name, kind, settings))


@pytest.mark.slow
def test_the_gradient_of_two_processes_one_in_parts_is_that_of_one(tmp_path: Path) -> None:
    with launched(step_together, tmp_path) as (first, second):
        assert (first.wait(), second.wait()) == (0, 0), first.err + second.err
    for rank in (0, 1):
        for found, case in zip(torch.load(tmp_path / f"{rank}.pt"), PARTED, strict=True):
            same(found, step_of(*case))


@every_case
def test_sums_make_the_losses_and_add_up(name: str, kind: str) -> None:
    c, (whole, *parts) = bound(name, kind), (np.arange(9), np.arange(2), np.arange(2, 9))
    if not made_of_sums(c.task):
        return

    def sums(rows: np.ndarray) -> Mapping[str, torch.Tensor]:
        batch = as_batch(c, rows)
        found = c.task.forward(c.head, c.data.features(rows), batch.head_inputs)
        made: Mapping[str, torch.Tensor] = c.task.sums(found, batch.targets)
        torch.testing.assert_close(dict(c.task.losses_of(made)), dict(c.task.losses(found, batch.targets)))
        return made

    found = sums(whole)
    one, other = map(sums, parts)
    torch.testing.assert_close({key: one[key] + other[key] for key in found}, dict(found))


def bound(name: str, kind: str) -> Case:
    found = case(name, kind)
    assert found is not None
    return found


def decoded(task: BoundTask, c: Case, rows: np.ndarray | None = None, head: nn.Module | None = None) -> Prediction:
    """Before calibration."""
    batch = as_batch(c, rows)
    with torch.no_grad():
        return task.predict(head or c.head, c.data.features(batch.rows.numpy()), batch.head_inputs)


def finished(task: BoundTask, c: Case, head: nn.Module | None = None) -> Prediction:
    return task.evaluation.finish(decoded(task, c, head=head), {})


def total_loss(c: Case, head: nn.Module) -> float:
    with torch.no_grad():
        batch = as_batch(c)
        outputs = c.task.forward(head, c.data.features(np.arange(N)), batch.head_inputs)
        losses = c.task.losses(outputs, batch.targets)
    return float(sum(losses.values()))


def taken(targets: Mapping[str, np.ndarray], rows: np.ndarray) -> dict[str, np.ndarray]:
    return {name: values[rows] for name, values in targets.items()}


def equal_columns(one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(equal(values, other[name]) for name, values in one.items())


def equal(one: Any, other: Any) -> bool:
    """Of columns, ragged ones included."""
    if isinstance(one, np.ndarray) and one.dtype == object and one.ndim:
        return len(one) == len(other) and all(equal(*pair) for pair in zip(one, other))
    return bool(np.array_equal(one, other))


def close(one: np.ndarray, other: np.ndarray, least: float = 1e-6) -> bool:
    """The same but for rounding of numbers; of places in a picture, which are ragged, to `PLACE_ERROR` pixels."""
    if one.dtype == object and isinstance(one[0], np.ndarray):
        return len(one) == len(other) and all(close(*pair, PLACE_ERROR) for pair in zip(one, other))
    if one.dtype == object:
        return equal(one, other)
    return one.shape == other.shape and np.allclose(one.astype(float), other.astype(float), rtol=1e-5, atol=least)
