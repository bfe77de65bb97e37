"""The usual ways to a classifier from few labels, as their documentations have them, with the same pretrained weights.

Every function gets the labelled examples and a time, trains, and returns the predicted classes of the test examples and
the seconds that the training took. Loading weights and predicting do not count, nor does finding out how many epochs
fit.
"""

from __future__ import annotations

import importlib
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pandas as pd
import timm
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from transformers import AutoModel, AutoTokenizer

from benchmarks._few_labels import FewLabels

TRAINER_EPOCHS = 3
MOST_EPOCHS = 100
HELD = 1
"""Examples that fastai must have for validation and decides nothing by: it trains on them too."""
SHARE = 0.95
"""Of the time that is planned for, so that it is kept."""

_Model = TypeVar("_Model")


class Trained(NamedTuple):
    """What a way came to."""

    predicted: np.ndarray
    """(test examples,) int64."""
    seconds: float
    notes: Mapping[str, Any]


def sklearn_probe(data: FewLabels, weights: Path, seconds: float, seed: int) -> Trained:  # noqa: ARG001
    """Logistic regression at its defaults on the features of the frozen backbone."""
    encoder = _encoder(data, weights)
    began = time.monotonic()
    features = _features(encoder, _inputs(data, weights, data.inputs))
    head = LogisticRegression(max_iter=1000).fit(features, data.labels)
    took = time.monotonic() - began
    return Trained(head.predict(_features(encoder, _inputs(data, weights, data.test_inputs))), took, {})


def trainer(data: FewLabels, weights: Path, seconds: float, seed: int) -> Trained:  # noqa: ARG001
    """transformers' Trainer at its defaults: three epochs."""
    return _trainer(data, weights, seed, TRAINER_EPOCHS)


def trainer_all_time(data: FewLabels, weights: Path, seconds: float, seed: int) -> Trained:
    """The same for as many epochs as fit into the time."""

    def trained(epochs: int) -> tuple[Trained, float]:
        found = _trainer(data, weights, seed, epochs)
        return found, found.seconds

    return _as_long_as_fits(seconds, trained)[1]


def fastai(data: FewLabels, weights: Path, seconds: float, seed: int) -> Trained:
    """fastai's fine_tune, one frozen epoch first, for as many epochs as fit into the time."""
    from fastai.torch_core import set_seed

    importlib.import_module("fastai.callback.all")  # gives Learner fine_tune and no_bar

    def trained(epochs: int) -> tuple[Any, float]:
        set_seed(seed)
        learner = (
            _image_learner(data, weights, seed) if data.modality == "image" else _text_learner(data, weights, seed)
        )
        began = time.monotonic()
        with learner.no_bar(), learner.no_logging():
            learner.fine_tune(epochs)
        return learner, time.monotonic() - began

    epochs, learner, took = _as_long_as_fits(seconds, trained)  # epochs beside the frozen one
    if data.modality == "image":
        loader = learner.dls.test_dl(pd.DataFrame({"input": list(data.test_inputs)}))
        with learner.no_bar():
            scores = learner.get_preds(dl=loader)[0]
        return Trained(_in_order(scores.numpy(), learner.dls.vocab, data), took, {"epochs": epochs})
    return Trained(_predicted(learner.model, _inputs(data, weights, data.test_inputs)), took, {"epochs": epochs})


def setfit(data: FewLabels, weights: Path, seconds: float, seed: int) -> Trained:
    """SetFit: contrastive pairs for an epoch or as long as there is time, then logistic regression."""
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments

    table = Dataset.from_dict({"text": list(data.inputs), "label": data.labels.tolist()})

    def trained(most: int) -> tuple[Any, float]:
        model = SetFitModel.from_pretrained(str(weights))
        with tempfile.TemporaryDirectory() as folder:
            given = TrainingArguments(output_dir=folder, num_epochs=1, max_steps=most, seed=seed, report_to="none")
            began = time.monotonic()
            Trainer(model=model, args=given, train_dataset=table).train()
            return model, time.monotonic() - began

    pairs = len(data.labels) ** 2 // 2
    steps, model, took = _as_long_as_fits(seconds, trained, most=pairs // 16 + 1, short=8)
    return Trained(np.asarray(model.predict(list(data.test_inputs))), took, {"steps": steps})


RIVALS: Mapping[str, Callable[[FewLabels, Path, float, int], Trained]] = {
    "sklearn_probe": sklearn_probe,
    "trainer": trainer,
    "trainer_all_time": trainer_all_time,
    "fastai": fastai,
    "setfit": setfit,
}


def _as_long_as_fits(
    seconds: float, train: Callable[[int], tuple[_Model, float]], *, most: int = MOST_EPOCHS, short: int = 1
) -> tuple[int, _Model, float]:
    """The longest training that keeps to the time: its epochs or steps, what it came to and the seconds it took.

    Two short ones tell how many fit, what both set up being no epoch's share, after a first that warms up. One that
    takes longer than forecast is made again with fewer.
    """
    _, (_, first), (_, second) = train(short), train(short), train(2 * short)
    each = max((second - first) / short, 1e-3)
    count = max(1, min(most, short + int((SHARE * seconds - first) / each)))
    model, took = train(count)
    while took > seconds and count > 1:
        count = max(1, int(SHARE * count * seconds / took))
        model, took = train(count)
    return count, model, took


class _TextEncoder(nn.Module):
    """The mean of the last layer's tokens, as the sentence encoder was trained."""

    def __init__(self, weights: Path) -> None:
        super().__init__()
        self.model = AutoModel.from_pretrained(weights).float()
        self.width = self.model.config.hidden_size

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        hidden = self.model(input_ids=tokens, attention_mask=mask).last_hidden_state
        weight = mask.unsqueeze(-1).to(hidden.dtype)
        return (hidden * weight).sum(1) / weight.sum(1)


class _PictureEncoder(nn.Module):
    """A timm model without its classifier."""

    def __init__(self, weights: Path) -> None:
        super().__init__()
        self.model = timm.create_model(f"local-dir:{weights}", pretrained=True, num_classes=0)
        self.width = self.model.num_features

    def forward(self, pixels: Tensor) -> Tensor:
        return self.model(pixels)


class _Classifier(nn.Module):
    """An encoder with a fresh linear head, which gives Trainer its loss."""

    def __init__(self, encoder: Any, classes: int) -> None:
        super().__init__()
        self.encoder, self.head = encoder, nn.Linear(encoder.width, classes)

    def forward(
        self,
        *inputs: Tensor,
        labels: Tensor | None = None,
        pixels: Tensor | None = None,
        tokens: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Any:
        given = inputs or tuple(value for value in (pixels, tokens, mask) if value is not None)
        logits = self.head(self.encoder(*given))
        if labels is None:
            return logits
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


def _encoder(data: FewLabels, weights: Path) -> nn.Module:
    return _PictureEncoder(weights) if data.modality == "image" else _TextEncoder(weights)


def _inputs(data: FewLabels, weights: Path, raws: Any) -> dict[str, Tensor]:
    """Tensors by the name of the encoder's argument, (examples, ...) each."""
    if data.modality == "text":
        tokenizer = AutoTokenizer.from_pretrained(weights)
        found = tokenizer(list(raws), padding=True, truncation=True, max_length=256, return_tensors="pt")
        return {"tokens": found["input_ids"], "mask": found["attention_mask"]}
    from PIL import Image

    model = timm.create_model(f"local-dir:{weights}", pretrained=True)
    transform = timm.data.create_transform(**timm.data.resolve_data_config({}, model=model))
    return {"pixels": torch.stack([transform(Image.open(path).convert("RGB")) for path in raws])}


def _features(encoder: nn.Module, inputs: Mapping[str, Tensor]) -> np.ndarray:
    encoder.eval()
    parts = zip(*(value.split(32) for value in inputs.values()))
    with torch.inference_mode():
        return np.concatenate([encoder(*part).numpy() for part in parts])


def _predicted(model: nn.Module, inputs: Mapping[str, Tensor]) -> np.ndarray:
    return _features(model, inputs).argmax(axis=1)


def _trainer(data: FewLabels, weights: Path, seed: int, epochs: int) -> Trained:
    from transformers import Trainer, TrainingArguments

    torch.manual_seed(seed)
    model = _Classifier(_encoder(data, weights), len(data.classes))
    inputs, labels = _inputs(data, weights, data.inputs), torch.from_numpy(data.labels)
    rows = [{**{name: value[k] for name, value in inputs.items()}, "labels": labels[k]} for k in range(len(labels))]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        given = TrainingArguments(
            folder, num_train_epochs=epochs, seed=seed, report_to="none", save_strategy="no", disable_tqdm=True
        )
        began = time.monotonic()
        Trainer(model=model, args=given, train_dataset=rows).train()
        took = time.monotonic() - began
    device = next(model.parameters()).device
    tested = {name: value.to(device) for name, value in _inputs(data, weights, data.test_inputs).items()}
    return Trained(_predicted(model, tested), took, {"epochs": epochs})


def _image_learner(data: FewLabels, weights: Path, seed: int) -> Any:
    from fastai.vision.all import ImageDataLoaders, Resize, accuracy, vision_learner

    frame = pd.DataFrame({"input": list(data.inputs), "label": [data.classes[k] for k in data.labels], "held": False})
    size = min(64, len(frame))
    frame = pd.concat([frame, frame[:HELD].assign(held=True)])
    loaders = ImageDataLoaders.from_df(
        frame, path="/", valid_col="held", seed=seed, bs=size, item_tfms=Resize(224), num_workers=0
    )
    return vision_learner(loaders, f"local-dir:{weights}", metrics=accuracy)


def _text_learner(data: FewLabels, weights: Path, seed: int) -> Any:
    from fastai.basics import CrossEntropyLossFlat, DataLoader, DataLoaders, Learner, params

    torch.manual_seed(seed)
    inputs, labels = _inputs(data, weights, data.inputs), torch.from_numpy(data.labels)
    rows = [(*(value[k] for value in inputs.values()), labels[k]) for k in range(len(labels))]
    size = min(64, len(rows))
    loaders = DataLoaders(DataLoader(rows, bs=size, shuffle=True), DataLoader(rows[:HELD], bs=size))
    loaders.n_inp = len(inputs)
    model = _Classifier(_encoder(data, weights), len(data.classes))
    return Learner(
        loaders, model, loss_func=CrossEntropyLossFlat(), splitter=lambda m: [params(m.encoder), params(m.head)]
    )


def _in_order(scores: np.ndarray, names: Any, data: FewLabels) -> np.ndarray:
    """Predicted classes by the data's own numbers."""
    places = [data.classes.index(str(name)) for name in names]
    return np.array(places)[scores.argmax(axis=1)]
