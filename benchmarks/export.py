"""Do exported models give what the house's own give, how long does an export take, and how fast does it run?

Twelve cases: four architectures of pictures, masks on two of them, boxes, texts as classes, label sets and spans, a
table, and a task that writes texts, which is refused. Each run is fitted on a small sample (nothing is trained but a
head), exported to ONNX and to OpenVINO, and replayed. A case holds where both gates hold and the replay agrees, or a
reason is given.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import torch

import headstart
from benchmarks._data import data_folder, own_cache
from headstart.contracts.carriers import State
from headstart.engine.frozen.execution import runner_of
from headstart.engine.frozen.feature_spec import FeatureSpec, FrozenSegment
from headstart.kernel.errors import HeadstartError
from headstart.pipeline.exporting.artefact import read_golden
from headstart.verbs.export import replay

RUNTIMES = ("onnx", "openvino")
ROUNDS, BATCH = 15, 32


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:
    """All cases (`quick`: the table, one of pictures and one of texts)."""
    del full
    names = ["table", "resnet18", "texts"] if quick else list(CASES)
    with own_cache(), TemporaryDirectory() as place:
        details = {name: _case(name, Path(place)) for name in names}
        speed = _speed(Path(place), "resnet18")
    held = sum(all("fault" not in found for found in case.values()) for case in details.values())
    measured: dict[str, float | None] = {
        "export.cases": 100 * held / len(details),
        "export.resnet18": details["resnet18"]["onnx"]["seconds"],
        "export.openvino_speed": speed["exported"] / speed["own"],
    }
    return measured, {"cases": details, "pictures_per_second": speed}


def _case(name: str, place: Path) -> dict[str, dict[str, Any]]:
    """What came of each runtime."""
    data, options = CASES[name]()
    try:
        run = headstart.fit(data, out=place / name, scratch=False, label_curve=False, **options)
    except HeadstartError as error:
        return {"fit": {"fault": str(error)}}
    return {runtime: _exported(run.folder, data, runtime, place / f"{name}-{runtime}") for runtime in RUNTIMES}


def _exported(run: Path, data: Any, runtime: str, out: Path) -> dict[str, Any]:
    started = time.perf_counter()
    try:
        found = headstart.export(run, to=runtime, out=out, data=data).exported
        seconds = round(time.perf_counter() - started, 2)
        replay(out)
    except HeadstartError as error:
        reason = str(error).partition(f"to {runtime}: ")[2]
        return {"refused": reason} if "no exported graph" not in reason and reason else {"fault": str(error)}
    gate = {"difference": found.gate.difference, "examples": found.gate.examples, "ties": found.gate.ties}
    return {"way": found.way, "seconds": seconds, **gate}


def _speed(place: Path, name: str) -> dict[str, float]:
    """Pictures per second of the house's own pass, and of the exported graph at the same settings, by turns."""
    model = headstart.load(place / name).model  # type: ignore[union-attr]
    pixels = read_golden(place / f"{name}-openvino")["input"]["input"]
    batch = np.ascontiguousarray(pixels[np.arange(BATCH) % len(pixels)])
    state, segment = State(torch.from_numpy(batch)), FrozenSegment(model.backbone, FeatureSpec())
    own = runner_of(model.execution).start(segment, state, torch.device("cpu"))
    other = _compiled(place / f"{name}-openvino" / "model.xml", str(model.execution.get("precision")))
    ways: dict[str, Callable[[], Any]] = {"own": lambda: own(state), "exported": lambda: other(batch)}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(ROUNDS):
        for way, compute in ways.items():
            with _timed(seconds[way]):
                compute()
    return {way: round(BATCH / statistics.median(found[2:]), 1) for way, found in seconds.items()}


def _compiled(file: Path, precision: str) -> Callable[[np.ndarray], Any]:
    import openvino

    hint = {"INFERENCE_PRECISION_HINT": "bf16" if precision == "bfloat16" else "f32"}
    compiled = openvino.Core().compile_model(file, "CPU", {**hint, "NUM_STREAMS": str(torch.get_num_threads())})
    request = compiled.create_infer_request()
    return lambda batch: request.infer([batch], share_inputs=True)


@contextmanager
def _timed(seconds: list[float]) -> Iterator[None]:
    started = time.perf_counter()
    yield
    seconds.append(time.perf_counter() - started)


Case = tuple[Any, dict[str, Any]]


def _pictures(backbone: str, **options: Any) -> Case:
    files = sorted((data_folder() / "data" / "img_ants_bees" / "train").glob("*/*.jpg"))[::3]
    frame = pd.DataFrame({"image": map(str, files), "label": [file.parent.name for file in files]})
    return frame, {"image": "image", "label": "label", "backbone": backbone, **options}


def _random(name: str) -> Callable[[], Case]:
    return lambda: _pictures(name, weights="random")


def _own(name: str) -> str:
    return str(data_folder() / "weights" / name)


def _masks(backbone: str, **options: Any) -> Callable[[], Case]:
    task = {"task": {"image_side": 128, "decoder": "linear"}}
    return lambda: (str(data_folder() / "data" / "seg_isbi_em"), {"backbone": backbone, "settings": task, **options})


def _boxes() -> Case:
    task = {"task": {"image_side": 160}, "tuning": {"epochs": 2}}
    source = str(data_folder() / "data" / "det_bccd")
    how = {"task": "detection", "format": "voc", "tuning": "head_only", "backbone": _own("mobilenetv2_100_imagenet")}
    return source, {**how, "settings": task}


def _texts(file: str, rows: int, **options: Any) -> Callable[[], Case]:
    def made() -> Case:
        frame = pd.read_csv(data_folder() / "data" / file).head(rows)
        return frame, {"backbone": "all-MiniLM-L6-v2", **options}

    return made


def _spans() -> Case:
    return str(data_folder() / "data" / "ner_wnut17"), {"backbone": "all-MiniLM-L6-v2"}


def _table() -> Case:
    draws = np.random.default_rng(0).normal(size=(400, 4))
    frame = pd.DataFrame(draws, columns=["a", "b", "c", "d"])
    return frame.assign(y=frame["a"] - 2 * frame["b"] + 0.1 * frame["c"]), {"label": "y"}


def _translation() -> Case:
    pairs = pd.DataFrame(
        {"en": [f"the {w} is here" for w in "abcdefgh" * 8], "de": [f"das {w}" for w in "abcdefgh" * 8]}
    )
    settings = {"tuning": {"epochs": 1}}
    how = {"task": "generation", "tuning": "full", "backbone": "seq2seq_small"}
    return pairs, {"text": "en", "label": "de", **how, "settings": settings}


CASES: dict[str, Callable[[], Case]] = {
    "resnet18": _random("resnet18"),
    "vit_tiny": _random("vit_tiny_patch16_224"),
    "mobilenetv2": lambda: _pictures(_own("mobilenetv2_100_imagenet")),
    "efficientnet": lambda: _pictures(_own("tf_efficientnet_lite0")),
    "masks, resnet18": _masks("resnet18", weights="random"),
    "masks, mobilenetv2": lambda: _masks(_own("mobilenetv2_100_imagenet"))(),
    "boxes": _boxes,
    "texts": _texts("text_sst2/dev.csv", 300, text="text", label="label"),
    "label sets": _texts("text_nlupp_multilabel/nlupp.csv", 400, text="text", label="intents", task="multilabel"),
    "spans": _spans,
    "table": _table,
    "translation": _translation,
}
