"""Do sets with a chance of 90 % hold the truth as often, and are inputs unlike the training data told from others?

Sets: six real data sets on which a probe is not nearly always right (a set is never empty, so that a model right
in 97 % covers 97 %). Each of 20 random splits has 50 % for training (1000 examples at most), 25 % for validation and
25 % to count on. Flags: pictures of one set are training, validation and further ones; those of another set or domain
should be told from the further ones by their distance. Nothing was chosen by these figures: score, number of neighbours
and rate are those of the papers, or were set before.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import softmax
from sklearn.metrics import roc_auc_score

from benchmarks._data import data_folder
from benchmarks.refit import context_of
from headstart.contracts.prediction import Prediction
from headstart.contracts.presentation import presentation_of
from headstart.contracts.task_capabilities import Covers
from headstart.engine.solved.logistic import solve_logistic
from headstart.evidence.novelty import Reference
from headstart.numerics.conformal import radius
from headstart.tasks.classification.task import BoundClassification, Classification

COVERAGE, SPLITS, MOST = 0.9, 20, 1000


class Known(NamedTuple):
    """Kept features and the class of each."""

    features: np.ndarray
    labels: np.ndarray


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:
    """Six sets and four pairs, 20 splits (`quick`: two sets, the pair of domains, 3 splits)."""
    del full
    splits = 3 if quick else SPLITS
    sets = {name: _covered(SETS[name](), splits) for name in list(SETS)[: 2 if quick else None]}
    pairs = {name: _told(PAIRS[name][0](), PAIRS[name][1](), splits) for name in list(PAIRS)[: 1 if quick else None]}
    others = [found["auroc"] for name, found in pairs.items() if name != DOMAINS]
    measured: dict[str, float | None] = {
        "conformal.coverage": float(np.mean([found["coverage"] for found in sets.values()])),
        "conformal.domain": float(pairs[DOMAINS]["auroc"]),
        "conformal.other_set": float(min(others)) if others else None,
        "conformal.flagged": float(max(found["flagged"] for found in pairs.values())),
    }
    return measured, {"splits": splits, "sets": sets, "pairs": pairs}


def _covered(known: Known, splits: int) -> dict[str, float]:
    """Mean coverage in %, mean size of the sets, and the accuracy in %."""
    classes = int(known.labels.max()) + 1
    names = tuple(map(str, range(classes)))
    shown = presentation_of(BoundClassification(settings=Classification(), classes=names, counts=(1,) * classes))
    if not isinstance(shown, Covers):
        raise TypeError("classification has no sets")
    found = []
    for split in range(splits):
        train, val, test = _parts(len(known.labels), split)
        solved = solve_logistic(
            known.features[train], known.labels[train], classes, weights=None, groups=None, seed=split
        )
        scores = softmax(known.features @ solved.weight.T + solved.bias, axis=1)
        held, new = (Prediction({"probabilities": scores[rows]}) for rows in (val, test))
        most = radius(shown.misfit(held, {"label": known.labels[val]}), COVERAGE)
        inside = shown.misfit(new, {"label": known.labels[test]}) <= most
        right = scores[test].argmax(axis=1) == known.labels[test]
        found.append((100 * inside.mean(), shown.within(new, most)["set size"].mean(), 100 * right.mean()))
    coverage, size, accuracy = np.mean(found, axis=0)
    return {"coverage": round(coverage, 2), "size": round(size, 3), "accuracy": round(accuracy, 2), "classes": classes}


def _told(own: Known, other: Known, splits: int) -> dict[str, float]:
    """Mean AUROC of other inputs against further own ones, and the share of each that is flagged in %."""
    found = []
    for split in range(splits):
        train, val, test = _parts(len(own.labels), split)
        kept = Reference.of(own.features[train], own.features[val], angles=True)
        near, far = kept.distances(own.features[test]), kept.distances(other.features)
        auroc = roc_auc_score(np.repeat([0, 1], [len(near), len(far)]), np.concatenate([near, far]))
        found.append((auroc, 100 * kept.unlike(near).mean(), 100 * kept.unlike(far).mean()))
    auroc, flagged, others = np.mean(found, axis=0)
    return {"auroc": round(auroc, 4), "flagged": round(flagged, 2), "others_flagged": round(others, 2)}


def _parts(count: int, split: int) -> list[np.ndarray]:
    order = np.random.default_rng(split).permutation(count)
    train, val, test = np.split(order, [count // 2, 3 * count // 4])
    return [train[:MOST], val, test]


def _passed(frame: pd.DataFrame, backbone: str, column: str) -> Known:
    context = context_of(frame, backbone=backbone, columns={column: "input", "label": "label"})
    rows = context.features.rows
    return Known(context.features.pooled(rows), context.data.targets["label"][rows].astype(np.int64))


def _pictures(pattern: str) -> Known:
    files = sorted((data_folder() / "data").glob(pattern))
    frame = pd.DataFrame({"input": map(str, files), "label": [f"class {file.parent.name}" for file in files]})
    return _passed(frame, str(data_folder() / "weights" / "mobilenetv2_100_imagenet"), "image")


def _texts(pattern: str) -> Known:
    frame = pd.concat([pd.read_csv(file) for file in sorted((data_folder() / "data").glob(pattern))])
    frame = frame[frame["text"].str.strip() != ""].drop_duplicates("text")[["text", "label"]]
    frame = frame.assign(label="class " + frame["label"].astype(str)).rename(columns={"text": "input"})
    context = context_of(frame, backbone="all-MiniLM-L6-v2", columns={"text": ("input",), "label": "label"})
    rows = context.features.rows
    return Known(context.features.pooled(rows), context.data.targets["label"][rows].astype(np.int64))


Load = Callable[[], Known]
SETS: dict[str, Load] = {
    "tweeteval_emotion": partial(_texts, "text_tweeteval/emotion/t*.csv"),
    "text_sst2": partial(_texts, "text_sst2/*.csv"),
    "tweeteval_irony": partial(_texts, "text_tweeteval/irony/t*.csv"),
    "tweeteval_offensive": partial(_texts, "text_tweeteval/offensive/test.csv"),
    "img_brain_mri": partial(_pictures, "img_brain_mri/train/*/*.jpg"),
    "da_pacs": partial(_pictures, "da_pacs/*/*/*.jpg"),
}
DOMAINS = "pacs photo, sketch"
_PHOTO = partial(_pictures, "da_pacs/photo/*/*.jpg")
_BRAIN = partial(_pictures, "img_brain_mri/train/*/*.jpg")
_INSECTS = partial(_pictures, "img_ants_bees/*/*/*.jpg")
PAIRS: dict[str, tuple[Load, Load]] = {
    DOMAINS: (_PHOTO, partial(_pictures, "da_pacs/sketch/*/*.jpg")),
    "pacs photo, brain scans": (_PHOTO, _BRAIN),
    "pacs photo, ants and bees": (_PHOTO, _INSECTS),
    "brain scans, pacs photo": (_BRAIN, _PHOTO),
}
