"""Recipes: supervised pretraining on generated pictures, each recipe a TOML file in this folder.

A recipe has phases. Each ends at a learning rate of zero and leaves its weights, so a long recipe stopped after any
phase equals a shorter one. A recipe stopped within a phase resumes from its checkpoint, bit for bit.
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
from headstart.pipeline.plan_file import read_toml
from recipes.phase import Phase, PhaseTraining
from recipes.picture_pool import discard

FOLDER = Path(__file__).parent
RECIPE, HISTORY, WEIGHTS = "recipe.toml", "training.json", "backbone.safetensors"
KEPT, CHECKPOINT = "phase.safetensors", "phase.checkpoint"
"""The weights of the last finished phase, and the checkpoint of the running one; deleted when the recipe is done."""


class PretrainingRecipe(Settings):
    """The settings in a recipe file."""

    backbone: str
    """Name of the image backbone whose architecture is trained, from random weights."""
    seed: int = Field(default=0, ge=0)
    """Seed of the pictures and of every random draw; >= 0."""
    phases: tuple[Phase, ...] = Field(min_length=1)
    """The phases, in order."""

    def budgets(self, seconds: float | None) -> list[float | None]:
        """Split `seconds` among the phases in proportion to the pixels each of them sees."""
        pixels = [phase.pixels() for phase in self.phases]
        return [None if seconds is None else seconds * count / sum(pixels) for count in pixels]


def known_recipes() -> list[str]:
    """Names of the recipes in this folder."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def read_recipe(name: str) -> PretrainingRecipe:
    """Read a recipe by its name or its path.

    Raises:
        SettingsError: no such recipe, or its file is not valid; all faults at once.
    """
    path = FOLDER / f"{name}.toml" if name in known_recipes() else Path(name)
    if path.suffix != ".toml" or not path.is_file():
        raise SettingsError(unknown("recipe", name, known_recipes()))
    return build(PretrainingRecipe, read_toml(path, "is not a TOML file"), where=path.name)


def pretrain_recipe(name: str, out: Path, *, budget: float | None = None, reporter: Reporter | None = None) -> Progress:
    """Train the recipe's backbone from random weights into `out`, which then serves as a backbone for `fit`.

    Calling it again after an interruption resumes; a phase that has begun keeps its number of epochs whatever the
    budget. `out` holds the recipe and, after every epoch, the history (`training.json`) and the best weights so far of
    the backbone alone in 16 bits (`backbone.safetensors`); at the end it also holds the model.

    Args:
        name: of a recipe in this folder, or the path of a recipe file.
        out: folder for the result.
        budget: seconds of training at most, split among the phases.
        reporter: shows progress; silent without it.

    Returns:
        Progress of the last phase.

    Raises:
        SettingsError: the recipe is unknown or not valid.
        RunError: `out` holds something else, or a finished model.
    """
    recipe = read_recipe(name)
    require_outside_runs(out.parent, what=f"the result {out.name}")
    _claim(out, tomli_w.dumps(recipe.model_dump(mode="json", exclude_none=True)).encode())
    backbone = _architecture(recipe)
    done = _finished(out, backbone)

    def note(progress: Progress) -> None:
        write_json(out / HISTORY, {"phases": [*done, asdict(progress)]})
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
    """Write the recipe to `out`, which is new or the unfinished result of the same recipe. Raises RunError."""
    path = out / RECIPE
    if (out / "model" / "model.json").exists():
        raise RunError(f"{out} already holds a finished model. Give another --out.")
    if path.exists() and path.read_bytes() != recipe:
        raise RunError(f"{out} holds the unfinished result of another recipe. Give another --out, or delete it.")
    if not path.exists() and out.exists() and any(out.iterdir()):
        raise RunError(f"{out} already holds something else. Give another --out.")
    write_atomic(path, recipe)


def _architecture(recipe: PretrainingRecipe) -> Backbone:
    """Build the recipe's backbone with random weights. Raises SettingsError when it is unknown."""
    families = families_of("image")
    family = next((family for family in families if family.suits(recipe.backbone)), None)
    if family is None:
        known = [name for family in families for name in family.known()]
        raise SettingsError(unknown("image backbone", recipe.backbone, known))
    fields = {"reference": recipe.backbone, "weights": "random", "seed": recipe.seed}
    loaded: Backbone = build(family, fields, where="backbone").load()
    return loaded


def _finished(out: Path, backbone: Backbone) -> list[dict[str, Any]]:
    """Load the last finished phase's weights into the backbone; return the history of the finished phases."""
    if not (out / KEPT).exists():
        return []
    with safe_open(out / KEPT, "pt") as file:
        phases: list[dict[str, Any]] = json.loads(file.metadata()["courses"])
    backbone.module.load_state_dict(load_file(out / KEPT))
    return phases


def _weights(backbone: Backbone) -> dict[str, Tensor]:
    return {name: value.contiguous() for name, value in backbone.module.state_dict().items()}


def _halved(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Convert to half precision; integers stay."""
    return {name: value.half() if value.is_floating_point() else value for name, value in weights.items()}
