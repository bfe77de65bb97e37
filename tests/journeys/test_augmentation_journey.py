"""Augmentation as a user asks for it: several at once, kept views, averaging, and refusals with their reasons."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_data import OFFLINE

import headstart
from headstart.pipeline.plan import read_plan

BACKBONE = {"backbone": "test_resnet", "weights": "random", "scratch": False}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))


def fit(photos: Path, out: str, augmentation: str, tuning: str = "head_only", **more: Any) -> headstart.Run:
    settings = {"backbone": {"image_size": 32}, "tuning": {"epochs": 3}, "augmentation": more}
    return headstart.fit(photos, out=out, tuning=tuning, augmentation=augmentation, settings=settings, **BACKBONE)


def decisions(run: headstart.Run) -> dict[str, tuple[str, str]]:
    return {decision.what: (decision.value, decision.reason) for decision in run.record.decisions}


def test_a_head_trains_on_kept_views_and_the_plan_repeats_it(photos: Path, here: Path) -> None:
    run = fit(photos, "run", "crop+flip+manifold_mixup", **{"crop.scale": [0.5, 1.0], "views": 2})
    told = decisions(run)
    assert told["kept views"] == (
        "2 of each training example",
        "augmentation.views was given; the frozen stages run once on each",
    )
    assert "accuracy on validation changes by" in told["test-time views"][1]
    plan = read_plan(here / "run" / "plan.toml")
    assert plan.augmentation == "crop+flip+manifold_mixup"
    again = headstart.fit(here / "run" / "plan.toml", out="again")
    frames = [one.predict(photos).drop(columns="error") for one in (run, again)]
    np.testing.assert_allclose(frames[0]["confidence"], frames[1]["confidence"], atol=1e-6)


def test_what_was_averaged_in_training_is_averaged_ever_after(
    photos: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from headstart.evidence.comparison import Difference, compare

    def always_better(*given: Any, **more: Any) -> Difference:
        return compare(*given, **more)._replace(verdict="better")

    monkeypatch.setattr("headstart.pipeline.view_averaging.compare", always_better)
    run = fit(photos, "run", "crop", test_views=2)
    assert decisions(run)["test-time views"][0] == "2, beside the input as it is"
    described = json.loads((here / "run" / "model" / "model.json").read_text())
    views = described["execution"]["views"]
    assert views["count"] == 2 and views["augmentation"][0]["plugin"] == "crop"
    test = run.evaluate().figures["accuracy"].value
    assert test == pytest.approx(run.metrics["test"]["accuracy"]["value"])
    frame = headstart.load(here / "run").predict(photos)
    del views, described["execution"]["views"]
    (here / "run" / "model" / "model.json").write_text(json.dumps(described))
    record = json.loads((here / "run" / "record.json").read_text())
    del record["model_hash"]  # which binds the run to the model as it was saved
    (here / "run" / "record.json").write_text(json.dumps(record))
    plain = headstart.load(here / "run").predict(photos)
    assert not np.allclose(frame["confidence"], plain["confidence"], atol=1e-6)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--augmentation", "crop+flop", "--tuning", "full"], "augmentation 'flop' is not known. Did you mean 'flip'"),
        (["--augmentation", "token_dropout", "--tuning", "full"], "changes text inputs, the data are image"),
        (
            ["--augmentation", "crop+mixup", "--tuning", "head_only", "--set", "augmentation.views=3"],
            "mixup mixes inputs",
        ),
        (["--augmentation", "crop", "--tuning", "full", "--set", "augmentation.views=3"], "leaves no stage frozen"),
        (
            ["--augmentation", "crop+flip", "--tuning", "full", "--set", "augmentation.scale=1"],
            "augmentation.crop.scale",
        ),
        (["--augmentation", "mixup", "--tuning", "full", "--set", "augmentation.test_views=3"], "makes no views"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(
    photos: Path, headstart_command: Any, flags: list[str], said: str
) -> None:
    ended = headstart_command("fit", photos, *OFFLINE, "--no-scratch", *flags)
    assert ended.code != 0
    assert said in " ".join((ended.out + ended.err).split())
