"""One process of the benchmark of learning without labels: a program on a folder of pictures, or its memory.

python -m benchmarks._pretraining_speed_cell headstart|lightly|memory FOLDER NUMBER
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

BATCH, SIDE, RATE = 256, 32, 0.06
LOOKS_PER_SECOND = 10


class Timers:
    """Seconds spent in functions, by name; what is called within another counts for both."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    def on(self, owner: Any, function: str, name: str) -> None:
        """Count a method or a function of a module."""
        inner: Callable[..., Any] = getattr(owner, function)

        def timed(*given: Any, **named: Any) -> Any:
            began = time.perf_counter()
            try:
                return inner(*given, **named)
            finally:
                self.seconds[name] += time.perf_counter() - began

        setattr(owner, function, timed)


def of_headstart(folder: str, epochs: int) -> dict[str, float]:
    """Seconds of the best epoch after the first, and the share that is lost over all after it."""
    import torch
    from torch import nn

    import headstart
    from headstart.engine import streams
    from headstart.engine.frozen.lazy_inputs import LazyInputs
    from headstart.engine.training.loop import Loop
    from headstart.engine.training.stepping import Stepper

    timers, at_epoch = Timers(), []
    timers.on(Stepper, "__call__", "step")
    timers.on(Stepper, "_gradients_of", "computing")
    timers.on(nn.utils, "clip_grad_norm_", "computing")
    timers.on(torch.optim.AdamW, "step", "computing")
    timers.on(LazyInputs, "screen", "reading")
    timers.on(LazyInputs, "__call__", "reading")
    timers.on(streams, "augmented", "augmentation")
    judge = Loop._judge

    def noting(loop: Any, seconds: float) -> None:
        at_epoch.append((seconds, dict(timers.seconds)))
        judge(loop, seconds)
        timers.seconds.clear()

    setattr(Loop, "_judge", noting)  # noqa: B010
    settings: dict[str, dict[str, Any]] = {
        "backbone": {"image_size": SIDE},
        "training": {"epochs": epochs, "batch_size": BATCH},
        "augmentation": {"blur": 0.0},
    }
    with tempfile.TemporaryDirectory() as out:
        headstart.pretrain(
            folder,
            backbone="resnet18",
            weights="random",
            objective="simclr",
            settings=settings,
            out=Path(out, "run"),
        )
    lost = [_lost(seconds, spent) / seconds for seconds, spent in at_epoch[1:]]
    return {"seconds": min(seconds for seconds, _ in at_epoch[1:]), "lost": sum(lost) / len(lost)}


def _lost(whole: float, spent: dict[str, float]) -> float:
    """What is neither computing nor waiting for augmentation."""
    waiting = whole - spent["step"]
    feeding = spent["reading"] + spent["augmentation"]
    return waiting * spent["reading"] / feeding + spent["step"] - spent["computing"]


def of_lightly(folder: str, epochs: int) -> dict[str, float]:
    """The loop of lightly's example, on as many pictures as Headstart trains on."""
    import torch
    import torchvision
    from lightly.data import LightlyDataset
    from lightly.loss import NTXentLoss
    from lightly.models.modules import SimCLRProjectionHead
    from lightly.transforms.simclr_transform import SimCLRTransform
    from torch import nn

    class SimCLR(nn.Module):
        def __init__(self, backbone: nn.Module) -> None:
            super().__init__()
            self.backbone = backbone
            self.projection_head = SimCLRProjectionHead(512, 512, 128)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.projection_head(self.backbone(x).flatten(start_dim=1))

    resnet = torchvision.models.resnet18()
    model = SimCLR(nn.Sequential(*list(resnet.children())[:-1]))
    transform = SimCLRTransform(input_size=SIDE, gaussian_blur=0.0)
    dataset = torch.utils.data.Subset(LightlyDataset(folder, transform=transform), range(_trained_on(folder)))
    dataloader = torch.utils.data.DataLoader(
        dataset,
        batch_size=BATCH,
        shuffle=True,
        drop_last=True,
        num_workers=os.cpu_count() or 2,
        persistent_workers=True,
    )
    criterion, optimizer = NTXentLoss(), torch.optim.SGD(model.parameters(), lr=RATE)
    times = []
    for _ in range(epochs):
        began, seen = time.perf_counter(), 0
        for batch in dataloader:
            x0, x1 = batch[0]
            loss = criterion(model(x0), model(x1))
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            seen += len(x0)
        times.append((time.perf_counter() - began) * len(dataset) / seen)
    return {"seconds": min(times[1:])}


def _trained_on(folder: str) -> int:
    """How many pictures Headstart does not hold out."""
    from headstart.contracts.format import Columns
    from headstart.pipeline.pretraining.unlabelled import read_unlabelled

    return len(read_unlabelled(folder, Columns(), None, 0).train)


def of_memory(folder: str, steps: int) -> dict[str, float]:
    """Private memory in MB at its highest up to so many steps, and the seconds to the first one."""
    import psutil

    import headstart
    from headstart.engine.training.stepping import Stepper

    process, peak, first, done = psutil.Process(), [0.0], [0.0], [0]
    began = process.create_time()

    def watch() -> None:
        while True:
            peak[0] = max(peak[0], process.memory_full_info().uss / 1e6)
            time.sleep(1 / LOOKS_PER_SECOND)

    class Enough(Exception):
        pass

    make = Stepper.__call__

    def counting(*given: Any) -> float:
        first[0] = first[0] or time.time() - began
        done[0] += 1
        if done[0] > steps:
            raise Enough
        return make(*given)

    setattr(Stepper, "__call__", counting)  # noqa: B010
    threading.Thread(target=watch, daemon=True).start()
    settings: dict[str, dict[str, Any]] = {"backbone": {"image_size": SIDE}, "training": {"batch_size": BATCH}}
    with tempfile.TemporaryDirectory() as out, contextlib.suppress(Enough):
        headstart.pretrain(
            folder,
            backbone="test_resnet",
            weights="random",
            objective="simclr",
            settings=settings,
            out=Path(out, "run"),
        )
    return {"peak_mb": peak[0], "first_step": first[0]}


if __name__ == "__main__":
    program, pictures, number = sys.argv[1:]
    with contextlib.redirect_stdout(sys.stderr):
        found = {"headstart": of_headstart, "lightly": of_lightly, "memory": of_memory}[program](pictures, int(number))
    print(json.dumps(found), flush=True)
    os._exit(0)  # a batch may be in the making still
