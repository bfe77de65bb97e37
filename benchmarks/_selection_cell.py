"""One cell of the cost of a selection, in a process of its own and an empty cache: the passes alone, or all of it.

python -m benchmarks._selection_cell passes|select|halving PICTURES
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import timm
import torch
from timm.models import save_for_hf

from benchmarks._data import data_folder, own_cache
from headstart.contracts.format import Columns
from headstart.engine.frozen.content_keys import content_keys
from headstart.engine.frozen.feature_spec import FeatureSpec
from headstart.engine.store.feature_store import FeatureStore
from headstart.kernel.progress import Quiet
from headstart.pipeline.budget import Budget
from headstart.pipeline.decision_log import DecisionLog
from headstart.pipeline.embed import embed
from headstart.pipeline.plan import Plan
from headstart.pipeline.precision_by_use import Labelled, choice_by_use
from headstart.pipeline.prepare import read_data
from headstart.pipeline.ready import ready, staged
from headstart.pipeline.selection.select_run import ROUNDS, run_selection

REAL = (
    "tf_efficientnet_lite0",
    "tf_efficientnet_lite1",
    "tf_efficientnet_lite2",
    "mobilenetv2_100_imagenet",
    "mobilenetv2_100_movenet",
)
RANDOM = ("resnet18", "mobilenetv3_large_100")
"""With random weights: of these only the time counts."""


class Estimate(Quiet):
    """Remembers when the estimate was told."""

    told = 0.0

    def say(self, text: str) -> None:
        """Look out for the sentence about the candidates."""
        if " candidates on " in text:
            self.told = time.perf_counter()


def cell(which: str, pictures: int) -> dict[str, Any]:
    """Seconds, and of a selection its estimate, its ranking and how many candidates each round had."""
    frame, columns = drawn(pictures), Columns(image="picture", label="label", part="part")
    with own_cache(), tempfile.TemporaryDirectory() as folder:
        references = [str(data_folder() / "weights" / name) for name in REAL]
        references += ["embedded", *(_made(name, Path(folder)) for name in RANDOM)]
        plan, reporter = Plan(data="<made>", columns=columns), Estimate()
        if which == "passes":
            return _passes(frame, plan, references)
        began = time.perf_counter()
        found = run_selection(frame, plan, references, reporter, rounds=ROUNDS if which == "halving" else (1,))
        ended = time.perf_counter()
    return {
        "seconds": ended - began,
        "estimate": found.estimated,
        "after_estimate": ended - reporter.told,
        "ranking": {
            Path(row.reference).name: [row.examples, row.figure.value, round(row.milliseconds, 3)]
            for row in found.backbones
        },
        "skipped": [one.reason for one in found.skipped],
    }


def drawn(pictures: int) -> pd.DataFrame:
    """So many pictures of all four domains to select by, and the others as the test part."""
    folder = data_folder() / "data" / "da_pacs"
    paths = np.random.default_rng(0).permutation(sorted(str(path) for path in folder.rglob("*.jpg")))
    labels = [Path(path).parent.name for path in paths]
    parts = ["train"] * pictures + ["test"] * (len(paths) - pictures)
    return pd.DataFrame({"picture": paths, "label": labels, "part": parts}).iloc[: pictures + 50]


def _passes(frame: pd.DataFrame, plan: Plan, references: Sequence[str]) -> dict[str, Any]:
    """What eight fits would take up to their features: loaded, the runner chosen, embedded; data read once, apart."""
    read = time.perf_counter()
    begun = staged(read_data(frame, plan, Quiet()), plan)
    store, each, began = FeatureStore(), dict[str, Any](), time.perf_counter()
    for reference in references:
        loading = time.perf_counter()
        found = ready(begun, plan.model_copy(update={"backbone": reference}), Budget(), DecisionLog())
        rows = np.union1d(found.data.split.train, found.data.split.val)
        examples = found.data.examples.take(rows)
        loaded = time.perf_counter()
        keys = content_keys(examples).keys
        labelled = Labelled(found.data, rows, plan.seed)
        spec = FeatureSpec.all_stages(found.backbone)
        runner = choice_by_use(found.backbone, examples, keys, spec, plan, labelled)
        features = embed(found.backbone, examples, spec, keys=keys, runner=runner, store=store)
        features.pooled()
        each[Path(reference).name] = {
            "loading": round(loaded - loading, 2),
            "choosing and pass": round(time.perf_counter() - loaded, 2),
            **{name: round(value, 2) for name, value in features.seconds.items()},
        }
    ended = time.perf_counter()
    return {"seconds": ended - began, "reading": began - read, "each": each}


def _made(name: str, folder: Path) -> str:
    torch.manual_seed(0)
    save_for_hf(timm.create_model(name), folder / name, safe_serialization=True)
    return str(folder / name)


if __name__ == "__main__":
    said, count = sys.argv[1:]
    with contextlib.redirect_stdout(sys.stderr):
        answer = cell(said, int(count))
    print(json.dumps(answer))
