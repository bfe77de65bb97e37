"""Recipes: pretrainings that ship with Headstart, each a file of settings, on pictures that are generated.

The network learns to tell the classes of `media.formula` apart, in the loop that every training here runs in, so that
one that was killed goes on from its checkpoint with the same bits.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w
import torch
from safetensors.torch import save
from torch import nn

from headstart.contracts.backbone import Backbone
from headstart.contracts.composed_augmentation import composed
from headstart.contracts.format import Columns
from headstart.contracts.model import Model, new_head
from headstart.contracts.tuning import Recipe as Training
from headstart.engine.checkpoint import CheckpointFile, Progress
from headstart.engine.loop import Loop
from headstart.engine.streams import Stream
from headstart.engine.training_plan import Plan
from headstart.kernel import registry
from headstart.kernel.errors import RunError, SettingsError, unknown
from headstart.kernel.files import hash_json, write_atomic, write_json
from headstart.kernel.progress import Quiet, Reporter
from headstart.kernel.randomness import draw_seed
from headstart.kernel.settings import Settings, build
from headstart.product.formula_pool import FormulaPool, Pictures

FOLDER = Path(__file__).with_name("recipes")
WEIGHTS = "backbone.safetensors"


class Views(Settings):
    """The random views that are trained on."""

    name: str = "none"
    """Augmentations, joined by '+'."""
    settings: dict[str, Any] = {}
    """Settings of each."""


class PretrainingRecipe(Settings):
    """What a recipe's file says."""

    backbone: str
    """The architecture, by the name of a backbone; its weights are random at first."""
    seed: int = 0
    """Decides the pictures and every random draw; >= 0."""
    pictures: Pictures
    """What is learnt from."""
    task: dict[str, Any] = {}
    """Settings of the task of telling the classes apart."""
    tuning: dict[str, Any] = {}
    """Settings of the training from scratch."""
    augmentation: Views = Views()
    """Random views."""


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
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path} is no TOML file: {error}") from error
    return build(PretrainingRecipe, values, where=path.name)


def pretrain_recipe(
    name: str,
    out: Path,
    *,
    epochs: int | None = None,
    budget: float | None = None,
    reporter: Reporter | None = None,
) -> Progress:
    """Carry a recipe out: random weights in, `out` a backbone for every fit.

    Given again after it was stopped, it goes on. `out` has the recipe and, after every epoch, the course of the training
    (`training.json`) and the best weights so far, of the backbone alone and in 16 bits (`backbone.safetensors`); at the
    end the model.

    Args:
        name: of a recipe that ships with Headstart, or a file of one.
        out: the folder for the result.
        epochs: passes over the pictures in place of the recipe's own number. budget: seconds at most; without `epochs`
            there are as many as it allows of the recipe's.
        reporter: shows progress; silent without it.

    Raises:
        SettingsError: the recipe is not known or faulty.
        RunError: `out` holds something else.
    """
    recipe = read_recipe(name)
    if out.exists() and not (out / "recipe.toml").exists() and any(out.iterdir()):
        raise RunError(f"{out} holds something else already. Choose another folder with --out.")
    write_atomic(out / "recipe.toml", tomli_w.dumps(recipe.model_dump(mode="json", exclude_none=True)).encode())
    model = _model(recipe)
    pool = FormulaPool(recipe.pictures, recipe.seed, model.backbone.entry)
    training = _training(recipe)
    identity = hash_json([recipe.model_dump(mode="json"), model.backbone.weights_hash(), epochs, budget])
    loop = Loop(
        model,
        _plan(recipe, training, model.backbone, epochs, budget),
        {"labelled": _stream(recipe, training, pool, model.backbone)},
        Stream("validation", pool.validation, {"label": pool.labels}, pool, training.batch_size, recipe.seed),
        checkpoint=CheckpointFile(out / "training.checkpoint", identity),
        reporter=reporter or Quiet(),
    )
    progress = loop.progress
    while not progress.stopped:
        progress = loop.run(until=progress.epoch + 1)
        write_json(out / "training.json", asdict(progress))
        write_atomic(out / WEIGHTS, in_16_bits(model.backbone))
    model.eval().save(out / "model")
    pool.discard()
    (out / "training.checkpoint").unlink(missing_ok=True)
    return progress


def in_16_bits(backbone: Backbone) -> bytes:
    """A safetensors file of the backbone's weights alone, in half precision."""
    state = {name: value.contiguous() for name, value in backbone.module.state_dict().items()}
    return save({name: value.half() if value.is_floating_point() else value for name, value in state.items()})


def _model(recipe: PretrainingRecipe) -> Model:
    """The architecture with random weights, and a head for the classes."""
    suited = [registry.plugin("backbones", name) for name in registry.names("backbones")]
    family = next((family for family in suited if family.suits(recipe.backbone, "image")), None)
    if family is None:
        known = [name for family in suited for name in family.known("image")]
        raise SettingsError(unknown("image backbone", recipe.backbone, known))
    fields = {"reference": recipe.backbone, "weights": "random", "seed": recipe.seed}
    backbone = build(family, fields, where="backbone").load()
    digits = len(str(recipe.pictures.classes - 1))
    names = tuple(f"{number:0{digits}d}" for number in range(recipe.pictures.classes))
    counts = (recipe.pictures.per_class,) * len(names)
    kind = registry.plugin("tasks", "classification")
    task = build(kind, {"classes": names, "counts": counts, **recipe.task}, where="task")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(draw_seed(recipe.seed, "head weights"))
        heads = nn.ModuleDict({"head": new_head(task, backbone)})
    return Model(backbone, task, heads, Columns(), {})


def _training(recipe: PretrainingRecipe) -> Training:
    training: Training = build(registry.plugin("tuning", "scratch"), recipe.tuning, where="tuning")
    return training


def _stream(recipe: PretrainingRecipe, training: Training, pool: FormulaPool, backbone: Backbone) -> Stream:
    views = composed(recipe.augmentation.name, recipe.augmentation.settings).bind(
        backbone.input_kind(), len(pool.train)
    )
    targets: Mapping[str, np.ndarray] = {"label": pool.labels}
    return Stream("labelled", pool.train, targets, pool, training.batch_size, recipe.seed, views)


def _plan(
    recipe: PretrainingRecipe, training: Any, backbone: Backbone, epochs: int | None, budget: float | None
) -> Plan:
    objective = registry.plugin("objectives", "supervised")()
    rates = training.rates(len(backbone.stages))
    return Plan(objective, training, rates, 0, recipe.seed, budget, epochs, pretrained=False)
