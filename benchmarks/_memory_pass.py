"""One pass whose memory is watched from outside: `python -m benchmarks._memory_pass extraction|predict FOLDER WHERE`.

`extraction` sends the pictures of FOLDER through a small network into a store at WHERE; `predict` writes predictions of
the run WHERE beside it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

import headstart
from headstart.contracts.format import Columns
from headstart.engine.frozen.content_keys import content_keys
from headstart.engine.frozen.extract import extract
from headstart.engine.frozen.feature_spec import FeatureSpec
from headstart.engine.store.feature_store import FeatureStore
from headstart.kernel import registry
from headstart.pipeline.data import read_examples
from headstart.pipeline.pick_runner import pick_runner
from headstart.pipeline.plan import Plan

NETWORK, SIDE = "resnet10t", 64


def extraction(folder: Path, where: Path) -> None:
    """Files to stored features."""
    backbone = registry.plugin("backbones", "timm_images")(reference=NETWORK, weights="random", image_size=SIDE).load()
    examples, _ = read_examples(folder, Columns(), labelled=False)
    keys = content_keys(examples).keys
    runner, _ = pick_runner(backbone, examples, keys, FeatureSpec(), Plan(data=str(folder)))
    extract(backbone, examples, keys, runner=runner, store=FeatureStore(where), device=torch.device("cpu"))


def predict(folder: Path, where: Path) -> None:
    """Files to predictions."""
    headstart.predict(where, folder, out=where / "predictions.csv")


if __name__ == "__main__":
    {"extraction": extraction, "predict": predict}[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
