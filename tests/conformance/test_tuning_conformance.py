"""Every tuning says soundly what moves, and what it says is what happens in the training loop, whatever the task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from plugins import sample
from tiny_settings import SETTINGS
from tiny_training import SHORT, loop_for, model_hash
from torch import Tensor

from headstart.contracts.advice import DataFacts
from headstart.contracts.backbone import Backbone
from headstart.contracts.modality import raws_of
from headstart.contracts.objective import Step
from headstart.contracts.tuning import Rate, Recipe, TrainingStart
from headstart.engine.training import loop as loop_module
from headstart.engine.training.checkpoint import CheckpointFile
from headstart.engine.training.loop import Loop
from headstart.engine.training.relative_gradients import relative_gradients
from headstart.kernel import registry
from headstart.kernel.user_settings import build
from headstart.objectives.supervised import Supervised


class Toy(Recipe):
    """The last stage alone, from the middle of the training on."""

    start: ClassVar[str] = "pretrained"
    solved: ClassVar[bool] = False

    def first_stage(self, stages: int) -> int:
        return stages - 1

    def rates(self, stages: int) -> tuple[Rate, ...]:
        return Rate(-1, 1.0), Rate(stages - 1, 0.5, start=0.5)


TUNINGS = {**{name: sample("tuning", name) for name in registry.names("tuning")}, "toy": Toy()}
every_tuning = pytest.mark.parametrize("tuning", TUNINGS.values(), ids=TUNINGS.keys())
TRAINED = {name: tuning for name, tuning in TUNINGS.items() if not tuning.solved}
every_trained = pytest.mark.parametrize("tuning", TRAINED.values(), ids=TRAINED.keys())

PLAIN, *OTHERS = SETTINGS
PAIRS = sorted(
    {
        *((name, PLAIN) for name in TRAINED),
        *((name, OTHERS[number % len(OTHERS)]) for number, name in enumerate(TRAINED)),
        *product(("full", "lora"), OTHERS),
    }
)
"""Every tuning under two tasks, and every task under two tunings at least: neither knows of the other."""
FURTHER = [pair for pair in product(TRAINED, ("tagging", "segmentation")) if pair not in PAIRS]
"""The other tunings of heads that read tokens or maps; one short training each."""

STAGES = (1, 2, 3, 5, 12)
FACTS = [
    DataFacts(examples, stages, linear=linear, attention=attention, tokens=tokens, one_class=linear)
    for examples, stages, linear, attention, tokens in product(
        (8, 5000), (1, 12), (False, True), (False, True), (False, True)
    )
]


@every_tuning
@pytest.mark.parametrize("stages", STAGES)
def test_rates_name_each_moving_stage_once(tuning: Any, stages: int) -> None:
    rates = tuning.rates(stages)
    numbers = [rate.stage for rate in rates]
    assert all(isinstance(rate, Rate) for rate in rates)
    assert len(set(numbers)) == len(numbers)
    assert set(numbers) <= set(range(-1, stages))
    assert -1 in numbers, "a new head that does not move stays random"
    assert all(rate.factor > 0 and 0 <= rate.start < 1 for rate in rates)


@every_tuning
@pytest.mark.parametrize("stages", STAGES)
def test_the_first_stage_is_the_first_that_ever_moves(tuning: Any, stages: int) -> None:
    assert tuning.first_stage(stages) == min({rate.stage for rate in tuning.rates(stages)} - {-1}, default=stages)


@every_tuning
def test_it_says_where_it_starts_and_how_it_is_fitted(tuning: Any) -> None:
    assert tuning.start in ("pretrained", "random")
    assert isinstance(tuning.solved, bool)
    if tuning.solved:
        assert tuning.start == "pretrained", "a head solved on random features is not a start for anything"
        assert tuning.first_stage(3) == 3, "a solver works on frozen features"
    else:
        assert isinstance(tuning, Recipe), "training by steps needs the fields of a Recipe"
        assert tuning.head in ("fresh", "solved")


@pytest.mark.parametrize("facts", FACTS)
@pytest.mark.parametrize("name", registry.names("tuning"))
def test_what_it_is_advised_for_can_be_built(name: str, facts: DataFacts) -> None:
    kind = registry.plugin("tuning", name)
    suggestions = kind.advice.tries(facts)
    assert not (kind.solved and suggestions), "a search tries what trains by steps"
    for suggestion in suggestions:
        assert suggestion.reason and suggestion.order >= 0
        build(kind, suggestion.settings, where=name)


@every_trained
@pytest.mark.parametrize("learnt", [False, True])
def test_the_rates_it_settles_on_are_of_the_same_stages(tuning: Any, learnt: bool) -> None:
    rates = tuning.rates(5)
    settled = tuning.settled(rates, TrainingStart(learnt, lambda: (0.1, 0.0, 0.3, 0.2, 0.4)))
    assert [rate.stage for rate in settled] == [rate.stage for rate in rates]
    assert all(rate.factor >= 0 and 0 <= rate.start < 1 for rate in settled)


@every_trained
def test_rates_fall_from_stage_to_stage_as_asked(tuning: Any) -> None:
    plain = tuning.model_copy(update={"stage_decay": 1.0}).rates(6)
    falling = tuning.model_copy(update={"stage_decay": 0.5}).rates(6)
    if tuning is not TUNINGS["toy"]:
        for one, other in zip(plain, falling):
            expected = 1.0 if one.stage < 0 else 0.5 ** (5 - one.stage)
            assert other.factor == pytest.approx(expected * one.factor)


@dataclass(frozen=True)
class Whole:
    """A training from its beginning to its end."""

    loop: Loop
    before: Mapping[str, Tensor]
    """What the backbone had."""
    hash_before: str
    """Of the whole model."""
    moments: Sequence[Mapping[str, Tensor]]
    """What the backbone had after each step; the loop itself ends with the best weights."""


class Witness(Supervised):
    """Remembers the backbone after each step."""

    def after_step(self, step: Step) -> None:
        seen.append(weights_of(step.backbone))


seen: list[dict[str, Tensor]] = []


@pytest.fixture(scope="module", params=PAIRS, ids=["-".join(pair) for pair in PAIRS])
def pair(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Names of a tuning and a task."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def whole(pair: tuple[str, str]) -> Whole:
    """The training of the pair, in peace."""
    return trained(*pair)


def trained(name: str, task: str, changes: Mapping[str, float] | None = None) -> Whole:
    seen.clear()
    loop = short_loop(TRAINED[name], task, changes, objective=Witness())
    before, hash_before = weights_of(loop.model.backbone), model_hash(loop.model)
    loop.run()
    return Whole(loop, before, hash_before, [*seen])


def test_what_is_frozen_stays_bit_for_bit_and_every_named_stage_moves_in_its_time(whole: Whole) -> None:
    require_moves(whole)


@pytest.mark.parametrize(("name", "task"), FURTHER)
def test_so_it_is_where_heads_read_tokens_or_maps(name: str, task: str) -> None:
    require_moves(trained(name, task, {"epochs": 1, "batch_size": 8}))


def require_moves(whole: Whole) -> None:
    """Assert that what is frozen stayed as it was, and that all else moved in its time."""
    backbone, recipe, rates = whole.loop.model.backbone, whole.loop.plan.recipe, whole.loop.plan.rates
    before, moments = whole.before, whole.moments
    changed = {name for name, value in moments[-1].items() if not value.equal(before[name])}
    moving = {rate.stage for rate in rates if rate.factor} - {-1}
    for number, stage in enumerate(backbone.stages):
        allowed = {name for name in stage.parameters if recipe.moves(name)} if number in moving else set()
        assert changed & set(stage.parameters) <= allowed
        assert not allowed or changed & allowed, f"{stage.name} is to move and does not"
        if number not in moving or not recipe.renew_statistics:
            assert not changed & set(stage.buffers)
    for rate in (rate for rate in rates if rate.stage >= 0 and rate.start):
        stage = backbone.stages[rate.stage]
        resting = moments[: int(rate.start * len(moments))]
        names = [name for name in (*stage.parameters, *stage.buffers) if name in before]
        assert all(moment[name].equal(before[name]) for moment in resting for name in names), "it rests until then"
    assert model_hash(whole.loop.model) != whole.hash_before


def test_a_training_that_was_killed_goes_on_as_if_it_had_not_been(
    pair: tuple[str, str], whole: Whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resumed = killed_and_resumed(TRAINED[pair[0]], pair[1], {}, 4, tmp_path, monkeypatch)
    assert resumed.plan.rates == whole.loop.plan.rates
    require_same(resumed, whole.loop)


@every_trained
def test_so_it_does_where_the_best_weights_are_those_of_an_epoch_before(
    tuning: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    high = {"learning_rate": 1.0, "head_learning_rate": 1.0}
    peaceful = short_loop(tuning, "classification", high)
    peaceful.run()
    require_same(killed_and_resumed(tuning, "classification", high, 8, tmp_path, monkeypatch), peaceful)


def killed_and_resumed(
    tuning: Any, task: str, changes: Mapping[str, float], step: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Loop:
    """The loop of a training that ended before step number `step` and was begun again."""
    monkeypatch.setattr(loop_module, "CHECKPOINT_SECONDS", 0.0)
    broken, resumed = (
        short_loop(tuning, task, changes, checkpoint=CheckpointFile(folder / "checkpoint", "same")) for _ in range(2)
    )
    made, done = broken.step, 0

    def dies(batches: Any) -> None:
        nonlocal done
        if done == step:
            raise KeyboardInterrupt
        done += 1
        made(batches)

    monkeypatch.setattr(broken, "step", dies)
    with pytest.raises(KeyboardInterrupt):
        broken.run()
    resumed.run()
    return resumed


def require_same(one: Loop, other: Loop) -> None:
    """Assert that two trainings came to the same bits in the same way."""
    assert model_hash(one.model) == model_hash(other.model)
    assert [e.val_loss for e in one.progress.history] == [e.val_loss for e in other.progress.history]


@pytest.mark.parametrize(("name", "task"), PAIRS)
def test_once_merged_a_backbone_has_its_own_names_and_does_what_it_did_in_training(name: str, task: str) -> None:
    tuning = TRAINED[name]
    backbone, _, examples = SETTINGS[task]()
    names, stages = list(backbone.module.state_dict()), backbone.stages
    state = backbone.prepare(raws_of(examples)[:4])
    twin = tuning.adapted(backbone, 3)
    moved = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter_name, parameter in twin.module.named_parameters():
            if tuning.moves(parameter_name):
                parameter += 0.02 * torch.randn(parameter.shape, generator=moved)
        twin.module.eval()
        trained = twin.features(twin.segment(0, len(stages))(state)).pooled
        tuning.merge(twin)
        merged = backbone.features(backbone.segment(0, len(stages))(state)).pooled
    assert list(backbone.module.state_dict()) == names
    assert backbone.stages == stages
    assert merged.allclose(trained, atol=1e-5)


def short_loop(
    tuning: Any,
    task: str,
    changes: Mapping[str, float] | None = None,
    *,
    objective: Any = None,
    checkpoint: CheckpointFile | None = None,
) -> Loop:
    """The tuning on a tiny backbone, as a fit starts it."""
    short = tuning.model_copy(update={**SHORT, "precision": "float32", **(changes or {})})
    backbone, bound, examples = SETTINGS[task]()
    if tuning.start == "random":
        backbone = backbone.fresh(7)
    short.check(backbone)
    setting, objective = (short.adapted(backbone, 3), bound, examples), objective or Supervised()
    rates = short.rates(len(backbone.stages))

    def measured() -> Sequence[float]:
        plain = loop_for(setting, objective, short, rates)
        return relative_gradients(plain.model, plain.streams["source"], 0)

    return loop_for(setting, objective, short, short.settled(rates, TrainingStart(False, measured)), checkpoint)


def weights_of(backbone: Backbone) -> dict[str, Tensor]:
    """Copies of all that it has, by name."""
    return {name: value.clone() for name, value in backbone.module.state_dict().items()}
