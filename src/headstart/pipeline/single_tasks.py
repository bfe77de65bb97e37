"""Single-task training: a model for each of several tasks, trained alone by the recipe that trained them jointly.

It has the same data, the same recipe and, where time is limited, as much of it in all. What joint training gains or
loses on each task is told beside it, and how far the tasks' gradients agree before the first step is drawn.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from html import escape
from typing import Any

import numpy as np

from headstart.contracts.objective import SOURCE
from headstart.contracts.panels import Picture
from headstart.contracts.task_capabilities import SeveralTasks
from headstart.engine.device import pick_device, usual_batch_size
from headstart.engine.streams import PreparedInputs, Stream
from headstart.engine.training.task_affinity import BATCHES, task_affinity
from headstart.kernel.errors import DataError, TrainingError
from headstart.pipeline.arms import model_with
from headstart.pipeline.context import FitContext
from headstart.pipeline.one_task import of_task
from headstart.pipeline.record import SINGLE, Decision
from headstart.pipeline.refit import trained_and_refitted
from headstart.pipeline.trained import Arms, Trained, Weights, weights_of

CELL, MARGIN = 74, 150
"""Pixels of the picture of affinities: of a pair of tasks, and for their names."""


def with_single_tasks(arms: Arms, recipe: Any, before: Weights, budget: float | None) -> Arms:
    """With a model for each task beside the joint one, and a picture of how far the tasks agree.

    Args:
        arms: of a task made of several; the backbone keeps the weights that it has.
        recipe: the tuning of the joint model. before: weights of the backbone before it was trained.
        budget: seconds for all of them; None for no limit.
    """
    context, task, module = arms.context, arms.context.data.task, arms.context.backbone.module
    if not isinstance(task, SeveralTasks) or context.windows is not None:
        return arms
    now, found = weights_of(context.backbone), {}
    probe = next((arm for arm in arms.trained if arm.on_stored), arms.trained[-1])
    try:
        with context.budget.step("each task alone", budget):
            module.load_state_dict(before)
            panel = _picture(list(task.tasks), _affinities(context, probe))
            for number, name in enumerate(task.tasks):
                module.load_state_dict(before)
                seconds = None if budget is None else budget / len(task.tasks)
                own = _of_task(context, name, number)
                one = trained_and_refitted(own, recipe, f"{name} alone", seconds, _probe_of(own, probe, number))
                found[name] = replace(
                    one, weights=weights_of(one.model.backbone)
                )  # a fresh one where it starts from nothing
    except (DataError, TrainingError) as error:
        why = Decision(what="each task alone", value="left out", reason=str(error))
        context.log.tell(f"No model for each task: {error}", why)
        return arms
    finally:
        module.load_state_dict(now)
    first = next(iter(found.values()))
    title, seconds = f"a model for each task, by {context.plan.tuning}", sum(one.seconds for one in found.values())
    single = Trained(SINGLE, title, first.model, seconds, {}, stages=first.stages, head=first.head, each=found)
    return replace(arms, trained=[*arms.trained, single], panels=(*arms.panels, panel))


def _of_task(context: FitContext, name: str, number: int) -> FitContext:
    """The same fit of one task; an objective of several tasks has nothing to weigh there."""
    plan = context.plan
    if context.objective.of_tasks:
        settings = {key: values for key, values in plan.settings.items() if key != "objective"}
        plan = plan.model_copy(update={"objective": "supervised", "settings": settings})
    work = None if context.work is None else context.work / f"task-{number}"
    return replace(context, plan=plan, data=of_task(context.data, name), work=work, head=None)


def _probe_of(context: FitContext, probe: Trained, number: int) -> Trained | None:
    """The part of a joint probe that one task starts from; None where its head can be solved for on what is kept."""
    if context.features.spec.keep != "state":
        return None
    head = list(probe.model.heads["head"].children())[number]
    return replace(probe, model=model_with(context, context.backbone, copy.deepcopy(head)))


def _affinities(context: FitContext, probe: Trained) -> np.ndarray:
    """The cosines (tasks, tasks) of the gradients at the start of a training from the head of the probe."""
    data, backbone = context.data, context.backbone
    stream = Stream(
        SOURCE,
        data.split.train,
        data.targets,
        PreparedInputs(backbone, data.examples),
        usual_batch_size(pick_device()),
        context.plan.seed,
        head_inputs=data.task.inputs(data.examples),
        target_kinds=data.task.target_kinds,
    )
    return task_affinity(
        model_with(context, backbone, copy.deepcopy(probe.model.heads["head"]), probe.model.task), stream
    )


def _picture(names: Sequence[str], cosines: np.ndarray) -> Picture:
    """A square for each pair of tasks: blue where their gradients agree, red where they conflict."""
    side = MARGIN + CELL * len(names)
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side} {side}" font-family="sans-serif" font-size="13">'
    ]
    for row, name in enumerate(names):
        middle, short = MARGIN + CELL * (row + 0.5), escape(name if len(name) <= 18 else f"{name[:17]}…")
        drawn.append(f'<text x="{MARGIN - 8}" y="{middle + 4}" text-anchor="end">{short}</text>')
        drawn.append(f'<text transform="translate({middle + 4} {MARGIN - 8}) rotate(-90)">{short}</text>')
        for column, value in enumerate(cosines[row]):
            colour, x, y = "#2166ac" if value >= 0 else "#b2182b", MARGIN + CELL * column, MARGIN + CELL * row
            shade = f'fill="{colour}" fill-opacity="{0.1 + 0.6 * abs(value):.2f}"'
            drawn.append(f'<rect x="{x}" y="{y}" width="{CELL - 2}" height="{CELL - 2}" {shade}/>')
            drawn.append(f'<text x="{x + CELL / 2}" y="{y + CELL / 2 + 4}" text-anchor="middle">{value:.2f}</text>')
    pairs = [f"{names[a]} and {names[b]} {cosines[a, b]:.2f}" for a in range(len(names)) for b in range(a)]
    note = (
        f"Mean cosine of the gradients of the tasks' losses on the weights of the backbone, over {BATCHES} batches"
        " before the first step: below 0 they conflict."
    )
    return Picture.of("Affinity of the tasks", "".join([*drawn, "</svg>"]), "Cosines: " + ", ".join(pairs), note)
