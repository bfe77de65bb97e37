"""Recipes: pretrainings that ship with Headstart, each a file of settings, on pictures that are generated.

A recipe has phases. Every one ends with a rate of zero and leaves its weights, so that a long recipe that is stopped
after any of them was a shorter one; one that is stopped within a phase goes on from its checkpoint with the same bits.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import Field
from safetensors import safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from headstart.contracts.backbone import Backbone
from headstart.engine.training.checkpoint import Progress
from headstart.kernel.errors import RunError, SettingsError, unknown
from headstart.kernel.files import delete, write_atomic, write_json
from headstart.kernel.progress import Quiet, Reporter
from headstart.kernel.randomness import draw_seed
from headstart.kernel.settings import Settings
from headstart.kernel.user_settings import build
from headstart.pipeline.choose_backbone import families_of
from headstart.pipeline.destination import require_outside_runs
from headstart.pipeline.formula_pool import discard
from headstart.pipeline.plan_file import read_toml
from headstart.pipeline.recipe_phase import Phase, PhaseTraining

FOLDER = Path(__file__).with_name("recipes")
RECIPE, COURSE, WEIGHTS = "recipe.toml", "training.json", "backbone.safetensors"
KEPT, CHECKPOINT = "phase.safetensors", "phase.checkpoint"
"""What the phases that are done left, and what the one that runs goes on from; there until the recipe is done."""


class PretrainingRecipe(Settings):
    """What a recipe's file says."""

    backbone: str
    """The architecture, by the name of a backbone; its weights are random at first."""
    seed: int = Field(default=0, ge=0)
    """Decides the pictures and every random draw; >= 0."""
    phases: tuple[Phase, ...] = Field(min_length=1)
    """What is learnt, one after the other."""

    def budgets(self, seconds: float | None) -> list[float | None]:
        """Each phase's share of so many seconds, in proportion to the pixels that it sees."""
        pixels = [phase.pixels() for phase in self.phases]
        return [None if seconds is None else seconds * count / sum(pixels) for count in pixels]


def recipes() -> list[str]:
    """The names of the recipes that ship with Headstart."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def read_recipe(name: str) -> PretrainingRecipe:
    """A recipe by its name, or by its file.

    Raises:
        SettingsError: there is none, or its file is faulty; all faults at once.
    """
    path = FOLDER / f"{name}.toml" if name in recipes() else Path(name)
    if path.suffix != ".toml" or not path.is_file():
        raise SettingsError(unknown("recipe", name, recipes()))
    return build(PretrainingRecipe, read_toml(path, "is no TOML file"), where=path.name)


def pretrain_recipe(name: str, out: Path, *, budget: float | None = None, reporter: Reporter | None = None) -> Progress:
    """Carry a recipe out: random weights in, `out` a backbone for every fit.

    Given again after it was stopped, it goes on; a phase that had begun keeps its epochs, whatever the budget is by
    then. `out` has the recipe and after every epoch the course of the training
    (`training.json`) and the best weights so far, of the backbone alone and in 16 bits (`backbone.safetensors`); at the
    end the model.

    Args:
        name: of a recipe that ships with Headstart, or a file of one.
        out: the folder for the result.
        budget: seconds at most, shared out to the phases.
        reporter: shows progress; silent without it.

    Returns:
        The course of the last phase.

    Raises:
        SettingsError: the recipe is not known or faulty.
        RunError: `out` holds something else, or a finished model.
    """
    recipe = read_recipe(name)
    require_outside_runs(out.parent, what=f"the result {out.name}")
    _claim(out, tomli_w.dumps(recipe.model_dump(mode="json", exclude_none=True)).encode())
    backbone = _architecture(recipe)
    done = _finished(out, backbone)

    def note(progress: Progress) -> None:
        write_json(out / COURSE, {"phases": [*done, asdict(progress)]})
        write_atomic(out / WEIGHTS, save(_halved(_weights(backbone))))

    budgets = recipe.budgets(budget)
    for number in range(len(done), len(recipe.phases)):
        seed = draw_seed(recipe.seed, "phase", number) if number else recipe.seed
        training = PhaseTraining(
            recipe.phases[number], backbone, recipe.seed, seed, budgets[number], reporter or Quiet()
        )
        progress = training.run(out / CHECKPOINT, note)
        done.append(asdict(progress))
        later = [phase.pictures for phase in recipe.phases[number + 1 :]]
        for phase in recipe.phases[: number + 1]:
            discard(phase.pictures, recipe.seed, but=later)
        if number < len(recipe.phases) - 1:
            write_atomic(out / KEPT, save(_weights(backbone), {"courses": json.dumps(done)}))
    training.model.eval().save(out / "model")
    for name in (KEPT, CHECKPOINT):
        delete(out / name)
    return progress


def _claim(out: Path, recipe: bytes) -> None:
    """Write the recipe to `out`, which is new, or the unfinished result of the same one. Raises RunError."""
    path = out / RECIPE
    if (out / "model" / "model.json").exists():
        raise RunError(f"{out} holds a finished model already. Give another --out.")
    if path.exists() and path.read_bytes() != recipe:
        raise RunError(f"{out} holds the unfinished result of another recipe. Give another --out, or delete it.")
    if not path.exists() and out.exists() and any(out.iterdir()):
        raise RunError(f"{out} holds something else already. Give another --out.")
    write_atomic(path, recipe)


def _architecture(recipe: PretrainingRecipe) -> Backbone:
    """The recipe's backbone with random weights. Raises SettingsError when it is not known."""
    families = families_of("image")
    family = next((family for family in families if family.suits(recipe.backbone)), None)
    if family is None:
        known = [name for family in families for name in family.known()]
        raise SettingsError(unknown("image backbone", recipe.backbone, known))
    fields = {"reference": recipe.backbone, "weights": "random", "seed": recipe.seed}
    loaded: Backbone = build(family, fields, where="backbone").load()
    return loaded


def _finished(out: Path, backbone: Backbone) -> list[dict[str, Any]]:
    """The courses of the phases that an earlier session finished; the backbone gets the weights that they left."""
    if not (out / KEPT).exists():
        return []
    with safe_open(out / KEPT, "pt") as file:
        courses: list[dict[str, Any]] = json.loads(file.metadata()["courses"])
    backbone.module.load_state_dict(load_file(out / KEPT))
    return courses


def _weights(backbone: Backbone) -> dict[str, Tensor]:
    return {name: value.contiguous() for name, value in backbone.module.state_dict().items()}


def _halved(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Half precision; whole numbers stay."""
    return {name: value.half() if value.is_floating_point() else value for name, value in weights.items()}
