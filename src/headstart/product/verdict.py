"""The answer in words: what was reached and what the pretraining was worth, as far as the intervals allow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from headstart.product.numbers import difference_text, figure_text, metric_title
from headstart.product.record import Arm, Comparison


def verdict(
    metric: str, arms: Mapping[str, Arm], comparisons: Sequence[Comparison], *, unit: str = "unseen examples"
) -> tuple[str, bool]:
    """The verdict and whether it is negative transfer; `unit` is what a figure's n counts.

    Negative transfer: the model that starts from pretrained weights is worse than the same from scratch, and the
    interval of the paired difference excludes zero.
    """
    model = arms["model"]
    figure = model.figures[metric]
    counted = f"{figure.n} {unit if figure.n != 1 else unit.removesuffix('s')}"
    sentences = [f"{metric_title(metric)} {figure_text(metric, figure)} on {counted}."]
    negative = False
    for comparison in comparisons:
        difference = difference_text(metric, comparison.difference)
        if comparison.against == "scratch":
            negative = comparison.verdict == "worse"
            sentences.append(_transfer_sentence(comparison.verdict, difference))
        else:
            sentences.append(_probe_sentence(comparison.verdict, difference))
    if "scratch" not in arms:
        sentences.append("Transfer gain unknown: there is no training from scratch to compare with.")
    return " ".join(sentences), negative


def _transfer_sentence(outcome: str, difference: str) -> str:
    if outcome == "better":
        return f"Transfer helps: {difference} over training from scratch."
    if outcome == "worse":
        return (
            f"NEGATIVE TRANSFER: {difference} against training from scratch. Another backbone, or none, is better here."
        )
    return f"Whether transfer helps is not shown: {difference} against training from scratch."


def _probe_sentence(outcome: str, difference: str) -> str:
    if outcome == "better":
        return f"Tuning beats the frozen probe by {difference}."
    if outcome == "worse":
        return f"Tuning is WORSE than the frozen probe: {difference}. Use --tuning probe."
    return f"Tuning is not shown to beat the frozen probe: {difference}."
