"""Rows of a training's stages: frozen or trained, how many of their parameters, how fast, from when on."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from headstart.contracts.backbone import Backbone
from headstart.contracts.tuning import Rate, Recipe
from headstart.pipeline.record import StageRow


def frozen_rows(backbone: Backbone) -> tuple[StageRow, ...]:
    """A row per stage, nothing of which moves."""
    sizes = {name: parameter.numel() for name, parameter in backbone.module.named_parameters()}
    return tuple(
        StageRow(
            name=stage.name, parameters=sum(sizes[name] for name in stage.parameters), state="frozen", learning_rate=0.0
        )
        for stage in backbone.stages
    )


def trained_rows(
    rows: Sequence[StageRow], backbone: Backbone, rates: Sequence[Rate], recipe: Recipe
) -> tuple[StageRow, ...]:
    """The rows with what moves, `backbone` being the one that is trained, with its adapters if it has some."""
    sizes = {name: parameter.numel() for name, parameter in backbone.module.named_parameters()}
    changed = list(rows)
    for rate in rates:
        if rate.stage < 0:
            continue
        moving = [name for name in backbone.stages[rate.stage].parameters if recipe.moves(name)]
        if moving:
            changed[rate.stage] = rows[rate.stage].model_copy(
                update={
                    "state": "trained",
                    "learning_rate": recipe.learning_rate * rate.factor,
                    "trained": sum(sizes[name] for name in moving),
                    "start": rate.start,
                }
            )
    return tuple(changed)


def head_row(head: nn.Module, learning_rate: float) -> StageRow:
    """The head's own row; a rate of 0 says that it was solved for."""
    size = sum(parameter.numel() for parameter in head.parameters())
    return StageRow(name="head", parameters=size, trained=size, state="trained", learning_rate=learning_rate)
