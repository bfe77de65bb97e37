"""Inference: a model's calibrated predictions, from inputs or from what a frozen pass has kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from headstart.contracts.carriers import State
from headstart.contracts.examples import Examples
from headstart.contracts.features import Features
from headstart.contracts.modality import modality_named
from headstart.contracts.model import Model
from headstart.contracts.prediction import Prediction
from headstart.contracts.runner import CannotRun, Execute
from headstart.contracts.targets import collated
from headstart.contracts.task import Targets
from headstart.contracts.task_capabilities import Windowed
from headstart.engine.device import pick_device, run_halving, usual_batch_size
from headstart.engine.frozen.averaged_views import averaged, averaged_views
from headstart.engine.frozen.batches_in_flight import BatchesInFlight
from headstart.engine.frozen.execution import plain_runner, runner_of, started
from headstart.engine.frozen.extract import Extracted
from headstart.engine.frozen.feature_spec import FeatureSpec, FrozenSegment, features_of
from headstart.engine.frozen.feeding import Fed, feed
from headstart.engine.frozen.merging import Decoded, joined, merged
from headstart.engine.frozen.pass_key import pass_key
from headstart.kernel.errors import DataError, SettingsError
from headstart.kernel.files import hash_json
from headstart.kernel.progress import Quiet, Reporter

Adapted = Callable[[Examples], Iterator[Decoded]]
"""Decodes examples by a model that adapts to them, see `engine/adapted_pass.py`."""

HEAD_BATCH = 4096
"""Pooled features that go through a head at once."""


@dataclass(frozen=True)
class Predicted:
    """Predictions for the examples that could be read."""

    prediction: Prediction | None
    """Finished, one entry per element of `rows`; None when no input could be read."""
    rows: np.ndarray
    """(readable examples,) int64, ascending."""
    failures: Mapping[int, str]
    """Row -> why its input could not be read."""
    pooled: np.ndarray | None = None
    """(readable examples, width) float32, what the head read, where it was asked for and there is such a thing; of an
    input in pieces their mean."""


class Predictor:
    """Prepares inputs and runs a whole model, with the runner that its features were made with."""

    def __init__(
        self,
        model: Model,
        *,
        device: torch.device | None = None,
        batch_size: int | None = None,
        reporter: Reporter | None = None,
        adapted: Adapted | None = None,
        keep_pooled: bool = False,
        decodes: bool = True,
    ) -> None:
        """Nothing is started before there are examples; what is started serves all that follow. `adapted` decodes in
        place of the runner; with `keep_pooled` predictions come with the pooled features of their inputs, and without
        `decodes` these come alone."""
        self.model, self.reporter = model, reporter or Quiet()
        model.backbone.tell(self.reporter)
        self._views = averaged_views(model.execution)
        self._remainder = _Remainder(model, device or pick_device(), None if self._views is None else 0, self.reporter)
        self._pipeline = BatchesInFlight(self._remainder.started)
        self._batch_size = batch_size or self._remainder.batch_size
        self._adapted, self._decodes = adapted, decodes
        self._pooled: dict[int, np.ndarray] | None = {} if keep_pooled else None
        self._reads_maps = model.task.needs.features == "maps"

    def at_most(self, batch_size: int) -> None:
        """Run no more examples at once, where memory counts: activations of large pictures take far more than these."""
        self._batch_size = min(self._batch_size, batch_size)

    def __call__(self, examples: Examples) -> Predicted:
        """Predictions for those that can be read, whole or in pieces."""
        task, owner = self.model.task, np.arange(len(examples))
        if isinstance(task, Windowed) and (windows := task.cut(examples, self.model.backbone)) is not None:
            found, owner = joined(merged(self._decoded(windows.examples), windows, task)), windows.owner
        else:
            found = joined(self._decoded(examples))
        finished = None if found.prediction is None else _finished(self.model, [found.prediction])
        return Predicted(finished, found.rows, found.failures, self._taken(found.rows, owner))

    def _taken(self, rows: np.ndarray, owner: np.ndarray) -> np.ndarray | None:
        """The pooled features of rows whose pieces, or they themselves, have these owners; they are then forgotten."""
        if not self._pooled or not len(rows):
            return None
        pieces = np.array(sorted(self._pooled))
        features = np.stack([self._pooled[piece] for piece in pieces])
        self._pooled.clear()
        counts = np.maximum(np.bincount(owner[pieces], minlength=int(owner.max()) + 1), 1)
        sums = np.zeros((len(counts), features.shape[1]), np.float32)
        np.add.at(sums, owner[pieces], features)
        found: np.ndarray = (sums / counts[:, None].astype(np.float32))[rows]
        return found

    def _decoded(self, examples: Examples) -> Iterator[Decoded]:
        """Batch by batch."""
        unit = modality_named(self.model.backbone.modality).unit
        if self._adapted is not None:
            with self.reporter.counter("predicting", len(examples), unit) as advance:
                for decoded in self._adapted(examples):
                    yield decoded
                    advance(len(decoded.rows) + len(decoded.failures))
            return
        same: list[Prediction] = []
        batches: Iterable[Fed] = feed(self.model.backbone, examples, np.arange(len(examples)), self._batch_size)
        if self._views is not None:
            batches = self._views.each(batches, self.model.backbone.entry)
        head_inputs = self.model.task.inputs(examples)
        with self.reporter.counter("predicting", len(examples), unit) as advance:
            for ran in self._pipeline.run(batches):
                fed, prediction = ran.fed, None
                if fed.state is not None and ran.result is not None:
                    features = features_of(ran.result)
                    if self._pooled is not None and not same:
                        self._pooled |= zip(fed.rows.tolist(), features.pooled.float().cpu().numpy())
                    if not self._decodes:
                        yield Decoded(fed.rows, None, fed.failures)
                        advance(len(fed.rows) + len(fed.failures))
                        continue
                    # several threads of a head of maps would wait for each other while the runner has the cores
                    with _threads(1 if self._reads_maps and self._pipeline.at_once > 1 else torch.get_num_threads()):
                        same.append(self._remainder.head(features, fed.rows, head_inputs))
                    if self._views is not None and len(same) <= self._views.count:
                        continue
                    prediction = averaged(same) if self._views is not None else same[0]
                    same = []
                yield Decoded(fed.rows, prediction, fed.failures)
                advance(len(fed.rows) + len(fed.failures))


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """With so many threads of PyTorch's."""
    usual = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(usual)


def predict_stored(
    model: Model,
    extracted: Extracted,
    rows: Sequence[int] | np.ndarray | None = None,
    *,
    head_inputs: Targets | None = None,
    device: torch.device | None = None,
    batch_size: int | None = None,
) -> Prediction:
    """The finished prediction for some rows of a frozen pass (all readable ones without any), from where it ended.

    Args:
        head_inputs: what the head must know of every row of the pass.

    Raises:
        DataError: no rows are given, or the input of one of them could not be read.
    """
    chosen = extracted.rows if rows is None else np.asarray(rows, np.int64)
    boundary = extracted.spec.boundary(model.backbone)
    remainder = _Remainder(model, device or pick_device(), boundary)
    parts = []
    for batch in _pieces(chosen, batch_size or remainder.batch_size):
        state = extracted.batch_state(batch)
        if extracted.spec.keep != "state":
            parts.append(remainder.head(features_of(state), batch, head_inputs))
        elif boundary == len(model.backbone.stages):
            with torch.inference_mode():
                features = model.backbone.features(state)
            parts.append(remainder.head(features, batch, head_inputs))
        else:
            parts.append(remainder(state, batch, head_inputs))
    return _finished(model, parts)


def heads_on_features(model: Model, pooled: np.ndarray) -> Prediction:
    """The finished prediction for pooled features (examples, width) float32. Raises DataError without any."""
    remainder = _Remainder(model, pick_device(), len(model.backbone.stages))
    parts = []
    for rows in _pieces(np.arange(len(pooled)), HEAD_BATCH):
        features = Features(torch.from_numpy(pooled[rows]))
        parts.append(remainder.head(features, rows))
    return _finished(model, parts)


class _Remainder:
    """Rest of a model from a boundary on (from the input with None): some stages, then the head."""

    def __init__(self, model: Model, device: torch.device, start: int | None, reporter: Reporter | None = None) -> None:
        self.model, self.device, self.start = model.eval(), device, start
        self.reporter = reporter or Quiet()
        self.batch_size = usual_batch_size(device)
        self.execute: Execute | None = None

    def __call__(self, state: State, rows: np.ndarray, head_inputs: Targets | None = None) -> Prediction:
        """From the state at the boundary."""
        if self.execute is None:
            self.execute = self.started(state)
        return self.head(features_of(run_halving(self.execute, state)), rows, head_inputs)

    def started(self, state: State) -> Execute:
        """The stages on the runner of the model's features; in plain PyTorch where that one does not do."""
        spec = FeatureSpec(self.model.task.needs.features)
        segment, key = FrozenSegment(self.model.backbone, spec, self.start), pass_key(self.model.backbone, spec)
        by_use = self.model.execution.get("gate") == "by use"
        try:
            runner = runner_of(self.model.execution)
            return started(runner, segment, state, self.device, hash_json([key, self.start]), by_use=by_use)
        except (CannotRun, SettingsError) as error:
            name = self.model.execution.get("runner")
            told = f"Plain PyTorch replaces {name}, the runner of the model's features: {error}"
            coarse = (
                f"The head was fitted on features in {self.model.execution.get('precision')}: scores differ a little"
            )
            self.reporter.say(f"{told}. {coarse}" if by_use else told)
            return plain_runner().start(segment, state, self.device)

    def head(self, features: Features, rows: np.ndarray, head_inputs: Targets | None = None) -> Prediction:
        """Predict from features, not finished yet. `head_inputs` are those of all rows."""
        task, head = self.model.task, self.model.heads["head"].to(self.device)
        asked = {name: collated(values[rows]).to(self.device) for name, values in (head_inputs or {}).items()}
        with torch.inference_mode():
            return task.predict(head, features.map(lambda value: value.to(self.device)), asked)


def _finished(model: Model, parts: Sequence[Prediction]) -> Prediction:
    if not parts:
        raise DataError("there is nothing to predict: no rows were given")
    return model.task.evaluation.finish(Prediction.join(parts), model.calibration)


def _pieces(rows: np.ndarray, size: int) -> list[np.ndarray]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]
