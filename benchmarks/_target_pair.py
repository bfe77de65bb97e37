"""A source and a target without labels: the product's candidates and decision, beside source-only models.

Diagnosis, candidates and decision are those of `headstart fit SOURCE --target T` on kept features: a fifth of the
source is held out to judge by, and what is chosen is made once more on the whole source, as source-only models are.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from sklearn.model_selection import GridSearchCV
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_limits

from benchmarks._domain_features import Domain, Pair
from benchmarks._paired import mcnemar, mean_interval, significantly_worse
from benchmarks._target_cell import named, sides_of, task_of
from headstart.contracts.domains import Domains, LinearHead
from headstart.pipeline.adaptation.candidates import Adapted, again, solver
from headstart.pipeline.adaptation.decide import decide
from headstart.pipeline.adaptation.outcomes import diagnosed

HELD_OUT, CLASSES = 0.2, ("negative", "positive")
C = {"C": [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0]}
SOURCE_ONLY = ("probe", "linear SVM")


def decided(pair: Pair) -> dict[str, Any]:
    """The decision, and for each test example whether every model is right, as a text of 0 and 1."""
    torch.set_num_threads(1)
    started = time.monotonic()
    with threadpool_limits(1):
        sides = sides_of(Domain(pair.source, pair.labels), pair.target, CLASSES, HELD_OUT)
        task = task_of(pair.labels, CLASSES)
        solve, found = solver(task, None, 0), diagnosed(sides, 0)
        made = decide(sides, found, task, solve, 0)
        names, decision = named(made), made.decision
        seconds = time.monotonic() - started
        whole = sides.domains._replace(source=pair.source, labels=pair.labels)
        models = {"probe": solve(whole.source, whole.labels, None).logits, "linear SVM": _svm(whole)}
        for place, one in enumerate(made.there, 1):
            anew = again(one, whole, task, solve, 0) if place == decision.place else one
            models[names[place]] = anew.target if isinstance(anew, Adapted) else one.target
    right = {name: model(pair.test).argmax(axis=1) == pair.truth for name, model in models.items()}
    right["chosen"] = right[names[decision.place] if decision.place else "probe"]
    return {
        "pair": pair.name,
        "diagnosed": found.kind,
        "chosen": names[decision.place],
        "reason": decision.reason,
        "vetoes": {name: list(one.vetoes) for name, one in zip(names, decision.table) if one.vetoes},
        "agreement": {
            name: round(one.agreement, 3) for name, one in zip(names, decision.table) if np.isfinite(one.agreement)
        },
        "seconds": round(seconds, 1),
        "right": {name: "".join("01"[int(hit)] for hit in hits) for name, hits in right.items()},
    }


def summed(rows: Sequence[dict[str, Any]]) -> tuple[float, int, dict[str, Any]]:
    """Mean gain in points over the best source-only model, pairs significantly below it, and what to keep."""
    hits = [{name: np.array([*text]) == "1" for name, text in row["right"].items()} for row in rows]
    base = max(SOURCE_ONLY, key=lambda name: float(np.mean([of[name].mean() for of in hits])))
    gains = [100 * float((of["chosen"].astype(int) - of[base]).mean()) for of in hits]
    p = [mcnemar(of["chosen"], of[base]) for of in hits]
    below = len(significantly_worse(p, gains))
    kept = [
        {
            **{key: value for key, value in row.items() if key != "right"},
            "accuracy": {name: round(100 * float(found.mean()), 2) for name, found in of.items()},
            "gain": round(gain, 2),
            "p": float(f"{one:.3g}"),
        }
        for row, of, gain, one in zip(rows, hits, gains, p)
    ]
    means = {
        name: round(float(np.mean([of[name].mean() for of in hits])) * 100, 2) for name in (*SOURCE_ONLY, "chosen")
    }
    oracle = np.mean([max(found.mean() for found in of.values()) for of in hits])
    details = {"source_only": base, "means": {**means, "best by labels": round(100 * float(oracle), 2)}}
    return (
        float(np.mean(gains)),
        below,
        {**details, "gain": [round(one, 2) for one in mean_interval(gains)], "pairs": kept},
    )


def _svm(domains: Domains) -> Callable[[np.ndarray], np.ndarray]:
    """A linear SVM whose C cross-validation on the source chooses."""
    found = GridSearchCV(LinearSVC(), C, cv=5).fit(domains.source, domains.labels).best_estimator_
    weight, bias = np.concatenate([-found.coef_, found.coef_]), np.concatenate([-found.intercept_, found.intercept_])
    return LinearHead(weight, bias).logits
