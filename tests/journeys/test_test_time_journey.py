"""Predicting with a model that adapts to the inputs: what changes, what stays as it is, and what is refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from small_data import photo_folder

import headstart
from conftest import Command
from headstart.contracts.backbone import state_hash
from headstart.contracts.carriers import Batch
from headstart.contracts.features import Features
from headstart.contracts.model import load_model
from headstart.contracts.test_time import Adaptation, AdaptedModel, TestTime
from headstart.engine.adapted_pass import AdaptedPass
from headstart.pipeline.data import read_examples


def content(folder: Path) -> dict[str, str]:
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def washed_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The two classes in pictures of less contrast."""
    root = photo_folder(tmp_path_factory.mktemp("data") / "washed", {"dark": 9, "light": 9}, seed=3)
    for path in root.rglob("*.png"):
        Image.fromarray((128 + 0.3 * np.asarray(Image.open(path), float)).clip(0, 255).astype(np.uint8)).save(path)
    return root


@pytest.mark.parametrize("name", ["adaptive_batch_norm", "tent"])
def test_a_prediction_adapts_the_same_each_time_and_leaves_the_run_alone(
    name: str, photo_run: Path, washed_out: Path, headstart_command: Command
) -> None:
    run, before = headstart.load(photo_run), content(photo_run)
    assert isinstance(run, headstart.Run)
    weights = state_hash(run.model.backbone.module.state_dict())
    plain = run.predict(washed_out)
    adapted = [run.predict(washed_out, test_time=name)["confidence"].tolist() for _ in range(2)]
    assert adapted[0] == adapted[1] != plain["confidence"].tolist()
    assert run.predict(washed_out)["confidence"].tolist() == plain["confidence"].tolist()
    assert state_hash(run.model.backbone.module.state_dict()) == weights
    ended = headstart_command("predict", photo_run, washed_out, "--test-time", name, "--out", "found.csv")
    assert ended.code == 0, ended.err
    assert "normalised by the statistics of 18 inputs" in ended.err
    assert ("depends on the inputs before it" in ended.err) == (name == "tent")
    assert content(photo_run) == before


def test_an_evaluation_has_the_figures_with_and_without(
    photo_run: Path, washed_out: Path, headstart_command: Command
) -> None:
    ended = headstart_command("evaluate", photo_run, washed_out, "--test-time", "adaptive_batch_norm", "--json")
    found = json.loads(ended.out)
    gain, plain = found["adaptation"]["difference"], found["as_trained"]["accuracy"]["value"]
    assert found["test_time"] == "adaptive_batch_norm"
    assert gain["value"] == pytest.approx(found["figures"]["accuracy"]["value"] - plain)
    assert gain["low"] <= gain["value"] <= gain["high"]
    assert (
        found["as_trained"]["accuracy"]["value"] == headstart.evaluate(photo_run, washed_out).figures["accuracy"].value
    )
    assert "With --test-time adaptive_batch_norm Accuracy" in found["notes"][0]


def test_a_single_input_is_predicted_by_the_model_as_it_was_saved(
    photo_run: Path, washed_out: Path, headstart_command: Command
) -> None:
    one = next(washed_out.rglob("*.png"))
    plain = headstart.predict(photo_run, [str(one)])
    for name in ("adaptive_batch_norm", "tent"):
        ended = headstart_command("predict", photo_run, one, "--test-time", name, "--json")
        assert "single input" in ended.err
        found = json.loads(ended.out)["predictions"][0]
        assert found["confidence"] == pytest.approx(plain["confidence"][0], abs=1e-5)


@pytest.mark.parametrize(
    ("run", "data", "flags", "words"),
    [
        ("review_run", "reviews_csv", ["--test-time", "adaptive_batch_norm"], "has no BatchNorm layers"),
        ("number_run", "numbers_csv", ["--test-time", "tent"], "which regression does not have"),
        ("photo_run", "photos", ["--test-time", "tents"], "Did you mean 'tent'?"),
        ("photo_run", "photos", ["--set", "test_time.rate=0.1"], "would do nothing without --test-time"),
        ("photo_run", "photos", ["--test-time", "tent", "--set", "test_time.rte=1"], "Did you mean 'rate'?"),
        ("photo_run", "photos", ["--set", "tuning.rate=0.1"], "--set tuning: predict takes settings of format"),
    ],
)
def test_what_cannot_be_adapted_is_refused_by_name(
    run: str, data: str, flags: list[str], words: str, headstart_command: Command, request: pytest.FixtureRequest
) -> None:
    folder, given = (request.getfixturevalue(name) for name in (run, data))
    ended = headstart_command("predict", folder, given, *flags)
    assert ended.code != 0
    assert words in " ".join(ended.err.split())


def test_layer_norm_adapts_by_tent(review_run: Path, reviews_csv: Path, headstart_command: Command) -> None:
    plain = headstart.predict(review_run, reviews_csv)["confidence"].to_numpy()
    flags = ("--test-time", "tent", "--set", "test_time.rate=0.05", "--set", "test_time.reliable=1.0", "--json")
    ended = headstart_command("predict", review_run, reviews_csv, *flags)
    found = np.array([row["confidence"] for row in json.loads(ended.out)["predictions"]])
    assert "Tent took 2 steps" in ended.err
    assert np.abs(found - plain).max() > 1e-4


def test_gradients_are_off_while_inputs_are_seen_and_no_mode_reaches_who_reads_the_predictions(
    photo_run: Path, washed_out: Path
) -> None:
    seen: list[bool] = []

    class Seeing(Adaptation):
        looks, batch_size = True, 6

        def __init__(self, model: AdaptedModel) -> None:
            self.model = model

        def look(self, batches: Iterable[Batch], examples: int) -> None:
            seen.extend(torch.is_grad_enabled() for _ in batches)

        def features(self, batch: Batch) -> Features:
            return self.model.run(batch)[0]

        def notes(self) -> tuple[str, ...]:
            return ()

    class Sees(TestTime):
        title = "seeing"

        def begin(self, model: AdaptedModel) -> Adaptation:
            return Seeing(model)

    model = load_model(photo_run / "model")
    examples, _ = read_examples(washed_out, model.columns)
    adapted = AdaptedPass(model, Sees(), torch.device("cpu"), lambda: examples)
    assert [torch.is_inference_mode_enabled() for _ in adapted(examples)] == [False] * 3 == seen
