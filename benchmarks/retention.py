"""What objectives keep of old knowledge, and what they make of it with few labels.

Forgetting: a ResNet-20 of CIFAR-10 learns digits, and the run is the backbone of fits on other pictures, every stage
moving. Of the accuracy on digits that plain fine-tuning loses, `lwf` and `rehearsal` keep a part, at a cost in target
accuracy; both are means over data sets. The settings are the objectives' own, chosen on no data set here. That
trainings keep their last weights was decided after a first, short run had fallen short: each objective had its best
epoch then, and so another number of steps to forget in.

Few labels: at 15 % of at most 100 labels a class, `co_tuning` (with the CIFAR-10 head), `bss` and `delta` beside plain
fine-tuning of the same network, by data set and draw.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._cells import cell, cells
from benchmarks._paired import interval_over_draws

MODULE = "benchmarks._retention_cell"
TARGETS = ("img_cats_dogs", "img_brain_mri", "da_pacs_photo", "da_pacs_cartoon")
KEEPING, USING = ("lwf", "rehearsal"), ("co_tuning", "bss", "delta")
PLAIN, DRAWS, FEW = "supervised", 5, 0.15


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:  # noqa: ARG001
    """Four data sets, and 5 draws of few labels (`quick`: one data set, and 2 draws)."""
    targets, draws = (TARGETS[:1], 2) if quick else (TARGETS, DRAWS)
    with tempfile.TemporaryDirectory() as folder:
        before = cell("retention", MODULE, ("source", "0", folder))
        kept = _kept(targets, str(Path(folder) / "run"))
        used = _used(targets, draws, str(Path(folder) / "cifar"))
    measured: dict[str, float | None] = {}
    for objective in KEEPING:
        rows = [kept[name] for name in targets]
        lost = np.mean([row[PLAIN]["before"] - row[PLAIN]["after"] for row in rows])
        regained = np.mean([row[objective]["after"] - row[PLAIN]["after"] for row in rows])
        cost = np.mean([row[PLAIN]["accuracy"] - row[objective]["accuracy"] for row in rows])
        measured[f"retention.{objective}.kept"] = 100 * float(regained / lost)
        measured[f"retention.{objective}.cost"] = round(100 * float(cost), 6)
    gains: dict[str, Any] = {}
    for objective in USING:
        by_set = {
            name: [a["accuracy"] - b["accuracy"] for a, b in zip(found[objective], found[PLAIN])]
            for name, found in used.items()
        }
        means = np.mean(list(by_set.values()), axis=0)
        measured[f"retention.{objective}"] = 100 * float(means.mean())
        over_draws = [round(100 * value, 2) for value in interval_over_draws(means)]
        gains[objective] = {"mean_over_draws": over_draws, "by_set": by_set}
    return measured, {"source": before, "kept": kept, "few_labels": used, "gains": gains}


def _kept(targets: tuple[str, ...], backbone: str) -> dict[str, dict[str, Any]]:
    """Data set -> objective -> what came of it with all labels."""
    pairs = [(objective, name) for name in targets for objective in (PLAIN, *KEEPING)]
    found = cells("retention", MODULE, [("target", objective, name, "1", "0", backbone) for objective, name in pairs])
    return {name: {pair[0]: one for pair, one in zip(pairs, found) if pair[1] == name} for name in targets}


def _used(targets: tuple[str, ...], draws: int, backbone: str) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Data set -> objective -> what came of each draw of few labels."""
    wanted = [(o, name, draw) for name in targets for o in (PLAIN, *USING) for draw in range(draws)]
    arguments = [("target", o, name, str(FEW), str(draw), backbone) for o, name, draw in wanted]
    found = cells("retention", MODULE, arguments)
    return {
        name: {
            o: [one for (p, other, _), one in zip(wanted, found) if (p, other) == (o, name)] for o in (PLAIN, *USING)
        }
        for name in targets
    }
