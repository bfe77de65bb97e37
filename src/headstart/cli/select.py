"""The command `headstart select`: which pretrained model suits the data."""

from __future__ import annotations

from typing import Annotated

import headstart
from headstart.cli.exits import Answer
from headstart.cli.options import (
    Audio,
    Budget,
    Categorical,
    Data,
    Date,
    Format,
    Group,
    Image,
    Json,
    Label,
    LeaveOut,
    Numeric,
    Part,
    Seed,
    Set,
    Task,
    Text,
    given,
    option,
    reporter,
)

Candidates = Annotated[
    str | None, option("--candidates", "Models separated by commas; a catalogue by default.", "A,B,C")
]
Out = Annotated[str | None, option("--out", "HTML page to write.", "FILE")]
Licence = Annotated[str | None, option("--licence", "'commercial' skips other weights.", "any|commercial")]


def select(
    data: Data,
    candidates: Candidates = None,
    licence: Licence = None,
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
    part: Part = None,
    format: Format = None,
    task: Task = None,
    seed: Seed = None,
    budget: Budget = None,
    assignments: Set = None,
    as_json: Json = False,
) -> Answer:
    """Rank pretrained models for the data, with what each costs to run.

    \b
    headstart select photos/
    headstart select photos/ --candidates resnet50,models/mine,runs/photos --budget 10m
    headstart select reviews.csv --licence commercial
    """
    chosen = given(locals())
    from headstart.cli.selection_printing import print_selection

    found = headstart.select(data, reporter=reporter(), **chosen)
    return Answer(lambda: found.model_dump(mode="json"), lambda: print_selection(found))
