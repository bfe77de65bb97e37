"""The command `headstart pretrain`: data without labels, or a recipe of data that are generated."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import headstart
from headstart.cli.exits import Answer
from headstart.cli.options import (
    Augmentation,
    Backbone,
    Format,
    Image,
    Json,
    Out,
    Overwrite,
    Seed,
    Set,
    Text,
    Weights,
    given,
    option,
    reporter,
    seconds,
)

WITH_RECIPE = frozenset({"out", "budget"})
"""What can be said beside a recipe."""


Unlabelled = Annotated[
    str | None,
    typer.Argument(metavar="UNLABELLED", help="A folder of images, or a table of texts, image paths or numbers."),
]
Numeric = Annotated[list[str] | None, option("--numeric", "Column of numbers; repeatable.", "COLUMN")]
Label = Annotated[list[str] | None, option("--label", "Column of the labels in --labelled.", "COLUMN")]
Objective = Annotated[str | None, option("--objective", "Objective; chosen by the data by default.", "NAME")]
Labelled = Annotated[
    str | None, option("--labelled", "Labelled sample to evaluate on; its labels are not trained on.", "DATA")
]
Recipe = Annotated[
    str | None, option("--recipe", "A recipe that ships with Headstart, or its file, in place of data.", "NAME")
]
Budget = Annotated[
    float | None,
    typer.Option("--budget", parser=seconds, help="Time limit for the training: 90, 90s, 5m or 1h.", metavar="TIME"),
]


def pretrain(
    data: Unlabelled = None,
    out: Out = None,
    text: Text = None,
    image: Image = None,
    numeric: Numeric = None,
    label: Label = None,
    format: Format = None,
    backbone: Backbone = None,
    weights: Weights = None,
    objective: Objective = None,
    augmentation: Augmentation = None,
    labelled: Labelled = None,
    recipe: Recipe = None,
    seed: Seed = None,
    budget: Budget = None,
    assignments: Set = None,
    overwrite: Overwrite = None,
    as_json: Json = False,  # noqa: ARG001
) -> Answer:
    """Learn from data without labels; the run is a backbone for fit.

    \b
    headstart pretrain scans/                         a pretrained model goes on with them
    headstart pretrain scans/ --backbone resnet18 --weights random --budget 1h
    headstart pretrain scans/ --labelled sample/      and tell what that gained
    headstart fit sample/ --backbone runs/scans       use it
    headstart pretrain --recipe embedded              make the backbone again that ships with Headstart
    """
    from headstart.cli.pretraining_printing import print_pretrained
    from headstart.kernel.errors import SettingsError
    from headstart.kernel.user_settings import parse_assignments

    chosen = given(
        {
            "out": out,
            "text": text,
            "image": image,
            "numeric": numeric,
            "label": label,
            "format": format,
            "backbone": backbone,
        }
    )
    chosen |= given(
        {"weights": weights, "objective": objective, "augmentation": augmentation, "labelled": labelled, "seed": seed}
    )
    chosen |= given({"budget": budget, "overwrite": overwrite, "settings": parse_assignments(assignments or ())})
    if recipe is not None:
        return _recipe(recipe, {**given({"UNLABELLED": data}), **chosen})
    if data is None:
        raise SettingsError("No data given. Give UNLABELLED, or --recipe NAME")
    run = headstart.pretrain(data, reporter=reporter(), **chosen)
    found = {"run": str(run.folder), "verdict": run.verdict, "report": str(run.report), **run.metrics}
    return Answer(lambda: found, lambda: print_pretrained(run))


def _recipe(name: str, chosen: dict[str, Any]) -> Answer:
    from headstart.kernel.errors import SettingsError
    from headstart.verbs.recipe import pretrain_recipe

    more = ", ".join(sorted(chosen.keys() - WITH_RECIPE))
    if more:
        raise SettingsError(
            f"--recipe {name} says everything itself: leave {more} out. --out and --budget may be given."
        )
    folder = Path(chosen.get("out", Path("runs") / Path(name).stem))
    progress = pretrain_recipe(name, folder, budget=chosen.get("budget"), reporter=reporter())
    last = progress.history[-1]
    found = {"run": str(folder), "val_loss": last.val_loss, "val_metric": last.val_metric, "stopped": progress.stopped}
    words = (
        f"{progress.stopped}; validation loss {last.val_loss:.3g}. Use it:  headstart fit LABELLED --backbone {folder}"
    )
    return Answer(lambda: found, lambda: print(words))
