"""What a fit would make of data: everything that it would refuse, leave out, cut, convert or assume, as findings."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from headstart.contracts.modality import modality_named, raws_of
from headstart.kernel.errors import BackboneError, DataError, HeadstartError
from headstart.kernel.progress import Reporter
from headstart.pipeline.against import held_against
from headstart.pipeline.budget import Budget
from headstart.pipeline.choose_backbone import without_downloads
from headstart.pipeline.data import read_examples
from headstart.pipeline.decision_log import DecisionLog
from headstart.pipeline.deep.look import looked_deep
from headstart.pipeline.examine import examine
from headstart.pipeline.findings import gravest_first
from headstart.pipeline.inspection import Finding, Inspection
from headstart.pipeline.plan import Plan
from headstart.pipeline.plan_file import AUTO
from headstart.pipeline.prepare import SeenData, look_at, read_data
from headstart.pipeline.ready import Ready, ready, staged


def inspected(
    data: Any, plan: Plan, reporter: Reporter, against: Any = None, *, deep: bool = False
) -> tuple[Inspection, SeenData]:
    """Examine data, take the steps of a fit by `plan`, and compare with the inputs of `against`, if given.

    With `deep` frozen features are looked through as well.

    Raises:
        DataError: there is nothing to look at, or nothing to compare with. BackboneError: none for a comparison.
    """
    seen, refusals = _seen(data, plan, reporter)
    found = examine(seen, plan.data, plan.task)
    assumed, more, begun = (seen.examples.notes, refusals, None) if refusals else _rehearsed(seen, plan)
    told, shift = map(_as_note, assumed), None
    if against is not None:
        with without_downloads() if plan.backbone == AUTO else nullcontext():
            shift, differences = held_against(seen, against, plan, reporter)
        more = [*more, *differences]
    looked = None
    if deep:
        with without_downloads() if plan.backbone == AUTO else nullcontext():
            looked, told_by_features = looked_deep(seen, begun, plan, reporter)
        more = [*more, *told_by_features]
    everything = {finding.text: finding for finding in (*told, *found.findings, *more)}
    findings = gravest_first(everything.values())
    update = {"assumed": tuple(assumed), "shift": shift, "findings": findings, "deep": looked}
    return found.model_copy(update=update), seen


def _seen(data: Any, plan: Plan, reporter: Reporter) -> tuple[SeenData, list[Finding]]:
    """The data with labels, or, where that fails, without them and with the reason."""
    try:
        return read_data(data, plan, reporter), []
    except DataError as error:
        settings = plan.settings.get("format", {})
        try:
            examples, seen = read_examples(data, plan.columns, format=plan.format, settings=settings, labelled=False)
        except DataError:
            raise error from None
        return look_at(examples, seen, reporter), [Finding(severity="error", text=str(error))]


def _rehearsed(seen: SeenData, plan: Plan) -> tuple[tuple[str, ...], list[Finding], Ready | None]:
    """Return what a fit would note, further findings, and where it would begin.

    The findings are its refusal, after which there is no beginning, and what its backbone would cut off.
    """
    log, notes = DecisionLog(), (*seen.examples.notes, *_decoding(seen))
    try:
        begun = staged(seen, plan)
        task = [] if begun.chosen is None else [_as_note(f"task {begun.chosen.value}: {begun.chosen.reason}")]
        notes = (*notes, *begun.parts.notes())
        with without_downloads() if plan.backbone == AUTO else nullcontext():
            found = ready(begun, plan, Budget(), log)
    except BackboneError as error:
        if plan.backbone != AUTO:
            return notes, [Finding(severity="error", text=str(error))], None
        return notes, [*task, _as_note(f"not held against a backbone: {error}")], None
    except HeadstartError as error:
        return notes, [Finding(severity="error", text=str(error))], None
    told = [one for one in log.made if one not in (begun.chosen, found.why)]
    choices = tuple(f"{one.what}: {one.value}; {one.reason}" for one in told)
    notes = tuple(text for text in found.data.summary.notes if text not in begun.warnings)
    lost = [Finding(severity="warning", text=text) for text in found.lost]
    return (*notes, *choices), [*task, *lost], found


def _as_note(text: str) -> Finding:
    return Finding(severity="note", text=text)


def _decoding(seen: SeenData) -> tuple[str, ...]:
    """Return how inputs are decoded by what training inputs hold: those of the given training part, or all."""
    examples, part = seen.examples, seen.examples.schema.part
    rows = None if part is None else [row for row, name in enumerate(examples.column(part)) if name == "train"]
    return modality_named(examples.schema.modality).decoding(raws_of(examples, rows or None))
