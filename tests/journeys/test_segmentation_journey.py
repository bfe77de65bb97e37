"""From pictures with masks to predicted masks, by the probe and the tunings that end most differently, and what is
refused; `tests/conformance/test_tuning_conformance.py` has every tuning of a segmenter."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import headstart
from headstart.kernel.errors import BackboneError, DataError
from headstart.kernel.progress import Quiet
from headstart.media.masks import read_mask
from masked_pictures import save_pairs
from scans import save_dicom, save_nifti

SHORT: Mapping[str, dict[str, Any]] = {
    "tuning": {"epochs": 3, "batch_size": 8, "learning_rate": 0.01, "head_learning_rate": 0.01},
    "task": {"classes": ["background", "outer", "inner"]},
    "backbone": {"image_size": 64},
}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))


class Heard(Quiet):
    """Remembers what was said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, sentence: str) -> None:
        self.said.append(sentence)


def fit(data: Path, out: Path, tuning: str = "probe", reporter: Any = None, **more: Any) -> headstart.Run:
    settings = {**SHORT, **more.pop("settings", {})}
    settings = {key: value for key, value in settings.items() if key != "tuning" or tuning != "probe"}
    return headstart.fit(
        data,
        out=out,
        backbone="test_resnet",
        weights="random",
        tuning=tuning,
        scratch=False,
        settings=settings,
        reporter=reporter,
        runner="eager",
        **more,
    )


def test_a_probe_predicts_masks_that_evaluate_as_the_run_did(tmp_path: Path) -> None:
    data = save_pairs(tmp_path / "cells", range(40))
    run = fit(data, tmp_path / "run")
    dice = run.metrics["test"]["dice"]["value"]
    assert dice > 0.6 and run.metrics["test"]["dice"]["n"] == 8
    assert {"iou", "hd95_px", "dice_outer", "iou_inner"} <= run.metrics["test"].keys()
    assert run.record.panels[0].title == "Classes" and run.record.mistakes[0].thumbnail
    assert "<img" in run.report.read_text(encoding="utf-8")

    summary = run.predict(data / "images", out=tmp_path / "found.csv")
    table = pd.read_csv(tmp_path / "found.csv")
    assert summary.rows == len(table) == 40
    assert table["file"][0] == "found/000.png" and set(table["prediction"]) <= {"outer", "outer, inner"}
    mask = read_mask(tmp_path / "found" / "000.png")
    assert mask.values.shape == (48, 48) and set(np.unique(mask.values)) <= {0, 1, 2}
    assert json.loads((tmp_path / "found" / "legend.json").read_text())["2"] == "inner"

    again = run.evaluate()
    assert again.figures["dice"].value == pytest.approx(dice, abs=1e-6)


@pytest.mark.parametrize(("tuning", "decoder"), [("full", "unet"), ("head_only", "fpn"), ("scratch", "unet")])
def test_decoders_learn_and_come_back_from_disk(tmp_path: Path, tuning: str, decoder: str) -> None:
    data = save_pairs(tmp_path / "cells", range(24))
    settings = {"task": {**SHORT["task"], "decoder": decoder, "loss": "cross_entropy+focal_tversky"}}
    augmentation = "affine" if tuning == "full" else "none"
    run = fit(data, tmp_path / "run", tuning, settings=settings, augmentation=augmentation)
    losses = [epoch.train_loss for epoch in run.record.arms["model"].history]
    assert losses[-1] < losses[0]
    loaded = headstart.load(tmp_path / "run")
    assert loaded.evaluate().figures["dice"].value == pytest.approx(run.metrics["test"]["dice"]["value"], abs=1e-5)


def test_maps_that_the_store_has_no_room_for_are_computed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = save_pairs(tmp_path / "cells", range(30))
    kept = fit(data, tmp_path / "kept", "head_only")
    monkeypatch.setenv("HEADSTART_CACHE_LIMIT", "1MB")
    heard = Heard()
    run = fit(data, tmp_path / "run", "head_only", heard)
    assert any("are not kept" in sentence and "would take" in sentence for sentence in heard.said)
    assert "kept maps" in [decision.what for decision in run.record.decisions]
    assert run.metrics["test"]["dice"]["value"] == pytest.approx(kept.metrics["test"]["dice"]["value"], abs=0.05)


def test_large_pictures_are_learnt_and_predicted_in_tiles(tmp_path: Path) -> None:
    data = save_pairs(tmp_path / "cells", range(20), side=100)
    run = fit(data, tmp_path / "run", settings={"task": {**SHORT["task"], "tile": 64}})
    assert run.metrics["test"]["dice"]["value"] > 0.5 and run.metrics["test"]["dice"]["n"] == 4
    run.predict(data / "images", out=tmp_path / "found.csv")
    assert read_mask(tmp_path / "found" / "003.png").values.shape == (100, 100)


def test_scans_are_split_by_patient_and_measured_in_millimetres(tmp_path: Path) -> None:
    pytest.importorskip("nibabel", reason="NIfTI needs the extra 'medical'")
    names = [f"case{k // 2}_{'ab'[k % 2]}" for k in range(10)]
    run = fit(save_nifti(tmp_path / "scans", names), tmp_path / "run", group=r"(case\d)_")
    assert run.metrics["test"]["hd95_mm"]["value"] >= 0 and run.metrics["test"]["dice"]["n"] == 1
    split = pd.read_csv(tmp_path / "run" / "split.csv")
    parts_of_case = split.groupby(split["origin"].str.extract(r"(case\d)_", expand=False))["part"].nunique()
    assert len(parts_of_case) == 5 and (parts_of_case == 1).all()
    summary = run.predict(tmp_path / "scans" / "imagesTr", out=tmp_path / "found.csv")
    assert (tmp_path / "found" / "case0_a_0000" / "001.png").exists()
    assert summary.gathered[0] == str(tmp_path / "found" / "case0_a_0000.nii.gz") and len(summary.gathered) == 10
    table = pd.read_csv(tmp_path / "found.csv")
    assert table["share of outer"].between(0, 1).all()


def test_missing_dicom_slices_stand_in_the_record(tmp_path: Path) -> None:
    pytest.importorskip("pydicom", reason="DICOM needs the extra 'medical'")
    data = save_dicom(tmp_path / "scans", [f"p{k}" for k in range(10)], numbers=(0, 1, 2, 5))
    run = fit(data, tmp_path / "run")
    assert any("2 slices are missing" in note for note in run.record.data.notes)
    assert run.record.data.parts[0].groups is not None


def test_a_backbone_without_maps_is_refused_with_the_reason(tmp_path: Path) -> None:
    data = save_pairs(tmp_path / "cells", range(12))
    with pytest.raises(BackboneError, match=r"segmentation needs maps of several strides, and test_vit has none"):
        headstart.fit(data, out=tmp_path / "run", backbone="test_vit", weights="random", scratch=False)


def test_a_mask_of_another_size_ends_the_fit_before_anything_runs(tmp_path: Path) -> None:
    data = save_pairs(tmp_path / "cells", range(12))
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(data / "masks" / "005.png")
    with pytest.raises(DataError, match=r"images/005\.png: the picture has 48x48 pixels, its mask 9x9"):
        fit(data, tmp_path / "run")
