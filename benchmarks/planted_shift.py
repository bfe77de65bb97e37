"""Planted shifts and spurious attributes: are they named, with their kind, and how often where none is planted?

Frozen features of real data sets are cut in two. Kinds that are planted: covariate (an example is in the other set
with a probability between .1 and .9 that depends on a principal component), label (classes drawn to a Dirichlet mix),
concept (labels turned to the next class in 30 to 50 % of the space, in the other set), support (a class, or a cluster
of features, removed from one set), none (random halves). What the rules were developed on, `DEVELOPED`, is not what the
figures are measured on.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image, ImageEnhance
from sklearn.cluster import KMeans

import headstart
from benchmarks._data import data_folder
from benchmarks.refit import context_of
from headstart.evidence.missing_regions import components
from headstart.evidence.shift_kind import Diagnosis, diagnose

DEVELOPED = ("tweeteval_emotion", "da_pacs/cartoon", "amazon_books", "img_brain_mri", "img_ants_bees")
"""Sets that the rules were developed on; that of spurious attributes on da_pacs/art_painting too."""

KINDS = ("none", "covariate", "label", "concept", "support")
LABELS = {"all labels": None, "100 labels": 100, "no labels": 0}
"""Labels of the other set that the diagnosis sees; the figures are those of the first."""

FIRST_DRAW = 10
"""Those before it were looked at while the test of concept shift was improved."""

MOST, MOST_HALVED = 1000, 600
MINILM = "all-MiniLM-L6-v2"

Features = tuple[np.ndarray, np.ndarray]
"""(examples, width) and the class of each."""


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:  # noqa: ARG001
    """40 diagnosed cases, 200 pairs of halves, 20 planted attributes and controls (`quick`: a fifth of each)."""
    names = [*SETS][:2] if quick else [*SETS]
    data = {name: SETS[name]() for name in names}
    tables, planted = _diagnosed(data, 1 if quick else 2)
    halves = [_half(*data[names[draw % len(names)]], draw).kind for draw in range(40 if quick else 200)]
    sketch = _pictures("sketch")()
    apart = [_photo_against_sketch(data["da_pacs/photo"], sketch, draw) for draw in range(4 if quick else 20)]
    named = [_spurious(draw, True) for draw in range(4 if quick else 20)]
    clean = [_spurious(draw, False) for draw in range(4 if quick else 20)]
    table = tables["all labels"]
    recalls = {kind: table[kind].get(kind, 0) / sum(table[kind].values()) for kind in KINDS}
    cases = sum(sum(row.values()) for row in table.values())
    measured: dict[str, float | None] = {
        "planted_shift.recall": min(recalls.values()),
        "planted_shift.cannot_tell": 100 * sum(row.get("cannot tell", 0) for row in table.values()) / cases,
        "planted_shift.halves": float(sum(kind != "none" for kind in halves)),
        "planted_shift.photo_sketch": float(sum(kind == "none" for kind in apart)),
        "planted_shift.spurious": float(sum(one["found"] for one in named)),
        "planted_shift.clean": float(sum(bool(one["named"]) for one in clean)),
    }
    details = {
        "sets": names,
        "developed_on": DEVELOPED,
        "recalls": recalls,
        "planted_against_diagnosed": tables,
        "cases": planted,
        "halves": dict(Counter(halves)),
        "photo_against_sketch": dict(Counter(apart)),
        "planted_attributes": named,
        "clean_controls": clean,
    }
    return measured, details


def _diagnosed(
    data: Mapping[str, Features], draws: int
) -> tuple[dict[str, dict[str, dict[str, int]]], list[dict[str, Any]]]:
    """For each amount of labels the planted kind -> diagnosed kind -> cases; and every case."""
    tables: dict[str, dict[str, dict[str, int]]] = {known: {kind: {} for kind in KINDS} for known in LABELS}
    cases = []
    for name, (features, classes) in data.items():
        for kind in KINDS:
            for draw in range(FIRST_DRAW, FIRST_DRAW + draws):
                one, other, mine, theirs, what = planted(kind, features, classes, draw)
                told = {}
                for known, count in LABELS.items():
                    seen = np.full(len(theirs), -1)
                    kept = np.random.default_rng(draw).permutation(len(theirs))[:count]
                    seen[kept] = theirs[kept]
                    names = [str(k) for k in range(classes.max() + 1)]
                    told[known] = diagnose(one, other, mine, seen, names, draw).kind
                    row = tables[known][kind]
                    row[told[known]] = row.get(told[known], 0) + 1
                cases.append({"set": name, "planted": kind, "what": what, "diagnosed": told})
    return tables, cases


def planted(
    kind: str, features: np.ndarray, classes: np.ndarray, draw: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, str]:
    """Both sets of features, both of classes, and what was planted."""
    draws = np.random.default_rng([draw, KINDS.index(kind), 77])
    count, number, what = len(features), int(classes.max()) + 1, ""
    axes = components(features.astype(np.float64), 10)
    along = axes[:, draws.integers(10)] * draws.choice([-1, 1])
    other = draws.permutation(count) < count // 2
    labels = classes.copy()
    if kind == "covariate":
        other = draws.random(count) < np.clip(1 / (1 + np.exp(-2 * along)), 0.1, 0.9)
    if kind == "concept":
        share = draws.uniform(0.3, 0.5)
        turned = other & (along > np.quantile(along, 1 - share))
        labels[turned] = (labels[turned] + 1) % number
        what = f"{share:.0%} of the space"
    mine, theirs = np.flatnonzero(~other), np.flatnonzero(other)
    if kind == "label":
        theirs, what = _drawn_to_a_mix(classes, theirs, number, draws)
    if kind == "support":
        gone, what = _removed(axes, classes, draw, draws)
        side = int(draws.integers(2))
        mine, theirs = (mine[~gone[mine]], theirs) if side == 0 else (mine, theirs[~gone[theirs]])
        what += " missing in the " + ("data", "other set")[side]
    return features[mine], features[theirs], labels[mine], labels[theirs], what


def _drawn_to_a_mix(
    classes: np.ndarray, rows: np.ndarray, number: int, draws: np.random.Generator
) -> tuple[np.ndarray, str]:
    """Rows of a Dirichlet mix (2 for each class) that is at least .3 off in sum and lacks no class."""
    counts = np.bincount(classes[rows], minlength=number)
    while True:
        mix = draws.dirichlet(np.full(number, 2.0))
        if mix.min() > 0.02 and np.abs(mix - counts / counts.sum()).sum() > 0.3:
            break
    size = max(int((counts / mix).min()), int(0.4 * len(rows)))
    wanted = np.minimum(np.round(mix * size).astype(int), counts)
    drawn = [draws.choice(rows[classes[rows] == k], many, replace=False) for k, many in enumerate(wanted)]
    return np.concatenate(drawn), " ".join(f"{share:.2f}" for share in mix)


def _removed(axes: np.ndarray, classes: np.ndarray, draw: int, draws: np.random.Generator) -> tuple[np.ndarray, str]:
    """Rows of a class in even draws, of a cluster of at least 8 % of the examples in odd ones."""
    if draw % 2 == 0:
        gone = int(draws.integers(classes.max() + 1))
        return classes == gone, f"class {gone}"
    clusters = KMeans(5, n_init=3, random_state=draw).fit_predict(axes)
    large = np.flatnonzero(np.bincount(clusters, minlength=5) > 0.08 * len(axes))
    found = clusters == draws.choice(large)
    return found, f"a cluster of {found.mean():.0%}"


def _half(features: np.ndarray, classes: np.ndarray, draw: int) -> Diagnosis:
    """The diagnosis of two random halves with all labels."""
    rows = np.random.default_rng([draw, 5]).permutation(len(features))[:MOST_HALVED]
    one, other = np.array_split(rows, 2)
    names = [str(k) for k in range(classes.max() + 1)]
    return diagnose(features[one], features[other], classes[one], classes[other], names, draw)


def _photo_against_sketch(photo: Features, sketch: Features, draw: int) -> str:
    """The kind that is diagnosed of 100 drawn photos and 100 sketches, with all labels."""
    draws = np.random.default_rng([draw, 6])
    (one, mine), (other, theirs) = (
        tuple(part[rows] for part in of) for of in (photo, sketch) for rows in [draws.permutation(len(of[0]))[:100]]
    )
    return diagnose(one, other, mine, theirs, [str(k) for k in range(7)], draw).kind


def _spurious(draw: int, goes_with_the_label: bool) -> dict[str, Any]:
    """Attributes that `inspect --deep` names where one goes with a class in 90 % of the examples, or with none."""
    name = [*ATTRIBUTED][draw % len(ATTRIBUTED)]
    draws = np.random.default_rng([draw, 7])
    with tempfile.TemporaryDirectory() as folder:
        frame = ATTRIBUTED[name](draws)
        favoured = draws.choice(frame["label"].unique())
        marked = (frame["label"] == favoured).to_numpy() ^ (draws.random(len(frame)) < 0.1)
        marked = marked if goes_with_the_label else draws.permutation(marked)
        ways = PICTURE_WAYS if "image" in frame else TEXT_WAYS
        way = [*ways][draw // len(ATTRIBUTED) % len(ways)]
        frame, expected = ways[way](frame, marked, draws, Path(folder))
        columns: dict[str, Any] = {"image": "image"} if "image" in frame else {"text": "text"}
        found = headstart.inspect(frame, label="label", deep=True, backbone=_backbone(frame), **columns)
    faults = found.deep.faults if found.deep else ()
    named = sorted({fault.other for fault in faults if fault.kind == "spurious attribute"})
    return {"set": name, "way": way, "named": named, "found": bool({*expected} & {*named})}


def _backbone(frame: pd.DataFrame) -> str:
    return str(data_folder() / "weights" / "mobilenetv2_100_imagenet") if "image" in frame else MINILM


def _column(
    frame: pd.DataFrame,
    marked: np.ndarray,
    draws: np.random.Generator,
    _folder: Path,
) -> tuple[pd.DataFrame, Sequence[str]]:
    cameras = np.where(marked, "north", draws.choice(["south", "east", "west"], len(frame)))
    return frame.assign(site=cameras), ["column 'site'"]


def _number(
    frame: pd.DataFrame,
    marked: np.ndarray,
    draws: np.random.Generator,
    _folder: Path,
) -> tuple[pd.DataFrame, Sequence[str]]:
    return frame.assign(minute=30 + 20 * marked + draws.normal(size=len(frame))), ["column 'minute'"]


def _signature(
    frame: pd.DataFrame,
    marked: np.ndarray,
    _draws: np.random.Generator,
    _folder: Path,
) -> tuple[pd.DataFrame, Sequence[str]]:
    """A closing line makes texts longer; all are cut to about the same length before."""
    texts = [
        " ".join([*text.split()[:12], *(["posted", "with", "the", "app", "on", "my", "phone"] if mark else [])])
        for text, mark in zip(frame["text"], marked)
    ]
    return frame.assign(text=texts), ["number of words", "number of characters"]


def _brightness(
    frame: pd.DataFrame,
    marked: np.ndarray,
    _draws: np.random.Generator,
    folder: Path,
) -> tuple[pd.DataFrame, Sequence[str]]:
    made = [
        ImageEnhance.Brightness(_opened(path)).enhance(1.8 if mark else 0.8)
        for path, mark in zip(frame["image"], marked)
    ]
    return _written(frame, made, ["png"] * len(made), folder), ["mean brightness"]


def _file_type(
    frame: pd.DataFrame,
    marked: np.ndarray,
    _draws: np.random.Generator,
    folder: Path,
) -> tuple[pd.DataFrame, Sequence[str]]:
    made = [_opened(path) for path in frame["image"]]
    kinds = ["png" if mark else "bmp" for mark in marked]
    return _written(frame, made, kinds, folder), ["type of the file", "size of the file"]


def _size(
    frame: pd.DataFrame,
    marked: np.ndarray,
    _draws: np.random.Generator,
    folder: Path,
) -> tuple[pd.DataFrame, Sequence[str]]:
    made = [_opened(path) for path in frame["image"]]
    made = [one.resize((150, 150) if mark else (120, 120)) for one, mark in zip(made, marked)]
    expected = ["width of the picture", "height of the picture", "size of the file"]
    return _written(frame, made, ["png"] * len(made), folder), expected


def _opened(path: str) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")


def _written(frame: pd.DataFrame, made: Sequence[Image.Image], kinds: Sequence[str], folder: Path) -> pd.DataFrame:
    paths = [folder / f"{row:04d}.{kind}" for row, kind in enumerate(kinds)]
    for image, path in zip(made, paths):
        image.save(path)
    return frame.assign(image=[str(path) for path in paths])


Way = Callable[[pd.DataFrame, np.ndarray, np.random.Generator, Path], tuple[pd.DataFrame, Sequence[str]]]
PICTURE_WAYS: Mapping[str, Way] = {
    "column": _column,
    "brightness": _brightness,
    "size": _size,
    "file type": _file_type,
    "number": _number,
}
TEXT_WAYS: Mapping[str, Way] = {"column": _column, "closing line": _signature, "number": _number}


def _picture_frame(path: str) -> Callable[[np.random.Generator], pd.DataFrame]:
    def drawn(draws: np.random.Generator) -> pd.DataFrame:
        files = sorted((data_folder() / "data" / path).glob("*/*.*"))
        chosen = [files[row] for row in np.sort(draws.permutation(len(files))[:300])]
        return pd.DataFrame({"image": [str(file) for file in chosen], "label": [file.parent.name for file in chosen]})

    return drawn


def _text_frame(path: str) -> Callable[[np.random.Generator], pd.DataFrame]:
    def drawn(draws: np.random.Generator) -> pd.DataFrame:
        found = data_folder() / "data" / path
        frame = pd.read_parquet(found) if found.suffix == ".parquet" else pd.read_csv(found)
        chosen = np.sort(draws.permutation(len(frame))[:300])
        return frame.iloc[chosen][["text", "label"]].astype(str).reset_index(drop=True)

    return drawn


ATTRIBUTED: Mapping[str, Callable[[np.random.Generator], pd.DataFrame]] = {
    "img_cats_dogs": _picture_frame("img_cats_dogs/all"),
    "text_sst2": _text_frame("text_sst2/train.csv"),
    "da_pacs/photo": _picture_frame("da_pacs/photo"),
    "amazon_kitchen": _text_frame("text_amazon_reviews5/kitchen.parquet"),
}
"""Sets without an attribute that is known to go with the label, unlike spam, which is longer than other messages."""


def _embedded(data: Any, **plan: Any) -> Features:
    context = context_of(data, **plan)
    rows = np.unique(np.asarray(context.data.keys)[context.features.rows], return_index=True)[1]
    rows = np.random.default_rng(0).permutation(np.sort(rows))[:MOST]
    return context.features.pooled()[rows], context.data.targets["label"][context.features.rows][rows]


def _pictures(domain: str) -> Callable[[], Features]:
    weights = data_folder() / "weights" / "mobilenetv2_100_imagenet"
    return lambda: _embedded(str(data_folder() / "data" / "da_pacs" / domain), backbone=str(weights))


def _texts(path: str) -> Callable[[], Features]:
    frame = pd.read_csv(data_folder() / "data" / path).sample(1100, random_state=0).reset_index(drop=True)
    return lambda: _embedded(frame, backbone=MINILM, columns={"text": ("text",), "label": "label"})


SETS: Mapping[str, Callable[[], Features]] = {
    "da_pacs/photo": lambda: _pictures("photo")(),
    "text_sst2": lambda: _texts("text_sst2/train.csv")(),
    "da_pacs/art_painting": lambda: _pictures("art_painting")(),
    "text_sms_spam": lambda: _texts("text_sms_spam/all.csv")(),
}
