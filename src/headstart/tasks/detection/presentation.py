"""Boxes as tables, files and reports show them: figures of each class and size, kinds of errors, the worst pictures."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from headstart.contracts.examples import Examples, Raw
from headstart.contracts.panels import Mistake, Outline, Panel
from headstart.contracts.prediction import Prediction
from headstart.contracts.review import Review
from headstart.contracts.task import Targets
from headstart.tasks.detection.box_files import join_pictures, note_pictures
from headstart.tasks.detection.box_panels import class_panel, curve_panel, error_panel, size_panel
from headstart.tasks.detection.box_review import review_boxes
from headstart.tasks.detection.boxes import CLASS, CROWD, EDGES, LABEL, OWN, SCORE, counted, labelled_boxes
from headstart.tasks.detection.errors import KINDS, RIGHT, Told, told_apart
from headstart.tasks.detection.frame_strip import frame_strip
from headstart.tasks.detection.metrics import THRESHOLD, judged
from headstart.tasks.detection.task import BOXES, SIZE, BoundDetection

COLOURS = {"right": "#009e73", "missed": "#e69f00", "wrong": "#d55e00"}
"""Of boxes in pictures (Okabe & Ito 2008)."""


class DetectionPresentation(NamedTuple):
    """Boxes and their classes, shown."""

    classes: tuple[str, ...]
    strides: tuple[int, ...]

    def labels(self, examples: Examples) -> Sequence[Any]:
        """Return the classes in each picture with the number of their boxes."""
        return [_named(counted([boxes])) for boxes in labelled_boxes(examples)]

    def tally(self, labels: Sequence[Any]) -> Mapping[str, int]:
        """Count the boxes of each class."""
        total: Counter[str] = Counter()
        for label in labels:
            total.update(json.loads(label))
        return total

    def columns(self, prediction: Prediction) -> Mapping[str, np.ndarray]:
        """ "prediction": the classes in each picture with the number of their boxes, as JSON."""
        return {"prediction": np.array([self._counts(boxes[:, LABEL]) for boxes in shown(prediction)], dtype=object)}

    def rows(self, prediction: Prediction) -> tuple[np.ndarray, Mapping[str, np.ndarray]]:
        """Return a row for each box, and one without any for a picture that shows none.

        Its columns are "label", "score" and the edges "left", "top", "right" and "bottom" in pixels of the picture.
        """
        found, nothing = shown(prediction), np.full((1, LABEL + 1), np.nan)
        rows = np.concatenate([boxes if len(boxes) else nothing for boxes in found])
        names = ["" if np.isnan(k) else self.classes[int(k)] for k in rows[:, LABEL]]
        edges = {name: rows[:, k].round(2) for k, name in enumerate(("left", "top", "right", "bottom"))}
        columns = {"label": np.array(names, dtype=object), "score": rows[:, SCORE].round(4), **edges}
        return np.array([max(1, len(boxes)) for boxes in found], np.int64), columns

    def files(self, prediction: Prediction, raws: Sequence[Raw], names: Sequence[str], folder: Path) -> list[str]:
        """Note the boxes for the file coco.json of the folder; see `box_files.py`."""
        files = [f"{name}{raw.suffix}" if isinstance(raw, Path) else name for name, raw in zip(names, raws)]
        note_pictures(folder, shown(prediction), prediction.columns[SIZE], files)
        return []

    def finish(self, folder: Path) -> None:
        """Write coco.json of all that was noted."""
        join_pictures(folder, self.classes)

    def panels(self, prediction: Prediction, targets: Targets) -> tuple[Panel, ...]:
        """Return figures of each class and size, the precision at each recall, and the kinds of errors."""
        matches = judged(targets[BOXES], prediction.columns[BOXES], len(self.classes))
        limit = float(prediction.columns[THRESHOLD][0])
        told = _told(targets, prediction)
        return (
            class_panel(matches, self.classes, limit),
            curve_panel(matches, self.classes),
            error_panel(told, limit),
            size_panel(matches, self.strides),
        )

    def frames(
        self, name: str, prediction: Prediction, times: np.ndarray, picture: Callable[[int], Any]
    ) -> Panel | None:
        """Return some frames of a video (frames,) with their boxes and the tracks of these."""
        return frame_strip(name, shown(prediction), times, self.classes, picture)

    def mistakes(self, prediction: Prediction, targets: Targets, most: int) -> tuple[Mistake, ...]:
        """Return the pictures with the most wrong and missed boxes, the worst first."""
        told, boxes = _told(targets, prediction), shown(prediction)
        wrong = np.array([sum(kind in KINDS for kind in one.kinds) + int((~one.found).sum()) for one in told])
        order = [row for row in np.argsort(-wrong, kind="stable").tolist() if wrong[row]]
        sizes = prediction.columns[SIZE]
        return tuple(self._mistake(row, targets[BOXES][row], boxes[row], told[row], sizes[row]) for row in order[:most])

    def _mistake(self, row: int, truth: np.ndarray, found: np.ndarray, told: Told, size: np.ndarray) -> Mistake:
        true = truth[truth[:, CROWD] == 0]
        missed, kinds = true[~told.found], Counter(kind for kind in told.kinds if kind in KINDS)
        right = [kind == RIGHT for kind in told.kinds]
        faulty = [kind in KINDS for kind in told.kinds]
        groups = (("right", found[right][:, EDGES]), ("missed", missed[:, OWN]), ("wrong", found[faulty][:, EDGES]))
        drawn = [_outline(edges, size, COLOURS[kind]) for kind, some in groups for edges in some]
        of_kinds = ", ".join(f"{kind} {count}" for kind, count in kinds.items())
        return Mistake(
            row=row,
            truth=self._in_words(true[:, CLASS]),
            predicted=f"{self._in_words(found[:, LABEL])}; {sum(right)} right",
            weight=float(len(missed) + sum(faulty)),
            weight_text=f"{len(missed)} missed (orange), {sum(faulty)} wrong (red{': ' if kinds else ''}{of_kinds})",
            boxes=tuple(drawn),
        )

    def _counts(self, labels: np.ndarray) -> str:
        return _named(Counter(self.classes[int(k)] for k in labels))

    def _in_words(self, labels: np.ndarray) -> str:
        counts = Counter(self.classes[int(k)] for k in labels)
        return ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "nothing"


def presentation(task: BoundDetection) -> DetectionPresentation:
    """Show boxes and their classes."""
    return DetectionPresentation(task.classes, task.strides)


def review(examples: Examples) -> Review:
    """Review boxes: how many there are, how large, and what is wrong with them."""
    return review_boxes(examples)


def shown(prediction: Prediction) -> list[np.ndarray]:
    """The boxes of each picture that are likely enough to be shown."""
    pairs = zip(prediction.columns[BOXES], prediction.columns[THRESHOLD])
    return [boxes[boxes[:, SCORE] >= limit] for boxes, limit in pairs]


def _told(targets: Targets, prediction: Prediction) -> list[Told]:
    return [told_apart(truth, found) for truth, found in zip(targets[BOXES], shown(prediction))]


def _named(counts: Mapping[str, int]) -> str:
    """Classes and the number of their boxes as JSON: '{"cat": 2, "dog": 1}'."""
    return json.dumps(dict(sorted(counts.items())), ensure_ascii=False)


def _outline(edges: np.ndarray, size: np.ndarray, colour: str) -> Outline:
    left, top, right, bottom = (edges / np.tile(size, 2)).clip(0, 1).tolist()
    return Outline(left=left, top=top, right=right, bottom=bottom, colour=colour)
