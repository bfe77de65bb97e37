"""The adaptation of a fit as records hold it."""

from __future__ import annotations

import math

from headstart.contracts.domains import ShiftKind
from headstart.kernel.settings import Settings
from headstart.pipeline.figure_rows import FigureRow, Number


class AdaptedRow(Settings):
    """A candidate: a head for the target, or the source model."""

    name: str
    """Of its plug-in; 'source' for the source model."""
    family: str
    """'alignment', 'weighting', 'objectives' or, of several sources, 'domains'; empty for the source model."""
    title: str
    seconds: float
    source_accuracy: Number
    """On held-out source examples, as the source sees it."""
    estimate: FigureRow | None = None
    """Estimated accuracy on the target, with its 90 % interval; None where it was not estimated."""
    scores: dict[str, Number] = {}
    """Validator -> score, more is better."""
    agreement: Number = math.nan
    """Cohen's kappa of its classes with those of the others' mean probabilities; undefined without any."""
    fate: str
    """'chosen', or why not: 'refused: source accuracy falls', 'skipped: needs the package POT'."""
    note: str = ""
    """Further finding: 'effective sample size 312 of 800'."""


class DomainPoints(Settings):
    """Some examples of both domains in a plane."""

    title: str
    source: tuple[tuple[float, float], ...]
    target: tuple[tuple[float, float], ...]


class ClassInTarget(Settings):
    """A class in both domains."""

    name: str
    source: float
    """Share of the source's labels."""
    estimated: float
    """Share of the target, as estimated without its labels."""
    low: float
    """Ends of the 95 % interval of the estimate."""
    high: float


class AdaptationRow(Settings):
    """The adaptation to a target without labels."""

    target: str
    """Path of its data, or what they are."""
    examples: int
    """Usable inputs of the target."""
    labelled: int = 0
    """Labelled examples of it that were given."""
    kind: ShiftKind
    """Diagnosed kind of the shift."""
    reason: str
    auc: float
    """Area under the ROC curve of a linear classifier of the domain."""
    distance: float
    """Proxy A-distance, in [0, 2]."""
    classes: tuple[ClassInTarget, ...] = ()
    missing: tuple[str, ...] = ()
    """Classes that the target is found to lack."""
    candidates: tuple[AdaptedRow, ...] = ()
    """The source model first."""
    chosen: str
    """Name of the candidate that became the model; 'source' where nothing did."""
    place: int = 0
    """Its place among the candidates."""
    why: str
    """The reason of the choice, in a sentence or two."""
    estimate: FigureRow | None = None
    """Estimated accuracy of the model on the target, with its 90 % interval."""
    method: str = ""
    """The estimate's making, in a sentence."""
    pictures: tuple[DomainPoints, ...] = ()
    """Domains before and after."""
    sentence: str = ""
    """The answer in a sentence or two."""
    predictions: str = ""
    """File in the run folder with the predictions for the target."""

    def validators(self) -> tuple[str, ...]:
        """Return the names of all validators that scored a candidate."""
        return tuple(dict.fromkeys(name for row in self.candidates for name in row.scores))
