"""Training from scratch counts only where it trained, and what is claimed over it says so everywhere."""

from __future__ import annotations

import re
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from small_data import OFFLINE

import headstart
from conftest import Command
from headstart.search import scratch_length
from tiny_text_models import save_tiny


def test_a_scratch_that_was_cut_off_is_never_beaten_without_a_word(
    headstart_command: Command, photos: Path, here: Path
) -> None:
    ended = headstart_command("fit", photos, *OFFLINE, "--set", "scratch.epochs=1", "--seeds", 2, "--out", "run")
    assert ended.code == 0, ended.err
    said = " ".join(ended.out.split())
    assert re.search(r"(s|S)cratch was cut off after 1 of \d+ epochs in 2 of 2 runs", said), said
    for folder in ("run", "run/seed-0", "run/seed-1"):
        run = headstart.load(folder)
        report = run.report.read_text(encoding="utf-8")
        assert "cut off after 1 of" in run.verdict and "cut off after 1 of" in report
        assert "Transfer helps" not in said + run.verdict + report
        (scratch,) = (one for one in run.record.comparisons if one.against == "scratch")
        assert scratch.verdict != "better" and {"classical", "constant"} < run.record.arms.keys()
        assert {one.against for one in run.record.comparisons} == {"scratch", "classical", "constant"}
    singles = [headstart.load(f"run/seed-{seed}").record.comparisons for seed in (0, 1)]
    for one, *both in zip(headstart.load("run").record.comparisons, *singles):
        assert {one.against} == {single.against for single in both}
        assert one.difference.value == pytest.approx(fmean(single.difference.value for single in both))
    arm = headstart.load("run/seed-0").record.arms["scratch"]
    assert arm.chosen["epochs"] == 1 and int(arm.chosen["epochs_planned"]) > 1 and "all 1" not in arm.stopped


@pytest.mark.parametrize("kind", ["texts", pytest.param("pictures", marks=pytest.mark.slow)])
def test_a_small_network_stands_in_where_the_large_one_is_cut_off(
    kind: str, photos: Path, reviews_csv: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(scratch_length.OPERATIONS, "cpu", 1.0)  # eight steps
    plain: dict[str, Any] = {"runner": "eager", "label_curve": False, "out": here / "run"}
    if kind == "texts":
        bert = save_tiny(here / "bert", "bert", num_hidden_layers=4, hidden_size=64, intermediate_size=256)
        run = headstart.fit(reviews_csv, text="review", label="mood", backbone=str(bert), **plain)
    else:
        settings = {"backbone": {"image_size": 32}}
        run = headstart.fit(photos, backbone="resnet10t", weights="random", settings=settings, **plain)
    scratch = run.record.arms["scratch"]
    (told,) = (one for one in run.record.decisions if one.what == "network of training from scratch")
    assert "small network from scratch 100.0 %, on validation" in told.reason, "it was trained to its end"
    assert re.search(r"from scratch [\d.]+ % \(cut off after \d+ of 100 epochs\)", told.reason)
    assert told.value == scratch.title
    assert scratch.figures["accuracy"].value > 0.9
    assert "cut off after" in run.verdict and "Transfer helps" not in run.verdict
    if kind == "texts":  # eight steps are enough for dark and light pictures
        assert scratch.title == "small network from scratch" and "over a small network from scratch" in run.verdict
        assert scratch.chosen["epochs"] == scratch.chosen["epochs_planned"] == 100


def test_a_small_backbone_needs_no_smaller_one(photos: Path, here: Path) -> None:
    run = headstart.fit(
        photos, backbone="test_resnet", weights="random", settings={"scratch": {"epochs": 1}}, out=here / "run"
    )
    assert run.record.arms["scratch"].title == "test_resnet from scratch"
    assert not [one for one in run.record.decisions if one.what == "network of training from scratch"]
