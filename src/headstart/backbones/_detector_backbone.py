"""A detector as a backbone: its maps are the features, and its decoder is the head that a task of boxes takes."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn

from headstart.backbones._detector_halves import Halves, halves
from headstart.backbones._normalise import Normalise
from headstart.backbones._pixel_reader import PixelReader, whole_reader
from headstart.contracts.backbone import NO_LICENCE, Backbone, Reader
from headstart.contracts.boundaries import failing_boundaries
from headstart.contracts.carriers import State, Tap
from headstart.contracts.examples import Raw
from headstart.contracts.features import Features, MapShape
from headstart.contracts.inputs import Pixels
from headstart.contracts.network import Stage
from headstart.kernel.errors import BackboneError, first_line, unknown
from headstart.kernel.files import hash_bytes
from headstart.media.images import Levels

DECODER = "decoder.safetensors"
"""Asset: the decoder as it was pretrained, from which a later run begins."""

LEVEL = "level."
"""Context of all maps but the coarsest, which is `hidden`, finest first."""

STAGES = ("pictures", "encoder")


class DetectorBackbone(Backbone):
    """See `hf_detector`. Pictures are always seen whole."""

    modality = "image"

    def __init__(
        self,
        settings: Mapping[str, Any],
        detector: Any,
        random: Callable[[int], Any],
        files: Mapping[str, bytes],
        preprocessing: Mapping[str, Any],
        origin: str,
    ) -> None:
        """Take a detector apart and verify the boundary.

        Args:
            settings: those of `hf_detector`, as JSON values.
            detector: a model of transformers for object detection.
            random: makes it with random weights by a seed.
            files: its configuration by file name.
            preprocessing: "side", "mean" and "std", and "step", of which a side must be a multiple.
            origin: where the weights come from.

        Raises:
            BackboneError: it cannot be taken apart, or does not run.
        """
        self.name, self.origin = settings["reference"], origin
        self._settings, self._random, self._files = dict(settings), random, dict(files)
        trunk, self._decoder = halves(detector)
        self.module: nn.Module = trunk
        self._step = int(preprocessing["step"])
        self.side = int(preprocessing["side"])
        self._mean, self._std = tuple(preprocessing["mean"]), tuple(preprocessing["std"])
        self.entry = Normalise(self._mean, self._std)
        self._read_at(self.side, None)
        self.stages = _stages(trunk)
        example = torch.randn(2, 3, 2 * self._step, 2 * self._step, generator=torch.Generator().manual_seed(0))
        self._look_at(example)
        if failing_boundaries(self, State(example)):
            raise BackboneError(f"{self.name} gives other maps in two steps than in one")

    def prepare(self, raws: Sequence[Raw]) -> State:
        """Whole pictures in squares, normalised: float32 (batch, 3, side, side)."""
        prepared: State = self.entry(State(torch.from_numpy(np.stack([self._reader(raw) for raw in raws]))))
        return prepared

    def reader(self) -> Reader:
        """Files to framed pixels (side, side, 3) uint8."""
        return self._reader

    def length(self, raw: Raw) -> int:  # noqa: ARG002
        """1: all pictures cost the same."""
        return 1

    def preparation(self) -> Mapping[str, Any]:
        """The side, and how pixels are normalised."""
        return {"family": "hf_detector", "side": self.side, "mean": list(self._mean), "std": list(self._std)}

    def input_kind(self) -> Pixels:
        """Pixels, with the detector's mean and standard deviation."""
        return Pixels(mean=self._mean, std=self._std)

    def segment(self, start: int, stop: int, taps: Sequence[Tap] = ()) -> nn.Module:
        """The network of pictures, the encoder, or both. Raises BackboneError on a tap outside."""
        inside = self.boundary_names()[start + 1 : stop + 1]
        for tap in taps:
            if tap.boundary not in inside:
                raise BackboneError(unknown("boundary", tap.boundary, inside))
        return _Segment(self.module, self.boundary_names(), start, stop, taps)

    def features(self, state: State) -> Features:
        """The maps that the decoder reads, and the mean of the coarsest."""
        inner = sorted(name for name in state.context if name.startswith(LEVEL))
        return Features(state.hidden.mean(dim=(2, 3)), maps=(*(state.context[name] for name in inner), state.hidden))

    def maps(self) -> tuple[MapShape, ...]:
        """One per level that the decoder reads."""
        return self._maps

    def box_head(self, classes: int) -> nn.Module:
        """A copy of the pretrained decoder that finds these classes; see `contracts/backbone.py`."""
        return self._decoder.exchanged(classes)

    def whole(self, side: int) -> DetectorBackbone:
        """On whole pictures in squares of `side` pixels. Raises BackboneError on a side that it cannot cut up."""
        if side % self._step:
            raise BackboneError(f"{self.name} takes pictures whose sides are multiples of {self._step}, not {side}")
        twin = copy.copy(self)
        twin._read_at(side, self._levels)
        return twin

    def describe(self) -> dict[str, Any]:
        """Plug-in and settings, with the side, and a hash of the configuration."""
        settings = {**self._settings, "image_size": self.side, "weights": "random", "seed": 0}
        return {"plugin": "hf_detector", "settings": settings, "architecture": hash_bytes(self._files["config.json"])}

    def fresh(self, seed: int) -> DetectorBackbone:
        """The same architecture with random weights."""
        twin = copy.copy(self)
        twin.module, twin._decoder = halves(self._random(seed))
        twin.origin, twin.licence = "random", NO_LICENCE
        return twin

    def assets(self) -> Mapping[str, bytes]:
        """Configuration, preprocessing, and the pretrained decoder."""
        return {**self._files, DECODER: save(self._decoder.state_dict())}

    def take_decoder(self, weights: Mapping[str, Tensor]) -> None:
        """Take the weights of a decoder. Raises BackboneError where they do not fit."""
        try:
            self._decoder.load_state_dict(dict(weights))
        except RuntimeError as error:
            raise BackboneError(f"{self.name}: {DECODER} does not fit: {first_line(error)}") from error

    def _read_at(self, side: int, levels: Levels | None) -> None:
        self.side, self._levels = side, levels
        preprocessing = {"input_size": (3, side, side), "mean": self._mean, "interpolation": "bilinear"}
        self._reader: PixelReader = whole_reader(preprocessing, "fast", levels)

    def _look_at(self, example: Tensor) -> None:
        """Note the shapes of the maps."""
        try:
            with torch.no_grad():
                features = self.features(self.segment(0, len(self.stages))(State(example)))
                self.box_head(1)(features.maps)
        except (RuntimeError, ValueError, TypeError, AttributeError, IndexError) as error:
            raise BackboneError(f"{self.name} does not find boxes here: {first_line(error)}") from error
        self.width = features.pooled.shape[1]
        self._maps = tuple(MapShape(m.shape[1], round(example.shape[2] / m.shape[2])) for m in features.maps)


class _Segment(nn.Module):
    """One half or both, as `State -> State`."""

    def __init__(self, trunk: Any, names: Sequence[str], start: int, stop: int, taps: Sequence[Tap]) -> None:
        super().__init__()
        self.trunk: Halves = trunk
        self._names, self._numbers, self._taps = tuple(names), range(start, stop), tuple(taps)

    def forward(self, state: State) -> State:
        """From the first boundary to the last."""
        found = dict(state.taps)
        for number in self._numbers:
            inner = [state.context[name] for name in sorted(state.context) if name.startswith(LEVEL)]
            maps = self.trunk.pictures(state.hidden) if number == 0 else self.trunk.encoded([*inner, state.hidden])
            state = State(maps[-1], {f"{LEVEL}{k}": level for k, level in enumerate(maps[:-1])})
            for tap in self._taps:
                if tap.boundary == self._names[number + 1]:
                    found[tap.key] = state.hidden.mean(dim=(2, 3)) if tap.form == "pooled" else state.hidden
        return State(state.hidden, state.context, found)


def _stages(trunk: nn.Module) -> tuple[Stage, ...]:
    """The network of pictures, and what follows it."""
    parts = [name for name, _ in trunk.named_children()]
    owners = {"pictures": [name for name in parts if name == "backbone"]}
    owners["encoder"] = [name for name in parts if name != "backbone"]

    def of(stage: str, named: Any) -> tuple[str, ...]:
        return tuple(name for name, _ in named if name.partition(".")[0] in owners[stage])

    return tuple(
        Stage(name, of(name, trunk.named_parameters()), of(name, trunk.named_buffers()), tuple(owners[name]))
        for name in STAGES
    )


def preprocessing_of(config: Any, described: bytes | None, side: int | None) -> dict[str, Any]:
    """The side that a detector was trained with, what its sides must be multiples of, and how pixels are normalised.

    Args:
        config: the transformers configuration. described: contents of preprocessor_config.json, None without one.
        side: of the user; None for the detector's own.
    """
    values = json.loads(described) if described else {}
    size = values.get("size") or {}
    own = side or size.get("height") or size.get("shortest_edge") or 640
    normalised = bool(values.get("do_normalize", config.model_type in ("detr", "rf_detr")))
    mean, std = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]) if normalised else ([0.0] * 3, [1.0] * 3)
    if normalised:
        mean, std = values.get("image_mean") or mean, values.get("image_std") or std
    inner = config.backbone_config
    step = inner.patch_size * inner.num_windows if config.model_type == "rf_detr" else 32
    return {"side": max(step, round(own / step) * step), "step": step, "mean": mean, "std": std}
