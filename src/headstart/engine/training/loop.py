"""The training loop. It knows streams, a task, an objective and rates, and no plug-in by name.

`run` makes epochs until something ends them, `_epoch` steps and a validation, `step` one optimiser step. A run that was
killed at any step goes on from its checkpoint, a paused one from where it stands, with the same bits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.backends import cudnn

from headstart.contracts.carriers import Batch
from headstart.contracts.model import Learner
from headstart.engine.device import pick_device
from headstart.engine.process_group import process_group
from headstart.engine.streams import Stream
from headstart.engine.training.averaging import Average
from headstart.engine.training.best_epochs import SOUP, BestEpochs, Kept
from headstart.engine.training.checkpoint import Checkpoint, CheckpointFile, EpochResult, Progress
from headstart.engine.training.collapse import require_spread
from headstart.engine.training.final_weights import final_weights, passes_needed
from headstart.engine.training.finite import BrokenOffError
from headstart.engine.training.forward import Forward
from headstart.engine.training.interruption import Interruption, held_back
from headstart.engine.training.micro_batches import MicroBatches
from headstart.engine.training.noise import Noise
from headstart.engine.training.optimiser import checksum, frozen_state, plan_optimiser, train_mode
from headstart.engine.training.pace import Pace
from headstart.engine.training.precision import chosen_precision
from headstart.engine.training.self_validation import Watch, nothing_more, validator
from headstart.engine.training.step_batches import EpochBatches, step_batches
from headstart.engine.training.stepping import Moment, Stepper
from headstart.engine.training.training_plan import TrainingPlan
from headstart.engine.training.validator import Validated
from headstart.engine.training.weights import MovingWeights
from headstart.kernel.errors import TrainingError
from headstart.kernel.progress import Quiet, Reporter

CHECKPOINT_SECONDS = 15.0
"""Least time between two checkpoints: what a killed training loses at most, a step aside."""

QUICK_CHECKPOINT = 0.15
"""Seconds. One that takes longer to write is written more seldom in proportion: all take 1 % of the time at most."""

TRIAL_STEPS = 3
"""By so many steps the number of epochs is fitted to a budget."""


class Loop:
    """One training of one model, which must be as it is before the training: also where a killed one is resumed."""

    def __init__(
        self,
        model: Learner,
        plan: TrainingPlan,
        streams: Mapping[str, Stream],
        validation: Stream | Mapping[str, Stream],
        *,
        checkpoint: CheckpointFile | None = None,
        reporter: Reporter | None = None,
        watch: Watch = nothing_more,
    ) -> None:
        """Make ready to train `model` in place.

        Args:
            validation: labelled examples that the model's task is judged on; without a task the objective's own
                streams, of rows that are not trained on. Then `watch` says what else is looked at after each epoch.

        Raises:
            TrainingError: nothing would move, or what the recipe or the objective asks for would do nothing.
        """
        streams = plan.check(streams)
        recipe, device = plan.recipe, pick_device()
        self.model, self.plan, self.streams = model, plan, streams
        self.reporter, self.processes = reporter or Quiet(), process_group()
        self.others: list[nn.Module] = [model.heads, model.additions]
        for module in (model.backbone.module, *self.others):
            module.to(device).to(memory_format=torch.channels_last)
        self.optimiser = plan_optimiser(model.backbone, self.others, plan.rates, recipe)
        plan.check_reach(model)
        self.moving = self.begun = plan.moving()
        self.noise = Noise(
            model.backbone, self.moving, dropout=recipe.dropout, stochastic_depth=recipe.stochastic_depth
        )
        precision = chosen_precision(recipe.precision, device)
        self.progress = Progress(precision=precision)
        self.checkpoint = None if checkpoint is None else checkpoint.also_by(precision)
        self.weights = MovingWeights(model, self.moving, recipe.moves)
        self.start = self.weights.copy()
        self.average = Average(self.weights.live(), recipe.averaging) if recipe.averaging else None
        self.best = BestEpochs(SOUP if recipe.soup else 1, latest=plan.latest or recipe.keep == "last")
        self.micro = MicroBatches(0, self.reporter)
        forward = Forward(model, plan.boundary, device, precision)
        forward.drafts = True
        self.stepper = Stepper(
            model, plan.objective, recipe, self.optimiser, forward, self.micro, self.processes, plan.seed, streams
        )
        self.validation = validator(self.stepper, validation, plan.boundary, watch)
        self.batches = EpochBatches(streams, self.processes)
        self.steps = max(stream.steps() for stream in streams.values())
        self.pace = Pace(plan.budget, passes_needed(recipe) + plan.passes_after)
        self.initial_monitors: Mapping[str, float] = {}  # monitors before the first step, where somebody has looked
        self.saved = time.monotonic()
        self.interruption = Interruption()
        self._paused: dict[str, Tensor] | None = None
        self._frozen: int | None = None

    def run(self, until: int | None = None) -> Progress:
        """Train until epochs, patience or budget end, or it cannot go on; leave the best weights in the model.

        Args:
            until: pause when so many epochs are done: `Progress.stopped` is still empty, a checkpoint is written, the
                model has the best weights so far, and another `run` goes on as if there had been no pause.

        Raises:
            BrokenOffError: it cannot go on before any epoch was judged; afterwards `Progress.broken_off` says so.
            TrainingError: something frozen has changed.
            KeyboardInterrupt: Ctrl-C, once the step that runs is done and a checkpoint is written.
        """
        if self._frozen is None:
            self._frozen = self._checksum_of_frozen()
            self._resume()
        self.began = time.monotonic() - self.progress.seconds
        with torch.random.fork_rng(), cudnn.flags(enabled=True, deterministic=True, allow_tf32=True), self.noise.on():
            try:
                if not self.progress.stopped:
                    self._train(until)
                if self.progress.stopped and not self.progress.finished:
                    self._finish()
            finally:
                self.weights.load(self.best.kept[0].weights if self.best.kept else self.start)
        if self.progress.stopped and self._checksum_of_frozen() != self._frozen:
            raise TrainingError("a frozen stage changed during training. This is a bug; please report it")
        return self.progress

    def validate(self) -> Validated:
        """The model's validation loss and primary metric as it stands. Raises BrokenOffError on a loss of NaN."""
        return self.validation(self.progress.epoch, self.progress.made())

    def _train(self, until: int | None) -> None:
        progress = self.progress
        if self._paused is not None:
            self.weights.load(self._paused)
            self._paused = None
        with held_back() as self.interruption:
            if not progress.epochs:
                self._decide_length()
            while not progress.stopped and (until is None or progress.epoch < until):
                self._planned(until)
            self.batches.drop()
            self._heed(save=not progress.stopped)
        if not progress.stopped:
            self._paused = self.weights.copy()

    def _planned(self, until: int | None) -> None:
        """Train until the end, or until more epochs are planned than were before."""
        progress, epochs = self.progress, self.progress.epochs
        self.stepper.optimisation = self.plan.recipe.warmed_up(epochs * progress.steps)
        with self.reporter.counter("training", epochs * progress.steps, "steps") as advance:
            advance(progress.made())
            while not progress.stopped and (until is None or progress.epoch < until) and progress.epochs == epochs:
                try:
                    self._epoch(advance, until)
                except BrokenOffError as error:
                    if not progress.history:
                        raise
                    progress.stopped, progress.broken_off = str(error), True

    def _epoch(self, advance: Callable[[int], None], until: int | None) -> None:
        progress, started = self.progress, time.monotonic()
        last = started
        self.train_mode(progress.done())
        for batches in self.batches.of(progress, until):
            work = self.batches.work(batches)
            if self._time_is_up(work):
                break
            self.step(batches)
            progress.step += 1
            self.pace.steps.append((time.monotonic() - last) / work)
            progress.seconds = time.monotonic() - self.began
            advance(1)
            self._heed()
            last = time.monotonic()
        if progress.step:
            self._judge(time.monotonic() - started)
            progress.seconds = time.monotonic() - self.began

    def step(self, batches: Mapping[str, Batch]) -> None:
        """Make one optimiser step on batches by stream."""
        progress, done = self.progress, self.progress.done()
        if self.plan.moving(done) != self.begun:
            self.train_mode(done)
        progress.loss_sum += self.stepper(batches, Moment(progress.epoch, progress.step, done))
        if self.average is not None:
            self.average.update(progress.made())

    def _time_is_up(self, work: float) -> bool:
        """Return whether no step of so much work fits into the budget; `stopped` says so then."""
        progress, pace = self.progress, self.pace
        if pace.budget is None or not (progress.epoch or progress.step):
            return False
        (up,) = self.processes.any_of(not pace.allows_a_step(time.monotonic() - self.began, work))
        if up:
            progress.stopped = progress.cut()
        return up

    def _judge(self, seconds: float) -> None:
        """Validate, remember the best weights, and decide whether to go on."""
        progress, began = self.progress, time.monotonic()
        with nullcontext() if self.average is None else self.average.in_place():
            loss, metric, cost, monitors = self.validate()
            require_spread(progress.epoch, monitors, self.initial_monitors)
            if self.best.wants(cost):
                self.best.add(Kept(progress.epoch, cost, self.weights.copy()))
        expected, self.pace.validation = self.pace.validation, time.monotonic() - began
        mean = progress.loss_sum / progress.step
        rate = max(group["lr"] for group in self.optimiser.param_groups)
        progress.history.append(EpochResult(progress.epoch, mean, loss, metric, rate, seconds, dict(monitors)))
        progress.best_epoch, progress.best_cost = self.best.kept[0].epoch, self.best.kept[0].cost
        progress.epoch, progress.step, progress.loss_sum = progress.epoch + 1, 0, 0.0
        self._lengthen(expected)
        progress.stopped = progress.stopped or progress.reason_to_stop(self.plan.recipe.patience, self.plan.all_move())

    def _finish(self) -> None:
        """From the best epochs to the final weights."""
        progress = self.progress
        final = final_weights(self.plan.recipe, self.start, self.best.kept, self._cost_of)
        progress.soup, progress.alpha = list(final.soup), final.alpha
        self.best.kept, progress.best_cost, progress.finished = [final.kept], final.kept.cost, True
        progress.seconds = time.monotonic() - self.began
        self.weights.load(final.kept.weights)
        self._save()

    def _cost_of(self, weights: Mapping[str, Tensor]) -> float:
        self.weights.load(weights)
        return self.validation.cost()

    def _decide_length(self) -> None:
        """The recipe's epochs, or as many as the budget allows by the time of a few trial steps; at least one."""
        epochs, steps = self.progress.wanted_epochs, self.progress.wanted_steps = self.plan.length(self.steps)
        unknown = self.plan.budget is not None and self.plan.epochs is None
        if unknown:
            self._try()
            epochs, steps = self.pace.affordable(time.monotonic() - self.began, epochs, steps)
        self.progress.epochs, self.progress.steps = self.processes.agreed((epochs, steps))
        if unknown:
            self._save()

    def _lengthen(self, expected: float) -> None:
        """Plan the epochs that fit after all where a validation took less than half of the `expected` seconds.

        A writer that has learnt nothing writes without end. In its second half a training keeps to its plan.
        """
        progress, plan = self.progress, self.plan
        planned_by_time = plan.budget is not None and plan.epochs is None and progress.steps == progress.wanted_steps
        early = progress.epoch == 1 or 2 * progress.epoch <= progress.epochs
        (faster,) = self.processes.any_of(2 * self.pace.validation < expected)
        if planned_by_time and early and faster:
            left = progress.wanted_epochs - progress.epoch
            more, _ = self.pace.affordable(time.monotonic() - self.began, left, progress.steps)
            progress.epochs = self.processes.agreed(max(progress.epochs, progress.epoch + more))

    def _try(self) -> None:
        """Measure some steps and a validation; they leave no trace."""
        before, all_move = self.weights.copy(), self.plan.all_move()
        self.train_mode(all_move)
        for batches in step_batches(self.streams, 0, range(TRIAL_STEPS), self.processes):
            began = time.monotonic()
            self.stepper(batches, Moment(0, 0, all_move))
            self.pace.steps.append((time.monotonic() - began) / self.batches.work(batches))
        self.optimiser.state.clear()
        self.pace.validation = self.validation.estimated_seconds()
        self.weights.load(before)

    def train_mode(self, done: float) -> None:
        """For what moves when so great a share of the training is done; a stage that begins later rests."""
        self.begun = self.plan.moving(done)
        renew = self.plan.recipe.renew_statistics
        train_mode(self.model.backbone, self.others, self.begun, renew_statistics=renew)

    def _checksum_of_frozen(self) -> int:
        return checksum(frozen_state(self.model.backbone, self.moving, self.plan.recipe.moves))

    def _heed(self, *, save: bool = False) -> None:
        """Here training can go on from what is saved: save when it is time, stop when Ctrl-C asks for it."""
        (asked,) = self.processes.any_of(self.interruption.asked)
        wait = CHECKPOINT_SECONDS * max(1.0, self.pace.saving / QUICK_CHECKPOINT)
        if save or asked or time.monotonic() - self.saved >= wait:
            self._save()
        if asked:
            self._paused = self.weights.copy()
            raise KeyboardInterrupt

    def _save(self) -> None:
        began, progress = time.monotonic(), self.progress
        progress.micro_batch = self.micro.most
        progress.step_seconds, progress.validation_seconds = max(self.pace.steps, default=0.0), self.pace.validation
        if self.checkpoint is not None and self.processes.rank == 0:
            average = {} if self.average is None else self.average.values
            optimiser = self.optimiser.state_dict()
            self.checkpoint.write(Checkpoint(progress, self.weights.copy(), optimiser, self.best.kept, average))
        self.saved = time.monotonic()
        self.pace.saving = self.saved - began

    def _resume(self) -> None:
        found = self.checkpoint.read() if self.checkpoint is not None and self.processes.rank == 0 else None
        kept = self.processes.agreed(found)
        if kept is None:
            return
        self.progress, self.best.kept, self.micro.most = kept.progress, list(kept.kept), kept.progress.micro_batch
        if not self.progress.finished:
            self.weights.load(kept.weights)
            self.optimiser.load_state_dict(dict(kept.optimiser))
            if self.average is not None:
                self.average.load(kept.average)
        self.pace.validation = kept.progress.validation_seconds
        self.pace.steps.append(kept.progress.step_seconds)
