"""Headstart's side of the speed of fine-tuning: whole fits, the parts of their loops, and the pieces of one alone.

A fit's seconds are those of its frozen pass and of its training. Where stages move, training begins with a pass of its
own up to them, and the pass and probe that come first are evidence beside it, not counted here; the whole call has
figures of its own. The runner was chosen and its graph compiled in a fit before; its features are thrown away.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pyarrow as pa
import torch
from torch import Tensor, nn

import headstart
from benchmarks._data import own_cache
from benchmarks._tuning_cases import BATCH, HEAD_RATE, STAGE_RATE, Case, Pictures
from headstart.contracts.backbone import Backbone
from headstart.contracts.carriers import State
from headstart.contracts.examples import Examples, Schema
from headstart.engine.frozen.choose_runner import choose_runner
from headstart.engine.frozen.content_keys import content_keys
from headstart.engine.frozen.extract import extract
from headstart.engine.frozen.feature_spec import FeatureSpec, FrozenSegment
from headstart.engine.store.feature_store import FeatureStore
from headstart.engine.training.loop import Loop
from headstart.engine.training.precision import chosen_precision, computing_in
from headstart.engine.training.validation import Validation
from headstart.kernel import registry
from headstart.objectives.supervised import Supervised

PASS = "the frozen pass"
STEPS = 8
"""Of a piece, that are timed."""
PASSES = 5
"""That are timed: a single one of 1.2 s came out at 0.9 and at 1.7."""
CPU = torch.device("cpu")
PARTS: Sequence[tuple[Any, str, str]] = (
    (Loop, "run", "loop"),
    (Validation, "__call__", "validation"),
    (Supervised, "losses", "forward"),
    (Tensor, "backward", "backward"),
    (torch.optim.AdamW, "step", "optimiser"),
)
"""Class, method and what its time is called."""


def ours(case: Case, data: Pictures, rounds: int, *, alone: bool) -> dict[str, Any]:
    """Fits after an unmeasured one; with `alone` the pieces too."""
    with own_cache() as cache:
        _fit(case, data, cache)
        fits = [_fit(case, data, cache) for _ in range(rounds)]
        return {"fits": fits, **({"pieces": _pieces(case, data)} if alone else {})}


def _fit(case: Case, data: Pictures, cache: Path) -> dict[str, Any]:
    """Seconds by the record's own clock and of the loop's parts, and which of the judged pictures are right."""
    shutil.rmtree(cache / "features", ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder, _parts_timed() as loop:
        began = time.perf_counter()
        run = headstart.fit(
            data.frame(),
            image="picture",
            label="label",
            part="part",
            augmentation="none",
            scratch=False,
            out=Path(folder) / "run",
            **case.headstart,
        )
        whole = time.perf_counter() - began
        times = run.record.times
        found = run.predict(list(data.paths["judged"])) if case.real else None
    training = next(seconds for step, seconds in times.items() if step.startswith("training"))
    seconds = training if case.moving else training + times[PASS]
    predicted = [] if found is None else [data.classes.index(name) for name in found["prediction"]]
    return {"seconds": seconds, "whole": whole, "times": dict(times), "loop": loop, "predicted": predicted}


def _pieces(case: Case, data: Pictures) -> dict[str, float]:
    """Seconds per picture, each piece alone: the pass, a step of what moves, and its validation."""
    name = case.headstart["backbone"]
    backbone: Backbone = registry.plugin("backbones", "timm_images")(
        reference=name, weights=case.headstart["weights"]
    ).load()
    paths = [*data.paths["train"], *data.paths["val"]]
    start = len(backbone.stages) - case.stages(len(backbone.stages))
    found = {"pass": 0.0}
    if start:
        spec = FeatureSpec("state", start) if case.moving else FeatureSpec.all_stages(backbone)
        examples = Examples(pa.table({"path": paths}), Schema(modality="image", inputs=("path",), origin="path"))
        keys = content_keys(examples).keys
        runner = choose_runner(backbone, examples, keys, spec, CPU).runner
        seconds = []
        for _ in range(PASSES):
            with tempfile.TemporaryDirectory() as store:
                began = time.perf_counter()
                extract(backbone, examples, keys, spec, runner=runner, store=FeatureStore(Path(store)), device=CPU)
                seconds.append(time.perf_counter() - began)
        found = {"pass": statistics.median(seconds) / len(paths)}
    return {**found, **_suffix(backbone, start, paths[:BATCH], len(data.classes))}


def bound(case: Case, data: Mapping[str, int], windows: Mapping[str, float]) -> float:
    """Seconds of one pass and of all epochs, if nothing beside the pieces took any."""
    train, val = data["train"], data["val"]
    epoch = train * windows["step"] + val * windows["validation"]
    return float((train + val) * windows["pass"] + case.epochs * epoch)


def _suffix(backbone: Backbone, start: int, paths: Sequence[str], classes: int) -> dict[str, float]:
    """What moves, on states that are there, in the precision of the training."""
    state = backbone.prepare([Path(path) for path in paths])
    with torch.no_grad():
        hidden = FrozenSegment(backbone, FeatureSpec("state", start), 0).eval()(state).hidden if start else state.hidden
    if hidden.ndim == 4:
        hidden = hidden.contiguous(memory_format=torch.channels_last)
    backbone.module.to(memory_format=torch.channels_last)
    moving = {name for stage in backbone.stages[start:] for name in stage.parameters}
    for name, parameter in backbone.module.named_parameters():
        parameter.requires_grad_(name in moving)
    stages = [p for p in backbone.module.parameters() if p.requires_grad]
    head, labels = nn.Linear(backbone.width, classes), torch.arange(len(hidden)) % classes
    groups = [{"params": stages, "lr": STAGE_RATE}, {"params": [*head.parameters()], "lr": HEAD_RATE}]
    optimiser = torch.optim.AdamW([group for group in groups if group["params"]], fused=True)
    suffix = backbone.segment(start, len(backbone.stages)) if start < len(backbone.stages) else nn.Identity()
    precision = chosen_precision("auto", CPU)
    pooled = backbone.features(State(hidden)).pooled if start == len(backbone.stages) else None

    def logits() -> Tensor:
        with computing_in(precision, CPU):
            features = backbone.features(suffix(State(hidden))).pooled if pooled is None else pooled
            return head(features.float()).float()

    def step() -> None:
        nn.functional.cross_entropy(logits(), labels).backward()
        optimiser.step()
        optimiser.zero_grad()

    def validation() -> None:
        with torch.inference_mode():
            logits()

    return {"step": _each(step) / len(hidden), "validation": _each(validation) / len(hidden)}


def _each(work: Callable[[], None]) -> float:
    """Seconds of one of several in a row, after two that are not measured."""
    for _ in range(2):
        work()
    began = time.perf_counter()
    for _ in range(STEPS):
        work()
    return (time.perf_counter() - began) / STEPS


@contextmanager
def _parts_timed() -> Iterator[dict[str, float]]:
    """Within it the seconds are taken of the loop, of its validation and of a step's three parts, on a CPU.

    By the clock: the events that torch's profiler keeps lie between the blocks of the steps, and the page faults that
    this brings were 10 % of a loop which has 2 to 3 % outside of its parts without them.
    """
    spent = dict.fromkeys((name for _, _, name in PARTS), 0.0)

    def timed(function: Callable[..., Any], name: str) -> Callable[..., Any]:
        def inner(*given: Any, **named_given: Any) -> Any:
            began = time.perf_counter()
            try:
                return function(*given, **named_given)
            finally:
                spent[name] += time.perf_counter() - began

        return inner

    with ExitStack() as patches:
        for owner, method, name in PARTS:
            patches.enter_context(patch.object(owner, method, timed(getattr(owner, method), name)))
        yield spent
