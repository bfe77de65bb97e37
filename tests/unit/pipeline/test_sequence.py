"""Targets that an augmentation would leave behind are refused before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.contracts.target_kinds import Numbers
from headstart.kernel.errors import SettingsError
from headstart.pipeline.data import Given
from headstart.pipeline.plan import Plan
from headstart.pipeline.sequence import start
from headstart.search.candidates import with_views
from headstart.tasks.classification.task import BoundClassification
from masked_pictures import png


def begin(folder: Path, augmentation: str) -> Any:
    draws = np.random.default_rng(0)
    for k in range(12):
        path = folder / ("cat", "dog")[k % 2] / f"{k}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(png(draws.integers(0, 255, (32, 32, 3), dtype=np.uint8)))
    plan = Plan(data=str(folder), backbone="test_resnet", weights="random", tuning="full", augmentation=augmentation)
    return start(Given(str(folder)), plan)


@pytest.mark.slow
@pytest.mark.parametrize("augmentation", ["crop", "standard", "blur+cutmix"])
def test_a_kind_that_the_augmentation_cannot_move_or_mix_is_refused(
    augmentation: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BoundClassification, "target_kinds", {"label": Numbers("corners", whole=True, axes=(1,))})
    with pytest.raises(SettingsError, match=r"of kind 'corners' \('label'\).*Use --augmentation none, blur or colour"):
        begin(tmp_path, augmentation)
    assert begin(tmp_path, "blur+colour").data.task.classes == ("cat", "dog")


def test_a_search_takes_no_views_that_targets_cannot_follow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = begin(tmp_path, "auto").embedded()
    chosen, decision = with_views(context)
    assert chosen.plan.augmentation == "standard" and decision is not None
    monkeypatch.setattr(BoundClassification, "target_kinds", {"label": Numbers("corners", whole=True, axes=(1,))})
    chosen, decision = with_views(context)
    assert chosen.plan.augmentation == "none" and decision is not None
    assert decision.reason.startswith("augmentation 'crop' cannot move targets of kind 'corners'")


def test_a_target_without_a_kind_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundClassification, "target_kinds", {})
    with pytest.raises(SettingsError, match="of what kind its target 'label' is"):
        begin(tmp_path, "none")
