from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
import torch
from safetensors.torch import load_file

from headstart.backbones.embedded import Embedded
from headstart.engine.training.loop import Loop
from headstart.kernel.errors import RunError, SettingsError
from headstart.kernel.folders import cache_folder
from recipes.formula.pictures import picture
from recipes.picture_pool import FormulaPool, Pictures, discard
from recipes.recipe import known_recipes, pretrain_recipe, read_recipe

pytestmark = pytest.mark.slow

TINY: dict[str, Any] = {
    "backbone": "test_resnet",
    "seed": 1,
    "phases": [
        {
            "pictures": {"classes": 10, "per_class": per_class, "validation_per_class": 2, "side": 32},
            "task": {"label_smoothing": 0.1},
            "tuning": {"epochs": 2, "batch_size": 15, "averaging": 0.5, "precision": "float32"},
            "augmentation": {"name": "crop"},
        }
        for per_class in (6, 9)
    ],
}


@pytest.fixture
def recipe(tmp_path: Path) -> str:
    (tmp_path / "tiny.toml").write_text(tomli_w.dumps(TINY))
    return str(tmp_path / "tiny.toml")


def test_the_recipe_that_ships_is_of_the_backbone_that_ships() -> None:
    assert known_recipes() == ["embedded"]
    shipped = read_recipe("embedded")
    assert Embedded.suits(shipped.backbone)


def test_an_unknown_recipe_and_a_faulty_one_say_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"recipe 'embeded' is not known. Did you mean 'embedded'"):
        read_recipe("embeded")
    faulty = tmp_path / "faulty.toml"
    faulty.write_text(tomli_w.dumps({**TINY, "phases": [{"pictures": {"classes": 1}}], "sede": 3}))
    with pytest.raises(SettingsError) as caught:
        read_recipe(str(faulty))
    for said in ("phases.0.pictures.classes = 1", "phases.0.pictures.side is missing", "sede is not a setting"):
        assert said in str(caught.value)


def test_a_pool_gives_the_pictures_of_its_rows_and_renders_each_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = Pictures(classes=10, per_class=3, validation_per_class=1, side=32)
    pool = FormulaPool(pictures, 5, torch.nn.Identity())
    assert len(pool.train) == 30 and len(pool.validation) == 10
    rows = np.array([0, 31, 12])
    expected = np.stack([picture(5, 0, 0, 32), picture(5, 1, 3, 32), picture(5, 2, 1, 32)])
    assert np.array_equal(pool(rows).hidden.numpy(), expected)
    assert pool.labels[rows].tolist() == [0, 1, 2]
    monkeypatch.setattr("recipes.picture_pool.picture", None)
    again = FormulaPool(pictures.model_copy(update={"per_class": 4}), 5, torch.nn.Identity())
    assert np.array_equal(again(rows).hidden.numpy(), expected), "a longer pool knows what a shorter one rendered"
    discard(pictures, 5)
    assert not list((cache_folder() / "formula").iterdir())


def test_worker_processes_render_where_much_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = Pictures(classes=500, per_class=10, validation_per_class=1, side=16)
    pool = FormulaPool(pictures, 5, torch.nn.Identity())
    rows = np.array([3, 4000, 512])
    expected = np.stack([picture(5, 3, 0, 16), picture(5, 0, 8, 16), picture(5, 12, 1, 16)])
    with monkeypatch.context() as patch, pool.by_workers():
        patch.setattr("recipes.picture_pool.picture", None)
        assert np.array_equal(pool(rows).hidden.numpy(), expected)
    assert np.array_equal(pool(np.array([3, 9])).hidden.numpy(), np.stack([expected[0], picture(5, 9, 0, 16)]))
    discard(pictures, 5)


def test_a_recipe_leaves_a_backbone_its_course_and_nothing_else(recipe: str, tmp_path: Path) -> None:
    progress = pretrain_recipe(recipe, tmp_path / "out")
    assert progress.finished and len(progress.history) == 2
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "backbone.safetensors",
        "model",
        "recipe.toml",
        "training.json",
    ]
    phases = json.loads((tmp_path / "out" / "training.json").read_text())["phases"]
    assert [len(phase["history"]) for phase in phases] == [2, 2]
    assert not list((cache_folder() / "formula").iterdir())
    saved = load_file(tmp_path / "out" / "model" / "model.safetensors")
    halved = load_file(tmp_path / "out" / "backbone.safetensors")
    assert {f"backbone.{name}" for name in halved} == {name for name in saved if name.startswith("backbone.")}
    assert all(torch.equal(saved[f"backbone.{name}"].to(value.dtype), value) for name, value in halved.items())


@pytest.mark.parametrize("stop", [5, 11])
def test_one_that_was_stopped_goes_on_with_the_same_bits(
    stop: int, recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Among the eight steps of the first phase, or the twelve of the second one."""
    pretrain_recipe(recipe, tmp_path / "whole")
    steps = 0
    step = Loop.step

    def stopped(self: Loop, batches: Any) -> None:
        nonlocal steps
        steps += 1
        step(self, batches)
        self.interruption.asked = steps == stop

    with monkeypatch.context() as patch:
        patch.setattr(Loop, "step", stopped)
        with pytest.raises(KeyboardInterrupt):
            pretrain_recipe(recipe, tmp_path / "stopped")
    assert not (tmp_path / "stopped" / "model").exists()
    pretrain_recipe(recipe, tmp_path / "stopped")
    whole, stopped_one = (load_file(tmp_path / name / "model" / "model.safetensors") for name in ("whole", "stopped"))
    assert all(torch.equal(value, stopped_one[name]) for name, value in whole.items())


def test_a_folder_of_something_else_is_left_alone(recipe: str, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("important")
    with pytest.raises(RunError, match="already holds something else"):
        pretrain_recipe(recipe, tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_a_budget_is_shared_out_by_the_pixels_of_the_phases(recipe: str) -> None:
    first, second = read_recipe(recipe).budgets(100)
    assert first == pytest.approx(40) and second == pytest.approx(60)
    assert read_recipe(recipe).budgets(None) == [None, None]


def test_a_finished_result_and_that_of_another_recipe_are_left_alone(recipe: str, tmp_path: Path) -> None:
    (tmp_path / "finished" / "model").mkdir(parents=True)
    (tmp_path / "finished" / "model" / "model.json").write_text("{}")
    with pytest.raises(RunError, match="already holds a finished model"):
        pretrain_recipe(recipe, tmp_path / "finished")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "recipe.toml").write_text("seed = 2")
    with pytest.raises(RunError, match="unfinished result of another recipe"):
        pretrain_recipe(recipe, tmp_path / "other")
    assert (tmp_path / "other" / "recipe.toml").read_text() == "seed = 2"
