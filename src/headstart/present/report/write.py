"""The report of a run: one self-contained HTML file, drawn from the record alone.

It loads nothing, runs no script (its content security policy forbids both) and stays under `MOST_BYTES`: long lists,
names and texts are cut with a word about what is left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from headstart.engine.frozen.bottleneck import shares
from headstart.kernel.files import write_atomic
from headstart.pipeline import numbers
from headstart.pipeline.deep.page import FaultPage
from headstart.pipeline.destination import require_apart, require_outside_runs, require_replaceable
from headstart.pipeline.pretraining.record import PretrainRecord
from headstart.pipeline.record import REPORT, RunRecord, Shown
from headstart.pipeline.run_folder import read_any
from headstart.pipeline.selection.record import Selection
from headstart.pipeline.suggestion import Suggestions
from headstart.present.card import write_card
from headstart.present.report import candidates, evidence, layers, marks, selection, stages
from headstart.present.report import panels as panels
from headstart.present.report import pretraining_curves as course
from headstart.present.report.domains import domain_picture
from headstart.present.report.label_curve import label_curve_chart
from headstart.present.report.pictures import pictures, sounds, with_room
from headstart.present.report.svg import clip

MOST_BYTES = 3_000_000
"""No report is larger."""

MARK = b'<p class="kicker"><strong>Headstart</strong>'
"""By which a file is known for a report."""


def report(run: Path | str, *, out: Path | str | None = None) -> Path:
    """Write the report of a run, and its model card README.md beside it; return where the report lies.

    Args:
        run: the run folder; only its record.json is read.
        out: the file to write, RUN/report.html by default. It is replaced whole or not at all.

    Raises:
        RunError: the run folder is missing, foreign or damaged, or a newer Headstart made it.
            `out` lies in another run.
        SettingsError: `out` is there and is not a report.
        HeadstartError: `out` cannot be written.
    """
    record = read_any(Path(run))
    target = Path(out) if out is not None else Path(run) / REPORT
    if out is not None:
        require_outside_runs(target.parent, own=Path(run), what=f"the report {target.name}")
        require_replaceable(target, _is_report, "a report")
    write_atomic(target, render(record).encode())
    if out is None and isinstance(record, RunRecord):
        write_card(Path(run), record)
    return target


def _is_report(file: Path) -> bool:
    try:
        return MARK in file.read_bytes()[:MOST_BYTES]
    except OSError:
        return False


def render(record: RunRecord | PretrainRecord) -> str:
    """The report as HTML."""
    if isinstance(record, PretrainRecord):
        return _render_pretraining(record)
    template = _environment().get_template("report.html.j2")
    return template.render(
        record=record,
        metrics=evidence.metrics(record),
        comparison_plots=evidence.comparison_plots(record),
        curves=evidence.curves(record),
        label_curve=label_curve_chart(record),
        slice_tables=evidence.slice_tables(record),
        pictures=pictures(record.mistakes),
        sounds=sounds(record.mistakes),
        task_panels=with_room(record.panels),
    )


def _render_pretraining(record: PretrainRecord) -> str:
    gain, nan = record.gain, math.nan
    metrics = [] if gain is None else evidence.metrics(gain)
    plots = [] if gain is None else evidence.comparison_plots(gain)
    template = _environment().get_template("pretraining.html.j2")
    return template.render(record=record, metrics=metrics, comparison_plots=plots, course=course, nan=nan)


def write_suggestions(found: Suggestions, out: Path) -> None:
    """Write suggestions as a page that takes the place of `out`."""
    page = _environment().get_template("suggestions.html.j2")
    write_atomic(out, page.render(record=found, pictures=pictures(found.rows), sounds=sounds(found.rows)).encode())


def write_selection(found: Selection, out: Path) -> None:
    """Write a ranking of models as a page that takes the place of `out`."""
    page = _environment().get_template("selection.html.j2")
    write_atomic(out, page.render(record=found, selection=selection).encode())


def write_inspection(found: FaultPage, out: Path) -> None:
    """Write findings as a page that takes the place of `out`."""
    page = _environment().get_template("inspection.html.j2")
    findings = found.found.findings
    rows = [row for section in found.sections for row in section.rows]
    others = [Shown(origin="", thumbnail=row.other_thumbnail, sound=row.other_sound) for row in rows]
    every = iter(zip(pictures(rows), pictures(others), sounds(rows), sounds(others)))
    both = {section.title: [next(every) for _ in section.rows] for section in found.sections}
    warned = [one for one in findings if one.severity != "note"]
    told = (
        f"{len(warned)} things to look at."
        if len(warned) > 1
        else "One thing to look at."
        if warned
        else "No problems found."
    )
    notes = [one for one in findings if one.severity == "note"]
    write_atomic(out, page.render(record=found, pictures=both, sentences=warned, notes=notes, verdict=told).encode())


def require_page(out: Path, inputs: Sequence[Any]) -> None:
    """Refuse to write a page to an input, into a run, or over a file that is none of Headstart's.

    Raises:
        SettingsError, RunError: with what is in the way.
    """
    require_apart(out, inputs, "the page")
    require_outside_runs(out.parent, what=f"the page {out.name}")
    require_replaceable(out, _is_report, "a page of Headstart's")


def breakable(name: str) -> Markup:
    """A long name that may be broken behind its underscores."""
    return escape(name).replace("_", Markup("_<wbr>"))


@cache
def _environment() -> Environment:
    """With its templates, which are compiled once in a process."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        clip=clip,
        seconds=numbers.seconds_text,
        parameters=numbers.parameters_text,
        number=numbers.number_text,
        p_text=numbers.p_text,
        moment=numbers.moment_text,
        setting=numbers.setting_text,
        work_shares=shares,
        breakable=breakable,
        moved=stages.moved,
    )
    environment.globals.update(
        figure_text=numbers.figure_text,
        interval_text=numbers.interval_text,
        value_text=numbers.value_text,
        difference_text=numbers.difference_text,
        spread_text=numbers.spread_text,
        candidates=candidates,
        evidence=evidence,
        layer_view=layers,
        domain_picture=domain_picture,
        panels=panels,
        marked=marks.marked,
        stages=stages,
    )
    return environment
