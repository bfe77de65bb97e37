"""The command `headstart suggest`: which unlabelled examples to label next."""

from __future__ import annotations

from typing import Annotated

import typer

import headstart
from headstart.cli.exits import Answer
from headstart.cli.options import (
    Backbone,
    Format,
    Group,
    Image,
    Json,
    Label,
    Seed,
    Set,
    Task,
    Text,
    given,
    option,
    reporter,
)

Pool = Annotated[str, typer.Argument(metavar="POOL", help="A folder of images, or a table of texts or image paths.")]
Labelled = Annotated[str | None, option("--labelled", "What is labelled so far: data, or a run.", "DATA|RUN")]
Count = Annotated[int | None, typer.Option("--count", min=1, help="Number of suggestions; 50.", metavar="NUMBER")]
Out = Annotated[str | None, option("--out", "CSV list, or HTML page with previews.", "FILE")]


def suggest(
    pool: Pool,
    labelled: Labelled = None,
    count: Count = None,
    out: Out = None,
    text: Text = None,
    image: Image = None,
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
    """
    chosen = given(locals())
    from headstart.cli.suggestion_printing import print_suggestions

    found = headstart.suggest(pool, reporter=reporter(), **chosen)
    return Answer(lambda: found.model_dump(mode="json"), lambda: print_suggestions(found, out))
