"""Inputs that are longer than the backbone reads: how many are cut off, and how much of them."""

from __future__ import annotations

from headstart.contracts.backbone import Backbone
from headstart.contracts.examples import Examples
from headstart.contracts.modality import modality_named
from headstart.contracts.task import BoundTask
from headstart.contracts.task_capabilities import Windowed


class CutOff:
    """Counts inputs of which a backbone does not read the end."""

    def __init__(self, backbone: Backbone, task: BoundTask) -> None:
        """A task that reads long examples in windows loses nothing."""
        self._backbone, self._whole = backbone, isinstance(task, Windowed)
        self._inputs, self._cut, self._lost, self._unit = 0, 0, 0.0, ""

    def look(self, examples: Examples) -> CutOff:
        """Count those of some examples too."""
        if not self._whole:
            unread = self._backbone.unread(examples.raws())
            self._inputs, self._cut = self._inputs + len(unread), self._cut + int((unread > 0).sum())
            self._lost += float(unread.sum())
            self._unit = modality_named(examples.schema.modality).unit
        return self

    def notes(self) -> tuple[str, ...]:
        """Return the sentence on what is cut off; nothing where every input is read whole."""
        if not self._cut:
            return ()
        share, lost = self._cut / self._inputs, self._lost / self._cut
        part = "over 99 %" if lost > 0.99 else f"{100 * lost:.0f} %"
        counted = f"{self._cut:,} of {self._inputs:,} {self._unit} ({100 * share:.1f} %)"
        most = f"the {self._backbone.reads} that {self._backbone.name} reads"
        return (f"{counted} are longer than {most}: their ends are cut off, {part} of each on average",)
