"""The answer of a pretraining in words: what was learnt from, how much of the features is in use, and the gain."""

from __future__ import annotations

from headstart.engine.training.collapse import RANK
from headstart.pipeline.numbers import difference_text, figure_text
from headstart.pipeline.pretraining.record import SIMPLE, Gain
from headstart.pipeline.record import Epoch


def verdict(
    objective: str, examples: int, width: int, history: tuple[Epoch, ...], rounds: int, gain: Gain | None
) -> str:
    """Two or three sentences; an epoch is one of `rounds` parts of a pass over the examples."""
    epochs = f"{len(history)} epoch{'s' if len(history) != 1 else ''}"
    epochs += f" of 1/{rounds} of them each" if rounds > 1 else ""
    rank = history[-1].monitors.get(RANK)
    use = "" if rank is None else f" The features use about {rank:.0f} of {width} dimensions."
    learnt = f"Learnt from {examples:,} inputs without labels by {objective} in {epochs}.{use}"
    if gain is None:
        return f"{learnt} Whether it helps is not known: give a labelled sample with --labelled."
    return f"{learnt} {_gain(gain)}"


def _gain(gain: Gain) -> str:
    metric = gain.info(gain.primary_metric)
    figure = figure_text(metric.unit, gain.arms["model"].figures[gain.primary_metric])
    reached = f"A linear probe on it reaches {metric.title} {figure}"
    comparison = next((found for found in gain.comparisons if found.against == "start"), None)
    if comparison is None:
        return f"{reached}."
    difference = difference_text(metric.unit, comparison.difference)
    if comparison.verdict == "better":
        return f"{reached}: {difference} over its start.{_simpler(gain)}"
    if comparison.verdict == "worse":
        return f"{reached}: WORSE than its start, {difference}. Keep the start."
    return f"{reached}; a gain over its start is not shown: {difference}.{_simpler(gain)}"


def _simpler(gain: Gain) -> str:
    """What to hear where a method that takes seconds is not beaten."""
    comparisons = {found.against: found for found in gain.comparisons}
    unbeaten = [comparisons[name] for name in SIMPLE if name in comparisons and comparisons[name].verdict != "better"]
    if not unbeaten:
        return ""
    found = next((comparison for comparison in unbeaten if comparison.verdict == "worse"), unbeaten[0])
    difference = difference_text(gain.unit(gain.primary_metric), found.difference)
    word = "It is WORSE than" if found.verdict == "worse" else "It is not shown to beat"
    return f" {word} a {gain.arms[found.against].title}, which takes seconds: {difference}."
