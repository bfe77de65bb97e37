"""Files to pooled features, against the usual way: Pillow, torchvision's transforms, DataLoader, PyTorch in float32.

Three kinds of files, five networks at 224 px, 2 loading workers. Weights are random, as only time matters, save those
of MobileNetV2. Features are for a probe: bfloat16 that is more than 1 % off is taken by its error alone, and what a
probe makes of it is measured by `precision_by_use`. Ours is the pass of a `fit`: hash the files, read, run, store. Two
things that a first `fit` does besides are not in it: choosing the runner and compiling its graph, which an earlier pass
has done (what that cost is in the details), and decoding every file once more, JPEGs at a reduced size, to find near
copies. The additive bound is `t_decode / cores + t_runner`, each measured alone in the same run.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from PIL import Image

from benchmarks._data import data_folder, own_cache
from benchmarks._parity import parity, reduced_decoding
from headstart.contracts.backbone import Backbone
from headstart.contracts.carriers import State
from headstart.contracts.examples import Examples, Schema
from headstart.contracts.modality import raws_of
from headstart.contracts.runner import CannotRun, Execute, Runner
from headstart.engine.device import cores
from headstart.engine.frozen.choose_runner import choose_runner
from headstart.engine.frozen.coarser_runner import choose_coarser
from headstart.engine.frozen.content_keys import content_keys
from headstart.engine.frozen.extract import extract
from headstart.engine.frozen.feature_spec import FeatureSpec, FrozenSegment
from headstart.engine.frozen.pass_key import pass_key
from headstart.engine.frozen.runner_choice import Choice
from headstart.engine.store.feature_store import FeatureStore
from headstart.kernel import registry
from headstart.kernel.files import hash_json

NETWORKS = {
    "resnet18": 1280,
    "resnet50": 320,
    "mobilenetv3_large_100": 1280,
    "mobilenetv2_100": 1280,
    "vit_small_patch16_224": 320,
}
"""timm name -> how many images ours is timed on; the usual way, steady from its second batch, takes a fifth of them."""

WEIGHTS = {"mobilenetv2_100": "mobilenetv2_100_imagenet"}
SHORT = {
    "mobilenetv3_large_100": "mobilenetv3_large",
    "mobilenetv2_100": "mobilenetv2",
    "vit_small_patch16_224": "vit_small",
}
MADE = {"500x375": (500, 375), "1024x768": (1024, 768)}
FILES = 1300
"""Of each kind; the runner is chosen for all of them."""
TILE, QUALITY, BATCH, REPEATS = 256, 90, 32, 3
CPU = torch.device("cpu")


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:  # noqa: ARG001
    """Speed against the usual way and the bound, parity with real weights, and what reduced decoding costs."""
    measured: dict[str, float | None] = {}
    details: dict[str, Any] = {}
    shares = []
    with tempfile.TemporaryDirectory() as folder:
        files = _files(Path(folder), 64 if quick else FILES)
        for name, images in NETWORKS.items():
            for kind, paths in files.items():
                found = _measure(name, paths, 64 if quick else images, 1 if quick else REPEATS)
                short = SHORT.get(name, name)
                measured[f"frozen_pass.{short}.{kind}"] = found["times_faster"]
                shares.append(found["share_of_bound"])
                details[f"{short}, {kind}"] = found
                if name == "resnet50" and not quick:
                    found["int8_milliseconds"] = _int8(name, paths[:images])
    errors, decoding = parity(), reduced_decoding()
    measured["frozen_pass.share_of_bound"] = 100 * min(shares)
    measured["frozen_pass.parity"] = 100 * max(errors.values())
    measured["frozen_pass.reduced_decoding"] = abs(decoding["together"])
    return measured, {"passes": details, "parity": errors, "reduced_decoding": decoding, "cores": cores()}


def _files(folder: Path, count: int) -> dict[str, list[Path]]:
    """Real pictures of 128 px, and larger JPEGs made of them."""
    small = sorted(path for path in (data_folder() / "data" / "da_pacs").rglob("*.jpg"))
    step = max(1, len(small) // count)
    found = {"128x128": small[::step][:count]}
    for name, (width, height) in MADE.items():
        draws = np.random.default_rng(width)
        found[name] = [folder / name / f"{number:05d}.jpg" for number in range(count)]
        (folder / name).mkdir()
        for path in found[name]:
            picture = Image.new("RGB", (width, height))
            for left in range(0, width, TILE):
                for top in range(0, height, TILE):
                    with Image.open(small[draws.integers(len(small))]) as tile:
                        picture.paste(tile.convert("RGB").resize((TILE, TILE)), (left, top))
            picture.save(path, quality=QUALITY)
    return found


def _measure(name: str, files: list[Path], images: int, repeats: int) -> dict[str, Any]:
    """Medians of seconds per image, each way once per round."""
    kind = registry.plugin("backbones", "timm_images")
    own = str(data_folder() / "weights" / WEIGHTS[name]) if name in WEIGHTS else ""
    backbone: Backbone = (kind(reference=own) if own else kind(reference=name, weights="random")).load()
    everything = pa.table({"path": [str(path) for path in files]})
    all_examples = Examples(everything, Schema(modality="image", inputs=("path",), origin="path"))
    paths, examples = files[:images], all_examples.take(range(images))
    with own_cache():
        began = time.perf_counter()
        given = backbone, all_examples, content_keys(all_examples).keys, FeatureSpec(), CPU
        exact = choose_runner(*given)
        choice = choose_coarser(*given, exact) or exact
        runner = choice.runner
        choosing = time.perf_counter() - began
        candidates: dict[str, Callable[[], float]] = {
            "usual": lambda: _usual(name, paths[: BATCH + images // 5]),
            "ours": lambda: _ours(backbone, examples, choice) / images,
            "decode": lambda: _decode(backbone, paths[: images // 2]) / (images // 2),
            "runner": lambda: _runner(backbone, examples, runner),
        }
        rounds = [{candidate: measure() for candidate, measure in candidates.items()} for _ in range(repeats)]
    each = {candidate: statistics.median(one[candidate] for one in rounds) for candidate in candidates}
    bound = each["decode"] / cores() + each["runner"]
    return {
        "times_faster": each["usual"] / each["ours"],
        "share_of_bound": bound / each["ours"],
        "images": len(paths),
        "milliseconds_per_image": {candidate: round(1000 * seconds, 3) for candidate, seconds in each.items()},
        "runner": f"{registry.name_of(runner)} {runner.precision}",
        "gate": "by use" if choice.by_use else "within 1 %",
        "choosing_seconds": round(choosing, 1),
    }


def _int8(name: str, paths: list[Path]) -> float | None:
    """Milliseconds per image of the network alone in int8, whatever the gate says; None without NNCF."""
    backbone = registry.plugin("backbones", "timm_images")(reference=name, weights="random").load()
    examples = Examples(
        pa.table({"path": [str(path) for path in paths]}), Schema(modality="image", inputs=("path",), origin="path")
    )
    try:
        with own_cache():
            return 1000 * _runner(backbone, examples, registry.plugin("runners", "openvino")(computes_in="int8"))
    except CannotRun:
        return None


def _usual(name: str, paths: list[Path]) -> float:
    """In a process of its own, which nothing of ours has touched."""
    listed = "\n".join(map(str, paths))
    command = [sys.executable, "-m", "benchmarks._usual_pass", name]
    answer = subprocess.run(command, input=listed, capture_output=True, text=True, check=True)
    return float(answer.stdout)


def _ours(backbone: Backbone, examples: Examples, choice: Choice) -> float:
    with tempfile.TemporaryDirectory() as store:
        began = time.perf_counter()
        keys = content_keys(examples).keys
        kept = FeatureStore(Path(store))
        found = extract(backbone, examples, keys, runner=choice.runner, store=kept, device=CPU, by_use=choice.by_use)
        found.pooled()
        return time.perf_counter() - began


def _decode(backbone: Backbone, paths: list[Path]) -> float:
    reader = backbone.reader()
    if reader is None:
        raise TypeError(f"{backbone.name} has no reader")
    torch.set_num_threads(1)
    try:
        began = time.perf_counter()
        for path in paths:
            reader(path)
        return time.perf_counter() - began
    finally:
        torch.set_num_threads(cores())


def _runner(backbone: Backbone, examples: Examples, runner: Runner) -> float:
    """Seconds per image of the network alone, on pixels that are there."""
    reader = backbone.reader()
    if reader is None:
        raise TypeError(f"{backbone.name} has no reader")
    batch = State(torch.from_numpy(np.stack([reader(raw) for raw in raws_of(examples, range(BATCH))])))
    segment, key = FrozenSegment(backbone, FeatureSpec()), hash_json(pass_key(backbone, FeatureSpec()))
    execute = runner.start(segment, batch, CPU, key)
    with ThreadPoolExecutor(execute.at_once) as pool:
        for _ in pool.map(execute, _batches(batch, execute)):
            pass
        began = time.perf_counter()
        rounds = max(execute.at_once, len(examples) // BATCH // 2)
        for _ in pool.map(execute, [batch] * rounds):
            pass
        return (time.perf_counter() - began) / (rounds * BATCH)


def _batches(batch: State, execute: Execute) -> Iterator[State]:
    return (batch for _ in range(execute.at_once))
