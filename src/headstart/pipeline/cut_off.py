"""Inputs that are not read whole: longer than the backbone reads, or a pair of which one text is missing."""

from __future__ import annotations

from headstart.contracts.backbone import Backbone
from headstart.contracts.examples import Examples
from headstart.contracts.modality import are_pairs, modality_named, raws_of
from headstart.contracts.task import BoundTask
from headstart.contracts.task_capabilities import Windowed


class CutOff:
    """Counts inputs of which a backbone does not read the end, and pairs without one of their texts."""

    def __init__(self, backbone: Backbone, task: BoundTask) -> None:
        """A task that reads long examples in windows loses nothing, but what has labels that cannot be cut."""
        self._backbone, self._task = backbone, task
        self._inputs, self._cut, self._lost, self._unit = 0, 0, 0.0, ""
        self._halves: dict[str, int] = {}
        self._first: dict[str, str] = {}

    def look(self, examples: Examples) -> CutOff:
        """Count those of some examples too."""
        if are_pairs(examples.schema):
            self._count_halves(examples)
        if not (isinstance(self._task, Windowed) and self._whole(self._task, examples)):
            unread = self._backbone.unread(raws_of(examples))
            self._inputs, self._cut = self._inputs + len(unread), self._cut + int((unread > 0).sum())
            self._lost += float(unread.sum())
            self._unit = modality_named(examples.schema.modality).unit
        return self

    def notes(self) -> tuple[str, ...]:
        """Return the sentences on what is not read; nothing where every input is read whole."""
        halves = (
            f"{count:,} of {self._inputs:,} pairs have no text in '{column}', such as {self._first[column]}:"
            " it is read as an empty one"
            for column, count in self._halves.items()
        )
        return (*halves, *self._cut_off())

    def _whole(self, task: Windowed, examples: Examples) -> bool:
        return not examples.schema.targets or task.cut(examples, self._backbone) is not None

    def _count_halves(self, examples: Examples) -> None:
        origins = examples.origins()
        for row, pair in enumerate(raws_of(examples)):
            empty = [not text.strip() for text in pair]
            if any(empty) and not all(empty):
                column = examples.schema.inputs[empty.index(True)]
                self._halves[column] = self._halves.get(column, 0) + 1
                self._first.setdefault(column, origins[row])

    def _cut_off(self) -> tuple[str, ...]:
        if not self._cut:
            return ()
        share, lost = self._cut / self._inputs, self._lost / self._cut
        part = "over 99 %" if lost > 0.99 else f"{100 * lost:.0f} %"
        counted = f"{self._cut:,} of {self._inputs:,} {self._unit} ({100 * share:.1f} %)"
        most = f"the {self._backbone.reads} that {self._backbone.name} reads"
        return (f"{counted} are longer than {most}: their ends are cut off, {part} of each on average",)
