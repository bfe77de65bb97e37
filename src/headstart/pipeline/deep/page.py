"""The findings of an inspection as a page shows them: some of each kind, with previews of their inputs."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version

from headstart.contracts.modality import modality_named, raws_of
from headstart.kernel.settings import Settings
from headstart.pipeline.inspection import FaultRow, Inspection
from headstart.pipeline.judge import shown_input
from headstart.pipeline.prepare import SeenData

SHOWN = 24
"""Examples of a kind on the page; the CSV has all."""

KINDS = {
    "wrong label": ("Labels that look wrong", "Held against a probe that was solved without the example, worst first."),
    "wrong tag": ("Tags that look wrong", "Sentence by sentence, those with the least likely tag first."),
    "wrong mask": ("Masks that look wrong", "Pictures with a large region that a probe is sure of, worst first."),
    "overlapping classes": ("Classes that overlap", "Examples of one that look like the other."),
    "weak group": (
        "Groups on which the probe does worse",
        "Held against all other examples, corrected for all groups.",
    ),
    "spurious attribute": ("Attributes that predict the label", "A model may learn them in place of the content."),
    "outlier": ("Outliers", "Unlike all other inputs, the farthest first."),
    "order": ("An order that is not random", ""),
    "leak": ("Copies across the split", "Outside the train part, with a copy in it."),
    "conflicting labels": ("Copies that are labelled otherwise", ""),
    "exact copy": ("Exact copies", "Of earlier examples."),
    "near copy": ("Near copies", "Of earlier examples: re-encoded, resized, cropped or reworded."),
    "single colour": ("Pictures of a single colour", ""),
    "unusable": ("Inputs of no use", ""),
    "unreadable": ("Files that cannot be read", ""),
    "unlike the data": ("Inputs of the other set that are least like the data", ""),
    "unlike the other set": ("Inputs of the data that are least like the other set", ""),
    "no features": ("Examples without features", ""),
}


class PageRow(FaultRow):
    """A fault with both inputs, where it is about two."""

    other_text: str = ""
    other_thumbnail: str = ""
    other_sound: str = ""


class Section(Settings):
    """All faults of a kind."""

    title: str
    lead: str
    total: int
    rows: tuple[PageRow, ...]
    """The first of them."""


class FaultPage(Settings):
    """The page."""

    name: str
    headstart: str
    found: Inspection
    sections: tuple[Section, ...]


def page_of(found: Inspection, seen: SeenData, faults: Sequence[FaultRow]) -> FaultPage:
    """Gather the faults by kind, with previews."""
    place = {origin: row for row, origin in enumerate(seen.examples.origins())}
    sections = []
    for kind in dict.fromkeys([*KINDS, *(fault.kind for fault in faults)]):
        some = [fault for fault in faults if fault.kind == kind]
        title, lead = KINDS.get(kind, (kind.capitalize(), ""))
        rows = tuple(_shown(seen, place, fault) for fault in some[:SHOWN])
        if some:
            sections.append(Section(title=title, lead=lead, total=len(some), rows=rows))
    return FaultPage(name=found.source, headstart=version("headstart"), found=found, sections=tuple(sections))


def _shown(seen: SeenData, place: dict[str, int], fault: FaultRow) -> PageRow:
    kind = modality_named(seen.examples.schema.modality)
    row = PageRow(**fault.model_dump())
    for origin, prefix in ((fault.origin, ""), (fault.other, "other_")):
        at = place.get(origin)
        if at is not None and at not in seen.unreadable and origin:
            shown = shown_input(kind, raws_of(seen.examples, [at])[0])
            row = row.model_copy(update={f"{prefix}{name}": value for name, value in shown.items()})
    return row
