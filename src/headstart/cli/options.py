"""Arguments and options of the command line, each defined once with its help text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from headstart.kernel.progress import Reporter

NO_OPTIONS = ("data", "pool", "run", "as_json", "as_jsonl")
"""Parameters of commands that their public functions take by position, or not at all."""

OF_FORMATS = {"every", "sounds"}
"""Parameters that are settings of the format of that name."""

UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}


def seconds(text: str) -> float:
    """A time such as 90, 90s, 5m or 1h in seconds.

    Raises:
        typer.BadParameter: it is no such time, or it is none at all.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text)
    if not found or not float(found[1]):
        raise typer.BadParameter(f"{text!r} is not a time. Write 90, 90s, 5m or 1h.")
    return float(found[1]) * UNITS[found[2]]


def option(flag: str, meaning: str, metavar: str | None = None) -> Any:
    """An option with its own flag, what it means, and what its value is called."""
    return typer.Option(flag, help=meaning, metavar=metavar)


def given(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The options among the parameters of a command, as arguments of its public function.

    They have the same names, but for `assignments`, `every` and `sounds`, which become `settings`. What a user did not
    say is left to the function's default.
    """
    from headstart.kernel.user_settings import parse_assignments

    chosen = {name: value for name, value in parameters.items() if value not in (None, []) and name not in NO_OPTIONS}
    for name in OF_FORMATS & chosen.keys():
        chosen["assignments"] = [*chosen.get("assignments", []), f"format.{name}={chosen.pop(name)}"]
    if "assignments" in chosen:
        chosen["settings"] = parse_assignments(chosen.pop("assignments"))
    return chosen


def reporter() -> Reporter:
    """Shows progress in the terminal."""
    from headstart.cli.terminal import RichReporter

    return RichReporter()


Data = Annotated[str, typer.Argument(metavar="DATA", help="A folder of images, or a table.")]
SeveralData = Annotated[
    list[str], typer.Argument(metavar="DATA...", help="A folder of images, or a table; each of several is a domain.")
]
Run = Annotated[str, typer.Argument(metavar="RUN", help="A run folder, such as runs/photos.")]

Text = Annotated[list[str] | None, option("--text", "Text column; give it twice for pairs of texts.", "COLUMN")]
Image = Annotated[str | None, option("--image", "Column of image paths.", "COLUMN")]
Audio = Annotated[
    str | None, option("--audio", "Column of paths of sounds, where several are or it does not show.", "COLUMN")
]
Numeric = Annotated[
    list[str] | None,
    option("--numeric", "Column of numbers; repeatable. Then only the columns that are named are inputs.", "COLUMN"),
]
Categorical = Annotated[
    list[str] | None, option("--categorical", "Column of categories, whatever it holds; repeatable.", "COLUMN")
]
Date = Annotated[list[str] | None, option("--date", "Column of dates; repeatable.", "COLUMN")]
LeaveOut = Annotated[list[str] | None, option("--leave-out", "Column that is not an input; repeatable.", "COLUMN")]
Label = Annotated[
    list[str] | None, option("--label", "Label column; repeat it for several: of 0 and 1, or a task each.", "COLUMN")
]
Group = Annotated[str | None, option("--group", "Column whose groups are never split, such as patients.", "COLUMN")]
Domain = Annotated[
    str | None, option("--domain", "Column of the domain, with figures for each; a stream for objectives.", "COLUMN")
]
Slices = Annotated[
    list[str] | None, option("--slice", "Column whose values get their own figures; repeatable.", "COLUMN")
]
Part = Annotated[str | None, option("--part", "Column that says train, val or test.", "COLUMN")]
Every = Annotated[
    str | None, option("--every", "Frames of videos that are examples: 1s, '10 frames', change or frame.", "RULE")
]
Joint = Annotated[
    bool | None, typer.Option("--joint", help="Each of several data sets is a task of its own on one backbone.")
]
Format = Annotated[str | None, option("--format", "Format of the data; detected by default.", "NAME")]

Out = Annotated[str | None, option("--out", "Where to write the run; named after DATA or RUN by default.", "PATH")]
Task = Annotated[str | None, option("--task", "Task; detected from the labels by default.", "NAME")]
Backbone = Annotated[str | None, option("--backbone", "Pretrained model: a name, folder, file or run.", "MODEL")]
Weights = Annotated[str | None, option("--weights", "pretrained, random, or a file of weights.", "WEIGHTS")]
TestTime = Annotated[
    str | None, option("--test-time", "Adapt the model to these inputs: adaptive_batch_norm or tent.", "NAME")
]
Tuning = Annotated[str | None, option("--tuning", "Which weights are trained; 'auto' searches.", "NAME")]
Objective = Annotated[str | None, option("--objective", "Loss in addition to the task's own.", "NAME")]
Augmentation = Annotated[str | None, option("--augmentation", "Random views in training, such as crop+mixup.", "NAME")]
Runner = Annotated[str | None, option("--runner", "Runs the frozen pass; the fastest is measured by default.", "NAME")]
FromRun = Annotated[
    str | None, option("--from", "Continue training the model of this run, with its task, columns and tuning.", "RUN")
]
Target = Annotated[
    str | None, option("--target", "Inputs of another domain to adapt to; none of their labels is read.", "DATA")
]
TargetLabels = Annotated[
    str | None, option("--target-labels", "A few labelled examples of the target, beside --target.", "DATA")
]
ItemsData = Annotated[str | None, option("--items", "A table of the contents of items to recommend.", "TABLE")]
Keep = Annotated[
    str | None, option("--keep", "Labelled examples that the model knows, scored before and after.", "DATA")
]
SourceData = Annotated[
    str | None, option("--source", "Interactions of another domain that recommendations may learn from.", "DATA")
]
Seeds = Annotated[
    int | None,
    typer.Option(
        "--seeds", min=1, help="Repeat the fit with N seeds, from --seed on; report mean and spread.", metavar="NUMBER"
    ),
]
Seed = Annotated[int | None, typer.Option("--seed", min=0, help="Decides every random draw.", metavar="NUMBER")]
Budget = Annotated[
    float | None,
    typer.Option(
        "--budget",
        parser=seconds,
        help="Time limit, such as 90, 90s, 5m or 1h; applies to each of --seeds.",
        metavar="TIME",
    ),
]
Scratch = Annotated[bool | None, typer.Option("--scratch/--no-scratch", help="Compare with training from scratch.")]
LabelCurve = Annotated[
    bool | None, typer.Option("--label-curve/--no-label-curve", help="Forecast what more labels would bring.")
]
Layers = Annotated[
    bool | None, typer.Option("--layers", help="Probe every stage: where knowledge that transfers ends.")
]
Set = Annotated[list[str] | None, option("--set", "Setting of a plug-in; repeatable.", "FAMILY.KEY=VALUE")]
FormatSet = Annotated[
    list[str] | None,
    option("--set", "Setting such as format.table=Sheet2 or test_time.rate=0.0005; repeatable.", "FAMILY.KEY=VALUE"),
]
Overwrite = Annotated[
    bool | None, typer.Option("--overwrite", help="Replace the run at --out once the new one is complete.")
]
Json = Annotated[bool, typer.Option("--json", help="Print a single JSON document on standard output.")]
