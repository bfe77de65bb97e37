"""Selection: pretrained models ranked for data, as `headstart select` returns it."""

from __future__ import annotations

from headstart.kernel.settings import Settings
from headstart.pipeline.record import FigureRow, Measured, Number


class BackboneRow(Settings):
    """A pretrained model that was measured on the data."""

    reference: str
    """Its name, folder or file, as `--backbone` takes it."""
    licence: str
    """Licence of its weights; 'unknown' where nobody states one."""
    parameters: int
    operations: float = 0.0
    """Floating-point operations that an example takes; 0 where that is not known."""
    published: float | None = None
    """Published accuracy of the catalogue, in percent; None where it does not list the model."""
    width: int
    """Width of its pooled features."""
    milliseconds: float
    """Time that an example takes on this machine, its decoding apart; 0 where that is not known."""
    examples: int
    """Number of examples that its figures rest on: all, or those of the round that it was left out after."""
    figure: FigureRow
    """The primary metric of the cross-validated probe."""
    best: float
    """Probability that it is the best of those measured on as many examples."""
    ranks: tuple[int, int]
    """95 % interval of its rank among them."""
    scores: dict[str, Number]
    """Score -> value, more is better."""


class Skipped(Settings):
    """A candidate that was not measured."""

    reference: str
    reason: str


class Selection(Measured):
    """A ranking of pretrained models."""

    name: str
    """Of the data: their path."""
    headstart: str
    """Version that made it."""
    task: str
    primary_metric: str
    examples: int
    """Number of labelled examples that it rests on: training and validation part."""
    backbones: tuple[BackboneRow, ...]
    """The best first."""
    skipped: tuple[Skipped, ...]
    verdict: str
    """The answer in a sentence or two."""
    seconds: float
    estimated: float = 0.0
    """Seconds of frozen passes and probes that were told beforehand."""
    notes: tuple[str, ...] = ()
    """Notes on the data, as a fit gives them."""
    basis: str = "of a linear probe on frozen features, cross-validated on training and validation part"
    """What the figures are of, in words that follow the metric's title."""
    score_titles: dict[str, str] = {}
    """Score -> title."""
    score_units: dict[str, str] = {}
    """Score -> unit, as in `MetricInfo.unit`."""
