"""Is the choice for a target without labels safe? The product's own candidates and decision on shifts of real data.

Each case has a source with labels, split into 70 % to fit on and 30 % held out, and a target whose labels only this
benchmark sees (`_shift_cases.py`: planted shifts, other domains, unrelated sets). Diagnosis, candidates and decision
are those of `headstart fit SOURCE --target T` on kept features. A decision is worse than the source model where
McNemar's exact test says so after Holm's correction over all cases. The oracle takes what is best by the target's
labels: of all alignments, weightings and objectives for kept features, also of those that the diagnosis rules out. Data
sets that the rules were developed on are not among those reported.
"""

from __future__ import annotations

import math
import multiprocessing
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks._domain_features import Domain
from benchmarks._paired import mcnemar
from benchmarks._shift_cases import DEVELOPED, KINDS, SETS, Case, Features, Wanted, made
from benchmarks._target_cell import sides_of, task_of, worse_cases
from headstart.contracts.domains import Solve
from headstart.evidence.class_spread import class_spread
from headstart.evidence.shift_kind import diagnose
from headstart.kernel import registry
from headstart.pipeline.adaptation.candidates import Adapted, candidate, solver
from headstart.pipeline.adaptation.decide import decide
from headstart.pipeline.adaptation.outcomes import Sides, diagnosed
from headstart.pipeline.record import SOURCE_MODEL
from headstart.tasks.classification.task import BoundClassification

WORTH = 0.02
"""Gain of the oracle from which a case counts for what is kept of it."""

PROCESSES = 2
SEVERAL = (
    "pacs_photo",
    "pacs_art",
    "pacs_cartoon",
    "pacs_sketch",
    "mnist",
    "optdigits",
    "sentiment",
    "adult_education",
)
"""Sets with three classes or more."""

DOMAINS = (
    *((f"pacs_{one}", f"pacs_{other}") for one, other in (("photo", "art"), ("art", "cartoon"), ("cartoon", "sketch"))),
    *(
        (f"pacs_{one}", f"pacs_{other}")
        for one, other in (("sketch", "photo"), ("photo", "cartoon"), ("sketch", "art"))
    ),
    ("mnist", "optdigits"),
    ("optdigits", "mnist"),
    ("amazon_electronics", "amazon_kitchen"),
    ("amazon_kitchen", "amazon_electronics"),
    ("adult_men", "adult_women"),
    ("adult_private", "adult_self_employed"),
)
UNRELATED = (
    ("pacs_photo", "mnist"),
    ("optdigits", "pacs_cartoon"),
    ("sst2", "irony"),
    ("offensive", "amazon_kitchen"),
    ("irony", "offensive"),
    ("sentiment", "sst2"),
)


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:  # noqa: ARG001
    """64 cases and 40 for missing classes (`quick`: 12 and 8)."""
    wanted, asked = _wanted(), _asked()
    if quick:
        wanted, asked = wanted[:: len(wanted) // 12][:12], asked[::5]
    names = sorted({name for one in (*wanted, *asked) for name in (one.one, one.other) if name})
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn")) as workers,
    ):
        list(workers.map(_keep, names, repeat(folder)))
        found = list(workers.map(_decided, wanted, repeat(folder)))
        missing = list(workers.map(_missing, asked, repeat(folder)))
    worse = worse_cases(found)
    worth = [one for one in found if one["oracle"] >= 100 * WORTH]
    planted = [one for one in missing if one["planted"]]
    measured: dict[str, float | None] = {
        "safety.below": 100 * len(worse) / len(found),
        "safety.kept": float(np.mean([one["gain"] for one in worth]) / np.mean([one["oracle"] for one in worth])),
        "safety.coverage": 100 * float(np.mean([one["covered"] for one in found])),
        "safety.width": float(np.mean([one["interval"][1] - one["interval"][0] for one in found])),
        "safety.missing_recall": sum(len({*one["planted"]} & {*one["told"]}) for one in planted)
        / sum(len(one["planted"]) for one in planted),
        "safety.false_alarms": 100
        * float(np.mean([bool({*one["told"]} - {*one["planted"]} - {*one["rare"]}) for one in missing])),
    }
    details = {
        "developed_on": DEVELOPED,
        "cases": len(found),
        "worse": worse,
        "worth": len(worth),
        "by_kind": _by_kind(found),
        "decisions": found,
        "missing_classes": missing,
    }
    return measured, details


def _wanted() -> list[Wanted]:
    """The reported cases."""
    binary = ("sst2", "offensive", "irony", "amazon_kitchen", "adult")
    found = [Wanted("none", name) for name in (*SEVERAL[::2], *binary[:4])]
    found += [Wanted("covariate", name) for name in (*SEVERAL[1::2], *SEVERAL[:3:2], "sst2", "irony", "adult")]
    for place, name in enumerate((*SEVERAL, *binary)):
        alphas = (0.1, 1.0) if place % 2 else (0.3, 10.0)
        found += [Wanted("label", name, alpha=alpha) for alpha in alphas[: 2 if name in SEVERAL else 1]]
    found += [Wanted("missing", name) for name in SEVERAL]
    found += [Wanted("domain", one, other) for one, other in DOMAINS]
    return found + [Wanted("unrelated", one, other) for one, other in UNRELATED]


def _asked() -> list[Wanted]:
    """Cases in which missing classes are looked for: half of them miss some, the others shift otherwise or not."""
    found = [Wanted("missing", name, draw=draw) for draw in (1, 2, 3) for name in SEVERAL][:20]
    found += [Wanted("none", name, draw=1) for name in SEVERAL]
    found += [Wanted("covariate", name, draw=1) for name in SEVERAL]
    return found + [Wanted("label", name, draw=1, alpha=10.0) for name in SEVERAL[:4]]


def _keep(name: str, folder: str) -> None:
    """Make the features of a set once, for all processes."""
    features, classes = SETS[name]()
    np.savez(Path(folder, name), features=features.astype(np.float32), classes=classes.astype(np.int64))


def _made(wanted: Wanted, folder: str) -> Case:
    def features(name: str) -> Features:
        with np.load(Path(folder, f"{name}.npz")) as found:
            return found["features"], found["classes"]

    return made(wanted, features)


def _decided(wanted: Wanted, folder: str) -> dict[str, Any]:
    """The decision on a case, and how it fares by the target's labels."""
    torch.set_num_threads(1)
    started, case = time.monotonic(), _made(wanted, folder)
    names = [str(k) for k in range(case.classes)]
    sides = sides_of(Domain(case.source, case.labels), case.target, names)
    diagnosis = diagnosed(sides, 0)
    task = task_of(sides.domains.labels, names)
    solve = solver(task, None, 0)
    made = decide(sides, diagnosis, task, solve, 0)
    spread = class_spread(sides.domains.source, sides.domains.labels, sides.domains.target)
    decision, ruled_out = made.decision, _ruled_out(sides, made.there, task, solve)
    right = {one.name: one.outcome.target.argmax(axis=1) == case.truth for one in made.judged}
    right |= {one.name: one.target(case.target).argmax(axis=1) == case.truth for one in ruled_out}
    plain, chosen = right[SOURCE_MODEL], right[decision.chosen]
    best = max(right, key=lambda name: right[name].mean())
    figure = decision.accuracy
    return {
        "case": case.name,
        "kind": case.kind,
        "diagnosed": diagnosis.kind,
        "distance": round(diagnosis.inputs.distance, 2),
        "spread": round(spread, 2),
        "examples": [len(case.source), len(case.target)],
        "accuracy": {name: round(100 * float(of.mean()), 1) for name, of in right.items()},
        "chosen": decision.chosen,
        "reason": decision.reason,
        "gain": round(100 * float(chosen.mean() - plain.mean()), 2),
        "p": mcnemar(chosen, plain),
        "best": best,
        "oracle": round(100 * float(right[best].mean() - plain.mean()), 2),
        "estimate": round(100 * figure.value, 1),
        "interval": [round(100 * figure.low, 1), round(100 * figure.high, 1)],
        "covered": bool(figure.low <= chosen.mean() <= figure.high),
        "agreement": {one.name: round(one.agreement, 3) for one in decision.table if math.isfinite(one.agreement)},
        "vetoes": {one.name: one.vetoes for one in decision.table if one.vetoes},
        "seconds": round(time.monotonic() - started, 1),
    }


def _ruled_out(sides: Sides, made: Sequence[Adapted], task: BoundClassification, solve: Solve) -> list[Adapted]:
    """All candidates that the product does not make under the diagnosis."""
    tried = {(one.family, one.name) for one in made}
    others = [
        candidate(family, name, sides.domains, task, solve, 0)
        for family in ("alignment", "weighting", "objectives")
        for name in registry.names(family)
        if (family, name) not in tried and registry.plugin(family, name).kinds and name != "tradaboost"
    ]
    return [one for one in others if isinstance(one, Adapted)]


def _missing(wanted: Wanted, folder: str) -> dict[str, Any]:
    """Classes that the target lacks, those that it nearly lacks, and those that are said to be missing."""
    case = _made(wanted, folder)
    names = [str(k) for k in range(case.classes)]
    told = diagnose(case.source, case.target, case.labels, None, names, wanted.draw).missing_classes
    mine, theirs = (np.bincount(of, minlength=case.classes) for of in (case.labels, case.truth))
    expected = mine / mine.sum() * len(case.truth)
    return {
        "case": case.name,
        "planted": [names[k] for k in np.flatnonzero((theirs == 0) & (expected >= 5))],
        "rare": [names[k] for k in np.flatnonzero((theirs < 0.1 * expected) | (expected < 5))],
        "told": [name for name, of in told if of == "other"],
    }


def _by_kind(found: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
    groups = defaultdict(list)
    for one in found:
        groups[one["kind"]].append(one)
    return {
        kind: {
            "cases": len(groups[kind]),
            "adapted": sum(one["chosen"] != SOURCE_MODEL for one in groups[kind]),
            "gain": round(float(np.mean([one["gain"] for one in groups[kind]])), 2),
            "oracle": round(float(np.mean([one["oracle"] for one in groups[kind]])), 2),
            "covered": sum(one["covered"] for one in groups[kind]),
            "width": round(float(np.mean([one["interval"][1] - one["interval"][0] for one in groups[kind]])), 1),
        }
        for kind in (*KINDS, "domain", "unrelated")
        if groups[kind]
    }
