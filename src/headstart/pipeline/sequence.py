"""The first steps of every fit: read the data, load the backbone, bind the task to both, split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from headstart.contracts.backbone import Backbone
from headstart.kernel.progress import Reporter
from headstart.pipeline.choose_backbone import choose_backbone
from headstart.pipeline.clock import Clock
from headstart.pipeline.continued_run import ContinuedRun
from headstart.pipeline.plan import Plan
from headstart.pipeline.prepare import Prepared, choose_task, read_data, split_data
from headstart.pipeline.record import Decision
from headstart.pipeline.run_folder import open_run
from headstart.pipeline.suit_backbone import suited


@dataclass(frozen=True)
class Start:
    """Data and backbone of a fit, before anything has run."""

    data: Prepared
    backbone: Backbone
    reference: str
    """Name that the backbone was loaded by."""
    continued: ContinuedRun | None
    """The run that the fit goes on from."""
    decisions: tuple[Decision, ...]


def start(data: Any, plan: Plan, reporter: Reporter, clock: Clock) -> Start:
    """Read the data, load the backbone, bind the task and split.

    Raises:
        DataError, SettingsError, BackboneError, RunError: what is wrong, and what to do.
    """
    with clock.step("reading and splitting the data"):
        read = read_data(data, plan, reporter)
        task, chosen = choose_task(read.examples, plan)
        continued = None if plan.from_run is None else ContinuedRun(open_run(plan.from_run), plan, read.examples)
    with clock.step("loading the backbone"):
        backbone, reference, loaded = choose_backbone(read.examples, plan)
    with clock.step("reading and splitting the data"):
        bound = (continued or task).bind(read.examples)
        prepared = split_data(read, plan, bound, reporter)
        prepared = prepared if continued is None else continued.apart(prepared)
    backbone = suited(backbone, bound, plan.plugin("tuning"))
    decisions = tuple(found for found in (chosen, *prepared.decisions, loaded) if found)
    return Start(prepared, backbone, reference, continued, decisions)
