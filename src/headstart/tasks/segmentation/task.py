"""Segmentation: a class for every pixel, from a backbone's maps of several strides through a decoder and softmax.

The decoders are those of `decoders.py` (U-Net, FPN), the losses those of `losses.py`, summed as the
setting says. Pictures are seen whole, in a square, or in tiles; predictions are brought back to the pictures' own
pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal, Self

import numpy as np
import torch
from pydantic import Field, field_validator
from torch import Tensor, nn

from headstart.contracts.backbone import Backbone
from headstart.contracts.carriers import Batch, Features, MapShape, Prediction
from headstart.contracts.examples import Examples, Raw
from headstart.contracts.metric import Metric
from headstart.contracts.panels import Choice, Mistake, Panel, Review
from headstart.contracts.targets import ClassMaps, TargetKinds
from headstart.contracts.task import PlainTask, Reads, Targets
from headstart.contracts.windows import Windows
from headstart.kernel.errors import BackboneError, unknown
from headstart.media.masks import encode_mask
from headstart.tasks._learnt_state import distinct, require_calibration, require_counts, require_names
from headstart.tasks._logistic import solve_logistic
from headstart.tasks.segmentation.decoders import DECODERS, Linear
from headstart.tasks.segmentation.losses import LOSSES
from headstart.tasks.segmentation.mask_classes import BACKGROUND, Classes, pixels_of, require_known, understand
from headstart.tasks.segmentation.mask_files import places_in_square, shares_of, within, write_masks
from headstart.tasks.segmentation.mask_review import review_masks
from headstart.tasks.segmentation.mask_scan import MASK, look, sources
from headstart.tasks.segmentation.mask_target import MaskTarget
from headstart.tasks.segmentation.metrics import segmentation_metrics
from headstart.tasks.segmentation.panels import segmentation_exhibits, worst_pictures
from headstart.tasks.segmentation.pixel_samples import sample_pixels
from headstart.tasks.segmentation.tiles import Tiles, blended, cut, packed, unpacked
from headstart.tasks.segmentation.whole_view import View, choose_view, seen_smaller, told

SCORES, INSIDE = "scores", "inside"
"""Columns of the packed probabilities of tiles, and of the rows and columns of its square that a picture takes."""


class Segmentation(PlainTask):
    """A class for every pixel."""

    reads: ClassVar[Reads] = "maps"
    has_files: ClassVar[bool] = True
    target_kinds: ClassVar[TargetKinds] = {MASK: ClassMaps()}

    decoder: Literal["unet", "fpn", "linear"] = "unet"
    """What makes class scores of the maps: 'unet', 'fpn', or 'linear', one weight per map and class."""
    loss: str = "cross_entropy+dice"
    """'cross_entropy', 'dice', 'focal_tversky', or a sum of these with '+'."""
    image_side: int | None = Field(default=None, ge=32, le=16_384)
    """Pixels of the square that pictures are seen whole in; >= 32, best a multiple of 32; by default from the data."""
    tile: int | None = Field(default=None, ge=32, le=16_384)
    """Side in pixels of the tiles that larger pictures are cut into; >= 32; by default only where masks need them."""
    longest: int = Field(default=0, ge=0)
    """The longer side that nine pictures in ten have at most; learnt from the masks."""
    reachable: float = Field(default=1.0, ge=0, le=1)
    """Dice that predictions can have at best where pictures are seen whole and smaller; learnt from the masks."""
    instances: bool | None = None
    """Whether every value of a mask but 0 is an object of its own, all of one class; seen by the values without it."""
    ignore: tuple[int, ...] = ()
    """Values of the masks that stand for no class, such as 255: their pixels are neither learnt nor judged."""
    classes: tuple[str, ...] = ()
    """Class names; those of the data's legend, or made from the values, without it."""
    values: tuple[int, ...] = ()
    """The mask's value (0xRRGGBB for colours) of each class; learnt from the masks; empty for objects."""
    coloured: bool = False
    """Whether the values are colours; learnt from the masks."""
    pixels: tuple[int, ...] = ()
    """Pixels of each class; learnt from the masks."""
    in_mm: bool = False
    """Whether distances are given in mm; learnt: all masks know the size of their pixels."""
    probe_pixels: int = Field(default=48, ge=1)
    """Pixels of each picture that the frozen probe is solved on, drawn at random; >= 1."""

    _distinct = field_validator("classes", "values")(distinct)

    @field_validator("loss")
    @classmethod
    def _known_losses(cls, loss: str) -> str:
        for name in loss.split("+"):
            if name not in LOSSES:
                raise ValueError(unknown("loss", name, LOSSES))
        return loss

    @classmethod
    def suits(cls, examples: Examples) -> str | None:
        """Whether there are masks."""
        return "every picture has a mask" if MASK in examples.schema.targets else None

    @classmethod
    def review(cls, examples: Examples) -> Review:
        """What the masks hold, and what is wrong with them."""
        return review_masks(examples)

    def bind(self, examples: Examples) -> Self:
        """Learn what the masks' values mean, how large the pictures are, and what a pixel measures.

        Raises:
            DataError: masks are missing, unreadable, of another size than their pictures, or hold a single class.
        """
        seen = look(examples)
        if self.values:
            classes = self._classes
        else:
            classes = understand(seen, examples.schema.legend, self.classes, self.instances, self.ignore)
        require_known(seen, classes, examples)
        found = [pixels_of(mask, classes) for mask in seen]
        learnt = {
            "classes": classes.names,
            "values": classes.values,
            "coloured": classes.coloured,
            "pixels": tuple(np.sum(found, axis=0).tolist()),
        }
        first = self.model_copy(update=learnt)
        view = choose_view(seen, sources(examples), classes, first._shown, self.image_side, self.tile)
        side = view.tile or view.side
        viewed = {"image_side": side, "tile": view.tile, "longest": view.longest, "reachable": view.reachable}
        first = first.model_copy(update=viewed)
        known = all(target.spacing is not None for target in first.targets(examples)[MASK])
        return first.model_copy(update={"in_mm": known})

    def require_learnt(self, calibration: Mapping[str, float]) -> None:
        """Two classes or more with their values and pixels, and no calibration. Raises SettingsError."""
        require_names("classes", self.classes, 2)
        require_counts("pixels", self.pixels, self.classes)
        require_counts("values", self.values or range(len(self.classes)), self.classes)
        require_calibration(calibration, ())

    def choices(self) -> tuple[Choice, ...]:
        """That objects were seen in the values, that pictures are seen smaller, or in tiles."""
        objects = Choice(
            "values of the masks",
            "objects",
            "they count up from 1 in each mask: all but 0 is one class. --set task.instances=false makes each a class",
        )
        view = View(self.image_side or 0, self.tile, self.longest, self.reachable)
        return (() if self.values or self.instances else (objects,)) + told(view)

    def warnings(self, examples: Examples) -> tuple[str, ...]:
        """That pictures are seen much smaller, in proportion, than those it learnt from."""
        return () if self.tile else seen_smaller(examples, self.image_side or 0, self.longest)

    @property
    def side(self) -> int | None:
        """Of the square that pictures are seen in, pixels."""
        return self.image_side

    def targets(self, examples: Examples) -> Targets:
        """{"mask": (examples,) of `MaskTarget`}. Raises DataError as `bind` does."""
        seen, classes = look(examples), self._classes
        require_known(seen, classes, examples)
        targets = np.empty(len(examples), dtype=object)
        for row, (source, mask) in enumerate(zip(sources(examples), seen)):
            present = tuple(np.flatnonzero(pixels_of(mask, classes)).tolist())
            targets[row] = MaskTarget(source, classes, self.image_side or 0, mask.key, present)
        return {MASK: targets}

    def head_inputs(self, examples: Examples) -> Targets:
        """{"inside": (examples, 2) int64}: the rows and columns of its square that a picture takes."""
        return {INSIDE: places_in_square(examples, self.image_side or 0)}

    def labels(self, examples: Examples) -> Sequence[str]:
        """The classes that occur in each picture, the background left out."""
        return [self._names(target.present) for target in self.targets(examples)[MASK]]

    def cut(self, examples: Examples, backbone: Backbone) -> Windows | None:  # noqa: ARG002
        """Overlapping tiles of the pictures, where the setting `tile` asks for it and one is larger."""
        return None if self.tile is None else cut(examples, self.tile)

    def merged(self, prediction: Prediction, windows: Windows) -> Prediction:
        """The tiles' probabilities blended to masks of the pictures' own size."""
        if not isinstance(windows, Tiles):
            raise TypeError(f"{type(windows).__name__} are no tiles of pictures")
        scores, masks = prediction.columns[SCORES], []
        for row in np.unique(windows.owner):
            tiles = np.flatnonzero(windows.owner == row)
            masks.append(blended([*scores[tiles]], [windows.boxes[tile] for tile in tiles], self.tile or 0))
        return Prediction({MASK: _objects(masks)})

    def strata(self, targets: Targets) -> np.ndarray:
        """The class of each picture that occurs in the fewest of them."""
        present = [target.present for target in targets[MASK]]
        counts = np.bincount([k for classes in present for k in classes], minlength=len(self.classes))
        return np.array([min(classes, key=lambda k: (counts[k], k), default=0) for classes in present], dtype=np.int64)

    def head(self, width: int, maps: tuple[MapShape, ...] = ()) -> nn.Module:
        """The decoder, fresh. Raises BackboneError without maps."""
        if not maps:
            raise BackboneError(f"segmentation needs maps; the backbone has pooled features of width {width} alone")
        return DECODERS[self.decoder](maps, len(self.classes))

    def linear(self) -> Self:
        """With the decoder that is linear."""
        return self.model_copy(update={"decoder": "linear"})

    def apply(self, head: nn.Module, features: Features, batch: Batch) -> Mapping[str, Tensor]:
        """{"logits": (batch, classes, side, side)}, and "inside" (batch, 2) where that is known."""
        return {"logits": head(features.maps, self.image_side), **batch.head_inputs}

    def losses(self, outputs: Mapping[str, Tensor], batch: Batch) -> Mapping[str, Tensor]:
        """The terms of the setting `loss` by their names, each a scalar."""
        target = batch.targets[MASK]
        return {name: LOSSES[name](outputs["logits"], target, self._shown) for name in self.loss.split("+")}

    def samples(self, features: Features, batch: Batch, seed: int) -> tuple[np.ndarray, Targets, np.ndarray]:
        """Some pixels of every picture; see `pixel_samples.py`."""
        maps = [level.detach().cpu() for level in features.maps]
        target, rows = batch.targets[MASK].cpu(), batch.rows.tolist()
        vectors, classes, positions = sample_pixels(maps, target, rows, self.probe_pixels, seed)
        return vectors, {MASK: classes}, positions

    def solve(
        self, features: np.ndarray, targets: Targets, groups: np.ndarray | None, seed: int
    ) -> tuple[nn.Module, dict[str, float]]:
        """L2-regularised multinomial logistic regression on pixels (samples, channels of all maps); `_logistic.py`.

        Returns:
            The head, and {"C", "cv_score", "folds", "pixels"}.
        """
        labels = targets[MASK]
        solution = solve_logistic(features, labels, len(self.classes), weights=None, groups=groups, seed=seed)
        head = Linear((MapShape(features.shape[1], 1),), len(self.classes))
        with torch.no_grad():
            head.weight.copy_(torch.from_numpy(solution.weight))
            head.bias.copy_(torch.from_numpy(solution.bias))
        chosen = {"C": solution.C, "cv_score": solution.cv_score, "folds": solution.folds, "pixels": len(labels)}
        return head, chosen

    def decode(self, outputs: Mapping[str, Tensor]) -> Prediction:
        """Column "mask": class numbers of the framed pictures (side, side), each as a PNG: some KB instead of 256;
        `NOWHERE` where there is no picture.

        Where there are tiles, columns "scores" with the probabilities that are blended, packed, and "inside".
        """
        logits = outputs["logits"].detach()
        everything = torch.full((len(logits), 2), logits.shape[-1])
        inside = outputs.get(INSIDE, everything).cpu().numpy()
        if self.tile is not None:
            scores = _objects([packed(p) for p in logits.float().softmax(dim=1).cpu().numpy()])
            return Prediction({SCORES: scores, INSIDE: inside})
        numbers = logits.argmax(dim=1).to(torch.uint8).cpu().numpy()
        return Prediction({MASK: _objects([encode_mask(within(*row)) for row in zip(numbers, inside)])})

    def calibrate(self, prediction: Prediction, targets: Targets) -> Mapping[str, float]:  # noqa: ARG002
        """Nothing to fit."""
        return {}

    def finish(self, prediction: Prediction, calibration: Mapping[str, float]) -> Prediction:  # noqa: ARG002
        """The masks; of what was not merged from tiles they are made of the probabilities."""
        if SCORES not in prediction.columns:
            return prediction
        found = (unpacked(scores, self.tile or 0).argmax(axis=0) for scores in prediction.columns[SCORES])
        masks = [encode_mask(within(*row)) for row in zip(found, prediction.columns[INSIDE])]
        return Prediction({MASK: _objects(masks)})

    def metrics(self) -> tuple[Metric, ...]:
        """dice, iou, hd95_mm or hd95_px; dice and iou of each class where there are several."""
        return segmentation_metrics(self.classes, self._shown, self.in_mm)

    def rows(self, prediction: Prediction) -> Mapping[str, np.ndarray]:
        """ "prediction": the classes that a picture has, the background left out; "share of CLASS": of its pixels."""
        shares = shares_of(prediction.columns[MASK], len(self.classes))
        names = [self._names(np.flatnonzero(row).tolist()) for row in shares]
        columns = {f"share of {self.classes[k]}": shares[:, k].round(6) for k in self._shown}
        return {"prediction": np.array(names, dtype=object), **columns}

    def files(self, prediction: Prediction, raws: Sequence[Raw], names: Sequence[str], folder: Path) -> list[str]:
        """Masks of the pictures' own size and `legend.json`; see `mask_files.py`."""
        return write_masks(self._classes, prediction.columns[MASK], self.image_side or 0, raws, names, folder)

    def panels(self, prediction: Prediction, targets: Targets) -> tuple[Panel, ...]:
        """The figures of each class, and the pixels confused."""
        return segmentation_exhibits(self.classes, self._shown, targets, prediction, self.in_mm)

    def mistakes(self, prediction: Prediction, targets: Targets, most: int) -> tuple[Mistake, ...]:
        """The pictures with the least Dice, worst first."""
        return worst_pictures(self.classes, self._shown, targets, prediction, most)

    @property
    def _classes(self) -> Classes:
        return Classes(self.classes, self.values, self.coloured, self.ignore)

    @property
    def _shown(self) -> list[int]:
        """The classes that count: all but the background."""
        return [k for k, name in enumerate(self.classes) if name.lower() != BACKGROUND] or [*range(len(self.classes))]

    def _names(self, present: Sequence[int]) -> str:
        return ", ".join(self.classes[k] for k in present if k in self._shown) or BACKGROUND


def _objects(values: Sequence[bytes]) -> np.ndarray:
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column
