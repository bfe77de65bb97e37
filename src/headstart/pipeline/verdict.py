"""The answer in words: what was reached and what the pretraining was worth, as far as the intervals allow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from headstart.contracts.figures import MetricInfo
from headstart.pipeline.numbers import difference_text, figure_text
from headstart.pipeline.record import CLASSICAL, CONSTANT, Arm, Comparison


def verdict(
    metric: str,
    info: MetricInfo,
    arms: Mapping[str, Arm],
    comparisons: Sequence[Comparison],
    *,
    unit: str = "unseen examples",
    no_scratch: str = "",
) -> tuple[str, bool]:
    """The verdict and whether it is negative transfer; `unit` is what a figure's n counts, `no_scratch` says
    why there is no training from scratch to compare with.

    Negative transfer: the model that starts from pretrained weights is worse than the same from scratch, and the
    interval of the paired difference excludes zero.
    """
    model = arms["model"]
    figure = model.figures[metric]
    counted = f"{figure.n} {unit if figure.n != 1 else unit.removesuffix('s')}"
    sentences = [f"{info.title} {figure_text(info.unit, figure)} on {counted}."]
    negative = False
    for comparison in comparisons:
        difference = difference_text(info.unit, comparison.difference)
        if comparison.against == "scratch":
            negative = comparison.verdict == "worse"
            sentences.append(_transfer_sentence(comparison.verdict, difference, _cut_off(arms["scratch"])))
        elif comparison.against == CLASSICAL:
            sentences.append(_classical_sentence(comparison.verdict, difference, arms[CLASSICAL].title))
        elif comparison.against == CONSTANT:
            sentences += _constant_sentence(comparison.verdict, difference)
        else:
            sentences.append(_probe_sentence(comparison.verdict, difference))
    if "scratch" not in arms:
        sentences.append(f"Transfer gain unknown: {no_scratch or 'there is no training from scratch to compare with'}.")
    return " ".join(sentences), negative


def _cut_off(scratch: Arm) -> str:
    """In parentheses, what ended a training before its recipe did; empty where nothing did."""
    if "budget" in scratch.stopped:
        return " (stopped by its time budget)"
    if "max_steps" in scratch.chosen and scratch.stopped.startswith("all "):
        return f" (stopped at its limit of {scratch.chosen['max_steps']} steps)"
    return ""


def _transfer_sentence(outcome: str, difference: str, cut_off: str) -> str:
    if outcome == "better":
        return f"Transfer helps: {difference} over training from scratch{cut_off}."
    if outcome == "worse":
        against = f"{difference} compared with training from scratch{cut_off}"
        return f"NEGATIVE TRANSFER: {against}. Try another backbone, or train from scratch."
    return f"No significant transfer gain: {difference} over training from scratch{cut_off}."


def _probe_sentence(outcome: str, difference: str) -> str:
    if outcome == "better":
        return f"Fine-tuning beats the frozen probe: {difference}."
    if outcome == "worse":
        return f"Fine-tuning is WORSE than the frozen probe: {difference}. Use --tuning probe."
    return f"No significant gain over the frozen probe: {difference}."


def _classical_sentence(outcome: str, difference: str, title: str) -> str:
    if outcome == "better":
        return f"Beats {title}: {difference}."
    if outcome == "worse":
        return f"WORSE than {title}, which needs no pretrained model: {difference}."
    return f"No better than {title}: {difference}."


def _constant_sentence(outcome: str, difference: str) -> list[str]:
    return [] if outcome == "better" else [f"No better than the same prediction for every example: {difference}."]
