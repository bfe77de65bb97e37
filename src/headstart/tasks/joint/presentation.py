"""Several tasks as tables and reports show them: each one's columns, panels and mistakes, under its name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from headstart.contracts.examples import SEVERAL, Examples, Raw
from headstart.contracts.panels import Mistake, Panel
from headstart.contracts.prediction import Prediction
from headstart.contracts.presentation import presentation_of
from headstart.contracts.review import Review
from headstart.contracts.target_kinds import VALUES
from headstart.contracts.task import Targets
from headstart.contracts.task_capabilities import FinishesFiles, WritesFiles
from headstart.tasks.joint.parts import known_in, label_columns, labelled, prediction_of, targets_of
from headstart.tasks.joint.task import BoundJoint


class JointPresentation(NamedTuple):
    """Labels and predictions of each task, shown by its own presentation."""

    task: BoundJoint

    def labels(self, examples: Examples) -> Sequence[Any]:
        """Return the labels of each example by task: a mapping, without those that it lacks."""
        found: list[dict[str, Any]] = [{} for _ in range(len(examples))]
        for name, task in self.task.tasks.items() if SEVERAL in examples.schema.targets else ():
            alone, rows = labelled(examples, name)
            for row, label in zip(rows.tolist(), presentation_of(task).labels(alone) if len(rows) else ()):
                found[row][name] = label
        return found

    def tally(self, labels: Sequence[Any]) -> Mapping[str, int]:
        """Count the examples of each task's classes; nothing of numbers."""
        found: Counter[str] = Counter()
        for name, task in self.task.tasks.items():
            if VALUES not in task.target_kinds.values():
                counts = presentation_of(task).tally([one[name] for one in labels if name in one])
                found.update({f"{name}: {key}": count for key, count in counts.items()})
        return found

    def columns(self, prediction: Prediction) -> Mapping[str, np.ndarray]:
        """Return each task's as 'TASK COLUMN'."""
        return {
            f"{name} {column}": values
            for name, task in self.task.tasks.items()
            for column, values in presentation_of(task).columns(prediction_of(name, prediction)).items()
        }

    def panels(self, prediction: Prediction, targets: Targets) -> tuple[Panel, ...]:
        """Return each task's, of the examples with its label."""
        return tuple(
            panel.model_copy(update={"title": f"{panel.title}: {name}"})
            for name, (_, found, truth) in self._each(prediction, targets).items()
            for panel in presentation_of(self.task.tasks[name]).panels(found, truth)
        )

    def mistakes(self, prediction: Prediction, targets: Targets, most: int) -> tuple[Mistake, ...]:
        """Return each task's, how bad being a share of its worst; of several of an example the worst."""
        found: dict[int, Mistake] = {}
        for name, (rows, own, truth) in self._each(prediction, targets).items():
            mistakes = presentation_of(self.task.tasks[name]).mistakes(own, truth, most)
            for mistake in mistakes:
                row, share = int(rows[mistake.row]), mistake.weight / (mistakes[0].weight or 1.0)
                words = {"truth": f"{name}: {mistake.truth}", "predicted": f"{name}: {mistake.predicted}"}
                if row not in found or found[row].weight < share:
                    found[row] = mistake.model_copy(update={"row": row, "weight": share, **words})
        return tuple(sorted(found.values(), key=lambda mistake: -mistake.weight)[:most])

    def _each(self, prediction: Prediction, targets: Targets) -> dict[str, tuple[np.ndarray, Prediction, Targets]]:
        """Rows with a label of each task that has any, and its prediction and targets there."""
        known = {name: np.flatnonzero(known_in(name, targets)) for name in self.task.tasks}
        return {
            name: (
                rows,
                prediction_of(name, prediction).take(rows),
                {key: values[rows] for key, values in targets_of(name, targets).items()},
            )
            for name, rows in known.items()
            if len(rows)
        }


class WithFiles(JointPresentation):
    """Beside tables, the files of the tasks that write some, such as masks, in a folder for each of these tasks."""

    def files(self, prediction: Prediction, raws: Sequence[Raw], names: Sequence[str], folder: Path) -> list[str]:
        """Write those of each task to a folder of its name; return the files of the first that has one per example."""
        found: list[list[str]] = []
        for name, shown in self._writing().items():
            (folder / name).mkdir(parents=True, exist_ok=True)
            files = shown.files(prediction_of(name, prediction), raws, names, folder / name)
            found += [[f"{name}/{file}" for file in files]] if files else []
        return found[0] if found else []

    def finish(self, folder: Path) -> None:
        """Write what is left of each task."""
        for name, shown in self._writing().items():
            if isinstance(shown, FinishesFiles) and (folder / name).is_dir():
                shown.finish(folder / name)

    def _writing(self) -> dict[str, WritesFiles]:
        each = {name: presentation_of(task) for name, task in self.task.tasks.items()}
        return {name: shown for name, shown in each.items() if isinstance(shown, WritesFiles)}


def presentation(task: BoundJoint) -> JointPresentation:
    """Show each task by its own presentation."""
    writes = any(isinstance(presentation_of(part), WritesFiles) for part in task.tasks.values())
    return WithFiles(task) if writes else JointPresentation(task)


def review(examples: Examples) -> Review:
    """Count the examples without a label of each task."""
    lacking = {name: len(examples) - len(labelled(examples, name)[1]) for name in label_columns(examples)}
    faults = [f"column '{name}': no example has a label" for name, n in lacking.items() if n == len(examples)]
    notes = [
        f"column '{name}': {n} of {len(examples)} examples have no label of it and are left out of its task alone"
        for name, n in lacking.items()
        if 0 < n < len(examples)
    ]
    return Review(faults=tuple(faults), notes=tuple(notes))
