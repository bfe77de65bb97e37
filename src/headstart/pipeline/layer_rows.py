"""The layer view as records hold it."""

from __future__ import annotations

from headstart.contracts.figures import MetricInfo
from headstart.kernel.settings import Settings
from headstart.pipeline.figure_rows import FigureRow


class ComparedRow(Settings):
    """A paired difference and its verdict."""

    difference: FigureRow
    """Signed so that more is better."""
    verdict: str
    """'better', 'worse', 'not significant', or 'undecided' where there is no interval."""


class LayerRow(Settings):
    """A stage in the layer view."""

    name: str
    width: int
    """Numbers in its features."""
    figure: FigureRow
    """Of a probe on held-out examples."""
    to_best: ComparedRow
    """Against the best stage; of several stages at once, against the last."""
    gain: ComparedRow | None = None
    """Against the best of the stages before it; None where there is none."""


class Layers(Settings):
    """The layer view: how well each stage, by itself, tells the labels."""

    metric: MetricInfo
    """Metric by which stages are compared: the primary one, or that of words or pixels by themselves."""
    examples: int
    """Examples of the training and validation part, each held out once."""
    folds: int
    stages: tuple[LayerRow, ...]
    best: int
    """Place of the best stage, counted from 0."""
    ends: int
    """Place of the stage at which knowledge that transfers ends: the earliest that is not significantly below the
    best."""
    multi: LayerRow | None = None
    """Several stages at once; None where there is a single one."""
    sentence: str = ""
    """All of it in words."""

    def standing(self, place: int) -> str:
        """Return how a stage stands to the best one, in words."""
        verdict = self.stages[place].to_best.verdict
        if place == self.best:
            told = "best"
        else:
            told = "below the best" if verdict == "worse" else "not significantly below the best"
        return f"{told}; knowledge ends here" if place == self.ends else told
