"""kill -9 at a random moment, again and again, and the same command to its end: are the weights the same bit for bit?

Every tuning that trains by steps, on a tiny convolutional network or transformer with random weights, on made pictures:
with kept states of its frozen stages, with kept states of augmented views, and with nothing kept, a checkpoint after
each step. Beside these: the runner that `auto` takes, which is measured once for all fits of a case, as a clock decides
it; several steps between checkpoints, which are done again; MiniLM on made texts; and a search without a budget.

Each fit is a process of its own, killed at a moment drawn evenly over as long as the fit takes, whatever it is doing,
or as likely over as long as its training takes. The saved model and the predictions are compared with those of a fit
left in peace.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from safetensors.torch import load_file

from headstart.kernel import registry

KILLS, FULL_KILLS, QUICK_KILLS = 3, 12, 1
"""Of each case."""
PICTURES, SIDE = 96, 40
RECIPE = {"epochs": 6, "patience": 6, "batch_size": 8, "averaging": 0.8}
PREFIXED = {"partial": {}, "lp_ft": {"last": 1}, "lora": {"last": 1}, "head_only": {}}
"""Tunings of which stages can stay frozen, and the settings that freeze them."""
CONVOLUTIONAL, TRANSFORMER = "test_resnet", "test_vit"
AT_HOME = ("lora", "bias_only")
"""In transformers; the one here has a single stage, of which nothing can stay frozen."""

TEXT = "all-MiniLM-L6-v2"
SOME_STEPS = 0.2
"""Seconds between checkpoints."""

SEARCHED = {"tunings": ["partial", "full"], "epochs": 3}

PATIENCE = 300.0
SHARE_IN_TRAINING = 0.5

PROCESSES = get_context("forkserver")
PROCESSES.set_forkserver_preload(
    ["headstart.verbs.fit", "headstart.engine.training.loop", "torch", "timm", "benchmarks.resume"]
)


@dataclass(frozen=True)
class Case:
    """One kind of fit."""

    tuning: str
    network: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Of the tuning."""
    augmentation: str = "none"
    views: int | None = None
    runner: str = "eager"
    spacing: float = 0.0
    """Seconds from one checkpoint to the next; 0 for one after each step."""

    @property
    def name(self) -> str:
        """For the details."""
        kept = "" if self.augmentation == "none" else f", {self.augmentation}"
        kept += "" if self.views is None else f" on {self.views} kept views"
        kept += "" if self.runner == "eager" else f", runner {self.runner}"
        kept += f", {self.spacing:g} s between checkpoints" if self.spacing else ""
        return f"{self.tuning}{' ' + str(dict(self.settings)) if self.settings else ''} of {self.network}{kept}"

    @property
    def request(self) -> Mapping[str, Any]:
        """For `headstart.fit`, beside data and run folder."""
        settings: dict[str, Any] = {"tuning": {**RECIPE, **self.settings}}
        settings |= {} if self.network == TEXT else {"backbone": {"image_size": 64}}
        settings |= {} if self.views is None else {"augmentation": {"views": self.views}}
        return {
            "backbone": self.network,
            "weights": "pretrained" if self.network == TEXT else "random",
            "runner": self.runner,
            "tuning": self.tuning,
            "augmentation": self.augmentation,
            "scratch": False,
            "settings": settings,
        }


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:
    """Three kills of each case; one with `quick`, twelve with `full`."""
    kills = QUICK_KILLS if quick else FULL_KILLS if full else KILLS
    draws = np.random.default_rng(time.time_ns())
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        pictures, texts = _pictures(Path(folder) / "pictures"), _texts(Path(folder) / "texts.csv")
        for number, case in enumerate(_cases()):
            work, data = Path(folder) / str(number), texts if case.network == TEXT else pictures
            found[case.name] = _killed_and_resumed(case, data, work, kills, draws)
    bits = sum(one["differing_bits"] for one in found.values())
    count = sum(one["kills"] for one in found.values())
    return {"resume.differing_bits": float(bits), "resume.kills": float(count)}, found


def _cases() -> list[Case]:
    """All of them."""
    return [*_tunings(), *_beside()]


def _tunings() -> list[Case]:
    """Every tuning by steps as it is, and those with frozen stages in every way of keeping what leaves them."""
    tunings = [name for name in registry.names("tuning") if not registry.plugin("tuning", name).solved]
    whole = [name for name in tunings if name not in PREFIXED or PREFIXED[name]]
    cases = [Case(name, TRANSFORMER if name in AT_HOME else CONVOLUTIONAL) for name in whole]
    for name, frozen in PREFIXED.items():
        cases += [
            Case(name, CONVOLUTIONAL, frozen),
            Case(name, CONVOLUTIONAL, frozen, "crop", 2),
            Case(name, CONVOLUTIONAL, frozen, "crop", 0),
        ]
    return cases


def _beside() -> list[Case]:
    """What a user has without asking for it: the measured runner, spaced checkpoints, real texts, a search."""
    spaced = [Case(name, CONVOLUTIONAL, runner="auto", spacing=SOME_STEPS) for name in ("full", "partial", "gradual")]
    texts = [
        Case("full", TEXT, {"epochs": 2}, spacing=SOME_STEPS),
        Case("partial", TEXT, {"epochs": 4}, runner="auto", spacing=SOME_STEPS),
    ]
    searches = [Case("auto", CONVOLUTIONAL, SEARCHED), Case("auto", CONVOLUTIONAL, SEARCHED, runner="auto")]
    return [*spaced, *texts, *searches]


def _texts(path: Path) -> Path:
    """Two classes of made sentences."""
    lines = [f"this one is {('fine', 'poor')[number % 2]} number {number},{number % 2}" for number in range(PICTURES)]
    path.write_text("\n".join(["text,label", *lines]) + "\n", encoding="utf-8")
    return path


def _pictures(folder: Path) -> Path:
    """Two classes of noise that a network can tell apart."""
    draws = np.random.default_rng(0)
    for number in range(PICTURES):
        pixels = draws.integers(0, 200, (SIDE, SIDE, 3), dtype=np.uint8)
        kind = ("dim", "bright")[number % 2]
        path = folder / kind / f"{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels + np.uint8(50 * (number % 2))).save(path)
    return folder


def _killed_and_resumed(case: Case, data: Path, work: Path, kills: int, draws: np.random.Generator) -> dict[str, Any]:
    """Counts of kills, by what the fit had just kept, and of bits that differ in the end."""
    began = time.perf_counter()
    _finish(_started(case, data, work / "peace"))
    long = time.perf_counter() - began
    times = json.loads((work / "peace" / "run" / "record.json").read_text(encoding="utf-8"))["times"]
    training = next(seconds for step, seconds in times.items() if step.startswith(("training", "the search")))
    moments: Counter[str] = Counter()
    bits = attempt = 0
    while moments.total() < kills:
        attempt += 1
        folder = work / str(attempt)
        if case.runner == "auto":
            _give_choice(work / "peace" / "cache", folder / "cache")
        while moments.total() < kills:
            victim = _started(case, data, folder)
            if draws.random() < SHARE_IN_TRAINING:
                _wait_for_training(victim, folder)
                victim.join(draws.uniform(0, training))
            else:
                victim.join(draws.uniform(0, long))
            if not victim.is_alive():
                break
            os.kill(victim.pid, signal.SIGKILL)
            victim.join()
            moments[_moment(folder)] += 1
        if not (folder / "run" / "record.json").exists():
            _finish(_started(case, data, folder))
        bits += _differing_bits(work / "peace" / "run", folder / "run")
    return {"kills": moments.total(), "differing_bits": bits, "moments": dict(moments), "seconds": round(long, 1)}


def _give_choice(source: Path, cache: Path) -> None:
    """The runner that was measured there is the one here: another one would have other last bits."""
    (cache / "memo").mkdir(parents=True)
    for path in (source / "memo").glob("runners*"):
        shutil.copy(path, cache / "memo")


def _started(case: Case, data: Path, folder: Path) -> Any:
    process = PROCESSES.Process(target=_fit, args=(case, data, folder))
    process.start()
    return process


def _finish(process: Any) -> None:
    process.join(PATIENCE)
    if process.exitcode != 0:
        raise RuntimeError(f"a fit ended with {process.exitcode}; its message stands above")


def _fit(case: Case, data: Path, folder: Path) -> None:
    """In a process of its own."""
    import headstart
    from headstart.engine.training import loop

    os.environ["HEADSTART_CACHE"] = str(folder / "cache")
    loop.CHECKPOINT_SECONDS = case.spacing
    headstart.fit(data, out=folder / "run", **case.request)


def _moment(folder: Path) -> str:
    """What a fit that was killed had done by then."""
    if (folder / "run" / "record.json").exists():
        return "after the record"
    return "in training" if _in_training(folder) else "before the first step"


def _in_training(folder: Path) -> bool:
    return any((folder / "run" / "work").glob("*.checkpoint"))


def _wait_for_training(process: Any, folder: Path) -> None:
    while process.is_alive() and not _in_training(folder):
        time.sleep(0.005)


def _differing_bits(one: Path, other: Path) -> int:
    """Between the saved weights; a file of predictions that differs counts as a bit."""
    mine, theirs = (load_file(folder / "model" / "model.safetensors") for folder in (one, other))
    if mine.keys() != theirs.keys():
        raise RuntimeError(f"{one} and {other} hold weights of other names")
    bits = 0
    for name, tensor in mine.items():
        pair = (np.frombuffer(value.contiguous().numpy().tobytes(), np.uint8) for value in (tensor, theirs[name]))
        bits += int(np.unpackbits(np.bitwise_xor(*pair)).sum())
    predictions = [(folder / "test_predictions.csv").read_bytes() for folder in (one, other)]
    return bits + (predictions[0] != predictions[1])
