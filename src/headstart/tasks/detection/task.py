"""Detection: the boxes of objects and their classes, from a backbone's maps of several strides by a head of points.

Pictures are seen whole, in a square; boxes are brought into it, and predictions back to the pictures' own pixels. The
head is that of `point_head.py`, what each of its points learns is in `point_targets.py`, and boxes found twice are left
out in `decoding.py`. Where the backbone is a pretrained detector, its own decoder is the head: `set_head.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field, NonNegativeInt, field_validator
from torch import nn

from headstart.contracts.backbone import FindsBoxes
from headstart.contracts.box_labels import TARGET
from headstart.contracts.examples import Examples
from headstart.contracts.features import Features
from headstart.contracts.placed_targets import Boxes
from headstart.contracts.prediction import Prediction
from headstart.contracts.targets import TargetKinds
from headstart.contracts.task import (
    BoundTask,
    Calibration,
    Evaluation,
    FeatureSource,
    Needs,
    SplitPolicy,
    Targets,
    Tensors,
)
from headstart.contracts.task_capabilities import Choice, DoubtfulLabel, Foresight
from headstart.kernel.errors import BackboneError, DataError, some
from headstart.kernel.settings import Settings
from headstart.tasks._learnt_state import distinct, one_for_each
from headstart.tasks.detection.boxes import CROWD, Box, class_names, counted, encoded, frames_of, labelled_boxes
from headstart.tasks.detection.decoding import decode, decode_scored, scores_of
from headstart.tasks.detection.foresight import foreseen
from headstart.tasks.detection.label_doubts import doubtful_boxes
from headstart.tasks.detection.losses import losses_of, sums_of
from headstart.tasks.detection.metrics import THRESHOLD, best_threshold, detection_metrics, require_reference
from headstart.tasks.detection.point_head import PointHead
from headstart.tasks.detection.set_head import LAYERS, SetHead, decode_sets
from headstart.tasks.detection.set_losses import losses_of_sets, sums_of_sets
from headstart.tasks.detection.view import STEP, chosen_side, chosen_strides, shorter_sides, told

BOXES, FRAME, SIZE = TARGET, "frame", "size"
"""Columns: boxes; what the head must know of a picture, see `boxes.Frame`; and the width and height of a picture."""

MOST_SIDE = 4096


class Detection(Settings):
    """The boxes of objects, and their classes."""

    target: ClassVar[str] = TARGET

    head: Literal["own", "points"] = "own"
    """'own': the decoder of a backbone that is a pretrained detector; 'points': a new head on its maps, as on those of
    any other backbone."""
    image_side: int | None = Field(default=None, ge=STEP, le=MOST_SIDE, multiple_of=STEP)
    """Pixels of the square that pictures are seen whole in; a multiple of 32; by default from the data, or a detector's
    own."""
    strides: tuple[int, ...] = ()
    """Strides of the maps that boxes are found on, such as [8, 16, 32]; by default from the sizes of the boxes."""
    width: int = Field(default=96, ge=8, le=1024, multiple_of=8)
    """Channels of the head; a multiple of 8."""
    least_score: float = Field(default=0.02, ge=0, lt=1)
    """Score from which on boxes are kept: low, as average precision counts all of them in order; in [0, 1)."""
    overlap: float = Field(default=0.6, gt=0, le=1)
    """IoU from which on the less likely of two boxes of a class is taken for the same object; in (0, 1]."""
    most: int = Field(default=100, ge=1)
    """Boxes that are kept of a picture at most; >= 1."""

    _distinct = field_validator("strides")(distinct)

    @classmethod
    def suits(cls, examples: Examples) -> str | None:
        """Return why the targets are boxes; None without any."""
        return "every picture has a list of boxes" if TARGET in examples.schema.targets else None

    def split_policy(self, examples: Examples) -> SplitPolicy:
        """Keep the rarest class of each picture in proportion, and pictures without objects."""
        labels = labelled_boxes(examples)
        return _by_rarest(labels, class_names(labels))

    def bind(self, examples: Examples, backbone: FeatureSource) -> BoundDetection:
        """Learn the classes, the size that pictures are seen at, and the strides that the boxes ask for.

        Raises:
            DataError: boxes are missing or have no area, or no picture has any.
        """
        require_reference()
        labels, side = labelled_boxes(examples), self.image_side
        if sets := self.head == "own" and isinstance(backbone, FindsBoxes):
            side = side or backbone.side
        return _bound(self, examples, class_names(labels), side, self.strides, sets=sets)

    def restore(self, learnt: Mapping[str, Any]) -> BoundDetection:
        """Take classes and view as they were learnt."""
        return BoundDetection.model_validate({**learnt, "settings": self})


class BoundDetection(BoundTask):
    """Detection whose classes and view of the pictures are known."""

    target_kinds: ClassVar[TargetKinds] = {BOXES: Boxes()}
    in_sums: ClassVar[bool] = True
    label_unit: ClassVar[str] = "boxes"

    settings: Detection
    classes: tuple[str, ...] = Field(min_length=1)
    """Class names."""
    counts: tuple[NonNegativeInt, ...]
    """Boxes of each class."""
    image_side: int = Field(ge=STEP, le=MOST_SIDE)
    """Pixels of the square that pictures are seen whole in."""
    strides: tuple[int, ...] = Field(min_length=1)
    """Strides that boxes are found on, ascending; those that the backbone has no map of are left out by its head."""
    crowded: NonNegativeInt
    """Pictures with more boxes than are kept of one."""
    lost: NonNegativeInt = 0
    """Boxes that are narrower in their frames than the finest stride."""

    sets: bool = False
    """Whether the head is a detector's own decoder."""

    _distinct = field_validator("classes", "strides")(distinct)
    _counted = field_validator("counts")(one_for_each("classes"))

    @property
    def needs(self) -> Needs:
        """Maps of some strides of pictures that are seen whole."""
        return Needs("maps", self.image_side, self.strides)

    @property
    def evaluation(self) -> Evaluation:
        """ap, ap50, ap75, and the same by size and class; calibrated is the score from which on a box is shown."""
        return Evaluation(
            detection_metrics(self.classes),
            lambda prediction, targets: {THRESHOLD: best_threshold(targets[BOXES], prediction.columns[BOXES])},
            _with_threshold,
            chosen_by="metric",
            limits={THRESHOLD: (0.0, 1.0)},
        )

    def choices(self) -> tuple[Choice, ...]:
        """Report the size that pictures are seen at, the strides, and pictures with more boxes than are kept."""
        given = self.settings.image_side is not None, bool(self.settings.strides)
        small = self.lost, sum(self.counts)
        return told(self.image_side, self.strides, given, self.crowded, self.settings.most, small)

    def warnings(self, examples: Examples) -> tuple[str, ...]:
        """Nothing."""
        return ()

    def training(self) -> Mapping[str, Any]:
        """Small batches at a high rate, as pictures have many points, and patience: AP of few pictures is noisy. What a
        detector has learnt moves slowly."""
        if self.sets:
            return {"batch_size": 4, "learning_rate": 1e-5, "head_learning_rate": 1e-4, "patience": 10}
        return {"batch_size": 4, "learning_rate": 5e-4, "head_learning_rate": 4e-3, "patience": 10}

    def split_policy(self, examples: Examples) -> SplitPolicy:
        """Keep the rarest class of each picture in proportion, and pictures without objects."""
        labels = labelled_boxes(examples)
        return _by_rarest(labels, self._with_new(labels))

    def extended(self, examples: Examples, backbone: FeatureSource) -> BoundDetection:
        """New classes come after the known ones. Raises DataError as `bind`."""
        classes = self._with_new(labelled_boxes(examples))
        return _bound(self.settings, examples, classes, self.image_side, self.strides, sets=self.sets)

    def targets(self, examples: Examples) -> Targets:
        """{"boxes": (examples,) of (boxes, 10)}, see `boxes.py`. Raises DataError as `bind`, and on other classes."""
        self._require_known(examples)
        numbers = {name: k for k, name in enumerate(self.classes)}
        found = np.empty(len(examples), dtype=object)
        pairs = zip(labelled_boxes(examples), frames_of(examples, self.image_side))
        for row, (boxes, frame) in enumerate(pairs):
            found[row] = encoded(boxes, frame, numbers)
        return {BOXES: found}

    def inputs(self, examples: Examples) -> Targets:
        """{"frame": (examples, 4) int64}: the size of each picture and the pixels that it takes of its square."""
        return {FRAME: np.array(frames_of(examples, self.image_side), np.int64).reshape(-1, 4)}

    def head(self, backbone: FeatureSource) -> nn.Module:
        """Return the head: fresh, or a detector's own with new classes. Raises BackboneError without maps."""
        maps = backbone.maps()
        if self.sets and isinstance(backbone, FindsBoxes):
            return SetHead(backbone.box_head(len(self.classes)), maps[0].stride)
        if not maps:
            raise BackboneError("detection needs maps, and the backbone has none")
        there = [shape.stride for shape in maps]
        strides = [stride for stride in self.strides if stride in there or stride > there[-1]]
        if not strides or strides[0] not in there:
            listed = ", ".join(map(str, self.strides))
            raise BackboneError(f"the backbone has maps of the strides {', '.join(map(str, there))}, none of {listed}")
        return PointHead(maps, strides, self.settings.width, len(self.classes))

    def forward(self, head: nn.Module, features: Features, inputs: Tensors) -> Tensors:
        """The outputs of `PointHead` or `SetHead`."""
        outputs: Tensors = head(features.maps)
        return outputs

    def losses(self, outputs: Tensors, targets: Tensors) -> Tensors:
        """ "focal", "giou" and "centreness", each a scalar, see `losses.py`; of a detector `set_losses.py`."""
        return self.losses_of(self.sums(outputs, targets))

    def sums(self, outputs: Tensors, targets: Tensors) -> Tensors:
        """The sums over points that each term is made of."""
        return sums_of_sets(outputs, targets[BOXES]) if LAYERS in outputs else sums_of(outputs, targets[BOXES])

    def losses_of(self, sums: Tensors) -> Tensors:
        """The terms, each a scalar."""
        return losses_of_sets(sums) if self.sets else losses_of(sums)

    def predict(self, head: nn.Module, features: Features, inputs: Tensors) -> Prediction:
        """Columns "boxes": for each picture (boxes, 6) in its own pixels, the likeliest first, see `boxes.py`; and
        "size": its width and height."""
        return self.predicted(self.forward(head, features, inputs), inputs)

    def predicted(self, outputs: Tensors, inputs: Tensors) -> Prediction:
        """The same of the outputs of the head."""
        frames = inputs.get(FRAME, torch.full((len(outputs["scores"]), 4), self.image_side))
        floor, most = self.settings.least_score, self.settings.most
        if LAYERS in outputs:
            found = decode_sets(outputs, frames.to(outputs["scores"].device), floor, most)
        else:
            found = decode(outputs, frames, floor, self.settings.overlap, most)
        return Prediction({BOXES: found, SIZE: frames[:, :2].cpu().numpy()})

    @property
    def outputs(self) -> int:
        """One score for each class."""
        return len(self.classes)

    def from_scores(self, scores: np.ndarray, inputs: Targets) -> Prediction:
        """The boxes (examples,) of (boxes, 4 + classes) that any model has scored, without those found twice."""
        sizes, how = inputs[FRAME][:, :2], (self.settings.least_score, self.settings.overlap, self.settings.most)
        return Prediction({BOXES: decode_scored(scores, sizes, *how), SIZE: sizes})

    def decoded(self, outputs: Tensors, calibration: Calibration) -> Tensors:
        """{"likely": (batch, points, classes)}, scores of the boxes of all points before suppression, or of queries."""
        return {"likely": outputs["scores"][:, -1].sigmoid() if LAYERS in outputs else scores_of(outputs)}

    def foresight(
        self, batches: Iterable[tuple[np.ndarray, Features, Tensors]], groups: np.ndarray | None, seed: int
    ) -> Foresight:
        """Probe true boxes and cells of frozen maps; name boxes that look labelled wrongly."""
        maps = ((rows, features.maps, targets[BOXES]) for rows, features, targets in batches)
        return foreseen(maps, self.image_side, self.classes, groups, seed)

    def label_counts(self, targets: Targets) -> np.ndarray:
        """Return the number of boxes in each picture, crowds left out."""
        return np.array([int((boxes[:, CROWD] == 0).sum()) for boxes in targets[BOXES]], np.int64)

    def doubts(self, prediction: Prediction, targets: Targets) -> tuple[DoubtfulLabel, ...]:
        """Boxes that are missing, misplaced or of another class; see `label_doubts.py`."""
        return doubtful_boxes(targets[BOXES], prediction.columns[BOXES], self.classes)

    def _with_new(self, labels: Sequence[Sequence[Box]]) -> tuple[str, ...]:
        return (*self.classes, *sorted(counted(labels).keys() - {*self.classes}))

    def _require_known(self, examples: Examples) -> None:
        strange = counted(labelled_boxes(examples)).keys() - {*self.classes}
        if strange:
            raise DataError(
                f"boxes of classes that were not learnt: {some(sorted(strange), 8)}. The classes are "
                f"{some(self.classes, 8)}"
            )


def _with_threshold(prediction: Prediction, calibration: Calibration) -> Prediction:
    """With the score from which on boxes are shown beside those of each picture."""
    shown = np.full(len(prediction), calibration.get(THRESHOLD, 0.0))
    return Prediction({**prediction.columns, THRESHOLD: shown})


def _bound(
    settings: Detection,
    examples: Examples,
    classes: tuple[str, ...],
    side: int | None,
    strides: tuple[int, ...],
    *,
    sets: bool,
) -> BoundDetection:
    """The task of these classes; side and strides are chosen by the boxes where they are not settled."""
    labels = labelled_boxes(examples)
    numbers, counts = {name: k for k, name in enumerate(classes)}, counted(labels)
    side = side or chosen_side(examples)
    framed = [encoded(boxes, frame, numbers) for boxes, frame in zip(labels, frames_of(examples, side))]
    strides = tuple(sorted(strides or chosen_strides(framed)))
    return BoundDetection(
        settings=settings,
        classes=classes,
        counts=tuple(counts[name] for name in classes),
        image_side=side,
        strides=strides,
        crowded=sum(len(boxes) > settings.most for boxes in labels),
        lost=int((shorter_sides(framed) < strides[0]).sum()),
        sets=sets,
    )


def _by_rarest(labels: Any, classes: tuple[str, ...]) -> SplitPolicy:
    counts, nothing = counted(labels), len(classes)
    numbers = {name: k for k, name in enumerate(classes)}
    held = [sorted({numbers[b["label"]] for b in boxes if b["label"] in numbers}) or [nothing] for boxes in labels]
    strata = [min(some, key=lambda k: (counts[classes[k]] if k < nothing else 0, k)) for some in held]
    return SplitPolicy(np.array(strata, dtype=np.int64), (*classes, "no object"), held)
