"""Limits of a head on frozen maps, as reports and `inspect --deep` tell them, by the probes of `feature_probes.py`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from torch import Tensor

from headstart.contracts.panels import Table
from headstart.contracts.task_capabilities import DoubtfulLabel, Foresight
from headstart.kernel.randomness import draw_seed
from headstart.tasks.detection.feature_probes import (
    Cells,
    Crops,
    Probed,
    accuracy,
    area,
    cells_of,
    crops_of,
    drawn,
    held_out,
    swapped,
)

MOST_DOUBTFUL = 50
"""Boxes that are named as likely to be labelled wrongly."""

Batches = Iterable[tuple[np.ndarray, Sequence[Tensor], Tensor]]
"""Rows (batch,), maps, and boxes (batch, boxes, 10)."""


def foreseen(batches: Batches, side: int, classes: Sequence[str], groups: np.ndarray | None, seed: int) -> Foresight:
    """Probe the maps of pictures framed in `side` pixels; `groups` (all examples,) are kept together."""
    draws = np.random.default_rng(draw_seed(seed, "feature probes"))
    crops: list[Crops] = []
    cells: dict[int, list[Cells]] = {}
    for rows, maps, boxes in batches:
        crops.append(crops_of(maps, side, boxes.cpu(), rows.tolist()))
        for level in maps:
            some = cells_of(level, side, boxes.cpu(), rows.tolist(), draws)
            cells.setdefault(round(side / level.shape[-1]), []).append(some)
    shown: list[tuple[str | float, ...]] = []
    sentences: list[str] = []
    all_crops = drawn(Crops(*map(np.concatenate, zip(*crops))), draws)
    of_crops, doubtful = _of_crops(all_crops, classes, _together(groups, all_crops.row), seed)
    if of_crops is not None:
        shown.append(("class of a true box", "all maps", *of_crops))
        value, low, high = (f"{100 * share:.0f}" for share in of_crops[:3])
        sentences.append(
            f"a linear probe tells the class of {value} % of the true boxes ({low} to {high} %): about what a head on "
            "these features can reach where it finds them"
        )
    for stride, parts in sorted(cells.items()):
        of_level = Cells(*map(np.concatenate, zip(*parts)))
        found = _of_cells(of_level, _together(groups, of_level.row), seed)
        if found is not None:
            shown.append(("object or background, ROC AUC", f"stride {stride}", *found))
    note = (
        "Linear probes of frozen features, on held-out pictures of the training and validation part: what can be told "
        "of true boxes, and of single cells of each map, before a head is trained."
    )
    header = ("probe", "features", "value", "low", "high", "pictures or groups")
    panel = Table(title="What the features hold", note=note, header=header, rows=tuple(shown))
    return Foresight((panel,) if shown else (), tuple(sentences), doubtful)


def _together(groups: np.ndarray | None, rows: np.ndarray) -> np.ndarray:
    return rows if groups is None else groups[rows]


def _of_crops(
    crops: Crops, classes: Sequence[str], groups: np.ndarray, seed: int
) -> tuple[Probed | None, tuple[DoubtfulLabel, ...]]:
    """The crop probe, and boxes to which it gives another class for certain."""
    probabilities = held_out(crops.features, crops.label, groups)
    if probabilities is None:
        return None, ()
    names = np.unique(crops.label)
    right = (names[probabilities.argmax(axis=1)] == crops.label).astype(np.float64)
    found = []
    for at in swapped(probabilities, crops.label)[:MOST_DOUBTFUL].tolist():
        sure, given = float(probabilities[at].max()), classes[crops.label[at]]
        likely = classes[names[probabilities[at].argmax()]]
        detail = f"box {crops.place[at] + 1} of the picture, {sure:.1%} sure"
        found.append(DoubtfulLabel(int(crops.row[at]), "wrong class of a box", 1 - sure, given, likely, detail))
    return accuracy(right, groups, seed), tuple(found)


def _of_cells(cells: Cells, groups: np.ndarray, seed: int) -> Probed | None:
    probabilities = held_out(cells.features, cells.inside, groups)
    return None if probabilities is None else area(cells.inside, probabilities[:, -1], groups, seed)
