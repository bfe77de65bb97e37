"""A timm model as a backbone: cut into verified stages, with timm's own preprocessing."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate, groupby
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from headstart.backbones._device_pixels import device_pixels
from headstart.backbones._fx_cut import Cut, Whole, propose
from headstart.backbones._fx_segment import Layout
from headstart.backbones._fx_trace import trace
from headstart.backbones._normalise import Normalise
from headstart.backbones._pixel_reader import PixelReader, reader_of, whole_reader
from headstart.backbones._pooled_places import PooledPlaces
from headstart.backbones._small_picture_net import small_picture_net
from headstart.backbones._timm_architecture import Architecture
from headstart.contracts.backbone import NO_LICENCE, SMALL, UNKNOWN_LICENCE, Backbone, Reader
from headstart.contracts.boundaries import failing_boundaries
from headstart.contracts.carriers import State, Tap
from headstart.contracts.examples import Raw
from headstart.contracts.features import Features, MapShape
from headstart.contracts.inputs import Pixels
from headstart.contracts.several_stages import inner_taps, joined, tapped
from headstart.kernel.errors import BackboneError
from headstart.media.deep_pictures import has_depth, learn_levels
from headstart.media.framing import Framing
from headstart.media.images import Levels

EXAMPLE_SIDE = 96
"""Pixels of the images on which a model of any input size is cut and verified: quick, yet five halvings deep."""

NO_LEVELS = (
    "Pictures of more than 8 bits a channel are among the data, and the model learnt from none: each is shown by "
    "the levels of its own brightest pixel."
)


class TimmBackbone(Backbone):
    """A loaded timm model."""

    modality = "image"
    _map_taps: tuple[Tap, ...] = ()
    _maps: tuple[MapShape, ...] = ()
    _grouped: tuple[int, ...] = ()
    _pool: PooledPlaces | None = None
    """In the place of the model's own end, where stages are left out or tokens are pooled in another way."""

    def __init__(
        self,
        name: str,
        architecture: Architecture,
        module: nn.Module,
        origin: str,
        decode: str,
        framing: str = "crop",
        licence: str = UNKNOWN_LICENCE,
        levels: Levels | None = None,
    ) -> None:
        """Cut `module` and verify the boundaries; `decode`, `framing` and `levels` are those of `timm_images`.

        Raises:
            BackboneError: the model cannot give features, or not at its image size.
        """
        self.name, self.module, self.origin, self.licence = name, module.eval(), origin, licence
        self._architecture = architecture
        self._preprocessing = architecture.preprocessing()
        self._decode, self._framing, self._black_white_given = decode, framing, levels is not None
        self.decode_by(levels)
        self._normalise = Normalise(*architecture.normalisation())
        self._gpu = self._gpu_decoding()
        if self._gpu is None:
            self.entry = self._normalise
        self._prefix_tokens = int(getattr(module, "num_prefix_tokens", 0))
        self._channels_last = getattr(module, "output_fmt", "NCHW") == "NHWC"
        example = self._example()
        self._method = "forward_features" if self._has_map(example) else "forward"
        self._cut = self._proposed(example)
        self.stages = self._cut.stages
        self.width = self._dry_run(example)
        self._cut = self._cut.without(failing_boundaries(self, State(example)))
        self.stages = self._cut.stages
        self._end_earlier(example)
        self._find_maps(example)

    def prepare(self, raws: Sequence[Raw]) -> State:
        """Resize, crop and normalise as timm does at evaluation: float32 (batch, channels, height, width)."""
        if self._gpu is None:
            pixels = torch.from_numpy(np.stack([self._reader(raw) for raw in raws]))
        else:
            pixels = device_pixels(raws, *self._gpu, self._black_white)
        prepared: State = self._normalise.to(pixels.device)(State(pixels))
        return prepared

    def reader(self) -> Reader | None:
        """Files to framed pixels (height, width, channels) uint8; None where the GPU decodes whole batches."""
        return self._reader if self._gpu is None else None

    def learn_decoding(self, raws: Sequence[Raw]) -> tuple[str, ...]:
        """Take the levels of pictures of more than 8 bits a channel from training pictures, where none are given."""
        if self._black_white_given:
            return ()
        learnt = learn_levels(raws)
        self.decode_by(None if learnt is None else learnt.levels)
        return () if learnt is None else (learnt.note,)

    def doubts(self, raws: Sequence[Raw]) -> tuple[str, ...]:
        """Doubt pictures of more than 8 bits a channel where it learnt no levels for them."""
        return (NO_LEVELS,) if self._black_white is None and any(map(has_depth, raws)) else ()

    def decode_by(self, levels: Levels | None) -> None:
        """Take the levels of pictures of more than 8 bits a channel; None: each picture's own."""
        self._black_white = levels
        make = whole_reader if self._framing == "whole" else reader_of
        self._reader = make(self._preprocessing, self._decode, levels, self._architecture.channels)

    def length(self, raw: Raw) -> int:  # noqa: ARG002
        """1: all images cost the same."""
        return 1

    def preparation(self) -> Mapping[str, Any]:
        """timm's preprocessing values and the decode policy."""
        values = {key: list(value) if isinstance(value, tuple) else value for key, value in self._preprocessing.items()}
        return {"family": "timm_images", "decode": self._decode, **self._unusual(), **values}

    def segment(self, start: int, stop: int, taps: Sequence[Tap] = ()) -> nn.Module:
        """Stages start..stop-1. Raises BackboneError on a tap outside of them."""
        return self._cut.segment(
            start, stop, tapped(taps, self.beside_last, self.boundary_names()[start + 1 : stop + 1])
        )

    def features(self, state: State) -> Features:
        """timm's own pooling; patch tokens of a transformer, maps (batch, channels, height, width) of the others."""
        hidden = state.hidden
        if self._method == "forward":
            return Features(hidden)
        end = self._pool or self.module.forward_head
        pooled = joined(state.taps, self.beside_last, end(hidden))  # type: ignore[operator]
        if hidden.ndim == 3 and not self.beside_last:
            return Features(pooled, tokens=hidden[:, self._prefix_tokens :])
        if hidden.ndim == 4:
            levels = [*(state.taps[tap.key] for tap in self._map_taps if tap.key in state.taps), hidden]
            return Features(pooled, maps=self._of_strides([self._channels_first(level) for level in levels]))
        return Features(pooled)

    def input_kind(self) -> Pixels:
        """Pixels, with timm's mean and standard deviation."""
        mean, std = self._architecture.normalisation()
        return Pixels(mean=mean, std=std)

    def map_taps(self) -> tuple[Tap, ...]:
        """The last boundary of each resolution before the final one; of several stages, all boundaries."""
        return self._map_taps

    def maps(self) -> tuple[MapShape, ...]:
        """One per resolution of the boundaries; none for models of tokens and those that cannot be recorded."""
        return self._maps

    def describe(self) -> dict[str, Any]:
        """The architecture with its preprocessing, independent of where the weights came from."""
        settings = {
            "reference": self._architecture.name,
            "weights": "random",
            "decode": self._decode,
            "architecture": self._architecture.dumped(),
            **({"features": "multi"} if self.beside_last else {}),
            **self._unusual(),
        }
        return {"plugin": "timm_images", "settings": settings}

    def fresh(self, seed: int) -> TimmBackbone:
        """The same architecture with random weights."""
        found = self._like(self._architecture, self._architecture.random(seed), "random", NO_LICENCE, self._framing)
        return found.several() if self.beside_last else found

    def small(self, seed: int) -> TimmBackbone | None:
        """A narrow ResNet on pictures of 64 pixels; None for tasks that read whole pictures."""
        if self._framing == "whole":
            return None
        architecture = small_picture_net().with_edits(self._architecture.channels, 0, None, None)
        twin = self._like(architecture, architecture.random(seed), "random", NO_LICENCE, self._framing)
        twin.name = SMALL
        return twin

    def whole(self, side: int) -> TimmBackbone:
        """On whole pictures in squares of `side` pixels."""
        twin = copy.copy(self)
        twin._architecture, twin._framing = self._architecture.resized(side), "whole"
        twin._preprocessing = twin._architecture.preprocessing()
        twin.decode_by(self._black_white)
        twin._gpu = twin._gpu_decoding()
        twin._maps, twin._map_taps, twin._grouped = (), (), ()
        twin._find_maps(twin._example(), of_all=bool(self.beside_last))
        return twin

    def of_strides(self, strides: Sequence[int]) -> TimmBackbone:
        """Without the taps of other maps, which then take no room where features are kept."""
        twin, taps = copy.copy(self), [*self._map_taps, None]
        counted = zip(self._maps, self._grouped, [0, *accumulate(self._grouped)])
        kept = [(shape, taps[at : at + count]) for shape, count, at in counted if shape.stride in strides]
        if not kept or kept[-1][1][-1] is not None:
            kept.append((self._maps[-1], taps[-self._grouped[-1] :]))
        twin._maps, twin._grouped = tuple(shape for shape, _ in kept), tuple(len(some) for _, some in kept)
        twin._map_taps = tuple(tap for _, some in kept for tap in some if tap is not None)
        return twin

    def several(self, inner: Sequence[Tap] = ()) -> TimmBackbone:
        """Pooled features of inner stages too; at each stride the maps of all its stages."""
        twin, example = copy.copy(self), self._example()
        twin.beside_last = tuple(inner) or inner_taps(self)
        twin.width = twin._dry_run(example)
        with torch.no_grad():
            taps = twin.segment(0, len(twin.stages))(State(example.clone())).taps
        widths = tuple(int(taps[tap.key].shape[1]) for tap in twin.beside_last)
        twin.stage_widths = (*widths, twin.width - sum(widths))
        twin._find_maps(example, of_all=True)
        return twin

    def _like(
        self, architecture: Architecture, module: nn.Module, origin: str, licence: str, framing: str
    ) -> TimmBackbone:
        """Another backbone that decodes as this one does."""
        found = TimmBackbone(self.name, architecture, module, origin, self._decode, framing, licence)
        found.decode_by(self._black_white)
        found._black_white_given = self._black_white_given
        return found

    def _unusual(self) -> dict[str, Any]:
        """Return what decides the pixels beside the decode policy, where it is not the original default."""
        found = {} if self._framing == "crop" else {"framing": self._framing}
        return found if self._black_white is None else {**found, "levels": list(self._black_white)}

    def _gpu_decoding(self) -> tuple[Framing, torch.device] | None:
        """Return how the GPU decodes, where it does."""
        if self._decode != "gpu":
            return None
        framing = self._reader.framing if isinstance(self._reader, PixelReader) else None
        if not isinstance(framing, Framing):
            raise BackboneError("decode = 'gpu' supports square centre crops of colours only; use decode = 'fast'")
        return framing, torch.device("cuda")

    def _proposed(self, example: Tensor) -> Cut | Whole:
        layout = Layout(self._channels_last, self._prefix_tokens)
        if self._method == "forward":
            return Whole(self.module, "forward", layout)
        recorded = trace(self.module, example)
        return Whole(self.module, "forward_features", layout) if recorded is None else propose(recorded, layout)

    def _find_maps(self, example: Tensor, *, of_all: bool = False) -> None:
        """Note the taps of the last map of each resolution, or of all maps, but the final one; and shapes by stride."""
        inner = [Tap(name, "map") for name in self.boundary_names()[1:-1]]
        with torch.no_grad():
            state = self.segment(0, len(self.stages), inner)(State(example.clone()))
        if self._method == "forward" or state.hidden.ndim != 4:
            return
        levels = {tap: self._channels_first(state.taps[tap.key]) for tap in inner if state.taps[tap.key].ndim == 4}
        last = self._channels_first(state.hidden)
        if not of_all:
            of_side = {level.shape[2]: tap for tap, level in levels.items() if level.shape[2] > last.shape[2]}
            levels = {tap: levels[tap] for tap in of_side.values()}
        shapes = [*(level.shape for level in levels.values()), last.shape]
        alike = [list(some) for _, some in groupby(shapes, key=lambda shape: shape[2])]
        self._map_taps, self._grouped = tuple(levels), tuple(map(len, alike))
        self._maps = tuple(
            MapShape(sum(shape[1] for shape in some), max(1, round(example.shape[2] / some[0][2]))) for some in alike
        )

    def _of_strides(self, levels: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The maps of each stride side by side, where all are there."""
        if len(levels) < sum(self._grouped):
            return tuple(levels)
        left = iter(levels)
        return tuple(torch.cat([next(left) for _ in range(count)], dim=1) for count in self._grouped)

    def _channels_first(self, hidden: Tensor) -> Tensor:
        return hidden.permute(0, 3, 1, 2) if self._channels_last else hidden

    def _example(self) -> Tensor:
        """Two random images; their size does not depend on `image_size` where the model takes any."""
        channels = self._architecture.channels
        own = _images(channels, *self._preprocessing["input_size"][1:])
        if self._architecture.fixed_size:
            return own
        example = _images(channels, EXAMPLE_SIDE, EXAMPLE_SIDE)
        small = min(own.shape[2:]) < EXAMPLE_SIDE
        if small and not self._takes(own):
            raise BackboneError(f"images of {own.shape[-1]} pixels are too small for {self._architecture.name}")
        return example if small or self._takes(example) else own

    def _takes(self, images: Tensor) -> bool:
        try:
            with torch.no_grad():
                if self._pool is None:
                    self.module(images)
                else:  # the module itself may lack its last stages
                    self.features(self.segment(0, len(self.stages))(State(images)))
        except Exception:  # layers meet too small an input with errors of many kinds
            return False
        return True

    def _end_earlier(self, example: Tensor) -> None:
        """Leave out the last stages, with their weights, and pool what then comes last, or tokens, as asked for."""
        dropped, kind = self._architecture.dropped, self._architecture.pool
        if dropped >= len(self.stages):
            names = ", ".join(stage.name for stage in self.stages)
            raise BackboneError(
                f"backbone.drop_stages = {dropped} leaves nothing of {self.name}, whose stages are {names}"
            )
        gone, self.stages = self.stages[len(self.stages) - dropped :], self.stages[: len(self.stages) - dropped]
        _forget(self.module, [name for stage in gone for name in (*stage.parameters, *stage.buffers)])
        replaced = any(isinstance(part, PooledPlaces) for part in self.module.modules())
        self.learns_at = len(self.stages) - 1 if kind == "attention" else None
        if not dropped and (kind is None or replaced):
            return
        with torch.no_grad():
            hidden = self.segment(0, len(self.stages))(State(example.clone())).hidden
        layout = self._cut.layout_at(len(self.stages))
        if self._method == "forward" or hidden.ndim == 2:
            raise BackboneError(f"backbone.pool = {kind}: {self.name} has no places to pool over")
        by_channel = layout.channels_last and hidden.ndim == 4
        width = hidden.shape[1] if hidden.ndim == 4 and not by_channel else hidden.shape[-1]
        self._pool = PooledPlaces(kind or "avg", width, last=by_channel, skipped=layout.prefix_tokens)
        self.module.add_module("own_pool", self._pool)
        own = tuple(f"own_pool.{name}" for name, _ in self._pool.named_parameters())
        end = replace(self.stages[-1], parameters=(*self.stages[-1].parameters, *own))
        self.stages = (*self.stages[:-1], replace(end, modules=(*end.modules, "own_pool")))
        self.width = self._dry_run(example)

    def _has_map(self, example: Tensor) -> bool:
        """Return whether there is one final hidden tensor; models of several scales are used pooled only."""
        with torch.no_grad():
            return isinstance(self.module.forward_features(example.clone()), Tensor)  # type: ignore[operator]

    def _dry_run(self, example: Tensor) -> int:
        """The width of the pooled features."""
        with torch.no_grad():
            pooled = self.features(self.segment(0, len(self.stages))(State(example.clone()))).pooled
        if not isinstance(pooled, Tensor) or pooled.ndim != 2:
            raise BackboneError(
                f"{self._architecture.name} does not produce one feature vector per image; choose another model"
            )
        return int(pooled.shape[1])


def _forget(module: nn.Module, weights: Sequence[str]) -> None:
    """Put nothing in the place of the layers that hold some weights, or have held them."""
    owners = sorted({name.rpartition(".")[0] for name in weights}, key=len)
    for owner in owners:
        if not owner:
            for name in (name for name in weights if "." not in name):
                delattr(module, name)
        elif not any(owner.startswith(f"{other}.") for other in owners if other and other != owner):
            above, _, last = owner.rpartition(".")
            setattr(module.get_submodule(above), last, nn.Identity())


def _images(channels: int, height: int, width: int) -> Tensor:
    return torch.randn(2, channels, height, width, generator=torch.Generator().manual_seed(0))
