"""Is one model of several tasks as good as a model for each, in less time than these take together?

adult: income and marital status, two label columns, and the age, a number, from the other columns, by a network that
begins with random weights. nlupp: the intents of a question, sets of labels, and its domain, by all layers of MiniLM.
The joint model and the model for each task have the same rows, split and recipe. A task counts as worse where the 95 %
interval of its paired difference on the test part lies below zero. All was set up on seed 0, which is not reported;
`uncertainty` and `pcgrad` stand beside the plain sum in the details.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from benchmarks._data import data_folder
from headstart.contracts.panels import Picture
from headstart.contracts.task_capabilities import SeveralTasks
from headstart.evidence.comparison import compare
from headstart.pipeline.arms import solve_arm, train_arm
from headstart.pipeline.context import FitContext
from headstart.pipeline.data import Given
from headstart.pipeline.defaults_by_size import with_enough_epochs
from headstart.pipeline.judge import figure_row
from headstart.pipeline.plan import Plan
from headstart.pipeline.record import SINGLE
from headstart.pipeline.sequence import start
from headstart.pipeline.single_tasks import with_single_tasks
from headstart.pipeline.trained import Arms, Trained, predict_rows, weights_of

OBJECTIVES = ("supervised", "uncertainty", "pcgrad")
ROWS, FEW_ROWS, FEW_TEXTS = 12_000, 1_500, 400
SEEDS = {"adult": (1, 2, 3), "nlupp": (1,)}


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:
    """Both data sets (`quick`: few rows and one seed; `full`: `nlupp` on three seeds)."""
    seeds = {name: (1, 2, 3) if full else some[:1] if quick else some for name, some in SEEDS.items()}
    measured: dict[str, float | None] = {}
    details: dict[str, Any] = {}
    for name, data in (("adult", _adult), ("nlupp", _nlupp)):
        found = {f"seed {seed}": _compared(data(seed, quick), seed) for seed in seeds[name]}
        details[name] = found
        tasks = [one for cell in found.values() for one in cell["supervised"]["tasks"].values()]
        measured[f"multitask.{name}.worse"] = sum(one["verdict"] == "worse" for one in tasks)
        measured[f"multitask.{name}.time"] = 100 * float(np.mean([c["supervised"]["time"] for c in found.values()]))
    return measured, details


def _adult(seed: int, quick: bool) -> FitContext:
    frame = pd.read_csv(data_folder() / "data" / "multitask_adult" / "adult.csv.gz", skipinitialspace=True)
    frame = frame.sample(FEW_ROWS if quick else ROWS, random_state=seed)
    columns = {"label": ("income-per-year", "marital-status", "age"), "leave_out": ("relationship",)}
    more = {"weights": "random", "tuning": "scratch"}
    steps = {"epochs": 15, "batch_size": 128, "learning_rate": 3e-3, "rates_tried": (1.0,)}
    settings = {"task": {"kinds": {"age": "regression"}}, "tuning": steps}
    return _context(frame, columns, seed, "table_mlp", settings, **more)


def _nlupp(seed: int, quick: bool) -> FitContext:
    frame = pd.read_csv(data_folder() / "data" / "text_nlupp_multilabel" / "nlupp.csv")[["text", "intents", "domain"]]
    frame = frame.sample(FEW_TEXTS, random_state=seed) if quick else frame
    columns = {"text": ("text",), "label": ("intents", "domain")}
    settings = {"tuning": {"epochs": 1 if quick else 3}}
    return _context(frame, columns, seed, "all-MiniLM-L6-v2", settings)


def _context(
    frame: pd.DataFrame, columns: Mapping[str, Any], seed: int, backbone: str, settings: Mapping[str, Any], **more: Any
) -> FitContext:
    said = {"tuning": "full", **more, "columns": columns, "seed": seed, "backbone": backbone, "settings": settings}
    plan = Plan(data="<frame>", **said)
    return start(Given(frame.reset_index(drop=True)), plan).embedded()


def _compared(context: FitContext, seed: int) -> dict[str, Any]:
    """Objective -> time beside that of a model for each task, and each task's difference."""
    data, rows, before = context.data, context.data.split.test, weights_of(context.backbone)
    probe = solve_arm(context, "probe")
    recipe, _ = with_enough_epochs(context.tuning, len(context.read.split.train))
    joint: dict[str, tuple[Trained, Any]] = {}
    for objective in OBJECTIVES:
        context.backbone.module.load_state_dict(before)
        own = replace(context, plan=context.plan.model_copy(update={"objective": objective}))
        arm = train_arm(own, objective, recipe, objective, None, probe)
        joint[objective] = arm, predict_rows(own, arm, rows)
    arms = with_single_tasks(Arms(context, [joint["pcgrad"][0], probe]), recipe, before, None)
    single = arms.trained[-1]
    if single.key != SINGLE:
        raise SystemExit("no single-task models were trained")
    alone, targets, task = predict_rows(context, single, rows), data.targets_of(rows), data.task
    if not isinstance(task, SeveralTasks):
        raise SystemExit("the task is not made of several")
    shown: dict[str, Any] = {}
    for objective, (arm, predicted) in joint.items():
        tasks = {}
        for name, metric in task.primaries.items():
            found = compare(metric, targets, predicted, alone, groups=data.groups_of(rows), seed=seed)
            score = {"joint": metric.score(targets, predicted), "alone": metric.score(targets, alone)}
            tasks[name] = {
                "metric": metric.name,
                **score,
                **figure_row(found.figure).model_dump(),
                "verdict": found.verdict,
            }
        shown[objective] = {"time": arm.seconds / single.seconds, "seconds": arm.seconds, "tasks": tasks}
    return {
        **shown,
        "alone_seconds": single.seconds,
        "affinity": [panel.alternative for panel in arms.panels if isinstance(panel, Picture)],
    }
