"""Shifts between a labelled source and a target, made from real data sets: planted ones, other domains, unrelated sets.

Planted in one data set: none (random halves), covariate (an example is in the target with a probability between .1 and
.9 that depends on a principal component), label (the target drawn to a Dirichlet mix of classes), missing (classes
removed from the target). Other domains are pairs of sets with the same classes, unrelated ones pairs that share nothing
but the number of the class.

`DEVELOPED` names the data sets that the rules were developed on; none of them is among the sets here. Sizes of the
trainings behind objectives were looked at on photo and art painting of PACS, which are (`pacs.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple
from zlib import crc32

import numpy as np
import pandas as pd

from benchmarks._data import data_folder
from benchmarks._drawn_pictures import drawn_pictures
from benchmarks.refit import context_of
from headstart.evidence.missing_regions import components

DEVELOPED = (
    "img_brain_mri (also blurred, inverted, with noise, as edges, at low resolution)",
    "img_cats_dogs (likewise)",
    "img_ants_bees (likewise)",
    "seg_wbc cell types of both laboratories (likewise)",
    "tweeteval emotion",
    "tweeteval hate",
    "amazon books and dvd",
)

SOURCE, MOST = 0.6, 1200
"""Share of a set that planted shifts take the source from, and examples of a domain at most."""

KINDS = ("none", "covariate", "label", "missing")

Features = tuple[np.ndarray, np.ndarray]
"""(examples, width) float32 and the class of each, int64."""


class Case(NamedTuple):
    """A source with labels and a target whose labels are known to the benchmark alone."""

    name: str
    kind: str
    source: np.ndarray
    labels: np.ndarray
    target: np.ndarray
    truth: np.ndarray
    classes: int


class Wanted(NamedTuple):
    """A case to make."""

    kind: str
    one: str
    other: str = ""
    """The target's set, where it is another one."""
    draw: int = 0
    alpha: float = 0.0
    """Of the Dirichlet mix."""

    @property
    def name(self) -> str:
        """For tables: 'pacs_photo, label 0.3, draw 1'."""
        if self.other:
            return f"{self.one} to {self.other}"
        return f"{self.one}, {self.kind}{f' {self.alpha}' if self.alpha else ''}, draw {self.draw}"


def made(wanted: Wanted, features: Callable[[str], Features]) -> Case:
    """Make a case from the features of the sets that it names."""
    draws = np.random.default_rng([wanted.draw, crc32(f"{wanted.kind} {wanted.one} {wanted.other}".encode())])
    if wanted.other:
        one, other = features(wanted.one), features(wanted.other)
        source, labels = _drawn(*one, draws.permutation(len(one[0]))[:MOST])
        known = np.flatnonzero(other[1] <= labels.max())
        target, truth = _drawn(*other, draws.permutation(known)[:MOST])
    else:
        both = features(wanted.one)
        mine, theirs = _planted(wanted, *both, draws)
        (source, labels), (target, truth) = (_drawn(*both, rows[:MOST]) for rows in (mine, theirs))
    return Case(wanted.name, wanted.kind, source, labels, target, truth, int(labels.max()) + 1)


def _drawn(features: np.ndarray, classes: np.ndarray, rows: np.ndarray) -> Features:
    return features[rows], classes[rows]


def _planted(
    wanted: Wanted, features: np.ndarray, classes: np.ndarray, draws: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the source and of the target, each in a random order."""
    order = draws.permutation(len(features))
    mine, theirs = np.split(order, [int(SOURCE * len(order))])
    number = int(classes.max()) + 1
    if wanted.kind == "covariate":
        axis = components(features.astype(np.float64), 10)[:, draws.integers(5)] * draws.choice([-1, 1])
        other = draws.random(len(features)) < np.clip(1 / (1 + np.exp(-2 * axis)), 0.1, 0.9)
        mine, theirs = order[~other[order]], order[other[order]]
    if wanted.kind == "label":
        mix = draws.dirichlet(np.full(number, wanted.alpha))
        counts = np.bincount(classes[theirs], minlength=number)
        size = max(min(counts[k] / mix[k] for k in range(number) if mix[k] > 0.02), len(theirs) / 4)
        taken = np.minimum(np.round(mix * size).astype(np.int64), counts)
        rows = [theirs[classes[theirs] == k][: taken[k]] for k in range(number)]
        theirs = draws.permutation(np.concatenate(rows))
    if wanted.kind == "missing":
        gone = draws.permutation(number)[: draws.integers(1, number // 2 + 1)]
        theirs = theirs[~np.isin(classes[theirs], gone)]
    return mine, theirs


def _pictures(domain: str) -> Callable[[], Features]:
    weights = str(data_folder() / "weights" / "mobilenetv2_100_imagenet")
    return lambda: _embedded(str(data_folder() / "data" / "da_pacs" / domain), backbone=weights)


def _digits(name: str, per_class: int) -> Callable[[], Features]:
    weights = str(data_folder() / "weights" / "mobilenetv2_100_imagenet")

    def found() -> Features:
        frame = drawn_pictures(name, per_class, 0).drop(columns="part")
        return _embedded(frame, backbone=weights, columns={"image": "input", "label": "label"})

    return found


def _texts(*paths: str, most: int = 2000) -> Callable[[], Features]:
    def found() -> Features:
        files = [data_folder() / "data" / path for path in paths]
        frames = [pd.read_parquet(file) if file.suffix == ".parquet" else pd.read_csv(file) for file in files]
        frame = pd.concat(frames)[["text", "label"]].dropna()
        frame = frame.sample(min(most, len(frame)), random_state=0).reset_index(drop=True)
        return _embedded(frame, backbone="all-MiniLM-L6-v2", columns={"text": ("text",), "label": "label"})

    return found


def _embedded(data: object, **plan: object) -> Features:
    context = context_of(data, **plan)
    return context.features.pooled(), context.data.targets["label"][context.features.rows]


def _adult(group: str | None, value: str, label: str) -> Callable[[], Features]:
    """Features of the census table as they are, numbers standardised and one column for each value of the others."""

    def found() -> Features:
        frame = pd.read_csv(data_folder() / "data" / "multitask_adult" / "adult.csv.gz", skipinitialspace=True)
        numbers = frame[["age", "education-num", "hours-per-week"]].astype(float)
        numbers["gain"], numbers["loss"] = np.log1p(frame["capital-gain"]), np.log1p(frame["capital-loss"])
        dropped = [*([group] if group else []), label]
        names = [name for name in ("workclass", "occupation", "relationship", "race", "sex") if name not in dropped]
        table = pd.concat([(numbers - numbers.mean()) / numbers.std(), pd.get_dummies(frame[names])], axis=1)
        kept = np.flatnonzero(frame[group] == value) if group else np.arange(len(frame))
        kept = np.random.default_rng(0).permutation(kept)[:3000]
        classes = np.unique(frame[label], return_inverse=True)[1].astype(np.int64)
        return table.to_numpy(np.float32)[kept], classes[kept]

    return found


SETS: Mapping[str, Callable[[], Features]] = {
    "pacs_photo": _pictures("photo"),
    "pacs_art": _pictures("art_painting"),
    "pacs_cartoon": _pictures("cartoon"),
    "pacs_sketch": _pictures("sketch"),
    "mnist": _digits("mnist", 200),
    "optdigits": _digits("digits", 180),
    "sst2": _texts("text_sst2/train.csv"),
    "irony": _texts("text_tweeteval/irony/train.csv"),
    "offensive": _texts("text_tweeteval/offensive/train.csv"),
    "sentiment": _texts("text_tweeteval/sentiment/val.csv"),
    "amazon_electronics": _texts("text_amazon_reviews5/electronics.parquet", most=1200),
    "amazon_kitchen": _texts("text_amazon_reviews5/kitchen.parquet", most=1200),
    "adult": _adult(None, "", "income-per-year"),
    "adult_men": _adult("sex", "Male", "income-per-year"),
    "adult_women": _adult("sex", "Female", "income-per-year"),
    "adult_private": _adult("workclass", "Private", "income-per-year"),
    "adult_self_employed": _adult("workclass", "Self-emp-not-inc", "income-per-year"),
    "adult_education": _adult(None, "", "relationship"),
}
"""Sets that cases are reported on."""
