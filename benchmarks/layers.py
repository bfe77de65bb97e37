"""Is the layer view worth following? Features of several stages against the last, and partial's cut by it.

Labels are drawn by a seed, 200 for probes and 300 for fine-tunings, and all are judged on the same test part, which
chooses nothing. Which stages `multi` takes was chosen on other data sets (ants and bees, sketches, SST-2, emotions).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

import headstart
from benchmarks._data import data_folder
from benchmarks._paired import interval_over_draws, mean_interval
from headstart.contracts.features import Features
from headstart.contracts.several_stages import inner_stages
from headstart.engine.solved.solve import solve_head
from headstart.pipeline.context import FitContext
from headstart.pipeline.data import Given
from headstart.pipeline.layers import layers_of
from headstart.pipeline.plan import Plan
from headstart.pipeline.sequence import start

LABELS, TUNED, TESTED = 200, 300, 700
"""Labels of a probe and of a fine-tuning, and test examples at most."""

EPOCHS = 4


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:
    """Five data sets, 10 draws of probes and one fine-tuning each (`quick`: two sets, 3 draws; `full`: 3 tunings)."""
    names, draws = list(SETS)[: 2 if quick else None], 3 if quick else 10
    gains, right, details, seconds = [], [], {}, []
    for name in names:
        frame, columns, backbone = SETS[name]()
        context = _context(_parts(frame, 10**6, 0), columns, backbone)
        found = layers_of(context)
        seconds.append(_seconds(context))
        gains.append(_multi(context, draws))
        details[name] = {"ends": found.stages[found.ends].name, "multi": _rounded(interval_over_draws(gains[-1]))}
        tunings = [_cut(frame, columns, backbone, seed) for seed in range(3 if full else 1)]
        right += [pair for one in tunings for pair in one["gain"]]
        details[name]["partial"] = [{**one, "gain": _rounded(mean_interval(one["gain"]))} for one in tunings]
    multi, cut = interval_over_draws(np.mean(gains, axis=0)), mean_interval(right)
    measured: dict[str, float | None] = {
        "layers.multi": 100 * multi[1],
        "layers.cut": 100 * cut[2],
        "layers.seconds": max(seconds),
    }
    return measured, {"multi": _rounded(multi), "cut": _rounded(cut), "draws": draws, "data": details}


def _context(frame: pd.DataFrame, columns: Mapping[str, Any], backbone: str) -> FitContext:
    return start(Given(frame), Plan(data="<frame>", backbone=backbone, columns={**columns, "part": "part"})).embedded()


def _parts(frame: pd.DataFrame, labelled: int, seed: int) -> pd.DataFrame:
    """A fixed half, or `TESTED` examples, as the test part, and so many of the others, drawn by the seed."""
    mixed = frame.sample(frac=1.0, random_state=0)
    tested = min(TESTED, len(mixed) // 2)
    rest = mixed[tested:].sample(frac=1.0, random_state=seed)[:labelled]
    return pd.concat([mixed[:tested].assign(part="test"), rest.assign(part="train")], ignore_index=True)


def _multi(context: FitContext, draws: int) -> np.ndarray:
    """(draws,): test accuracy of a probe on several stages minus that of one on the last alone."""
    data, names = context.data, inner_stages(context.backbone.boundary_names())
    task: Any = data.task.linear()
    metric = next(one for one in task.evaluation.metrics if one.name == "accuracy")
    pool, test = np.union1d(data.split.train, data.split.val), data.split.test
    gains = []
    for draw in range(draws):
        rows = np.random.default_rng(draw).permutation(pool)[:LABELS]
        accuracy = []
        for several in (True, False):
            read = lambda some, several=several: np.concatenate(  # noqa: E731
                [*(context.features.tap(one, some) for one in names if several), context.features.pooled(some)], axis=1
            )
            head, _ = solve_head(task, read(rows), data.targets_of(rows), None, draw)
            with torch.no_grad():
                found = task.predict(head.eval(), Features(torch.from_numpy(read(test))), {})
            accuracy.append(metric.score(data.targets_of(test), task.evaluation.finish(found, {})))
        gains.append(accuracy[0] - accuracy[1])
    return np.array(gains)


def _cut(frame: pd.DataFrame, columns: Mapping[str, Any], backbone: str, seed: int) -> dict[str, Any]:
    """Whether each test example is right with the cut by the layer view, minus the same with the usual cut."""
    parts, found, right = _parts(frame, TUNED, seed), {}, []
    for depth in ("auto", "usual"):
        tuning = {"epochs": EPOCHS, **({"depth": "auto"} if depth == "auto" else {})}
        with tempfile.TemporaryDirectory() as folder:
            made = headstart.fit(
                parts,
                out=Path(folder) / "run",
                part="part",
                backbone=backbone,
                tuning="partial",
                scratch=False,
                label_curve=False,
                seed=seed,
                settings={"tuning": tuning},
                **columns,
            )
            rows = pd.read_csv(made.folder / "test_predictions.csv")
            found[depth] = sum(stage.state == "trained" for stage in made.record.stages)
            right.append((rows["truth"] == rows["prediction"]).to_numpy(int))
    return {"stages moved": found, "gain": (right[0] - right[1]).tolist()}


def _seconds(context: FitContext) -> float:
    """Seconds that the view adds to a fit whose pass is done, for at most 1000 examples."""
    context.budget.steps.clear()
    with context.budget.step("view"):
        layers_of(context)
    return context.budget.steps["view"]


def _rounded(interval: tuple[float, ...]) -> list[float]:
    return [round(value, 4) for value in interval]


def _pictures(folder: str, weights: str) -> Callable[[], tuple[pd.DataFrame, dict[str, Any], str]]:
    def made() -> tuple[pd.DataFrame, dict[str, Any], str]:
        root = data_folder() / "data" / folder
        files = sorted(path for path in root.glob("*/*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
        frame = pd.DataFrame({"image": [str(path) for path in files], "label": [path.parent.name for path in files]})
        return frame, {"image": "image", "label": "label"}, str(data_folder() / "weights" / weights)

    return made


def _texts(folder: str) -> Callable[[], tuple[pd.DataFrame, dict[str, Any], str]]:
    def made() -> tuple[pd.DataFrame, dict[str, Any], str]:
        files = sorted((data_folder() / "data" / folder).glob("*.csv"))
        frame = pd.concat([pd.read_csv(path) for path in files], ignore_index=True)[["text", "label"]]
        return frame.drop_duplicates("text")[:2500], {"text": "text", "label": "label"}, "all-MiniLM-L6-v2"

    return made


SETS: Mapping[str, Callable[[], tuple[pd.DataFrame, dict[str, Any], str]]] = {
    "text_tweeteval/irony": _texts("text_tweeteval/irony"),
    "img_cats_dogs": _pictures("img_cats_dogs/all", "tf_efficientnet_lite0"),
    "da_pacs/cartoon": _pictures("da_pacs/cartoon", "mobilenetv2_100_imagenet"),
    "da_pacs/art_painting": _pictures("da_pacs/art_painting", "tf_efficientnet_lite0"),
    "text_sms_spam": _texts("text_sms_spam"),
}
