"""Features of several stages for tokens and maps: fit, saved, and predicted with; what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from test_segmentation_journey import SHORT
from test_segmentation_journey import fit as fit_masks
from test_tagging_journey import conll

import headstart
from headstart.kernel.errors import SettingsError
from masked_pictures import save_pairs
from tiny_text_models import save_tiny

MULTI = {"features": "multi"}


@pytest.mark.parametrize("tuning", ["probe", "partial"])
def test_a_tagger_reads_tokens_of_several_layers(tuning: str, tmp_path: Path) -> None:
    model = save_tiny(tmp_path / "tiny", "bert")
    settings: dict[str, Any] = {"backbone": MULTI}
    settings |= {} if tuning == "probe" else {"tuning": {"epochs": 2, "last": 2}}
    data = conll(tmp_path, 60)
    run = headstart.fit(
        data, out=tmp_path / "run", backbone=str(model), tuning=tuning, scratch=False, runner="eager", settings=settings
    )
    assert run.model.backbone.width == 128 == run.model.heads["head"].in_features
    truths = pd.read_csv(tmp_path / "run" / "test_predictions.csv")["prediction"].tolist()
    found = headstart.evaluate(tmp_path / "run")
    assert len(truths) and found.figures["f1"].value == pytest.approx(run.metrics["test"]["f1"]["value"], abs=1e-6)


@pytest.mark.parametrize("tuning", ["probe", "partial"])
def test_a_segmenter_reads_all_maps_of_each_stride(tuning: str, tmp_path: Path) -> None:
    data = save_pairs(tmp_path / "data", range(16))
    settings = {"backbone": {**SHORT["backbone"], **MULTI}}
    plain, run = (
        fit_masks(data, tmp_path / name, tuning, settings=more) for name, more in (("plain", {}), ("multi", settings))
    )
    before, after = plain.model.backbone.maps(), run.model.backbone.maps()
    assert [level.stride for level in after] == [level.stride for level in before]
    assert sum(level.channels for level in after) > sum(level.channels for level in before)
    found = headstart.evaluate(tmp_path / "multi")
    assert found.figures["dice"].value == pytest.approx(run.metrics["test"]["dice"]["value"], abs=1e-6)


def test_the_layer_view_reads_words_and_pixels_at_every_stage(tmp_path: Path) -> None:
    model = save_tiny(tmp_path / "tiny", "bert")
    tagged = headstart.fit(
        conll(tmp_path, 30), out=tmp_path / "words", backbone=str(model), scratch=False, runner="eager", layers=True
    )
    settings = {"tuning": {"epochs": 1, "depth": "auto"}, "backbone": {"image_size": 64}}
    masked = fit_masks(save_pairs(tmp_path / "data", range(24)), tmp_path / "pixels", "partial", settings=settings)
    for run, noun, shares in ((tagged, "words", 7), (masked, "pixels", 5)):
        layers = run.record.layers
        assert layers is not None and layers.metric.title == f"Balanced accuracy of {noun}"
        assert [row.name for row in layers.stages] == [stage.name for stage in run.record.stages][-shares:]
        assert max(row.figure.value for row in layers.stages) > 0.4 and 'id="layers"' in run.report.read_text()
    assert masked.record.layers is not None
    last = masked.plan.settings["tuning"]["last"]
    assert last == max(1, len(masked.record.stages) - 1 - masked.record.layers.ends)


def test_what_has_no_stages_and_what_is_no_choice_is_refused(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": range(40), "y": range(40)})
    with pytest.raises(SettingsError, match="features"):
        headstart.fit(frame, label="y", out=tmp_path / "run", settings={"backbone": MULTI})
