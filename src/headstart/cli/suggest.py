"""The command `headstart suggest`: which unlabelled examples to label next."""

from __future__ import annotations

from typing import Annotated

import typer

import headstart
from headstart.cli.exits import Answer
from headstart.cli.options import (
    Audio,
    Backbone,
    Categorical,
    Date,
    Format,
    Group,
    Image,
    Json,
    Label,
    LeaveOut,
    Numeric,
    Seed,
    Set,
    Task,
    Text,
    given,
    option,
    reporter,
)

Pool = Annotated[str, typer.Argument(metavar="POOL", help="A folder of images or files, or a table.")]
Labelled = Annotated[str | None, option("--labelled", "What is labelled so far: data, or a run.", "DATA|RUN")]
Count = Annotated[int | None, typer.Option("--count", min=1, help="Number of suggestions; 50.", metavar="NUMBER")]
Method = Annotated[str | None, option("--method", "typical, covering or uncertain; auto: by the labels.", "NAME")]
Out = Annotated[str | None, option("--out", "CSV list, or HTML page with previews.", "FILE")]


def suggest(
    pool: Pool,
    labelled: Labelled = None,
    count: Count = None,
    method: Method = None,
    out: Out = None,
    text: Text = None,
    image: Image = None,
    sounds: Audio = None,
    numeric: Numeric = None,
    categorical: Categorical = None,
    date: Date = None,
    leave_out: LeaveOut = None,
    label: Label = None,
    group: Group = None,
    format: Format = None,
    task: Task = None,
    backbone: Backbone = None,
    seed: Seed = None,
    assignments: Set = None,
    as_json: Json = False,
) -> Answer:
    """Choose the unlabelled examples that are worth a label.

    \b
    headstart suggest unlabelled-scans/ --count 50 --out first.html
    headstart suggest unlabelled-scans/ --labelled runs/scans --out next.csv
    headstart suggest partly-labelled.csv --label kind --out next.csv
    """
    chosen = given(locals())
    from headstart.cli.suggestion_printing import print_suggestions

    found = headstart.suggest(pool, reporter=reporter(), **chosen)
    return Answer(lambda: found.model_dump(mode="json"), lambda: print_suggestions(found, out))
