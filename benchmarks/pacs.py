"""Pictures of one kind labelled, predictions wanted for another: PACS, on kept features of two ImageNet networks.

Each ordered pair of photo, art painting, cartoon and sketch, and each domain with the other three as its source. What
is measured is the product's own decision: it diagnoses the shift, makes its candidates, chooses one or keeps the source
model, and fits that on all of the source; no label of the target is read before it is judged. The source model is the
probe on the same features. Seconds are those of all that on one thread, without the frozen pass. A decision is worse
where McNemar's exact test says so after Holm's correction.

Settings of the objectives are those of their papers; sizes of steps, batches and bottleneck and the latter's
normalisation were looked at on photo and art painting alone, so that the figure `apart` is without these two pairs.
That confusion (`mcc`) works on such features at all was known of some pairs before.
"""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from itertools import permutations
from typing import Any

import numpy as np

from benchmarks._domain_features import Domain, pictures_of
from benchmarks._paired import mean_interval
from benchmarks._target_cell import decided, mean_of, worse_cases

PICTURES = ("photo", "art_painting", "cartoon", "sketch")
NETWORKS = ("mobilenetv2_100_imagenet", "tf_efficientnet_lite0")
DEVELOPED = {"photo", "art_painting"}
PROCESSES = 2

Wanted = tuple[str, tuple[str, ...], str]
"""Network, sources, target."""


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:
    """12 pairs and 4 domains against the rest, with two networks (`quick`: three pairs with one)."""
    del full
    pairs = [((one,), other) for one, other in permutations(PICTURES, 2)]
    rest = [(tuple(name for name in PICTURES if name != left), left) for left in PICTURES]
    wanted = [(network, *case) for network in NETWORKS for case in (*pairs, *rest)]
    wanted = [(NETWORKS[0], *pairs[k]) for k in (1, 2, 5)] if quick else wanted
    with ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn")) as workers:
        found = list(workers.map(_decided, wanted))
    first, second = ([one for one in found if one["network"] == name and one["sources"] == 1] for name in NETWORKS)
    measured: dict[str, float | None] = {
        "pacs.gain": mean_of(first, "gain"),
        "pacs.worse": float(len(worse_cases(found))),
        "pacs.seconds": max(one["seconds"] for one in (*first, *second)),
    }
    if second:
        measured["pacs.gain_efficientnet"] = mean_of(second, "gain")
    details = {
        "apart": mean_of([one for one in first if not one["developed"]], "gain"),
        "interval": [round(value, 2) for value in mean_interval([one["gain"] for one in first])],
        "oracle": mean_of(first, "oracle"),
        "always": {
            name: _always(first, name) for name in sorted({one for case in first for one in case["candidates"]})
        },
        "worse": worse_cases(found),
        "cases": found,
    }
    return measured, details


def _always(found: list[dict[str, Any]], name: str) -> float | None:
    """Mean gain of a candidate in every case, undecided; None where it was not made in all."""
    if not all(name in one["candidates"] for one in found):
        return None
    return round(float(np.mean([one["candidates"][name] - one["source_accuracy"] for one in found])), 2)


def _decided(wanted: Wanted) -> dict[str, Any]:
    network, names, of = wanted
    domains = [pictures_of(name, network) for name in names]
    source = Domain(*(np.concatenate(parts) for parts in zip(*domains)))
    found = decided(source, pictures_of(of, network), f"{network}: {' + '.join(names)} to {of}")
    return {**found, "network": network, "sources": len(names), "developed": {*names, of} <= DEVELOPED}
