"""The speed of the frozen pass against every fixed setting, alone and with two busy processes beside it.

Fixed are runner, precision, and PyTorch's threads for each batch; the pass itself takes what was chosen for all inputs
while the machine was quiet, and measures again where it becomes slow. All take turns on the same part of the inputs: in
each round in an order that is drawn, and in that order back, so that a machine that becomes slower or faster meanwhile
does the same to all. A share is the median over rounds of the ratio of two settings' times in the same round. Only the
quiet half needs cores that nobody else uses.
"""

from __future__ import annotations

import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import torch

from benchmarks._data import data_folder, own_cache
from headstart.contracts.backbone import Backbone
from headstart.contracts.examples import Examples, Schema
from headstart.contracts.runner import CannotRun, Runner
from headstart.engine.frozen.content_keys import content_keys
from headstart.engine.frozen.execution import described
from headstart.engine.frozen.feature_spec import FeatureSpec
from headstart.engine.frozen.runner_choice import Choice
from headstart.engine.store.feature_store import FeatureStore
from headstart.kernel import registry
from headstart.kernel.errors import first_line
from headstart.kernel.processor import cores
from headstart.pipeline.embed import choice_of_runner, embed

CPU = torch.device("cpu")
ROUNDS = {"alone": 8, "busy": 3}
"""Each of two passes of every setting."""
BUSY = 2
TIMED = {"texts": 512, "pictures": 256}
RUNNERS = ("eager", "autocast", "openvino")
"""All but torch.compile, which takes a minute to set up."""


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:  # noqa: ARG001
    """The least share, over kinds of inputs, of the best fixed setting's speed."""
    torch.set_num_threads(cores())
    details: dict[str, Any] = {"cores": cores()}
    with own_cache():
        for name, made in {"texts": _texts, "pictures": _pictures}.items():
            backbone, examples = made()
            details[name] = _measure(backbone, examples, TIMED[name] // (8 if quick else 1), quick)
    kinds = [found for found in details.values() if isinstance(found, dict)]
    measured = {f"threads.{state}": min(found[state]["share"] for found in kinds) for state in ("alone", "busy")}
    return dict(measured), details


def _measure(backbone: Backbone, examples: Examples, timed: int, quick: bool) -> dict[str, Any]:
    """State of the machine -> the share, and inputs per second of all settings."""
    spec, keys = FeatureSpec.all_stages(backbone), content_keys(examples).keys
    kinds = [registry.plugin("runners", name) for name in RUNNERS]
    choice = choice_of_runner(backbone, examples, keys, spec, None)
    every = len(examples) // timed
    examples, keys = examples.take(range(0, timed * every, every)), keys[: timed * every : every]
    settings: dict[str, Runner | Choice] = {_named(one): one for kind in kinds for one in kind.variants(CPU)}
    settings["ours"] = choice
    found: dict[str, Any] = {"chosen": _named(choice.runner), "reason": choice.reason, "inputs": len(examples)}

    def one_pass(runner: Runner | Choice) -> float:
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            embed(backbone, examples, spec, keys=keys, runner=runner, store=FeatureStore(Path(folder)))
            return time.perf_counter() - began

    for name, setting in [*settings.items()]:
        try:
            one_pass(setting)  # compiles its graph
        except CannotRun as error:
            found.setdefault("refused", {})[name] = first_line(error).replace(backbone.name, "the model")
            del settings[name]
    for state, processes in (("alone", 0), ("busy", BUSY)):
        with _busy(processes):
            passes: dict[str, Callable[[], float]] = {name: partial(one_pass, one) for name, one in settings.items()}
            seconds = _in_turns(passes, 1 if quick else ROUNDS[state])
        speed = {name: 2 * len(examples) / statistics.median(times) for name, times in seconds.items()}
        best = max(speed.keys() - {"ours"}, key=lambda name: speed[name])
        ratios = [other / own for other, own in zip(seconds[best], seconds["ours"])]
        rounded = {name: round(value, 1) for name, value in speed.items()}
        found[state] = {"share": statistics.median(ratios), "best": best, "inputs_per_second": rounded}
        found[state]["share_of_each_round"] = [round(ratio, 3) for ratio in ratios]
    return found


def _in_turns(candidates: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Seconds of the two passes of each round."""
    seconds: dict[str, list[float]] = {name: [0.0] * rounds for name in candidates}
    draws = random.Random(0)
    for number in range(rounds):
        order = draws.sample(sorted(candidates), len(candidates))
        for name in (*order, *reversed(order)):
            seconds[name][number] += candidates[name]()
    return seconds


@contextmanager
def _busy(number: int) -> Iterator[None]:
    """Processes that compute without end."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(number)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _named(runner: Runner) -> str:
    found = described(runner)
    threads = found["settings"].get("threads")
    each = "" if threads is None else f", {threads or 'all'} threads for each batch"
    return f"{found['plugin']}, {runner.precision}{each}"


def _texts() -> tuple[Backbone, Examples]:
    files = sorted((data_folder() / "data" / "text_sst2").glob("*.csv"))
    texts = list(dict.fromkeys(pd.concat([pd.read_csv(file) for file in files])["text"]))
    backbone = registry.plugin("backbones", "hf_text")(reference="all-MiniLM-L6-v2").load()
    columns = {"text": texts, "origin": [str(row) for row in range(len(texts))]}
    return backbone, Examples(pa.table(columns), Schema(modality="text", inputs=("text",), origin="origin"))


def _pictures() -> tuple[Backbone, Examples]:
    files = sorted((data_folder() / "data" / "da_pacs").rglob("*.jpg"))
    weights = str(data_folder() / "weights" / "mobilenetv2_100_imagenet")
    backbone = registry.plugin("backbones", "timm_images")(reference=weights).load()
    table = pa.table({"path": [str(file) for file in files]})
    return backbone, Examples(table, Schema(modality="image", inputs=("path",), origin="path"))
