"""Shallow adaptation beside skada: the same features, the same splits, the same classifier behind every method.

Source and target have 1000 examples each (fewer where there are no more), the target without labels; accuracy is that
on as many further examples of the target. Features are standardised by both domains together, and a logistic regression
of scikit-learn (C = .01) is fit on what each method gives, so that only the methods differ. Settings are the defaults
of each but for two. Subspace alignment has our dimension on both sides: skada's default is the whole space. Optimal
transport has our weights of entropy and classes, in median costs: skada's depend on the scale of features. Time is that
of adaptation and classifier together, on one thread. Our defaults were developed on books and dvd, which are not among
the cases. Needs the library skada, and POT, which comes with it.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from itertools import permutations
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from benchmarks._domain_features import PICTURES, Domain, Pair, pictures_of, reviews_of
from benchmarks._paired import mean_interval
from headstart.contracts.domains import Domains, LinearHead
from headstart.kernel import registry

MOST = 1000
METHODS = ("coral", "subspace", "optimal_transport", "kernel_mean_matching", "density_ratio")


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:
    """Pairs of Amazon reviews and of PACS (`quick`: two pairs of reviews; `full`: the same as without)."""
    del full
    rows = []
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for case in _cases(quick):
            rows += [_compared(case, method) for method in METHODS]
    found = {method: summed([row for row in rows if row["method"] == method]) for method in METHODS}
    seconds = [sum(row["seconds"][who] for row in rows) for who in ("ours", "skada")]
    measured = {
        "against_skada.shallow": 100 * min(one["gain"][0] for one in found.values()),
        "against_skada.shallow_time": seconds[0] / seconds[1],
    }
    return measured, {"methods": found, "cases": rows}


def _cases(quick: bool) -> Iterator[Pair]:
    reviews = ("electronics", "kitchen", "video")
    for one, other in [("electronics", "video"), ("video", "kitchen")] if quick else permutations(reviews, 2):
        yield _case(f"{one} -> {other}", reviews_of(one), reviews_of(other))
    for one, other in () if quick else permutations(PICTURES, 2):
        yield _case(f"{one} -> {other}", pictures_of(one).shuffled(), pictures_of(other).shuffled())


def _case(name: str, source: Domain, target: Domain) -> Pair:
    half = min(MOST, len(target[1]) // 2)
    scaler = StandardScaler().fit(np.concatenate([source[0][:MOST], target[0][:half]]))
    source, target = (Domain(scaler.transform(of.features), of.labels) for of in (source, target))
    return Pair(
        name,
        source[0][:MOST],
        source[1][:MOST],
        target[0][:half],
        target[0][half : 2 * half],
        target[1][half : 2 * half],
    )


def _compared(case: Pair, method: str) -> dict[str, Any]:
    """Accuracy and seconds of both, and for each test example the difference."""
    sides: dict[str, Callable[[Pair, str], np.ndarray]] = {"ours": _ours, "skada": _theirs}
    right, seconds = {}, {}
    for who, predicted in sides.items():
        started = time.perf_counter()
        right[who] = predicted(case, method) == case.truth
        seconds[who] = round(time.perf_counter() - started, 3)
    accuracy = {who: round(float(hits.mean()), 4) for who, hits in right.items()}
    return {"case": case.name, "method": method, "accuracy": accuracy, "seconds": seconds}


def summed(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The gain over skada, mean over cases with its interval, and both times."""
    gains = [row["accuracy"]["ours"] - row["accuracy"]["skada"] for row in rows]
    means = {who: round(float(np.mean([row["accuracy"][who] for row in rows])), 4) for who in ("ours", "skada")}
    seconds = {who: round(sum(row["seconds"][who] for row in rows), 2) for who in ("ours", "skada")}
    return {"accuracy": means, "gain": [round(one, 4) for one in mean_interval(gains)], "seconds": seconds}


def _ours(case: Pair, method: str) -> np.ndarray:
    classes = int(case.labels.max()) + 1
    domains = Domains(case.source, case.labels, classes, case.target, case.source[:0], case.labels[:0])
    family = "alignment" if method in registry.names("alignment") else "weighting"
    part = registry.plugin(family, method)()
    if family == "alignment":
        aligned = part.align(domains, 0)
        return _fit(aligned.source, case.labels, None, aligned.target(case.test))
    return _fit(case.source, case.labels, part.weigh(domains, _unused, 0).weights, case.test)


def _fit(source: np.ndarray, labels: np.ndarray, weights: np.ndarray | None, test: np.ndarray) -> np.ndarray:
    return np.asarray(LogisticRegression(C=0.01).fit(source, labels, sample_weight=weights).predict(test))


def _unused(features: np.ndarray, labels: np.ndarray, weights: np.ndarray | None) -> LinearHead:
    raise NotImplementedError("these weightings solve no head")


def _theirs(case: Pair, method: str) -> np.ndarray:
    import skada
    from scipy.spatial.distance import cdist

    plan = registry.plugin("alignment", "optimal_transport")()

    def cost() -> float:
        return float(np.median(cdist(case.source, case.target, "sqeuclidean")))

    classifier = LogisticRegression(C=0.01).set_fit_request(sample_weight=True)
    adapters = {
        "coral": skada.CORALAdapter,
        "subspace": lambda: skada.SubspaceAlignmentAdapter(
            n_components=registry.plugin("alignment", "subspace")().dimension
        ),
        "optimal_transport": lambda: skada.ClassRegularizerOTMappingAdapter(
            reg_e=plan.entropy * cost(), reg_cl=plan.classes * cost()
        ),
        "kernel_mean_matching": skada.KMMReweightAdapter,
        "density_ratio": skada.DensityReweightAdapter,
    }
    pipeline = skada.make_da_pipeline(adapters[method](), classifier)
    both = np.concatenate([case.source, case.target])
    labels = np.concatenate([case.labels, np.full(len(case.target), -1)])
    domain = np.where(np.arange(len(both)) < len(case.source), 1, -2)
    pipeline.fit(both, labels, sample_domain=domain)
    return np.asarray(pipeline.predict(case.test, sample_domain=np.full(len(case.test), -2)))
