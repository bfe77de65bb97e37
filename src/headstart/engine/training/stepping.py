"""One optimiser step: the objective's losses on a batch, their gradients over parts and processes, the update."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from headstart.contracts.augmentation import mixed_losses
from headstart.contracts.backbone import Backbone
from headstart.contracts.carriers import Batch
from headstart.contracts.model import Learner
from headstart.contracts.objective import Objective, Step
from headstart.contracts.optimisation import Optimisation
from headstart.contracts.task_capabilities import made_of_sums
from headstart.engine.process_group import ProcessGroup
from headstart.engine.streams import Stream
from headstart.engine.training.finite import BrokenOffError, modules_of, unsound_gradient, watched
from headstart.engine.training.forward import Forward
from headstart.engine.training.gathered_rows import GatheredRows, whole_losses
from headstart.engine.training.micro_batches import Batches, MicroBatches, divided
from headstart.engine.training.optimiser import set_rates
from headstart.kernel.errors import TrainingError, some
from headstart.kernel.randomness import draw_seed

LOWER = "Try a lower learning rate."
"""What to do where numbers grow beyond all bounds."""


@dataclass(frozen=True)
class Moment:
    """When in a training a step is made."""

    epoch: int
    step: int
    """Within the epoch."""
    done: float
    """Share of the training that lies behind, in [0, 1)."""

    def __str__(self) -> str:
        return f"epoch {self.epoch + 1}, step {self.step + 1}"


class Stepper:
    """Makes the steps of a training."""

    def __init__(
        self,
        model: Learner,
        objective: Objective,
        optimisation: Optimisation,
        optimiser: torch.optim.Optimizer,
        forward: Forward,
        micro: MicroBatches,
        processes: ProcessGroup,
        seed: int,
        streams: Mapping[str, Stream],
    ) -> None:
        """Moves what `optimiser` holds; `streams` are where the batches come from."""
        self.model, self.objective, self.optimisation, self.optimiser = model, objective, optimisation, optimiser
        self.forward, self.micro, self.processes, self.seed = forward, micro, processes, seed
        self.streams = streams
        self.parameters = [p for group in optimiser.param_groups for p in group["params"]]
        self.named = _named(model, {id(p) for p in self.parameters})
        self.start = {n: p.detach().clone() for n, p in self.named.items()} if objective.anchored else {}
        self.gathers = objective.gathers or made_of_sums(model.task)
        self.gathered = GatheredRows(processes)
        self._no_room, self._reach_known = "", False

    def __call__(self, batches: Batches, moment: Moment) -> float:
        """Make a step on this process's share of the batches.

        Returns:
            The sum of the loss terms, a mean over all processes.

        Raises:
            BrokenOffError: a loss or a gradient is not finite, or a single example does not fit into the memory.
            TrainingError: no stage of the backbone that is to move takes part in the loss.
        """
        set_rates(self.optimiser, self.optimisation, moment.done)
        batches = {name: batch.to(self.forward.device) for name, batch in batches.items()}
        loss = self._gradients_of(batches, moment)
        self._look_at_reach()
        norm = nn.utils.get_total_norm([p.grad for p in self.parameters if p.grad is not None])
        loss, size = torch.stack([loss, norm.to(loss.device)]).tolist()
        if not (math.isfinite(loss) and math.isfinite(size)):
            raise BrokenOffError(self._fault(batches, moment))
        if 0 < self.optimisation.clip < size:
            nn.utils.clip_grads_with_norm_(self.parameters, self.optimisation.clip, norm)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.gathered.begin(_examples(batches))
        self.objective.after_step(self.step(batches, moment))
        return float(loss)

    def step(self, batches: Batches, moment: Moment, gathered: GatheredRows | None = None) -> Step:
        """The step as the objective sees it; `gathered` where it is none of the training's."""
        forward, model, gathered = self.forward, self.model, gathered or self.gathered
        return Step(
            batches,
            forward.features,
            model.backbone,
            forward.outputs,
            _no_losses if model.task is None else mixed_losses(whole_losses(model.task, gathered)),
            model.additions,
            moment.done,
            self.named,
            self.start,
            draw_seed(self.seed, "objective", moment.epoch, moment.step),
            gathered,
            forward.computing,
        )

    def _look_at_reach(self) -> None:
        """Tell once of stages that are to move and take no part in the loss. Raises TrainingError where none does."""
        if self._reach_known:
            return
        self._reach_known = True
        moving = {
            stage.name: [p for name in stage.parameters if (p := self.named.get(f"backbone.{name}")) is not None]
            for stage in self.model.backbone.stages
        }
        moving = {name: [p for p in found if p.requires_grad] for name, found in moving.items()}
        still = [name for name, found in moving.items() if found and all(p.grad is None for p in found)]
        if not still or self._no_room:
            return
        what = f"what is trained does not read the stage{'s' * (len(still) > 1)} {some(still, 4)}"
        if len(still) == sum(map(bool, moving.values())):
            raise TrainingError(
                f"{what}, which alone the tuning moves: it would do nothing. Move more stages (--tuning full), or let "
                "the task read maps of the coarsest stride."
            )
        self.micro.reporter.say(f"No gradient reaches all that the tuning moves: {what}, and they stay as they are.")

    def _gradients_of(self, batches: Batches, moment: Moment) -> Tensor:
        """Fill the gradients, means over parts and processes; returns the loss (), such a mean too."""
        self._no_room = ""
        self.gathered.begin(_examples(batches))
        try:
            loss = self.micro.run(batches, partial(self._accumulated, moment=moment))
        except TrainingError as error:
            if self.gathers and self.processes.size > 1:
                raise  # others wait for this one's rows: the process must end
            # other processes wait for this one: they hear of it by a loss that is not finite
            self._no_room, loss = str(error), torch.tensor(math.nan)
        if self.processes.size == 1:
            return loss
        gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in self.parameters]
        tensors = [*gradients, *self._statistics()]
        return torch.tensor(self.processes.averaged(tensors, float(loss), _examples(batches)))

    def _accumulated(self, parts: Sequence[Batches], moment: Moment) -> Tensor:
        """Fill the gradients with the mean of the parts', each by its examples; returns the mean loss ()."""
        if len(parts) > 1 and self.gathers:
            self._look(parts, moment)
        self._begin(moment)
        loss = torch.zeros((), device=self.forward.device)
        sums: list[Tensor | None] = [None] * len(self.parameters)
        for number, part in enumerate(parts):
            share = self.gathered.enter(number, _examples(part))
            self.optimiser.zero_grad(set_to_none=True)
            losses = self._backward(part, moment)
            loss = loss + share * sum(term.detach() for term in losses.values())
            if len(parts) > 1:
                sums = [_plus(total, p.grad, share) for total, p in zip(sums, self.parameters)]
        if len(parts) > 1:
            for parameter, total in zip(self.parameters, sums):
                parameter.grad = total
        return loss

    def _look(self, parts: Sequence[Batches], moment: Moment) -> None:
        """Find the rows that the parts gather; it leaves no trace in what a forward pass renews."""
        kept = [(buffer, buffer.clone()) for module in self._modules() for buffer in module.buffers()]
        self._begin(moment)
        self.gathered.look(parts, lambda part: self.objective.losses(self.step(part, moment)))
        with torch.no_grad():
            for buffer, value in kept:
                buffer.copy_(value)

    def _begin(self, moment: Moment) -> None:
        """Every random draw of the step follows from here."""
        seed = draw_seed(self.seed, "step", moment.epoch, moment.step, self.processes.rank)
        if self.forward.device.type == "cpu":
            torch.default_generator.manual_seed(seed)  # `torch.manual_seed` notes a traceback for each kind of device
        else:
            torch.manual_seed(seed)

    def _backward(self, batches: Batches, moment: Moment) -> Mapping[str, Tensor]:
        """The objective's losses, their gradients filled in."""
        losses = self.objective.losses(self.step(batches, moment))
        total = self.objective.combine(losses, self.parameters)
        if total is not None:
            total.backward()
        else:
            _lay_out(self.parameters)
        return losses

    def _modules(self) -> tuple[nn.Module, ...]:
        return self.model.backbone.module, self.model.heads, self.model.additions

    def _statistics(self) -> list[Tensor]:
        """Return what BatchNorm has renewed by its share of the batch."""
        modules = [module for part in self._modules() for module in part.modules()]
        norms = [m for m in modules if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.training]
        return [b for m in norms for b in (m.running_mean, m.running_var) if b is not None]

    def _fault(self, batches: Batches, moment: Moment) -> str:
        """Make the step again, up to where something is not finite, and say in which of the processes it was what."""
        self._begin(moment)
        parts = divided(batches, self.micro.most) if not self._no_room else []
        numbered = enumerate(parts)
        own = next(filter(None, (self._fault_in(number, part, moment) for number, part in numbered)), self._no_room)
        found = next(filter(None, self.processes.gathered(own)), "")
        return found or f"the gradient's norm in {moment} is more than a number in float32 can say. {LOWER}"

    def _fault_in(self, number: int, part: Batches, moment: Moment) -> str:
        self.gathered.enter(number, _examples(part))
        self.optimiser.zero_grad(set_to_none=True)
        with watched(modules_of(self.model)) as watch:
            losses = self._backward(part, moment)
        name, batch = next(iter(part.items()))
        where = f"{moment} ({self.streams[name].named(batch.rows.cpu().numpy())})"
        for name, loss in losses.items():
            if not bool(torch.isfinite(loss)):
                layer = watch.forward or "the loss itself or the input"
                return f"the loss '{name}' became {loss.item()} in {where}; it first appeared in {layer}. {LOWER}"
        parameter = unsound_gradient(self.named)
        if not parameter:
            return ""
        place = f"that of the output of {watch.backward}" if watch.backward else f"that of {parameter}"
        return f"the gradient ceased to be finite in {where}; going backwards it first was so in {place}. {LOWER}"


def _no_losses(outputs: Mapping[str, Tensor], batch: Batch) -> Mapping[str, Tensor]:  # noqa: ARG001
    raise TrainingError("the objective needs the losses of a task, but there is no task")


def _examples(batches: Batches) -> int:
    """Those of the first stream, by which the parts of a batch are averaged."""
    return len(next(iter(batches.values())).rows)


def _named(model: Learner, moving: set[int]) -> dict[str, nn.Parameter]:
    """The parameters whose ids are in `moving`, by name."""
    backbone: Backbone = model.backbone
    parts = {"backbone": backbone.module, "heads": model.heads, "additions": model.additions}
    named = ((f"{part}.{name}", p) for part, module in parts.items() for name, p in module.named_parameters())
    return {name: parameter for name, parameter in named if id(parameter) in moving}


def _lay_out(parameters: Sequence[nn.Parameter]) -> None:
    """Lay the gradients out in memory as their weights: the fused optimiser reads both in the order of memory."""
    for parameter in parameters:
        if parameter.grad is not None and parameter.grad.stride() != parameter.stride():
            parameter.grad = torch.empty_like(parameter).copy_(parameter.grad)


def _plus(total: Tensor | None, gradient: Tensor | None, share: float) -> Tensor | None:
    """total + share * gradient, in place of the one that is there; None where neither is."""
    if gradient is None:
        return total
    return gradient.mul_(share) if total is None else total.add_(gradient, alpha=share)
