"""PretrainRecord: everything a pretraining found out, as it lies in RUN/record.json."""

from __future__ import annotations

from typing import Literal

from headstart.kernel.settings import Settings
from headstart.pipeline.record import (
    AnyRecord,
    Arm,
    Comparison,
    DataIssue,
    Epoch,
    Measured,
    Number,
    PartRow,
)

KIND = "pretraining"

SIMPLE = {"pca": "probe on principal components", "k_means": "probe on codes of k-means"}
"""Arms that learning without labels must beat, beside its start; their titles."""


class UnlabelledSummary(Settings):
    """The inputs of a pretraining."""

    source: str
    seen: str
    """Description of the inputs."""
    modality: str
    trained: int
    """Inputs that were trained on, those among them that cannot be read included."""
    held_out: int
    """Inputs on which loss and monitors were computed."""
    unreadable: tuple[DataIssue, ...] = ()
    """The first of those that could not be read."""
    unreadable_count: int = 0
    notes: tuple[str, ...] = ()


class Gain(Measured):
    """Gain of the training on a labelled sample: linear probes on its test part."""

    source: str
    task: str
    primary_metric: str
    parts: tuple[PartRow, ...]
    arms: dict[str, Arm]
    """'model' is the probe on the result, 'start' that on what the training began with, 'pca' and 'k_means' those on
    what simple methods find in the same data."""
    comparisons: tuple[Comparison, ...]
    notes: tuple[str, ...] = ()


class ViewRow(Settings):
    """An input as it is and as the training saw it."""

    origin: str
    pictures: tuple[str, ...]
    """Data URIs: the input, then its views."""


class PretrainRecord(AnyRecord):
    """The record of a pretraining."""

    kind: Literal["pretraining"] = "pretraining"
    objective: str
    augmentation: str
    """The views, in words."""
    data: UnlabelledSummary
    width: int
    """Of the features."""
    start: dict[str, Number] = {}
    """Held-out loss and monitors before the first step."""
    history: tuple[Epoch, ...]
    rounds: int = 1
    """Epochs of a pass over the data."""
    chosen: dict[str, int | str | Number] = {}
    """Choices made in training: precision, epochs, micro-batch."""
    stopped: str
    """Reason for the end of training."""
    seconds: float
    """Of the training."""
    views: tuple[ViewRow, ...] = ()
    gain: Gain | None = None
    """None without a labelled sample."""
