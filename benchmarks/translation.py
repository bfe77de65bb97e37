"""Translation of picture captions (Multi30k) by a small encoder-decoder from random weights, on two cores.

A child of English and German with 1,000 pairs starts from a parent of English and French, whose English texts are
none of the child's. The parent's vocabulary is learnt from the German training texts of all draws too, and kept;
training from scratch has the same pairs, the same architecture, a vocabulary of its own and the same seconds. Both
are judged on the flickr test part of 2016, on which nothing was chosen: rates are those of a trial on draw 0, which
is not reported, epochs come from 200 validation pairs. Differences are paired by text over all draws. With all 29,000
pairs a model has less than 40 minutes. A decoder that learns on kept states is timed beside the same steps with the
frozen encoder run in each and beside steps that move everything. Figures are sacrebleu's. Retrieval adds a memory of
pairs about water, snow and dogs to a child; the kept domain is anything else.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks._cells import cell
from benchmarks._translation_cell import TEST, lines
from headstart.contracts.prediction import Prediction
from headstart.contracts.written_targets import written
from headstart.evidence.comparison import compare
from headstart.tasks.generation.metrics import TEXT, generation_metrics

SECONDS = {"parent": 600, "few": 75, "all": 2160}
QUICK = {"parent": 25, "few": 12, "all": 25}
PAIRS = {"parent": 12_000, "few": 1000, "all": 29_000, "timed": 2000, "memory": 3000}
FEW_PAIRS = {"parent": 1000, "few": 200, "all": 1000, "timed": 300, "memory": 200}
DRAWS = (1, 2)


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:
    """All figures but that of all pairs, which `full` adds in 40 minutes; `quick`: one draw of seconds."""
    seconds, count = (QUICK, FEW_PAIRS) if quick else (SECONDS, PAIRS)
    parent = _cell("parent", seconds["parent"], count["parent"], (max(DRAWS) + 1) * count["few"])
    start = f"parent-{count['parent']}"
    draws = DRAWS[:1] if quick else DRAWS
    children = [_cell("child", seconds["few"], draw, count["few"], start) for draw in draws]
    scratches = [_cell("scratch", seconds["few"], draw, count["few"]) for draw in draws]
    gain = _gain(children, scratches)
    timed = _cell("kept", start, count["timed"])["seconds"]
    measured: dict[str, float | None] = {
        "translation.child.gain": gain[0],
        "translation.child.gain.low": gain[1],
        "translation.child.minutes": max(one["minutes"] for one in (*children, *scratches)),
        "translation.kept_states": timed["everything"] / timed["kept"],
        "translation.kept_states.encoder": timed["encoder run"] / timed["kept"],
    }
    memory = _cell("retrieval", f"child-{draws[0]}-{count['few']}", count["memory"])
    gained, lost = _weighed(memory)
    measured["translation.retrieval"] = float(memory["chosen"]["weight"] == 0 or (gained >= 1 and lost <= 0.3))
    details: dict[str, Any] = {
        "retrieval": {**memory, "gained": gained, "lost": lost},
        "parent": _short(parent),
        "children": [_short(one) for one in children],
        "scratch": [_short(one) for one in scratches],
        "gain": list(gain),
        "seconds_of_an_epoch": timed,
    }
    if full or quick:
        every = _cell("all", seconds["all"], count["all"])
        measured["translation.all"] = every["arms"]["model"]["bleu"]["value"]
        measured["translation.all.minutes"] = every["minutes"]
        details["all"] = _short(every)
    return measured, details


def _weighed(memory: dict[str, Any]) -> tuple[float, float]:
    """chrF gained in the new domain and lost on the reported half of the kept one; 0 where the weight is."""
    if memory["chosen"]["weight"] == 0:
        return 0.0, 0.0
    (change,) = [float(one["value"]) for one in memory["decisions"] if one["what"] == "kept domain"]
    return float(memory["against"]["probe"]["value"]), -change


def _gain(children: list[dict[str, Any]], scratches: list[dict[str, Any]]) -> tuple[float, float, float]:
    """chrF of the children minus that of training from scratch, and its 95 % interval over the test texts."""
    truth, chrf = lines(TEST, "de")[: len(children[0]["texts"])], generation_metrics()[0]
    nothing = [np.zeros(0, np.int64)] * len(truth)
    targets = {TEXT: np.tile(written(truth, nothing), len(children))}
    texts = (np.array([text for one in arms for text in one["texts"]], object) for arms in (children, scratches))
    groups = np.tile(np.arange(len(truth)), len(children))
    figure = compare(chrf, targets, *(Prediction({TEXT: found}) for found in texts), groups=groups, seed=0).figure
    return figure.value, figure.low, figure.high


def _short(found: dict[str, Any]) -> dict[str, Any]:
    """Without the texts."""
    return {name: value for name, value in found.items() if name != "texts"}


def _cell(*arguments: str | int) -> dict[str, Any]:
    return cell("translation", "benchmarks._translation_cell", [str(argument) for argument in arguments])
