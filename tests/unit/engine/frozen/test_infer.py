from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from headstart.contracts.features import Features
from headstart.contracts.format import Columns
from headstart.contracts.model import Model
from headstart.contracts.prediction import Prediction
from headstart.contracts.task import Evaluation, Needs
from headstart.engine.frozen.extract import extract
from headstart.engine.frozen.feature_spec import FeatureSpec
from headstart.engine.frozen.infer import Predictor, heads_on_features, predict_stored
from headstart.kernel.errors import DataError
from headstart.runners.eager import Eager
from masked_pictures import png
from tiny_backbones import (
    TinyBackbone,
    TinyImages,
    TinyTable,
    TinyTexts,
    image_examples,
    keys_of,
    table_examples,
    text_examples,
)

CPU = torch.device("cpu")
TEXTS = [" ".join(f"w{(i * 5 + j) % 30}" for j in range(1 + i * 3 % 17)) for i in range(30)]


class Scores:
    """A task whose finished prediction is scaled scores; it reads tokens where there are some, and the batch's rows."""

    def __init__(self, tokens: bool = False) -> None:
        self.tokens = tokens
        self.needs = Needs("tokens" if tokens else "pooled")
        self.evaluation = Evaluation((), finish=scaled)

    def inputs(self, examples: Any) -> dict[str, np.ndarray]:
        return {"row": np.arange(len(examples))}

    def predict(self, head: nn.Module, features: Features, inputs: Mapping[str, Tensor]) -> Prediction:
        read = features.pooled
        if self.tokens:
            assert features.tokens is not None and features.mask is not None
            read = (features.tokens * features.mask.unsqueeze(-1)).sum(dim=1)
        return Prediction({"scores": head(read).numpy(), **{name: value.numpy() for name, value in inputs.items()}})


def scaled(prediction: Prediction, calibration: Mapping[str, float]) -> Prediction:
    return Prediction({**prediction.columns, "scaled": prediction.columns["scores"] / calibration["temperature"]})


def model_of(backbone: TinyBackbone, tokens: bool = False) -> Model:
    torch.manual_seed(0)
    heads = nn.ModuleDict({"head": nn.Sequential(nn.Linear(backbone.width, 3), nn.Dropout(0.5))})
    task: Any = Scores(tokens)
    return Model(backbone, task, heads, Columns(), {"runner": "eager"}, {"temperature": 2.0})


def longhand(model: Model, raws: list[Any]) -> np.ndarray:
    """Each input alone."""
    backbone = model.backbone
    model.eval()
    with torch.no_grad():
        found = []
        for raw in raws:
            features = backbone.features(backbone.segment(0, len(backbone.stages))(backbone.prepare([raw])))
            read = features.pooled if features.tokens is None or not model.task.tokens else features.tokens.sum(dim=1)  # type: ignore[attr-defined]
            found.append(model.heads["head"](read) / 2)
    return torch.cat(found).numpy()


@pytest.mark.parametrize("tokens", [False, True])
def test_predictions_are_finished_and_in_row_order(tokens: bool) -> None:
    model = model_of(TinyTexts("tiny_texts"), tokens)
    found = Predictor(model, device=CPU, batch_size=4)(text_examples(TEXTS))
    assert found.rows.tolist() == list(range(30))
    assert not found.failures
    assert found.prediction is not None
    assert found.prediction.columns["row"].tolist() == list(range(30))
    np.testing.assert_allclose(found.prediction.columns["scaled"], longhand(model, TEXTS), atol=1e-5)


def test_rows_that_cannot_be_read_are_left_out() -> None:
    values = np.random.default_rng(0).standard_normal((20, 4))
    values[4, 0] = np.nan
    model = model_of(TinyTable("tiny_table"))
    found = Predictor(model, device=CPU, batch_size=3)(table_examples(values))
    assert found.failures == {4: "holds NaN"}
    assert found.rows.tolist() == [row for row in range(20) if row != 4]
    assert found.prediction is not None
    np.testing.assert_allclose(found.prediction.columns["scaled"], longhand(model, list(values[found.rows])), atol=1e-6)


def test_nothing_readable_gives_no_prediction() -> None:
    found = Predictor(model_of(TinyTexts("tiny_texts")), device=CPU)(text_examples(["", ""]))
    assert found.prediction is None
    assert (found.rows.tolist(), found.failures) == ([], {0: "is empty", 1: "is empty"})


@pytest.mark.parametrize(
    "spec", [FeatureSpec(), FeatureSpec("tokens"), FeatureSpec("state", 1), FeatureSpec("state", 3)]
)
def test_a_frozen_pass_gives_the_same_predictions(spec: FeatureSpec, tmp_path: Path) -> None:
    model = model_of(TinyTexts("tiny_texts"), tokens=spec.keep != "pooled")
    extracted = extract(model.backbone, text_examples(TEXTS), keys_of(TEXTS), spec, runner=Eager(), device=CPU)
    rows = [3, 20, 7, 7]
    found = predict_stored(model, extracted, rows, device=CPU, batch_size=2)
    np.testing.assert_allclose(found.columns["scaled"], longhand(model, TEXTS)[rows], atol=1e-5)
    assert len(predict_stored(model, extracted, device=CPU)) == 30


def test_heads_on_known_features() -> None:
    backbone = TinyTable("tiny_table")
    model = model_of(backbone)
    values = np.random.default_rng(0).standard_normal((9000, 4))
    with torch.no_grad():
        pooled = backbone.segment(0, 3)(backbone.prepare(list(values))).hidden.numpy()
    found = heads_on_features(model, pooled)
    assert found.columns["scaled"].shape == (9000, 3)
    np.testing.assert_allclose(found.columns["scaled"][:50], longhand(model, list(values[:50])), atol=1e-6)
    with pytest.raises(DataError, match="nothing to predict"):
        heads_on_features(model, pooled[:0])


class MapScores(Scores):
    """Reads maps, and notes how many threads its head has."""

    threads: list[int]

    def __init__(self) -> None:
        super().__init__()
        self.needs, self.threads = Needs("maps"), []

    def predict(self, head: nn.Module, features: Features, inputs: Mapping[str, Tensor]) -> Prediction:
        self.threads.append(torch.get_num_threads())
        return super().predict(head, features, inputs)


@pytest.mark.parametrize(("threads", "expected"), [(0, 2), (1, 1)])
def test_a_head_of_maps_has_one_thread_while_a_runner_has_several_batches_in_hand(
    threads: int, expected: int, tmp_path: Path
) -> None:
    paths = [tmp_path / f"{k}.png" for k in range(4)]
    for path in paths:
        path.write_bytes(png(np.zeros((8, 8, 3), np.uint8)))
    model, task = model_of(TinyImages("tiny_images")), MapScores()
    model.task, model.execution = task, {"runner": "eager", "runner_settings": {"threads": threads}}  # type: ignore[assignment]
    usual = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        Predictor(model, device=CPU, batch_size=2)(image_examples(paths))
        assert task.threads == [expected] * 2 and torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(usual)
