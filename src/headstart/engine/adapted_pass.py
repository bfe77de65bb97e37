"""The pass of a model that adapts to what it predicts: plain PyTorch in float32, on a model of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from headstart.contracts.carriers import Batch
from headstart.contracts.examples import Examples
from headstart.contracts.features import Features
from headstart.contracts.model import Model
from headstart.contracts.placed_targets import ClassMaps
from headstart.contracts.targets import collated
from headstart.contracts.task_capabilities import Windowed, one_class_each
from headstart.contracts.test_time import AdaptedModel, TestTime
from headstart.engine.frozen.feeding import Fed, feed_batches
from headstart.engine.frozen.merging import Decoded
from headstart.engine.training.forward import Forward, channels_last
from headstart.kernel import registry
from headstart.kernel.randomness import draw_seed

SOURCE_BATCH = 32


class AdaptedPass:
    """A model that is changed as it predicts; pieces of the data follow each other."""

    def __init__(self, model: Model, test_time: TestTime, device: torch.device, source: Callable[[], Examples]) -> None:
        """`model` is changed: give one that nobody else uses. `source` reads some training examples, or raises
        HeadstartError. Raises SettingsError where the model cannot be adapted."""
        self._model, self._device, self._pieces = model.eval(), device, 0
        for module in (model.backbone.module, model.heads):
            module.to(device)
        self._forward = Forward(model, 0, device, "float32")
        task, scored = model.task, _scored(model)
        subject = AdaptedModel(
            name=model.backbone.name,
            backbone=model.backbone.module,
            stages=model.backbone.stages,
            head=model.heads["head"],
            run=self._run,
            source=lambda: self._source(_pieces(source(), model)),
            scored=scored,
            task=registry.name_of(task),
        )
        self._temperature = model.calibration.get("temperature", 1.0) if scored else None
        self._adaptation = test_time.begin(subject)

    def __call__(self, examples: Examples) -> Iterator[Decoded]:
        """Decode a piece of the data, batch by batch."""
        size, draws = self._adaptation.batch_size, draw_seed(0, "test time", self._pieces)
        rows = np.random.default_rng(draws).permutation(len(examples))
        if self._adaptation.looks:
            with torch.no_grad():
                self._adaptation.look(self._batches(examples, rows, size), len(rows))
        self._pieces += 1
        inputs = self._model.task.inputs(examples)
        for fed in self._fed(examples, rows, size):
            batch = self._batch(fed, inputs)
            if batch is None:
                yield Decoded(fed.rows, None, fed.failures)
                continue
            features = self._adaptation.features(batch)
            with torch.inference_mode():
                prediction = self._forward.predict(features, batch)
            yield Decoded(fed.rows, prediction, fed.failures)

    def notes(self) -> tuple[str, ...]:
        """Return what a reader of the predictions must know."""
        return self._adaptation.notes()

    def _source(self, examples: Examples) -> Iterator[Batch]:
        return self._batches(examples, np.arange(len(examples)), SOURCE_BATCH)

    def _batches(self, examples: Examples, rows: np.ndarray, size: int) -> Iterator[Batch]:
        """Batches of those rows that can be read."""
        inputs = self._model.task.inputs(examples)
        found = (self._batch(fed, inputs) for fed in self._fed(examples, rows, size))
        yield from (batch for batch in found if batch is not None)

    def _fed(self, examples: Examples, rows: np.ndarray, size: int) -> Iterator[Fed]:
        """The rows in batches of near-equal size, in their order."""
        batches = np.array_split(rows, -(-len(rows) // size)) if len(rows) else []
        yield from feed_batches(self._model.backbone, examples, batches, batch_size=size, total=len(rows))

    def _batch(self, fed: Fed, inputs: Mapping[str, np.ndarray]) -> Batch | None:
        """The batch on the device, at boundary 0; None where nothing of it could be read."""
        if fed.state is None:
            return None
        asked = {name: collated(values[fed.rows]) for name, values in inputs.items()}
        batch = Batch(fed.state, {}, torch.from_numpy(fed.rows), asked).to(self._device)
        with torch.no_grad():
            state = self._model.backbone.entry(batch.state)
        return channels_last(Batch(state, {}, batch.rows, batch.head_inputs))

    def _run(self, batch: Batch) -> tuple[Features, Tensor | None]:
        features = self._forward.features(batch)
        logits = self._forward.outputs(features, batch).get("logits")
        if self._temperature is None or logits is None:
            return features, None
        places = logits if logits.ndim == 2 else logits.movedim(1, -1).flatten(0, -2)
        return features, places / self._temperature


def _scored(model: Model) -> bool:
    """True where each example or pixel has one class."""
    kinds = model.task.target_kinds.values()
    return one_class_each(model.task) or any(isinstance(kind, ClassMaps) for kind in kinds)


def _pieces(examples: Examples, model: Model) -> Examples:
    """Windows, where the task cuts examples that are longer than the backbone reads."""
    windows = model.task.cut(examples, model.backbone) if isinstance(model.task, Windowed) else None
    return examples if windows is None else windows.examples
