"""RUN/reference.safetensors: training features that new inputs are compared with, written when a run is recorded.

They tell inputs unlike the training data, and are the examples that a service shows as the reason for a prediction.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from scipy.stats import binomtest

from headstart.contracts.modality import HasNumbers, modality_named
from headstart.contracts.presentation import presentation_of
from headstart.engine.frozen.infer import Predicted, Predictor
from headstart.evidence.novelty import NEAREST, RATE, Reference
from headstart.kernel.errors import RunError
from headstart.kernel.files import write_atomic
from headstart.kernel.randomness import draw_seed
from headstart.pipeline.context import FitContext
from headstart.pipeline.trained import Trained, own_weights

FILE = "reference.safetensors"
MOST, MOST_OF_TUNED = 2000, 500
"""Training examples that are kept; where the backbone was tuned they go through it once more."""
SURPRISING = 1e-3
"""Probability below which so many flags are no chance."""
FEWEST = math.ceil(1 / RATE) - 1
"""Validation examples below which nothing can be told."""


@dataclass(frozen=True)
class KeptReference:
    """Training features with the examples' names."""

    reference: Reference
    origins: Sequence[str]
    labels: Sequence[str]


def write_reference(folder: Path, context: FitContext, arm: Trained) -> None:
    """Keep features of training beside a model, where it has pooled ones and validation has enough examples."""
    data = context.data
    train, val = data.split.train, data.split.val
    if not len(context.backbone.stages) or len(val) < FEWEST or len(train) < NEAREST:
        return
    most = MOST if _as_it_was(context, arm) else MOST_OF_TUNED
    train, val = (_drawn(rows, most, context.plan.seed) for rows in (train, val))
    features = _features_of(context, arm)
    found, held_out = features(train), features(val)
    if found is None or held_out is None or not (np.isfinite(found).all() and np.isfinite(held_out).all()):
        return
    angles = not isinstance(modality_named(context.backbone.modality), HasNumbers)
    kept, some = Reference.of(found, held_out, angles=angles), data.examples.take(train)
    labels = [str(label)[:200] for label in presentation_of(data.task).labels(some)]
    tensors = {"points": kept.points.astype(np.float16), "mean": kept.mean, "scale": kept.scale}
    words = {"origins": json.dumps(some.origins()), "labels": json.dumps(labels), "angles": json.dumps(angles)}
    write_atomic(folder / FILE, save({**tensors, "held_out": kept.held_out}, words))


def read_reference(folder: Path) -> KeptReference | None:
    """Return the features that a run keeps; None where it has none. Raises RunError where it is damaged."""
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        with safe_open(path, "np") as file:
            words = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in ("points", "mean", "scale", "held_out")}
        angles = bool(json.loads(words["angles"]))
        return KeptReference(
            Reference(**tensors, angles=angles), json.loads(words["origins"]), json.loads(words["labels"])
        )
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise RunError(f"{path} is damaged: {error}. Delete it, or repeat the run.") from error


def _drawn(rows: np.ndarray, most: int, seed: int) -> np.ndarray:
    if len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng(draw_seed(seed, "reference")).choice(rows, most, replace=False))


def _as_it_was(context: FitContext, arm: Trained) -> bool:
    """Return whether the backbone is that of the frozen pass: the head was solved, or it alone was trained."""
    unmoved = bool(arm.stages) and all(row.state == "frozen" for row in arm.stages)
    return arm.on_stored or (unmoved and not arm.from_inputs and arm.model.backbone is context.backbone)


def _features_of(context: FitContext, arm: Trained) -> Callable[[np.ndarray], np.ndarray | None]:
    """Pooled features of some rows, as the model's predictions will have them."""
    if _as_it_was(context, arm) and context.windows is None and context.features.spec.keep != "state":
        return context.features.pooled

    def computed(rows: np.ndarray) -> np.ndarray | None:
        with own_weights(arm):
            writes = context.data.task.needs.generates  # which takes far longer than to read
            predictor = Predictor(arm.model, reporter=context.reporter, keep_pooled=True, decodes=not writes)
            return predictor(context.data.examples.take(rows)).pooled

    return computed


@dataclass
class LikenessNote:
    """The column "unlike" of predictions, and what is said of all of them in the end."""

    reference: Reference
    inputs: int = 0
    unlike: int = 0

    @staticmethod
    def of(folder: Path) -> LikenessNote | None:
        """Of a run; None where it keeps no features of training. Raises RunError."""
        kept = read_reference(folder)
        return None if kept is None else LikenessNote(kept.reference)

    def columns(self, predicted: Predicted) -> Mapping[str, np.ndarray]:
        """ "unlike": whether each input is unlike the training data."""
        if predicted.pooled is None:
            return {}
        found = self.reference.unlike(self.reference.distances(predicted.pooled))
        self.inputs, self.unlike = self.inputs + len(found), self.unlike + int(found.sum())
        return {"unlike": found}

    def told(self) -> tuple[str, ...]:
        """A sentence where more inputs are unlike the training data than chance would flag."""
        if not self.unlike or binomtest(self.unlike, self.inputs, RATE, alternative="greater").pvalue >= SURPRISING:
            return ()
        share = f"{self.unlike:,} of {self.inputs:,} inputs are unlike the training data"
        return (f"{share} (of validation {RATE:.0%} are): what was measured on the test part may not hold for them",)


def told_unlike(folder: Path, predicted: Predicted) -> tuple[str, ...]:
    """The sentence of `LikenessNote.told` on some predictions of a run; none where it cannot tell."""
    note = LikenessNote.of(folder)
    if note is None:
        return ()
    note.columns(predicted)
    return note.told()
