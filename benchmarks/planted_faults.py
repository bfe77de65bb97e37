"""Are planted faults found? Flipped labels and copies of real examples, and the time that a deep look takes.

Labels: 5 % of all are given another class, by a seed. Every label is ranked by the quality that `inspect --deep` ranks
by, and by cleanlab's default on the same features (`CleanLearning`: five-fold predictions of scikit-learn's logistic
regression, ranked by self-confidence; made here of the same parts, so that cleanlab need not be installed). What
confident learning calls wrong is counted too. Nothing is chosen on these data sets.

Copies: pictures are drawn from all data sets and put beside theirs as they are, re-encoded, resized or slightly
cropped. A copy is found where it lies in the cluster of its original; a pair that is none of these, and is not found in
the data set as it is, is a false alarm.

Time: of `headstart.inspect(deep=True)` on 5,000 examples whose features were kept, in a process that is running.
"""

from __future__ import annotations

import io
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

import headstart
from benchmarks._data import data_folder
from headstart.evidence import label_quality
from headstart.evidence.confident_learning import confident_joint
from headstart.evidence.feature_neighbours import neighbours
from headstart.evidence.folds import folds
from headstart.evidence.held_out_probe import quick_prediction
from headstart.pipeline.context import FitContext
from headstart.pipeline.data import Given
from headstart.pipeline.plan import Plan
from headstart.pipeline.sequence import start

FLIPPED = 0.05
PICTURES = ("img_cats_dogs/all", "img_ants_bees/train")
EXAMPLES = 5000
TEXT = "all-MiniLM-L6-v2"


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:
    """Three data sets by 5 seeds (`quick`: the pictures, 2 seeds; `full`: 20), 80 copies of each kind, two timings."""
    seeds = range(2 if quick else 20 if full else 5)
    names = ["img_cats_dogs"] if quick else ["img_cats_dogs", "text_sms_spam", "text_sst2"]
    labels = {name: _flips(_context(name), seeds) for name in names}
    copies = {name: _copies(name, 20 if quick else 80) for name in PICTURES[: 1 if quick else 2]}
    seconds = {} if quick else {"pictures": _seconds(*_pictures()), "texts": _seconds(*_texts())}
    figures: dict[str, float | None] = {
        f"planted_faults.{name}": found["ours"]["mean"] for name, found in labels.items()
    }
    figures["planted_faults.against_cleanlab"] = min(found["gain"]["least"] for found in labels.values())
    figures["planted_faults.exact_copies"] = 100 * min(found["found"]["exact"] for found in copies.values())
    changed = [share for found in copies.values() for name, share in found["found"].items() if name != "exact"]
    figures["planted_faults.changed_copies"] = 100 * float(np.mean(changed))
    named = sum(found["named"] for found in copies.values())
    figures["planted_faults.copies_precision"] = 100 * sum(found["right"] for found in copies.values()) / named
    if not quick:
        figures["planted_faults.times_base_rate"] = labels["text_sst2"]["ours"]["mean"] / FLIPPED
        figures["planted_faults.seconds"] = max(seconds.values())
    return figures, {"seeds": len(seeds), "labels": labels, "copies": copies, "seconds": seconds}


def _context(name: str) -> FitContext:
    source = str(data_folder() / "data" / name)
    weights = str(data_folder() / "weights" / "mobilenetv2_100_imagenet")
    backbone = weights if name.startswith("img_") else TEXT
    return start(Given(source), Plan(data=name, backbone=backbone)).embedded()


def _flips(context: FitContext, seeds: range) -> dict[str, Any]:
    """Average precision of both rankings by seed, and how many are called wrong."""
    found = [_flipped(context, seed) for seed in seeds]
    columns = {name: np.array([one[name] for one in found]) for name in found[0]}
    gain = columns["ours"] - columns["cleanlab"]
    summed = {name: {"mean": float(values.mean()), "least": float(values.min())} for name, values in columns.items()}
    return {
        "examples": len(context.data.examples),
        **summed,
        "gain": {"mean": float(gain.mean()), "least": float(gain.min())},
    }


def _flipped(context: FitContext, seed: int) -> dict[str, float]:
    data, features = context.data, context.features.pooled()
    draws, truth = np.random.default_rng(seed), data.targets["label"][context.features.rows]
    wrong = np.zeros(len(truth), dtype=bool)
    wrong[draws.choice(len(truth), round(FLIPPED * len(truth)), replace=False)] = True
    classes = int(truth.max()) + 1
    labels = np.where(wrong, (truth + draws.integers(1, classes, len(truth))) % classes, truth)
    units = data.kept_together(context.features.rows)
    cut = folds(np.arange(len(labels)), labels, units, 5, seed)
    predicted = quick_prediction(data.task, features, {"label": labels}, cut, units, seed)
    probabilities = predicted.columns["probabilities"]
    quality = label_quality.of_classes(labels, probabilities)
    near = neighbours(features, seed, units)
    ranked = label_quality.with_neighbours(quality, (labels[near.rows] == labels[:, None]).mean(axis=1))
    joint = confident_joint(labels, probabilities)
    named, share = joint.wrong, joint.share_wrong(seed)
    theirs = label_quality.of_classes(labels, _as_cleanlab(features, labels, seed))
    return {
        "ours": float(average_precision_score(wrong, -ranked)),
        "cleanlab": float(average_precision_score(wrong, -theirs)),
        "cleanlab on our probabilities": float(average_precision_score(wrong, -quality)),
        "named": float(len(named)),
        "planted among named": float(wrong[named].mean()) if len(named) else 1.0,
        "named among planted": float(np.isin(np.flatnonzero(wrong), named).mean()),
        "estimated share": share.value,
        "its low end": share.low,
        "its high end": share.high,
    }


def _as_cleanlab(features: np.ndarray, labels: np.ndarray, seed: int) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cut = StratifiedKFold(5, shuffle=True, random_state=seed)
        return np.asarray(cross_val_predict(LogisticRegression(), features, labels, cv=cut, method="predict_proba"))


def _changes() -> Mapping[str, Callable[[Path, Path], None]]:
    def changed(change: Callable[[Image.Image], Image.Image], **options: Any) -> Callable[[Path, Path], None]:
        def write(source: Path, target: Path) -> None:
            with Image.open(source) as picture:
                content = io.BytesIO()
                change(picture.convert("RGB")).save(content, options.pop("format", "JPEG"), **options)
            target.write_bytes(content.getvalue())

        return write

    def by(factor: float) -> Callable[[Image.Image], Image.Image]:
        return lambda picture: picture.resize([max(1, round(factor * side)) for side in picture.size])

    def cropped(share: float) -> Callable[[Image.Image], Image.Image]:
        def cut(picture: Image.Image) -> Image.Image:
            (width, height), edge = picture.size, share
            return picture.crop(
                (round(edge * width), round(edge * height), round((1 - edge) * width), round((1 - edge) * height))
            )

        return cut

    return {
        "exact": lambda source, target: shutil.copyfile(source, target) and None,
        "re-encoded, quality 60": changed(lambda picture: picture, quality=60),
        "re-encoded, quality 85": changed(lambda picture: picture, quality=85),
        "smaller by 40 %": changed(by(0.6), quality=85),
        "larger by half": changed(by(1.5), quality=85),
        "cropped by 2 % at all sides": changed(cropped(0.02), quality=90),
        "cropped by 4 % at all sides": changed(cropped(0.04), quality=90),
    }


def _copies(name: str, drawn: int) -> dict[str, Any]:
    """Shares found by kind of copy, and what is named beside them."""
    with tempfile.TemporaryDirectory() as place:
        folder, draws = Path(place) / "pictures", np.random.default_rng(0)
        shutil.copytree(data_folder() / "data" / name, folder)
        before = _named(folder)
        files = sorted(file for file in folder.glob("*/*.*"))
        made: dict[str, list[tuple[str, str]]] = {}
        for kind, change in _changes().items():
            for number, at in enumerate(draws.choice(len(files), drawn, replace=False).tolist()):
                source = files[at]
                target = source.with_name(f"{source.stem} {kind.replace('%', '')} {number}.jpg")
                change(source, target)
                made.setdefault(kind, []).append((str(source.relative_to(folder)), str(target.relative_to(folder))))
        after = _named(folder)
    originals = {copy: source for some in made.values() for source, copy in some}
    first = {origin: after.get(origin, origin) for origin in [*originals, *originals.values()]}
    found = {
        kind: float(np.mean([first[copy] == first[source] for source, copy in some])) for kind, some in made.items()
    }
    new = {origin: other for origin, other in after.items() if before.get(origin) is None}
    right = sum(originals.get(one, one) == originals.get(other, other) for one, other in new.items())
    return {
        "pictures": len(files),
        "drawn": drawn,
        "before": len(before),
        "found": found,
        "named": len(new),
        "right": right,
    }


def _named(folder: Path) -> dict[str, str]:
    """Copy -> the first of its cluster, as `inspect --out` lists them."""
    with tempfile.TemporaryDirectory() as place:
        headstart.inspect(folder, out=Path(place) / "findings.csv")
        table = pd.read_csv(Path(place) / "findings.csv", keep_default_na=False)
    copies = table[table["kind"].isin(("exact copy", "near copy"))]
    return dict(zip(copies["origin"], copies["other"]))


def _seconds(frame: pd.DataFrame, backbone: str) -> float:
    """The least of three, after a pass that keeps the features."""
    asked: dict[str, Any] = {
        "label": "label",
        "backbone": backbone,
        "image" if "input" in frame else "text": frame.columns[0],
    }
    headstart.inspect(frame, deep=True, **asked)
    times = []
    for _ in range(3):
        began = time.monotonic()
        headstart.inspect(frame, deep=True, **asked)
        times.append(time.monotonic() - began)
    return min(times)


def _pictures() -> tuple[pd.DataFrame, str]:
    """Photographs, drawings and scans of eleven classes, read by the ImageNet MobileNetV2: 1280 features."""
    folder = data_folder() / "data"
    files = [*sorted(folder.glob("da_pacs/*/*/*.*")), *sorted(folder.glob("img_brain_mri/train/*/*.*"))][:EXAMPLES]
    frame = pd.DataFrame({"input": map(str, files), "label": [file.parent.name for file in files]})
    return frame, str(data_folder() / "weights" / "mobilenetv2_100_imagenet")


def _texts() -> tuple[pd.DataFrame, str]:
    frame = pd.read_csv(data_folder() / "data" / "text_sst2" / "train.csv")[["text", "label"]][:EXAMPLES]
    return frame, TEXT
