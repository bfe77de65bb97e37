"""Segmentation: a class for every pixel, from a backbone's maps of several strides through a decoder and softmax.

The decoders are those of `decoders.py` (U-Net, FPN), the losses those of `losses.py`, summed as the
setting says. Pictures are seen whole, in a square, or in tiles; predictions are brought back to the pictures' own
pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from pydantic import Field, NonNegativeInt, field_validator
from torch import nn

from headstart.contracts.backbone import Backbone
from headstart.contracts.examples import Examples
from headstart.contracts.features import Features
from headstart.contracts.linear_model import LinearModel
from headstart.contracts.placed_targets import ClassMaps
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
from headstart.contracts.task_capabilities import Choice
from headstart.contracts.windows import Windows
from headstart.kernel.errors import BackboneError, unknown
from headstart.kernel.settings import Settings
from headstart.media.masks import encode_mask
from headstart.tasks._learnt_state import distinct, one_for_each
from headstart.tasks.segmentation.decoders import DECODERS
from headstart.tasks.segmentation.losses import LOSSES
from headstart.tasks.segmentation.mask_classes import (
    COLOURS,
    OBJECTS,
    Classes,
    as_written,
    pixels_of,
    present_in,
    require_known,
    understand,
)
from headstart.tasks.segmentation.mask_files import places_in_square, within
from headstart.tasks.segmentation.mask_scan import MASK, Seen, look, sources
from headstart.tasks.segmentation.mask_target import MaskTarget
from headstart.tasks.segmentation.metrics import segmentation_metrics
from headstart.tasks.segmentation.pixel_samples import sample_pixels
from headstart.tasks.segmentation.tiles import Tiles, cut, packed, unpacked
from headstart.tasks.segmentation.whole_view import View, choose_view, seen_smaller, told

MOST_PIXELS = 16_384
"""Of a square's side."""

SCORES, INSIDE = "scores", "inside"
"""Columns of the packed probabilities of tiles, and of the rows and columns of its square that a picture takes."""


class Segmentation(Settings):
    """A class for every pixel."""

    target: ClassVar[str] = MASK

    decoder: Literal["unet", "fpn", "linear"] = "unet"
    """What makes class scores of the maps: 'unet', 'fpn', or 'linear', one weight per map and class."""
    loss: str = "cross_entropy+dice"
    """'cross_entropy', 'dice', 'focal_tversky', or a sum of these with '+'."""
    image_side: int | None = Field(default=None, ge=32, le=MOST_PIXELS)
    """Pixels of the square that pictures are seen whole in; >= 32, best a multiple of 32; by default from the data."""
    tile: int | None = Field(default=None, ge=32, le=MOST_PIXELS)
    """Side in pixels of the tiles that larger pictures are cut into; >= 32; by default only where masks need them."""
    instances: bool | None = None
    """Whether every value of a mask but 0 is an object of its own, all of one class; seen by the values without it."""
    ignore: tuple[int, ...] = ()
    """Values of the masks that stand for no class, such as 255: their pixels are neither learnt nor judged."""
    classes: tuple[str, ...] = ()
    """Class names; those of the data's legend, or made from the values, without it."""
    probe_pixels: int = Field(default=48, ge=1)
    """Pixels of each picture that the frozen probe is solved on, drawn at random; >= 1."""

    _distinct = field_validator("classes")(distinct)

    @field_validator("loss")
    @classmethod
    def _known_losses(cls, loss: str) -> str:
        for name in loss.split("+"):
            if name not in LOSSES:
                raise ValueError(unknown("loss", name, LOSSES))
        return loss

    @classmethod
    def suits(cls, examples: Examples) -> str | None:
        """Return why the targets are masks; None without any."""
        return "every picture has a mask" if MASK in examples.schema.targets else None

    def split_policy(self, examples: Examples) -> SplitPolicy:
        """Keep the rarest class of each picture in proportion."""
        seen = look(examples)
        return _by_rarest(seen, self._understood(seen, examples), examples)

    def bind(self, examples: Examples, backbone: FeatureSource) -> BoundSegmentation:
        """Learn what the masks' values mean, how large the pictures are, and what a pixel measures.

        Raises:
            DataError: masks are missing, unreadable, of another size than their pictures, or hold a single class.
        """
        seen = look(examples)
        return _bound(self, seen, self._understood(seen, examples), examples, (self.image_side, self.tile))

    def restore(self, learnt: Mapping[str, Any]) -> BoundSegmentation:
        """Take classes and view as they were learnt."""
        return BoundSegmentation.model_validate({**learnt, "settings": self})

    def _understood(self, seen: Sequence[Seen], examples: Examples) -> Classes:
        ignored = *self.ignore, *examples.schema.unknown
        return understand(seen, examples.schema.legend, self.classes, self.instances, ignored)


class BoundSegmentation(BoundTask):
    """Segmentation whose classes and view of the pictures are known."""

    target_kinds: ClassVar[TargetKinds] = {MASK: ClassMaps()}
    in_sums: ClassVar[bool] = True

    settings: Segmentation
    classes: tuple[str, ...] = Field(min_length=2)
    """Class names."""
    values: tuple[int, ...]
    """The mask's value (0xRRGGBB for colours) of each class; empty for objects."""
    coloured: bool
    """Whether the values are colours."""
    pixels: tuple[NonNegativeInt, ...]
    """Pixels of each class."""
    image_side: int = Field(ge=32, le=MOST_PIXELS)
    """Pixels of the square that pictures are seen whole in, or that tiles have."""
    tile: int | None = Field(ge=32, le=MOST_PIXELS)
    """Side in pixels of the tiles that larger pictures are cut into; None where they are seen whole."""
    longest: NonNegativeInt
    """The longer side that nine pictures in ten have at most, pixels."""
    reachable: float = Field(ge=0, le=1, allow_inf_nan=False)
    """Dice that predictions can have at best where pictures are seen whole and smaller."""
    in_mm: bool
    """Whether distances are given in mm: all masks know the size of their pixels."""

    _distinct = field_validator("classes", "values")(distinct)
    _counted = field_validator("pixels")(one_for_each("classes"))
    _valued = field_validator("values")(one_for_each("classes", or_none=True))

    @property
    def needs(self) -> Needs:
        """Maps of pictures that are seen whole."""
        return Needs("maps", self.image_side)

    @property
    def evaluation(self) -> Evaluation:
        """dice, iou, hd95_mm or hd95_px; dice and iou of each class where there are several."""
        metrics = segmentation_metrics(self.classes, self.class_values.shown, self.in_mm)
        return Evaluation(metrics, finish=lambda prediction, _: self._as_masks(prediction))

    def choices(self) -> tuple[Choice, ...]:
        """Report values that number objects or are colours, and pictures that are scaled down or cut into tiles."""
        view = View(self.image_side, self.tile, self.longest, self.reachable)
        objects = () if self.values or self.settings.instances else (OBJECTS,)
        colours = (COLOURS,) if any(name.startswith("#") for name in self.classes) else ()
        return objects + colours + told(view)

    def warnings(self, examples: Examples) -> tuple[str, ...]:
        """Warn that pictures are scaled down much more than those of the training."""
        return () if self.tile else seen_smaller(examples, self.image_side, self.longest)

    def split_policy(self, examples: Examples) -> SplitPolicy:
        """Keep the rarest class of each picture in proportion."""
        seen = look(examples)
        return _by_rarest(seen, as_written(self.class_values, seen, examples.schema), examples)

    def extended(self, examples: Examples, backbone: FeatureSource) -> BoundSegmentation:
        """The classes stay as they are. Raises DataError as `bind`, and on a value that is not a class."""
        given = self.settings.image_side or self.image_side, self.settings.tile or self.tile
        seen = look(examples)
        bound = _bound(self.settings, seen, as_written(self.class_values, seen, examples.schema), examples, given)
        return bound.model_copy(update={"values": self.values, "coloured": self.coloured})

    def targets(self, examples: Examples) -> Targets:
        """{"mask": (examples,) of `MaskTarget`}. Raises DataError as `bind` does."""
        seen = look(examples)
        classes = as_written(self.class_values, seen, examples.schema)
        require_known(seen, classes, examples)
        targets = np.empty(len(examples), dtype=object)
        for row, (file, mask) in enumerate(zip(sources(examples), seen)):
            present, reading = present_in(mask, classes), file.reading
            targets[row] = MaskTarget(file.source, classes, self.image_side, mask.key, present, reading=reading)
        return {MASK: targets}

    def inputs(self, examples: Examples) -> Targets:
        """{"inside": (examples, 2) int64}: the rows and columns of its square that a picture takes."""
        return {INSIDE: places_in_square(examples, self.image_side)}

    def cut(self, examples: Examples, backbone: Backbone) -> Windows | None:
        """Cut pictures into overlapping tiles, where these are asked for and a picture is larger."""
        return None if self.tile is None else cut(examples, self.tile)

    def merged(self, prediction: Prediction, windows: Windows) -> Prediction:
        """Blend the tiles' probabilities to masks of the pictures' own size."""
        if not isinstance(windows, Tiles):
            raise TypeError(f"{type(windows).__name__} are not tiles of pictures")
        return Prediction({MASK: _objects(windows.masks(prediction.columns[SCORES], self.tile or 0))})

    def head(self, backbone: FeatureSource) -> nn.Module:
        """Return the decoder, fresh. Raises BackboneError without maps."""
        if not (maps := backbone.maps()):
            raise BackboneError("segmentation needs maps, and the backbone has none")
        return DECODERS[self.settings.decoder](maps, len(self.classes))

    def forward(self, head: nn.Module, features: Features, inputs: Tensors) -> Tensors:
        """{"logits": (batch, classes, side, side)}"""
        return {"logits": head(features.maps, self.image_side)}

    def losses(self, outputs: Tensors, targets: Tensors) -> Tensors:
        """The terms of the setting `loss` by their names, each a scalar."""
        return self.losses_of(self.sums(outputs, targets))

    def sums(self, outputs: Tensors, targets: Tensors) -> Tensors:
        """The sums over known pixels that each term is made of."""
        terms, shown = self.settings.loss.split("+"), self.class_values.shown
        return {name: LOSSES[name].sums(outputs["logits"], targets[MASK], shown) for name in terms}

    def losses_of(self, sums: Tensors) -> Tensors:
        """The terms, each a scalar."""
        return {name: LOSSES[name].of(values) for name, values in sums.items()}

    def predict(self, head: nn.Module, features: Features, inputs: Tensors) -> Prediction:
        """Column "mask": class numbers of the framed pictures (side, side), each as a PNG: some KB instead of 256;
        `NOWHERE` where there is no picture.

        Where there are tiles, columns "scores" with the probabilities that are blended, packed, and "inside".
        """
        logits = self.forward(head, features, inputs)["logits"].detach()
        everything = torch.full((len(logits), 2), logits.shape[-1])
        inside = inputs.get(INSIDE, everything).cpu().numpy()
        if self.tile is not None:
            scores = _objects([packed(p) for p in logits.float().softmax(dim=1).cpu().numpy()])
            return Prediction({SCORES: scores, INSIDE: inside})
        numbers = logits.argmax(dim=1).to(torch.uint8).cpu().numpy()
        return Prediction({MASK: _objects([encode_mask(within(*row)) for row in zip(numbers, inside)])})

    def decoded(self, outputs: Tensors, calibration: Calibration) -> Tensors:
        """{"classes": (batch, side, side) uint8}, class numbers over the frame"""
        return {"classes": outputs["logits"].argmax(dim=1).to(torch.uint8)}

    @property
    def outputs(self) -> int:
        """Number of classes."""
        return len(self.classes)

    def from_scores(self, scores: np.ndarray, inputs: Targets) -> Prediction:
        """Take scores, (examples,) of (classes, height, width) at the pictures' own size, as logits."""
        return Prediction({MASK: _objects([encode_mask(maps.argmax(axis=0)) for maps in scores])})

    def linear(self) -> Self:
        """Return the task with the decoder that is linear."""
        return self.model_copy(update={"settings": self.settings.model_copy(update={"decoder": "linear"})})

    def samples(
        self, features: Features, inputs: Tensors, targets: Tensors, rows: Sequence[int], seed: int
    ) -> tuple[np.ndarray, Targets, np.ndarray]:
        """Draw some pixels of every picture; see `pixel_samples.py`."""
        maps, most = [level.detach().cpu() for level in features.maps], self.settings.probe_pixels
        vectors, classes, positions = sample_pixels(maps, targets[MASK].cpu(), rows, most, seed)
        return vectors, {MASK: classes}, positions

    def linear_model(self, targets: Targets, seed: int) -> LinearModel:
        """Return the softmax of a pixel's classes."""
        return LinearModel("categorical", targets[MASK], samples="pixels")

    def _as_masks(self, prediction: Prediction) -> Prediction:
        """The masks; those of what was not merged from tiles are made of the probabilities."""
        if SCORES not in prediction.columns:
            return prediction
        found = (unpacked(scores, self.tile or 0).argmax(axis=0) for scores in prediction.columns[SCORES])
        masks = [encode_mask(within(*row)) for row in zip(found, prediction.columns[INSIDE])]
        return Prediction({MASK: _objects(masks)})

    @property
    def class_values(self) -> Classes:
        """The classes with the values in masks that mean them."""
        return Classes(self.classes, self.values, self.coloured, self.settings.ignore)


def _bound(
    settings: Segmentation, seen: Sequence[Seen], classes: Classes, examples: Examples, given: tuple[int | None, ...]
) -> BoundSegmentation:
    """The task for masks of these classes; `given` are side and tile where they are settled."""
    require_known(seen, classes, examples)
    view = choose_view(seen, sources(examples), classes, classes.shown, *given)
    task = BoundSegmentation(
        settings=settings,
        classes=classes.names,
        values=classes.values,
        coloured=classes.coloured,
        pixels=tuple(np.sum([pixels_of(mask, classes) for mask in seen], axis=0).tolist()),
        image_side=view.tile or view.side,
        tile=view.tile,
        longest=view.longest,
        reachable=view.reachable,
        in_mm=False,
    )
    known = all(target.spacing is not None for target in task.targets(examples)[MASK])
    return task.model_copy(update={"in_mm": known})


def _by_rarest(seen: Sequence[Seen], classes: Classes, examples: Examples) -> SplitPolicy:
    require_known(seen, classes, examples)
    held = [present_in(mask, classes) for mask in seen]
    counts = np.bincount([k for some in held for k in some], minlength=len(classes.names))
    strata = [min(some, key=lambda k: (counts[k], k), default=0) for some in held]
    return SplitPolicy(np.array(strata, dtype=np.int64), classes.names, held)


def _objects(values: Sequence[bytes]) -> np.ndarray:
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column
