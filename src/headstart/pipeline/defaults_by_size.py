"""Settings of a training by steps that follow the size of the data, as no one constant suits all.

Ten thousand examples need few epochs and can move every stage freely; fifty need many epochs of small batches, or there
would be but a handful of steps, and early stages that hardly move, for there is little to tell them how. Weight decay,
dropout and label smoothing stay as tuning and task have them: we know of no comparison that says how they should follow
the size of the data when pretrained weights are tuned.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, TypeVar

from headstart.contracts.task import BoundTask
from headstart.contracts.task_capabilities import SetsTraining
from headstart.contracts.tuning import Recipe, Tuning
from headstart.kernel import registry
from headstart.pipeline.record import Decision

T = TypeVar("T", bound=Tuning)

STEPS = 400
"""Steps that a training is given where the number of epochs is free."""

FEWEST_EPOCHS, MOST_EPOCHS = 3, 100
STEPS_PER_EPOCH = 8
SMALLEST_BATCH, LARGEST_BATCH = 8, 32
ENOUGH = f"about {STEPS} steps, within {FEWEST_EPOCHS} and {MOST_EPOCHS} epochs"
FEW_JUDGED = 50
"""Validation examples below which they are too few to tell one epoch from another."""
FEW, MANY = 100, 10_000
HELD_BACK, FREE = 0.1, 0.3
"""The first stage's share of the rate of the last one, up to FEW examples and from MANY on."""


class Chosen(NamedTuple):
    """A setting and why it has this value."""

    value: Any
    reason: str


def by_size(examples: int, stages: int, *, few_judged: bool = False) -> dict[str, Chosen]:
    """Settings of a `Recipe`, by name.

    Args:
        examples: trained on. stages: of the backbone.
        few_judged: whether validation examples are so few that epochs cannot be told apart.
    """
    batch = batch_size(examples)
    epochs = enough_epochs(examples, batch)
    share = first_share(examples)
    return {
        "batch_size": Chosen(
            batch,
            f"about {STEPS_PER_EPOCH} steps per epoch of {examples} examples, within "
            f"{SMALLEST_BATCH} and {LARGEST_BATCH}",
        ),
        "epochs": Chosen(epochs, ENOUGH),
        "stage_decay": Chosen(
            round(share ** (1 / max(1, stages - 1)), 3),
            f"the first of {stages} stages moves at {share:.2g} of the rate of the last: {HELD_BACK} up to {FEW} "
            f"examples, {FREE} from {MANY} on",
        ),
        "patience": Chosen(patience(epochs), "a third of the epochs, and at least 5"),
        **(_LAST if few_judged else _BEST),
    }


_BEST = {"soup": Chosen(True, "it costs passes over validation alone, and is dropped where it is no better there")}
_LAST = {
    "keep": Chosen("last", f"fewer than {FEW_JUDGED} validation examples do not tell which epoch is the best"),
    "refit": Chosen(True, "their labels then choose nothing, and serve to train the model once more"),
}


def with_enough_epochs(recipe: Recipe, examples: int) -> tuple[Recipe, Decision | None]:
    """The recipe with as many epochs as so few training examples ask for, where it has fewer and they are its own."""
    epochs = enough_epochs(examples, recipe.batch_size)
    if "epochs" in recipe.model_fields_set or epochs <= recipe.epochs:
        return recipe, None
    changes = {"epochs": epochs}
    if "patience" not in recipe.model_fields_set:
        changes["patience"] = max(recipe.patience, patience(epochs))
    decision = Decision(what=f"{registry.name_of(recipe)}.epochs", value=str(epochs), reason=ENOUGH)
    return recipe.model_copy(update=changes), decision


def for_task(tuning: T, task: BoundTask) -> T:
    """The tuning with the settings by which the task learns better, where the user gave none; a search as it is."""
    if not isinstance(tuning, Recipe) or not isinstance(task, SetsTraining):
        return tuning
    own = {name: value for name, value in task.training().items() if name not in tuning.model_fields_set}
    return tuning.model_copy(update=own)


def of_task(task: BoundTask) -> dict[str, Chosen]:
    """Those settings by name; none where the task has none."""
    own = task.training() if isinstance(task, SetsTraining) else {}
    why = f"{registry.name_of(task)} learns better so"
    return {name: Chosen(value, why) for name, value in own.items()}


def enough_epochs(examples: int, batch: int) -> int:
    """As many as give so many examples enough steps of such batches."""
    steps = max(1, round(examples / batch))
    return min(MOST_EPOCHS, max(FEWEST_EPOCHS, math.ceil(STEPS / steps)))


def patience(epochs: int) -> int:
    """Number of epochs without a gain that are waited for, of so many."""
    return max(5, epochs // 3)


def first_share(examples: int) -> float:
    """The first stage's share of the rate of the last one: it rises with the logarithm of the number of examples."""
    risen = math.log(max(1, examples) / FEW) / math.log(MANY / FEW)
    return float(HELD_BACK * (FREE / HELD_BACK) ** min(1.0, max(0.0, risen)))


def batch_size(examples: int) -> int:
    """A power of two that leaves about eight steps per epoch."""
    wanted = 2 ** round(math.log2(max(1.0, examples / STEPS_PER_EPOCH)))
    return min(LARGEST_BATCH, max(SMALLEST_BATCH, wanted))
