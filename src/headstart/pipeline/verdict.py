"""The answer in words: what was reached and what the pretraining was worth, as far as the intervals allow."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from headstart.contracts.figures import MetricInfo
from headstart.contracts.metric import SHARE
from headstart.evidence.comparison import UNDECIDED
from headstart.pipeline.adaptation.rows import AdaptationRow
from headstart.pipeline.data import short_name
from headstart.pipeline.numbers import difference_text, figure_text, in_sentence, value_text
from headstart.pipeline.record import (
    CLASSICAL,
    CONSTANT,
    SINGLE,
    SMALL_NETWORK,
    SOURCE_MODEL,
    TUNED,
    UPPER_BOUND,
    WITHOUT_TRANSFER,
    Arm,
    Comparison,
    Decision,
)

TINY = 1e-9
"""Differences of figures up to which they are the same."""


def verdict(
    metric: str,
    info: MetricInfo,
    arms: Mapping[str, Arm],
    comparisons: Sequence[Comparison],
    *,
    unit: str = "unseen examples",
    no_scratch: str = "",
    cut_off: str = "",
    infos: Mapping[str, MetricInfo] = MappingProxyType({}),
    remedy: str = "Use --tuning probe.",
) -> tuple[str, bool]:
    """The verdict and whether it is negative transfer; `unit` is what a figure's n counts, `no_scratch` says
    why there is no training from scratch to compare with, `cut_off` how far a budget let the training come,
    `infos` the metrics of single tasks, and `remedy` the way to the probe where that is better.

    Negative transfer: the model that starts from pretrained weights is worse than the same from scratch, and the
    interval of the paired difference excludes zero.
    """
    model = arms["model"]
    figure = model.figures[metric]
    counted = f"{figure.n} {unit if figure.n != 1 else unit.removesuffix('s')}"
    constant = beside_constant(metric, info, arms)
    beside = f", which {constant}" if constant else ""
    reached = f"{info.title} {figure_text(info.unit, figure)} on {counted}{beside}."
    sentences = [*filter(None, [cut_off]), reached]
    negative = False
    for comparison in bounded(comparisons, arms):
        difference = difference_text(info.unit, comparison.difference)
        if comparison.against == "scratch":
            negative = comparison.verdict == "worse"
            sentences.append(_transfer_sentence(comparison.verdict, difference, arms["scratch"]))
        elif comparison.against == CLASSICAL:
            sentences.append(_classical_sentence(comparison.verdict, difference, arms[CLASSICAL].title))
        elif comparison.against == CONSTANT:
            sentences += _constant_sentence(comparison.verdict, difference, arms[CONSTANT].title)
        elif comparison.against == SINGLE:
            continue
        elif comparison.against == TUNED:
            sentences.append(_tuned_sentence(comparison.verdict, difference))
        else:
            sentences.append(_probe_sentence(comparison.verdict, difference, remedy))
    sentences += _single_sentences(metric, {metric: info, **infos}, arms, comparisons)
    if "scratch" not in arms:
        sentences.append(f"Transfer gain unknown: {no_scratch or 'there is no training from scratch to compare with'}.")
    return " ".join(sentences), negative


def _single_sentences(
    primary: str, infos: Mapping[str, MetricInfo], arms: Mapping[str, Arm], comparisons: Sequence[Comparison]
) -> list[str]:
    """Sentences on several tasks beside a model for each of them: interference is named by task."""
    own = [one for one in comparisons if one.against == SINGLE]
    by_task = [one for one in own if one.metric != primary] or own
    if not by_task:
        return []
    told = {
        outcome: ", ".join(
            f"{in_sentence(infos[one.metric].title)} {difference_text(infos[one.metric].unit, one.difference)}"
            for one in by_task
            if one.verdict == outcome
        )
        for outcome in ("worse", "better", UNDECIDED)
    }
    words = {
        "worse": "NEGATIVE INTERFERENCE: worse than a model for each task by",
        "better": "Better than a model for each task by",
        UNDECIDED: "Undecided against a model for each task:",
    }
    found = [f"{words[outcome]} {listed}." for outcome, listed in told.items() if listed]
    alone, joint = arms[SINGLE].seconds, arms["model"].seconds
    took = f", in {joint / alone:.0%} of their time" if alone > 0 and arms["model"].history else ""
    return found or [f"No significant difference from a model for each task{took}."]


def for_target(metric: str, info: MetricInfo, arms: Mapping[str, Arm], adaptation: AdaptationRow) -> str:
    """The verdict of a fit with a target: what is expected there, and what was reached on the source's test part."""
    figure = arms["model"].figures[metric]
    reached = f"On the source's own test part: {in_sentence(info.title)} {figure_text(info.unit, figure)}"
    if SOURCE_MODEL in arms:
        reached += f", the source model {value_text(info.unit, arms[SOURCE_MODEL].figures[metric].value)}"
    return f"{adaptation.sentence} {reached}."


def over_adaptations(adaptations: Sequence[AdaptationRow]) -> str:
    """The sentence on a target over several runs: how often it was adapted to, and the estimates."""
    runs, by = len(adaptations), Counter(one.chosen for one in adaptations if one.place)
    how = f" ({', '.join(f'{count} by {chosen}' for chosen, count in by.most_common())})" if by else ""
    sentence = f"Adapted to {short_name(adaptations[0].target)} in {by.total()} of {runs} runs{how}"
    found = [one.estimate.value for one in adaptations if one.estimate is not None]
    if not found or any(map(math.isnan, found)):
        return f"{sentence}; its accuracy there cannot be estimated in all runs."
    low, high = (value_text(SHARE, end) for end in (min(found), max(found)))
    return f"{sentence}: expected accuracy there {low} to {high}, estimated without its labels."


def bounded(comparisons: Sequence[Comparison], arms: Mapping[str, Arm]) -> tuple[Comparison, ...]:
    """The comparisons, in which beating a training from scratch that was cut short is no more than an upper bound."""
    return tuple(
        comparison.model_copy(update={"verdict": UPPER_BOUND})
        if comparison.verdict == "better" and arms[comparison.against].shortcoming
        else comparison
        for comparison in comparisons
    )


def beside_constant(metric: str, info: MetricInfo, arms: Mapping[str, Arm]) -> str:
    """'equals always answering 'ham'', where the model's figure is not above that of a constant prediction; else ''."""
    if CONSTANT not in arms or metric not in arms[CONSTANT].figures:
        return ""
    constant = arms[CONSTANT]
    return against_constant(info, arms["model"].figures[metric].value, constant.figures[metric].value, constant.title)


def against_constant(info: MetricInfo, value: float, constant: float, title: str) -> str:
    """The same for the values alone."""
    lead = constant - value if info.greater_is_better is False else value - constant
    if math.isnan(lead) or lead > TINY:
        return ""
    if lead >= -TINY:
        return f"equals {title}"
    return f"is worse than {title}, with {value_text(info.unit, constant)}"


def why_no_scratch(decisions: Sequence[Decision]) -> str:
    """Return the reason why training from scratch was left out, as a fit's decisions say."""
    return next((decision.reason for decision in decisions if decision.what == "training from scratch"), "")


def _transfer_sentence(outcome: str, difference: str, scratch: Arm) -> str:
    what = "a small network from scratch" if scratch.title == SMALL_NETWORK else "training from scratch"
    what = scratch.title if scratch.title.endswith(WITHOUT_TRANSFER) else what
    over, but = f"{difference} over {what}", f"; scratch was {scratch.shortcoming}" if scratch.shortcoming else ""
    if outcome == UPPER_BOUND:
        return f"Scratch was {scratch.shortcoming}; the gain is an upper bound: {over}."
    if outcome == "better":
        return f"Transfer helps: {over}."
    if outcome == "worse":
        return (
            f"NEGATIVE TRANSFER: {difference} compared with {what}{but}. Try another backbone, or train from scratch."
        )
    if outcome == UNDECIDED:
        return f"Transfer gain undecided: {over}{but}."
    return f"No significant transfer gain: {over}{but}."


def _probe_sentence(outcome: str, difference: str, remedy: str) -> str:
    if outcome == "better":
        return f"Fine-tuning beats the frozen probe: {difference}."
    if outcome == "worse":
        return f"Fine-tuning is WORSE than the frozen probe: {difference}. {remedy}"
    if outcome == UNDECIDED:
        return f"Gain over the frozen probe undecided: {difference}."
    return f"No significant gain over the frozen probe: {difference}."


def _tuned_sentence(outcome: str, difference: str) -> str:
    words = {"better": "Better than", "worse": "WORSE than", UNDECIDED: "Undecided against"}
    than = words.get(outcome, "No significant difference from")
    return f"{than} the fine-tuning, which is kept in the folder '{TUNED}': {difference}."


def _classical_sentence(outcome: str, difference: str, title: str) -> str:
    if outcome == "better":
        return f"Beats {title}: {difference}."
    if outcome == "worse":
        return f"WORSE than {title}, which needs no pretrained model: {difference}."
    if outcome == UNDECIDED:
        return f"Undecided against {title}: {difference}."
    return f"No better than {title}: {difference}."


def _constant_sentence(outcome: str, difference: str, title: str) -> list[str]:
    if outcome == UNDECIDED:
        return [f"Undecided against {title}: {difference}."]
    return [] if outcome == "better" else [f"No better than {title}: {difference}."]
