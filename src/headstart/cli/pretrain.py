"""The command `headstart pretrain`: learn from data without labels."""

from __future__ import annotations

from typing import Annotated

import typer

import headstart
from headstart.cli.exits import Answer
from headstart.cli.options import (
    Audio,
    Augmentation,
    Backbone,
    Categorical,
    Date,
    Format,
    Image,
    Json,
    LeaveOut,
    Numeric,
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

Unlabelled = Annotated[
    str,
    typer.Argument(metavar="UNLABELLED", help="A folder of images, or a table."),
]
Label = Annotated[list[str] | None, option("--label", "Column of the labels in --labelled.", "COLUMN")]
Objective = Annotated[str | None, option("--objective", "Objective; chosen by the data by default.", "NAME")]
Labelled = Annotated[
    str | None, option("--labelled", "Labelled sample to evaluate on; its labels are not trained on.", "DATA")
]
Budget = Annotated[
    float | None,
    typer.Option("--budget", parser=seconds, help="Time limit for the training: 90, 90s, 5m or 1h.", metavar="TIME"),
]


def pretrain(
    data: Unlabelled,
    out: Out = None,
    text: Text = None,
    image: Image = None,
    sounds: Audio = None,
    numeric: Numeric = None,
    categorical: Categorical = None,
    date: Date = None,
    leave_out: LeaveOut = None,
    label: Label = None,
    format: Format = None,
    backbone: Backbone = None,
    weights: Weights = None,
    objective: Objective = None,
    augmentation: Augmentation = None,
    labelled: Labelled = None,
    seed: Seed = None,
    budget: Budget = None,
    assignments: Set = None,
    overwrite: Overwrite = None,
    as_json: Json = False,
) -> Answer:
    """Learn from data without labels; the run is a backbone for fit.

    \b
    headstart pretrain scans/                         continue pretraining on scans/
    headstart pretrain scans/ --backbone resnet18 --weights random --budget 1h
    headstart pretrain scans/ --labelled sample/      measure the gain on labelled data
    headstart fit sample/ --backbone runs/scans       use it
    """
    chosen = given(locals())
    from headstart.cli.pretraining_printing import print_pretrained

    run = headstart.pretrain(data, reporter=reporter(), **chosen)
    found = {"run": str(run.folder), "verdict": run.verdict, "report": str(run.report), **run.metrics}
    return Answer(lambda: found, lambda: print_pretrained(run))
