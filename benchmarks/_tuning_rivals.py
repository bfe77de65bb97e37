"""The usual ways to train some stages of a network on pictures: a plain loop, transformers' Trainer, fastai.

All get the same network with the same stages moving, the same files, rates, batches and epochs, and validate after each
epoch; BatchNorm keeps its statistics. Pictures are read and prepared in every epoch by two loading workers, as these
libraries' documentations have it, and a frozen stage takes no gradient. Loading libraries and weights does not count.
Each epoch is timed, with its validation; the first one has what the training sets up.
"""

from __future__ import annotations

import importlib
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import timm
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from benchmarks._tuning_cases import BATCH, HEAD_RATE, STAGE_RATE, Case, Pictures

WORKERS = 2
SEED = 0


class Tuned(NamedTuple):
    """What a way came to."""

    epochs: Sequence[float]
    """Seconds of each."""
    predicted: np.ndarray
    """(judged pictures,) int64."""


class PartlyFrozen(nn.Module):
    """A network of which some modules and the classifier move; all others, and BatchNorm, stay in evaluation mode."""

    def __init__(self, case: Case, classes: int) -> None:
        super().__init__()
        torch.manual_seed(SEED)
        self.network = timm.create_model(case.name, pretrained=case.real, num_classes=classes)
        self.head = self.network.get_classifier()
        self.moving = [module for name, module in self.network.named_modules() if name in case.moving]
        for parameter in self.network.parameters():
            parameter.requires_grad_(False)
        for module in (*self.moving, self.head):
            module.requires_grad_(True)

    def forward(self, pixels: Tensor, labels: Tensor | None = None) -> Any:
        """Logits; with labels what Trainer asks for."""
        logits = self.network(pixels)
        if labels is None:
            return logits
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}

    def train(self, mode: bool = True) -> Self:
        """Only what moves."""
        super().train(False)
        self.training = mode
        for module in self.moving if mode else ():
            module.train()
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def groups(self) -> list[dict[str, Any]]:
        """For an optimiser: stages and head at their rates."""
        head = list(self.head.parameters())
        own = {id(parameter) for parameter in head}
        stages = [p for p in self.network.parameters() if p.requires_grad and id(p) not in own]
        both = ((stages, STAGE_RATE), (head, HEAD_RATE))
        return [{"params": parameters, "lr": rate} for parameters, rate in both if parameters]

    def transform(self) -> Callable[[Any], Tensor]:
        """The network's own preparation."""
        data = timm.data.resolve_data_config({}, model=self.network)
        return timm.data.create_transform(**data)


class Files(Dataset[Any]):
    """Pictures that are read and prepared when they are asked for."""

    def __init__(
        self, files: list[tuple[str, int]], transform: Callable[[Any], Tensor], *, named: bool = False
    ) -> None:
        self.files, self.transform, self.named = files, transform, named

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, row: int) -> Any:
        path, label = self.files[row]
        with Image.open(path) as picture:
            pixels = self.transform(picture.convert("RGB"))
        return {"pixels": pixels, "labels": label} if self.named else (pixels, label)


def plain(case: Case, data: Pictures) -> Tuned:
    """PyTorch as its tutorials have it, in float32."""
    model = PartlyFrozen(case, len(data.classes))
    train, val = (_loader(data, part, model) for part in ("train", "val"))
    ends = [time.perf_counter()]
    optimiser = torch.optim.AdamW(model.groups())
    for _ in range(case.epochs):
        model.train()
        for pixels, labels in train:
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(pixels), labels).backward()
            optimiser.step()
        _validate(model, val)
        ends.append(time.perf_counter())
    return Tuned(_between(ends), _predicted(model, data))


def plain_bfloat16(case: Case, data: Pictures) -> Tuned:
    """The same as fast as plain PyTorch goes: autocast, channels last, a fused optimiser, pictures kept in memory."""
    model = PartlyFrozen(case, len(data.classes)).to(memory_format=torch.channels_last)
    train, val = ([*_loader(data, part, model)] for part in ("train", "val"))
    train, val = ([(p.contiguous(memory_format=torch.channels_last), n) for p, n in part] for part in (train, val))
    ends = [time.perf_counter()]
    optimiser = torch.optim.AdamW(model.groups(), fused=True)
    for _ in range(case.epochs):
        model.train()
        for pixels, labels in train:
            optimiser.zero_grad()
            with torch.autocast("cpu", torch.bfloat16):
                logits = model(pixels)
            nn.functional.cross_entropy(logits.float(), labels).backward()
            optimiser.step()
        with torch.autocast("cpu", torch.bfloat16):
            _validate(model, val)
        ends.append(time.perf_counter())
    return Tuned(_between(ends), _predicted(model, data))


def trainer(case: Case, data: Pictures) -> Tuned:
    """transformers' Trainer with its linear decay."""
    from transformers import Trainer, TrainerCallback, TrainingArguments

    class Clock(TrainerCallback):
        def on_evaluate(self, *_: Any, **__: Any) -> None:
            ends.append(time.perf_counter())

    model = PartlyFrozen(case, len(data.classes))
    train, val = (Files(data.of(part), model.transform(), named=True) for part in ("train", "val"))
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        given = TrainingArguments(
            folder,
            num_train_epochs=case.epochs,
            per_device_train_batch_size=BATCH,
            per_device_eval_batch_size=BATCH,
            eval_strategy="epoch",
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
            seed=SEED,
            dataloader_num_workers=WORKERS,
            dataloader_persistent_workers=True,
        )
        optimiser = torch.optim.AdamW(model.groups())
        data_sets = {"train_dataset": train, "eval_dataset": val}
        made = Trainer(model=model, args=given, optimizers=(optimiser, None), callbacks=[Clock()], **data_sets)
        ends = [time.perf_counter()]
        made.train()
    return Tuned(_between(ends), _predicted(model, data))


def fastai(case: Case, data: Pictures) -> Tuned:
    """fastai's Learner with its one-cycle policy."""
    from fastai.basics import Callback, CrossEntropyLossFlat, DataLoaders, Learner, accuracy
    from fastai.basics import DataLoader as FastLoader

    class Clock(Callback):
        def after_epoch(self) -> None:
            ends.append(time.perf_counter())

    importlib.import_module("fastai.callback.all")  # gives Learner fit_one_cycle and no_bar
    model = PartlyFrozen(case, len(data.classes))
    shared: dict[str, Any] = {"bs": BATCH, "num_workers": WORKERS, "persistent_workers": True, "device": "cpu"}
    train, val = (Files(data.of(part), model.transform()) for part in ("train", "val"))
    loaders = DataLoaders(FastLoader(train, shuffle=True, **shared), FastLoader(val, **shared), device="cpu")
    groups = model.groups()
    learner = Learner(
        loaders,
        model,
        loss_func=CrossEntropyLossFlat(),
        metrics=accuracy,
        splitter=lambda _: [group["params"] for group in groups],
    )
    ends = [time.perf_counter()]
    with learner.no_bar(), learner.no_logging():
        learner.fit_one_cycle(case.epochs, np.array([group["lr"] for group in groups]), cbs=Clock())
    return Tuned(_between(ends), _predicted(model, data))


RIVALS: Mapping[str, Callable[[Case, Pictures], Tuned]] = {
    "plain": plain,
    "trainer": trainer,
    "fastai": fastai,
    "plain_bfloat16": plain_bfloat16,
}


def _between(ends: Sequence[float]) -> list[float]:
    return np.diff(ends).tolist()


def _loader(data: Pictures, part: str, model: PartlyFrozen) -> DataLoader[Any]:
    files = Files(data.of(part), model.transform())
    return DataLoader(files, BATCH, shuffle=part == "train", num_workers=WORKERS, persistent_workers=True)


def _validate(model: PartlyFrozen, batches: Any) -> float:
    model.eval()
    with torch.inference_mode():
        return float(sum((model(pixels).argmax(1) == labels).sum() for pixels, labels in batches))


def _predicted(model: PartlyFrozen, data: Pictures) -> np.ndarray:
    """Of the judged pictures, where the weights are such that they say something."""
    if not data.paths["judged"]:
        return np.empty(0, np.int64)
    model.eval()
    with torch.inference_mode():
        return np.concatenate([model(pixels).argmax(1).numpy() for pixels, _ in _loader(data, "judged", model)])
