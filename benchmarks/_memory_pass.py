"""One pass whose memory is watched from outside: `python -m benchmarks._memory_pass extraction|predict FOLDER WHERE`.

`extraction` sends the pictures of FOLDER through a small network into a store at WHERE; `predict` writes predictions of
the run WHERE beside it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import headstart
from headstart.contracts.format import Columns
from headstart.engine.store.feature_store import FeatureStore
from headstart.kernel import registry
from headstart.pipeline.data import read_examples
from headstart.pipeline.embed import embed

NETWORK, SIDE = "resnet10t", 64


def extraction(folder: Path, where: Path) -> None:
    """Files to stored features."""
    backbone = registry.plugin("backbones", "timm_images")(reference=NETWORK, weights="random", image_size=SIDE).load()
    examples, _ = read_examples(folder, Columns(), labelled=False)
    embed(backbone, examples, store=FeatureStore(where))


def predict(folder: Path, where: Path) -> None:
    """Files to predictions."""
    headstart.predict(where, folder, out=where / "predictions.csv")


if __name__ == "__main__":
    {"extraction": extraction, "predict": predict}[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
