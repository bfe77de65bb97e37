"""The answer in words: what was reached and what the pretraining was worth, as far as the intervals allow."""

from __future__ import annotations

from collections.abc import Sequence

from headstart.product.record import Arm, Comparison, FigureRow

SHARES = frozenset({"accuracy", "balanced_accuracy", "macro_f1", "roc_auc", "ece"})
"""Metrics that people read as percentages."""


def show_figure(metric: str, figure: FigureRow) -> str:
    """'91.5 % (87.0-95.1)' for shares, '0.312 (0.250-0.390)' for other metrics."""
    if metric in SHARES:
        return f"{100 * figure.value:.1f} % ({100 * figure.low:.1f} to {100 * figure.high:.1f})"
    return f"{figure.value:.3g} ({figure.low:.3g} to {figure.high:.3g})"


def show_difference(metric: str, figure: FigureRow) -> str:
    """'+12.3 points (8.0 to 16.1)'."""
    scale, unit = (100, " points") if metric in SHARES else (1, "")
    return f"{scale * figure.value:+.3g}{unit} ({scale * figure.low:+.3g} to {scale * figure.high:+.3g})"


def verdict(metric: str, arms: dict[str, Arm], comparisons: Sequence[Comparison]) -> tuple[str, bool]:
    """The verdict and whether it is negative transfer.

    Negative transfer: the model that starts from pretrained weights is worse than the same from scratch, and the
    interval of the paired difference excludes zero.
    """
    model = arms["model"]
    figure = model.figures[metric]
    words = metric.replace("_", " ")
    sentences = [
        f"{model.title} reaches {words} {show_figure(metric, figure)} on {figure.n} unseen examples or groups."
    ]
    negative = False
    for comparison in comparisons:
        difference = show_difference(metric, comparison.difference)
        if comparison.against == "scratch":
            negative = comparison.verdict == "worse"
            sentences.append(_transfer_sentence(comparison.verdict, difference))
        else:
            sentences.append(_probe_sentence(comparison.verdict, difference, model.title))
    if "scratch" not in arms:
        sentences.append("Training from scratch was not tried, so the transfer gain is not known.")
    return " ".join(sentences), negative


def _transfer_sentence(outcome: str, difference: str) -> str:
    if outcome == "better":
        return f"Transfer helps: {difference} over training from scratch."
    if outcome == "worse":
        return f"NEGATIVE TRANSFER: {difference} against training from scratch. Do not use this pretrained model here."
    return f"Whether transfer helps is not shown: {difference} against training from scratch."


def _probe_sentence(outcome: str, difference: str, title: str) -> str:
    if outcome == "better":
        return f"It beats the frozen probe: {difference}."
    if outcome == "worse":
        return (
            f"It is WORSE than the frozen probe: {difference}. The probe is the better model here; use --tuning probe."
        )
    return f"{title} is not shown to differ from the frozen probe: {difference}. The probe is the simpler model."
