"""The training loop. It knows streams, a task, an objective and rates, and no plug-in by name.

Three levels: `run` (epochs until something ends them), `_epoch` (steps, then validation), `_step` (losses, gradients,
one optimiser step). A run that was killed at any step goes on from its checkpoint.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from headstart.contracts.augmentation import mixed_losses
from headstart.contracts.backbone import state_hash
from headstart.contracts.carriers import Batch, Features, Prediction
from headstart.contracts.model import Model
from headstart.contracts.objective import Objective, Step
from headstart.contracts.tuning import Rate, Recipe
from headstart.engine.allocator import keep_blocks
from headstart.engine.checkpoint import Checkpoint, CheckpointFile, EpochResult, Progress
from headstart.engine.device import pick_device
from headstart.engine.finite import first_bad_layer
from headstart.engine.interruption import Interruption, held_back
from headstart.engine.kept import suffix
from headstart.engine.optimiser import frozen_state, plan_optimiser, set_rates, train_mode
from headstart.engine.streams import Stream, ahead
from headstart.engine.weights import MovingWeights
from headstart.kernel.errors import TrainingError
from headstart.kernel.progress import Quiet, Reporter
from headstart.kernel.randomness import draw_seed

CHECKPOINT_SECONDS = 15.0
"""Least time between two checkpoints: what a killed training loses at most, a step aside."""


@dataclass(frozen=True)
class Plan:
    """Everything that decides a training beside the model and the data."""

    objective: Objective
    recipe: Recipe
    rates: Sequence[Rate]
    boundary: int
    """The first stage that runs in the loop: earlier ones are in the streams' states already."""
    seed: int
    budget: float | None = None
    """Seconds; the number of epochs is chosen to fit, and training stops there in any case."""


class Loop:
    """One training of one model."""

    def __init__(
        self,
        model: Model,
        plan: Plan,
        streams: Mapping[str, Stream],
        validation: Stream,
        *,
        checkpoint: CheckpointFile | None = None,
        reporter: Reporter | None = None,
    ) -> None:
        """Make ready to train `model` in place.

        Raises:
            TrainingError: nothing would move.
        """
        self.model, self.plan, self.streams, self.validation = model, plan, streams, validation
        self.checkpoint = checkpoint
        self.reporter = reporter or Quiet()
        keep_blocks()
        self.accelerator = Accelerator(cpu=pick_device().type == "cpu")
        for module in (model.backbone.module, model.heads, model.additions):
            module.to(self.accelerator.device).to(memory_format=torch.channels_last)
        self.optimiser = plan_optimiser(model.backbone, self._others(), plan.rates, plan.recipe)
        self.moving = {rate.stage for rate in plan.rates}
        self.weights = MovingWeights(model, self.moving)
        self.parameters = [p for group in self.optimiser.param_groups for p in group["params"]]
        self.suffix = suffix(model.backbone, model.task.reads, plan.boundary)
        self.steps = max(len(stream.in_sequence()) for stream in streams.values())
        self.progress = Progress()
        self.best: dict[str, Tensor] = {}
        self.saved = time.monotonic()
        self.interruption = Interruption()

    def run(self) -> Progress:
        """Train until the epochs, the patience or the budget end; leave the best weights in the model.

        Raises:
            TrainingError: a loss is not finite, or something frozen has changed; the best weights so far are kept.
            KeyboardInterrupt: Ctrl-C, once the step that runs is done and a checkpoint is written.
        """
        frozen = state_hash(frozen_state(self.model.backbone, self.moving))
        with torch.random.fork_rng():
            self._resume()
            if not self.progress.stopped:
                self._train()
        if state_hash(frozen_state(self.model.backbone, self.moving)) != frozen:
            raise TrainingError("a frozen stage has changed during training: this is a defect, please report it")
        return self.progress

    def _train(self) -> None:
        if not self.progress.epochs:
            self.progress.epochs = self._affordable_epochs()
        began = time.monotonic() - self.progress.seconds
        planned = self.progress.epochs * self.steps
        with self.reporter.counter("training", planned, "steps") as advance, held_back() as self.interruption:
            advance(self.progress.epoch * self.steps + self.progress.step)
            try:
                while not self.progress.stopped:
                    self._epoch(began, advance)
            except BaseException:
                self.weights.load(self.best)
                raise
        self.weights.load(self.best)
        self._save()

    def _epoch(self, began: float, advance: Callable[[int], None]) -> None:
        progress, started = self.progress, time.monotonic()
        self._train_mode()
        for batches in self._batches(progress.epoch, progress.step):
            progress.loss_sum += self._step(batches)
            progress.step += 1
            progress.seconds = time.monotonic() - began
            advance(1)
            if self.plan.budget and progress.seconds > self.plan.budget:
                progress.stopped = f"the budget of {self.plan.budget:.0f} s was used"
                break
            self._between_steps()
        self._judge(time.monotonic() - started)
        progress.seconds = time.monotonic() - began
        self._between_steps()

    def _batches(self, epoch: int, skipped: int) -> Iterator[dict[str, Batch]]:
        """The batches of every stream, step by step; a shorter stream begins again."""
        orders = {name: stream.order(epoch) for name, stream in self.streams.items()}

        def make(step: int) -> dict[str, Batch]:
            return {name: self.streams[name].batch(rows[step % len(rows)], epoch) for name, rows in orders.items()}

        return ahead([partial(make, step) for step in range(skipped, self.steps)])

    def _step(self, batches: Mapping[str, Batch]) -> float:
        progress, plan = self.progress, self.plan
        torch.manual_seed(draw_seed(plan.seed, "step", progress.epoch, progress.step))
        done = (progress.epoch * self.steps + progress.step) / (progress.epochs * self.steps)
        set_rates(self.optimiser, plan.recipe, done)
        on_device = {name: self._to_device(batch) for name, batch in batches.items()}
        losses_of = mixed_losses(self.model.task.losses)
        step = Step(on_device, self._features, self._outputs, losses_of, self.model.additions, done)
        losses = plan.objective.losses(step)
        self._check_finite(losses, step)
        total = plan.objective.combine(losses, self.parameters)
        if total is not None:
            self.accelerator.backward(total)
        if plan.recipe.clip:
            self.accelerator.clip_grad_norm_(self.parameters, plan.recipe.clip)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        plan.objective.after_step(step)
        return float(sum(loss.detach() for loss in losses.values()))

    def _judge(self, seconds: float) -> None:
        """Validate, remember the best weights, and decide whether to go on."""
        progress, patience = self.progress, self.plan.recipe.patience
        loss, metric = self.validate()
        mean = progress.loss_sum / max(progress.step, 1)
        rate = max(group["lr"] for group in self.optimiser.param_groups)
        progress.history.append(EpochResult(progress.epoch, mean, loss, metric, rate, seconds))
        if loss < progress.best_loss or not self.best:
            progress.best_loss, progress.best_epoch, self.best = loss, progress.epoch, self.weights.copy()
        progress.epoch, progress.step, progress.loss_sum = progress.epoch + 1, 0, 0.0
        if progress.stopped:
            return
        if progress.epoch >= progress.epochs:
            progress.stopped = f"all {progress.epochs} epochs done"
        elif progress.epoch - progress.best_epoch > patience:
            progress.stopped = f"no better validation loss in {patience} epochs"

    def validate(self) -> tuple[float, float]:
        """Mean validation loss and the primary metric, in evaluation mode. Raises TrainingError on a loss of NaN."""
        model = self.model.eval()
        total, parts = 0.0, []
        stream = self.validation
        makers: list[Callable[[], Batch]] = [partial(stream.batch, rows) for rows in stream.in_sequence()]
        with torch.no_grad():
            for made in ahead(makers):
                batch = self._to_device(made)
                outputs = self._outputs(self._features(batch), batch)
                total += float(sum(model.task.losses(outputs, batch).values())) * len(batch.rows)
                parts.append(model.task.decode(outputs))
        if not math.isfinite(total):
            epoch = self.progress.epoch + 1
            raise TrainingError(f"the validation loss became {total} in epoch {epoch}. Try a lower learning rate.")
        truth = {name: values[stream.rows] for name, values in stream.targets.items()}
        prediction = model.task.finish(Prediction.join(parts), {})
        return total / len(stream.rows), model.task.metrics()[0].score(truth, prediction)

    def _features(self, batch: Batch) -> Features:
        return self.model.backbone.features(self.suffix(batch.state))

    def _outputs(self, features: Features, batch: Batch) -> Mapping[str, Tensor]:
        return self.model.task.apply(self.model.heads["head"], features, batch)

    def _check_finite(self, losses: Mapping[str, Tensor], step: Step) -> None:
        bad = [name for name, loss in losses.items() if not bool(torch.isfinite(loss))]
        if not bad:
            return
        modules = {"backbone": self.model.backbone.module, "head": self.model.heads}
        named = {f"{part}.{name}": m for part, module in modules.items() for name, m in module.named_modules()}
        layer = first_bad_layer(named, lambda: self.plan.objective.losses(step))
        rows = ", ".join(str(int(row)) for row in next(iter(step.batches.values())).rows[:8])
        raise TrainingError(
            f"the loss '{bad[0]}' became {losses[bad[0]].item()} in epoch {self.progress.epoch + 1}, step "
            f"{self.progress.step + 1} (rows {rows}, ...); it first appeared in {layer}. Try a lower learning rate."
        )

    def _affordable_epochs(self) -> int:
        """The recipe's epochs, or as many as the budget allows by the time of a few trial steps; at least one."""
        if self.plan.budget is None:
            return self.plan.recipe.epochs
        before, optimiser = self.weights.copy(), self.optimiser
        self.optimiser = plan_optimiser(self.model.backbone, self._others(), self.plan.rates, self.plan.recipe)
        self.progress.epochs = 1
        self._train_mode()
        times = []
        for batches, _ in zip(self._batches(0, 0), range(3)):
            started = time.monotonic()
            self._step(batches)
            times.append(time.monotonic() - started)
        self.optimiser = optimiser
        self.weights.load(before)
        epoch = min(times) * self.steps * 1.15
        return max(1, min(self.plan.recipe.epochs, math.floor(self.plan.budget / epoch)))

    def _train_mode(self) -> None:
        renew = self.plan.recipe.renew_statistics
        train_mode(self.model.backbone, self._others(), self.moving, renew_statistics=renew)

    def _others(self) -> list[nn.Module]:
        return [self.model.heads, self.model.additions]

    def _to_device(self, batch: Batch) -> Batch:
        batch = batch.to(self.accelerator.device)
        hidden = batch.state.hidden
        if hidden.ndim != 4 or not hidden.is_floating_point():
            return batch
        # convolutions run up to several times as fast with channels innermost
        return replace(batch, state=replace(batch.state, hidden=hidden.contiguous(memory_format=torch.channels_last)))

    def _between_steps(self) -> None:
        """Here training can go on from what is saved: save when it is time, stop when Ctrl-C asks for it."""
        if self.interruption.asked or time.monotonic() - self.saved >= CHECKPOINT_SECONDS:
            self._save()
        if self.interruption.asked:
            raise KeyboardInterrupt

    def _save(self) -> None:
        if self.checkpoint is not None:
            optimiser = self.optimiser.state_dict()
            self.checkpoint.write(Checkpoint(self.progress, self.weights.copy(), optimiser, self.best))
        self.saved = time.monotonic()

    def _resume(self) -> None:
        kept = self.checkpoint.read() if self.checkpoint is not None else None
        if kept is None:
            return
        self.progress, self.best = kept.progress, dict(kept.best)
        self.weights.load(kept.weights)
        self.optimiser.load_state_dict(dict(kept.optimiser))
