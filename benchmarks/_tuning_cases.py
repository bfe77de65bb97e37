"""What the speed of fine-tuning is measured on: networks, which of their stages move, and pictures of two data sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks._data import data_folder

BATCH = 32
HEAD_RATE, STAGE_RATE = 1e-3, 1e-4
"""Peak rates of AdamW on every side; Headstart's own defaults."""

MOBILENET = "weights/mobilenetv2_100_imagenet"
"""The real pretrained weights that there are; where the network has random ones only time matters."""


@dataclass(frozen=True)
class Case:
    """A network, and what of it is trained."""

    network: str
    """Of timm with random weights, or a folder with real ones."""
    tuning: str
    moving: tuple[str, ...] = ()
    """Its modules that move, by their names in timm; the classifier always does."""
    last: int | None = None
    """The same as a number of Headstart's stages."""
    train: int = 160
    """Pictures at most."""
    val: int = 48
    epochs: int = 10
    rivals: tuple[str, ...] = ("plain", "trainer", "fastai")

    @property
    def real(self) -> bool:
        """Whether its weights are pretrained ones."""
        return "/" in self.network

    @property
    def name(self) -> str:
        """For timm."""
        return f"local-dir:{data_folder() / self.network}" if self.real else self.network

    def stages(self, stages: int) -> int:
        """How many of Headstart's stages move, of so many."""
        return 0 if not self.moving else stages if self.last is None else self.last

    @cached_property
    def headstart(self) -> Mapping[str, Any]:
        """The same for `headstart.fit`."""
        recipe: dict[str, Any] = {"epochs": self.epochs, "patience": self.epochs, "batch_size": BATCH}
        recipe |= {} if self.last is None else {"last": self.last}
        network = str(data_folder() / self.network) if self.real else self.network
        weights = "pretrained" if self.real else "random"
        return {"backbone": network, "weights": weights, "tuning": self.tuning, "settings": {"tuning": recipe}}


CASES: Mapping[str, Case] = {
    "head": Case(MOBILENET, "head_only"),
    "mobilenetv2": Case(MOBILENET, "partial", ("blocks.5", "blocks.6", "conv_head", "bn2"), last=2, rivals=("plain",)),
    "resnet18": Case("resnet18", "partial", ("layer4",), last=1),
    "vit_small": Case("vit_small_patch16_224", "partial", ("blocks.11", "norm"), last=1, train=96, val=32),
    "full": Case("resnet18", "full", ("",), epochs=4, rivals=("plain", "plain_bfloat16")),
}
"""Few pictures, for time's sake: with more of them what Headstart sets up once would matter less."""

DATA = ("img_ants_bees", "img_cats_dogs")
FEW = 8
"""Pictures where there must be some and none are needed."""


@dataclass(frozen=True)
class Pictures:
    """Paths and labels of three parts; nobody chooses anything by the judged one."""

    paths: Mapping[str, Sequence[str]]
    """Of 'train', 'val' and 'judged'."""
    labels: Mapping[str, np.ndarray]
    """int64, of the same."""
    classes: tuple[str, ...]

    def frame(self) -> pd.DataFrame:
        """Training and validation part as a table; a fit wants a test part, which here is hardly one."""
        rows = [
            {"picture": path, "label": self.classes[label], "part": part}
            for part, name in (("train", "train"), ("val", "val"), ("test", "judged"))
            for path, label in self.of(name)[: FEW if part == "test" else None]
        ]
        return pd.DataFrame(rows)

    def of(self, part: str) -> list[tuple[str, int]]:
        """Path and label of every picture."""
        return list(zip(self.paths[part], self.labels[part].tolist()))


def pictures(data: str, case: Case) -> Pictures:
    """Those of a data set, drawn evenly over the classes, the same ones each time."""
    folder = data_folder() / "data" / data
    classes = sorted({path.parent.name for path in folder.rglob("*.jpg")})
    drawn = np.random.default_rng(0).permutation(sorted(folder.rglob("*.jpg")))
    given = {part: [path for path in drawn if path.parts[-3] == part] for part in ("train", "val")}
    if not given["train"]:
        given = {"train": list(drawn[: case.train]), "val": list(drawn[case.train :])}
    parts = {
        "train": given["train"][: case.train],
        "val": given["val"][: case.val],
        "judged": given["val"][case.val :][: None if case.real else FEW],
    }
    return Pictures(
        {part: [str(path) for path in paths] for part, paths in parts.items()},
        {part: np.array([classes.index(Path(path).parent.name) for path in paths]) for part, paths in parts.items()},
        tuple(classes),
    )
