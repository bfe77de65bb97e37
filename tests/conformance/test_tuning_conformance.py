"""Every tuning says soundly what moves, and what it says is what happens in the training loop."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from plugins import sample
from tiny_training import SHORT, classes, loop_for, model_hash, stage_hashes

from headstart.contracts.objective import Step
from headstart.contracts.tuning import Rate, Recipe
from headstart.engine import loop as loop_module
from headstart.engine.checkpoint import CheckpointFile
from headstart.engine.loop import Loop
from headstart.kernel import registry
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
STAGES = (1, 2, 3, 5, 12)


class Witness(Supervised):
    """Remembers the stages after the last step: the loop itself ends with the best weights."""

    def after_step(self, step: Step) -> None:
        seen.append(stage_hashes(watched[0].model.backbone))


seen: list[list[str]] = []
watched: list[Loop] = []


@pytest.fixture(autouse=True)
def no_witness_of_earlier_tests() -> None:
    seen.clear()
    watched.clear()


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
        assert tuning.start == "pretrained", "a head solved on random features is no start for anything"
        assert tuning.first_stage(3) == 3, "a solver works on frozen features"
    else:
        assert isinstance(tuning, Recipe), "training by steps needs the fields of a Recipe"


@every_trained
def test_frozen_stages_stay_bit_for_bit_and_moving_ones_move(tuning: Any) -> None:
    loop = short_loop(tuning, objective=Witness())
    watched.append(loop)
    before = stage_hashes(loop.model.backbone)
    head = model_hash(loop.model)
    loop.run()
    moving = {rate.stage for rate in loop.plan.rates}
    changed = {stage for stage, (one, other) in enumerate(zip(before, seen[-1])) if one != other}
    assert changed == moving - {-1}
    assert model_hash(loop.model) != head


@every_trained
@pytest.mark.parametrize("learning_rate", [0.01, 1.0])
@pytest.mark.parametrize("killed_at", [2, 8])
def test_a_training_that_was_killed_goes_on_as_if_it_had_not_been(
    tuning: Any, learning_rate: float, killed_at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the best weights are those of an epoch before: so they are at the high rate."""
    monkeypatch.setattr(loop_module, "CHECKPOINT_SECONDS", 0.0)
    rates = {"learning_rate": learning_rate, "head_learning_rate": learning_rate}
    whole = short_loop(tuning, rates)
    whole.run()
    broken = short_loop(tuning, rates, checkpoint=CheckpointFile(tmp_path / "checkpoint", "same"))
    step, done = broken._step, 0

    def dies(batches: Any) -> float:
        nonlocal done
        if done == killed_at:
            raise KeyboardInterrupt
        done += 1
        return step(batches)

    monkeypatch.setattr(broken, "_step", dies)
    with pytest.raises(KeyboardInterrupt):
        broken.run()
    resumed = short_loop(tuning, rates, checkpoint=CheckpointFile(tmp_path / "checkpoint", "same"))
    resumed.run()
    assert model_hash(resumed.model) == model_hash(whole.model)
    assert [e.val_loss for e in resumed.progress.history] == [e.val_loss for e in whole.progress.history]


def short_loop(
    tuning: Any,
    changes: Mapping[str, float] | None = None,
    *,
    objective: Any = None,
    checkpoint: CheckpointFile | None = None,
) -> Loop:
    """The tuning on the tiny backbone, as a fit starts it."""
    short = tuning.model_copy(update={**SHORT, **(changes or {})})
    backbone, task, examples = classes()
    if tuning.start == "random":
        backbone = backbone.fresh(7)
    rates = short.rates(len(backbone.stages))
    return loop_for((backbone, task, examples), objective or Supervised(), short, rates, checkpoint)
