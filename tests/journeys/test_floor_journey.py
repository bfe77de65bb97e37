"""A fine-tuning with a budget: a cut is told first, and the run predicts with the better of fine-tuning and probe."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_data import OFFLINE, photo_folder

import headstart
from headstart.kernel.errors import RunError

Command = Callable[..., Any]


@pytest.fixture(scope="module")
def shipped(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> headstart.Run:
    """A run whose fine-tuning was no better than the probe."""
    settings = {"tuning": {"epochs": 1, "learning_rate": 1e-12, "head_learning_rate": 1e-12}}
    given: dict[str, Any] = {"backbone": "test_resnet", "weights": "random", "scratch": False, "settings": settings}
    return headstart.fit(photos, tuning="full", budget=600, out=tmp_path_factory.mktemp("runs") / "still", **given)


def test_the_probe_is_shipped_where_the_fine_tuning_is_no_better_and_that_one_is_kept(
    shipped: headstart.Run, photos: Path, here: Path
) -> None:
    record, tuned = shipped.record, shipped.tuned
    assert list(record.arms)[:2] == ["model", "tuned"] and record.arms["model"].title.startswith("linear probe")
    assert record.arms["model"].fit_on == ("train", "val")
    assert "so the probe is the model" in record.verdict and "kept in the folder 'tuned'" in record.verdict
    assert "so the probe is the model" in shipped.report.read_text()
    assert not record.cut_off and not record.arms["tuned"].cut_off
    given: dict[str, Any] = {"backbone": "test_resnet", "weights": "random", "scratch": False}
    probe = headstart.fit(photos, tuning="probe", out=here / "probe", **given)
    assert probe.predict(photos).equals(shipped.predict(photos)), "the very model of a fit that asks for the probe"
    assert tuned is not None
    beside = headstart.load(tuned)
    assert beside.record.arms["model"].title.startswith("full tuning") and beside.record.arms["probe"].title
    assert beside.record.arms["model"].figures == record.arms["tuned"].figures
    assert not beside.predict(photos).equals(shipped.predict(photos))
    assert beside.evaluate().n == record.data.parts[-1].examples


def test_both_are_backbones_and_can_be_continued(shipped: headstart.Run, here: Path) -> None:
    more = photo_folder(here / "more", {"dark": 12, "light": 12}, seed=5)
    quick: dict[str, Any] = {"runner": "eager", "scratch": False, "label_curve": False, "overwrite": True}
    for folder in (shipped.folder, shipped.tuned):
        name = f"test_resnet from run {Path(str(folder)).name}"
        used = headstart.fit(more, backbone=str(folder), out=here / "used", **quick)
        assert used.record.arms["model"].title == f"linear probe on {name}"
        further = headstart.fit(more, from_run=folder, budget=60, out=here / "on", **quick)
        assert further.plan.tuning == "full" and further.plan.settings["tuning"]["learning_rate"] == 1e-12
        assert further.tuned is None and further.record.arms["model"].title == f"full tuning of {name}"
        assert further.record.decisions and len(further.record.arms["model"].history) > 1, "epochs are planned anew"
        assert "without --from" in further.record.verdict or "WORSE" not in further.record.verdict


def test_a_fine_tuning_that_is_better_is_the_model(headstart_command: Command, photos: Path, here: Path) -> None:
    rates = (
        "--runner",
        "eager",
        "--set",
        "tuning.epochs=30",
        "--set",
        "tuning.learning_rate=0.01",
        "--set",
        "tuning.batch_size=8",
    )
    alone = ("--no-scratch", "--no-label-curve", "--out", "run")
    wide = photo_folder(here / "wide", {f"c{n}": 20 for n in range(5)})
    ended = headstart_command("fit", wide, *OFFLINE, "--tuning", "full", *rates, "--budget", "10m", *alone)
    assert ended.code == 0, ended.err
    run = headstart.load("run")
    beats = "beats the frozen probe." in run.verdict
    assert beats == (run.tuned is None) == ("probe" in run.record.arms)
    assert ("Tuned:" in ended.out) != beats and Path("run/tuned").exists() != beats


@pytest.mark.parametrize(
    ("budget", "said"), [("2s", r"(made [\d,]+ of [\d,]+ (epochs|steps)|was not begun)"), ("0.1s", "was not begun")]
)
def test_a_cut_is_told_first(headstart_command: Command, photos: Path, here: Path, budget: str, said: str) -> None:
    endless = ("--set", "tuning.epochs=1000000", "--set", "tuning.patience=1000000", "--no-scratch")
    ended = headstart_command("fit", photos, *OFFLINE, "--tuning", "full", *endless, "--budget", budget, "--out", "run")
    assert ended.code == 0, ended.err
    record = json.loads(Path("run/record.json").read_text())
    assert re.match(rf"CUT OFF by the budget: full tuning of test_resnet {said}", record["verdict"])
    assert record["cut_off"] and " ".join(ended.out.split()).startswith("CUT OFF by the budget")
    assert "epochs done" not in Path("run/report.html").read_text()


def test_a_run_without_a_fine_tuning_beside_it_names_none(photo_run: Path) -> None:
    assert headstart.load(photo_run).tuned is None
    with pytest.raises(RunError, match="tuned"):
        headstart.load(photo_run / "tuned").predict("x")
