"""Objective: what is optimised, over one or several streams of data.

One whose first stream is `TARGET` is for `pretrain`: there are neither task nor heads, only a backbone and the
objective's own additions. Any other is for `fit`: it stands beside the task's loss. One of `SOURCE` and `TARGET` adapts
a model to examples without labels: what it aligns are the features that the head reads (`contracts/head_shape.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor, nn

from headstart.contracts.advice import Advice
from headstart.contracts.carriers import Batch
from headstart.contracts.domains import ShiftKind
from headstart.contracts.features import Features
from headstart.contracts.network import Network
from headstart.kernel.contract import contract
from headstart.kernel.settings import Settings

SOURCE, TARGET, TARGET_AGAIN, KEPT = "source", "target", "target_again", "kept"
"""Streams: labelled examples, examples without labels, the latter in the same order in another random view, and
labelled ones that the backbone was trained on before."""

DOMAIN = "domain:"
"""Begins the name of the stream of a domain's labelled examples: 'domain:webcam'."""

EACH_DOMAIN = f"{DOMAIN}*"
"""Asks for the streams of all domains."""


def itself(values: Tensor) -> Tensor:
    """The same tensor (...)."""
    return values


@dataclass(frozen=True)
class Step:
    """One step of training as an objective sees it."""

    batches: Mapping[str, Batch]
    """Stream name -> batch; a part of it where the whole does not fit into the memory at once."""
    features: Callable[[Batch], Features]
    """Runs the moving part of the backbone, and a head's bottleneck, on a batch; float32 in any precision."""
    backbone: Network
    """The model's, on the device of the batches; in pretraining they begin at boundary 0."""
    outputs: Callable[[Features, Batch], Mapping[str, Tensor]]
    """Runs the task's head."""
    task_losses: Callable[[Mapping[str, Tensor], Batch], Mapping[str, Tensor]]
    """The task's named loss terms."""
    additions: nn.ModuleDict
    """The modules that the objective asked for."""
    progress: float
    """Share of the training that lies behind, in [0, 1)."""
    parameters: Mapping[str, nn.Parameter] = field(default_factory=dict)
    """What moves, by name: 'backbone.NAME', 'heads.NAME', 'additions.NAME'."""
    start: Mapping[str, Tensor] = field(default_factory=dict)
    """The values that `parameters` had when the training began, where the objective is anchored."""
    seed: int = 0
    """Decides the draws of the whole batch; those for an example by `Batch.rows` too. One for all validations."""
    gathered: Callable[[Tensor], Tensor] = itself
    """(batch, ...) of this part of the batch -> those of all its parts, by rank, (all, ...). A loss of them is computed
    by every part alike; what flows back is scaled so that the gradients' mean over the parts is the whole loss's. Parts
    may be run twice: what is gathered must not depend on what was gathered before. Itself where there is one part."""
    computing: Callable[[], AbstractContextManager[object]] = nullcontext
    """Within it products are computed in the precision of the training, as `features` does."""


@contract("objectives")
class Objective(Settings):
    """Base of every objective; by itself the task's loss on labelled examples."""

    streams: ClassVar[tuple[str, ...]] = (SOURCE,)
    """The streams it draws a batch from in every step; one that is missing or empty is refused by name."""
    anchored: ClassVar[bool] = False
    """True where it holds weights to their pretrained values; refused where training starts from others."""
    modalities: ClassVar[tuple[str, ...]] = ()
    """The modalities that it can learn from; empty for every one."""
    gathers: ClassVar[bool] = False
    """True where it takes `Step.gathered`: terms that are not means over the examples of the first stream need it."""
    of_classes: ClassVar[bool] = False
    """True where each example must have one class, the target 'label'; see `contracts.task.one_class_each`."""
    of_tasks: ClassVar[bool] = False
    """True where it weighs or combines the losses of several tasks; see `contracts.task_capabilities.SeveralTasks`."""
    kinds: ClassVar[tuple[ShiftKind, ...]] = ()
    """Diagnosed kinds of shift under which it is tried on kept features of a source and a target; empty for none."""
    advice: ClassVar[Advice] = Advice()
    """For searches and `auto`."""

    def first_stage(self, stages: int) -> int:
        """The first backbone stage it must reach to do anything; `stages` when a head is enough."""
        return stages

    def check(self, backbone: Network) -> None:
        """Refuse a backbone that it cannot work on, before anything runs. Raises SettingsError."""

    def additions(self, backbone: Network) -> Mapping[str, nn.Module]:  # noqa: ARG002
        """Modules to train beside the backbone, by name. What requires no gradient, such as an encoder that follows by
        momentum, is not optimised but kept with the checkpoints; `after_step` moves it."""
        return {}

    def beside_head(self, width: int, outputs: int) -> Mapping[str, nn.Module]:  # noqa: ARG002
        """Modules as of `additions` that follow the head: it reads features (batch, width) and gives so many classes,
        0 where examples have not one class each."""
        return {}

    def beside_tasks(self, names: Sequence[str]) -> Mapping[str, nn.Module]:  # noqa: ARG002
        """Modules as of `additions` for several tasks, whose loss terms have these names."""
        return {}

    def between(self, backbone: Network, outputs: int) -> Mapping[str, nn.Module]:  # noqa: ARG002
        """Modules as of `additions` that know what the backbone was trained on before, and the classes of the task."""
        return {}

    def losses(self, step: Step) -> Mapping[str, Tensor]:
        """Named terms of one step, each a scalar (): a mean over the examples of the first stream, or of what was
        gathered."""
        batch = step.batches[SOURCE]
        return step.task_losses(step.outputs(step.features(batch), batch), batch)

    def combine(self, losses: Mapping[str, Tensor], parameters: Sequence[nn.Parameter]) -> Tensor | None:  # noqa: ARG002
        """The scalar () whose backward the loop runs; None when the objective filled the gradients itself."""
        return sum(losses.values(), start=next(iter(losses.values())).new_zeros(()))

    def after_step(self, step: Step) -> None:
        """Runs after each optimiser step, on the whole batches: moving averages, queues."""


def learns_alone(objective: type[Objective]) -> bool:
    """Return True for an objective that learns without labels: it is for `pretrain` and not for `fit`."""
    return objective.streams[0] == TARGET
