"""Deep adaptation beside skada: DeepCORAL, DANN and MCC on the same features and splits, with the same steps.

Features of PACS by the ImageNet MobileNetV2, half of the target without labels to adapt to and accuracy on the other
half. Both get them standardised per domain, so that only the methods differ, and the same network: a layer of 256 and a
linear head, for MCC the linear head alone. Both make 300 steps or a few more (skada: whole epochs) with batches of 128
of each domain and SGD at .01 with Nesterov momentum .9; all else is as either has it by default. Time is that of
training and prediction, on one thread; ours computes the layer in bfloat16 where the processor has it. Needs the
libraries skada and skorch.

The objectives' settings were looked at on photo and art painting, of which no pair in both directions is here.
"""

from __future__ import annotations

import math
import time
import warnings
from typing import Any

import numpy as np
import torch
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits
from torch import nn

from benchmarks._domain_features import Pair, pictures_of
from benchmarks.against_skada import summed
from benchmarks.pacs import NETWORKS
from headstart.contracts.domains import Domains
from headstart.engine.training.on_features import FeatureTraining, train_on_features
from headstart.kernel import registry
from headstart.tasks.classification.task import BoundClassification, Classification

METHODS = {"coral": "DeepCoral", "dann": "DANN", "mcc": "MCC"}
SETTINGS = FeatureTraining()
PAIRS = (
    ("photo", "cartoon"),
    ("photo", "sketch"),
    ("art_painting", "cartoon"),
    ("cartoon", "art_painting"),
    ("cartoon", "sketch"),
    ("sketch", "photo"),
)


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:
    """Six pairs (`quick`: one)."""
    del full
    rows = []
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.set_num_threads(1)
        for pair in PAIRS[:1] if quick else PAIRS:
            rows += [_compared(pair, _case(*pair), method) for method in METHODS]
    found = {method: summed([row for row in rows if row["method"] == method]) for method in METHODS}
    seconds = [sum(row["seconds"][who] for row in rows) for who in ("ours", "skada")]
    measured: dict[str, float | None] = {
        "against_skada_deep.accuracy": 100 * min(one["gain"][0] for one in found.values()),
        "against_skada_deep.time": seconds[0] / seconds[1],
    }
    return measured, {"methods": found, "cases": rows}


def _case(source: str, target: str) -> Pair:
    one, other = (pictures_of(name, NETWORKS[0]) for name in (source, target))
    order = np.random.default_rng(0).permutation(len(other[1]))
    mine, test = np.split(order, [len(order) // 2])
    of_source, of_target = StandardScaler().fit(one[0]), StandardScaler().fit(other[0][mine])
    moved = [of_target.transform(other[0][rows]).astype(np.float32) for rows in (mine, test)]
    return Pair(
        f"{source} -> {target}",
        of_source.transform(one[0]).astype(np.float32),
        one[1],
        moved[0],
        moved[1],
        other[1][test],
    )


def _compared(pair: tuple[str, str], case: Pair, method: str) -> dict[str, Any]:
    accuracy, seconds = {}, {}
    for who, predicted in (("ours", _ours), ("skada", _theirs)):
        started = time.perf_counter()
        found = predicted(case, method)
        seconds[who] = round(time.perf_counter() - started, 2)
        accuracy[who] = round(float((found == case.truth).mean()), 4)
    return {"pair": list(pair), "method": method, "accuracy": accuracy, "seconds": seconds}


def _ours(case: Pair, method: str) -> np.ndarray:
    classes = int(case.labels.max()) + 1
    task = BoundClassification(
        settings=Classification(), classes=tuple(map(str, range(classes))), counts=(len(case.labels),) * classes
    )
    domains = Domains(case.source, case.labels, classes, case.target, case.source[:0], case.labels[:0])
    found = train_on_features(domains, registry.plugin("objectives", method)(), task, SETTINGS, 0)
    with torch.inference_mode():
        return np.asarray(found.head(torch.from_numpy(case.test)).argmax(dim=1))


class _Network(nn.Module):
    """The network that `train_on_features` trains, as skada calls it."""

    def __init__(self, width: int, narrow: int, classes: int) -> None:
        super().__init__()
        self.aligned = nn.Sequential(nn.Linear(width, narrow), nn.LayerNorm(narrow)) if narrow else nn.Identity()
        self.head = nn.Linear(narrow or width, classes)

    def forward(self, features: torch.Tensor, sample_weight: object = None) -> torch.Tensor:
        """(batch, width) -> (batch, classes)"""
        del sample_weight
        found: torch.Tensor = self.head(self.aligned(features))
        return found


def _theirs(case: Pair, method: str) -> np.ndarray:
    import skada.deep

    torch.manual_seed(0)
    width, classes = case.source.shape[1], int(case.labels.max()) + 1
    given = width if method == "mcc" else SETTINGS.bottleneck
    module = _Network(width, 0 if method == "mcc" else SETTINGS.bottleneck, classes)
    most = max(len(case.source), len(case.target))
    net = getattr(skada.deep, METHODS[method])(
        module,
        layer_name="aligned",
        **({"num_features": given} if method == "dann" else {}),
        **({"T": 2.5} if method == "mcc" else {}),
        max_epochs=math.ceil(SETTINGS.steps / max(1, most // SETTINGS.batch_size)),
        batch_size=SETTINGS.batch_size,
        optimizer=torch.optim.SGD,
        optimizer__lr=SETTINGS.learning_rate,
        optimizer__momentum=0.9,
        optimizer__nesterov=True,
        train_split=None,
        verbose=0,
    )
    both = np.concatenate([case.source, case.target])
    labels = np.concatenate([case.labels, np.full(len(case.target), -1)])
    net.fit(both, labels, sample_domain=np.where(np.arange(len(both)) < len(case.source), 1, -2))
    return np.asarray(net.predict(case.test, sample_domain=np.full(len(case.test), -2), allow_source=True))
