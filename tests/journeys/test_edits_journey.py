"""Edited backbones from the command line: the table, the measured cost, the run that predicts as it was trained."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.torch import save_file

import headstart
from conftest import Command
from headstart.backbones.timm_images import TimmImages


@pytest.fixture
def resnet(tmp_path: Path) -> tuple[str, ...]:
    """Flags of a tiny ResNet whose weights lie in a file."""
    module = TimmImages(reference="test_resnet", weights="random").load().module
    save_file({key: value.contiguous() for key, value in module.state_dict().items()}, tmp_path / "weights.safetensors")
    given = ("--backbone", "test_resnet", "--weights", str(tmp_path / "weights.safetensors"), "--no-label-curve")
    return (*given, "--set", "backbone.image_size=32", "--no-scratch")


def test_edits_are_shown_priced_and_saved(photos: Path, resnet: tuple[str, ...], headstart_command: Command) -> None:
    edits = ("--set", "backbone.channels=1", "--set", "backbone.drop_stages=1", "--set", "backbone.pool=gem")
    done = headstart_command("fit", photos, *resnet, *edits, "--tuning", "head_only", "--out", "run")
    assert done.code == 0, done.err
    for row in ("conv1.0.weight", "16x1x3x3", "layer4.0", "own_pool.power"):
        assert row in done.err
    run = headstart.load("run")
    cost = next(one for one in run.record.decisions if one.what == "edits")
    assert "of a probe is" in cost.reason and "training examples" in cost.reason
    assert [row.weights for row in run.record.edits][:1] == [
        "adapted"
    ] and "Edits of the architecture" in run.report.read_text()
    assert run.model.backbone.width == 192 and len(run.model.backbone.stages) == 4
    again = headstart.evaluate("run").figures["accuracy"].value
    assert again == pytest.approx(run.metrics["test"]["accuracy"]["value"], abs=1e-9)


def test_a_learnt_pooling_needs_a_stage_that_moves(
    photos: Path, resnet: tuple[str, ...], headstart_command: Command
) -> None:
    attention = ("--set", "backbone.pool=attention", "--set", "backbone.image_size=64")
    for tuning in ("probe", "head_only"):
        refused = headstart_command("fit", photos, *resnet, *attention, "--tuning", tuning)
        assert refused.code == 2 and "new weights in stage 5 of 5, layer4" in refused.err
    short = tuple(f"--set=tuning.{one}" for one in ("epochs=2", "last=1", "learning_rate=0.01", "precision=float32"))
    assert (
        headstart_command("fit", photos, *resnet, *attention, "--tuning", "partial", *short, "--out", "run").code == 0
    )
    query = headstart.load("run").model.backbone.module.global_pool.query
    assert query.abs().max() > 0
