"""Backbones of transformers that are cut between the layers of an encoder; stages of a decoder may come behind."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar, Self

from headstart.contracts.backbone import Backbone
from headstart.contracts.boundaries import merged
from headstart.contracts.carriers import Tap
from headstart.contracts.network import Stage
from headstart.contracts.several_stages import inner_taps, tapped
from headstart.kernel.errors import BackboneError, unknown
from headstart.kernel.files import hash_bytes


class LayeredBackbone(Backbone):
    """Everything that such backbones share, however their layers are run."""

    family: ClassVar[str]
    """Plug-in by which a saved model is rebuilt."""

    _settings: dict[str, Any]
    """Of the plug-in, as JSON values."""
    _files: dict[str, bytes]
    """Configuration and preprocessing by file name."""
    _boundaries: list[int]
    """Of the encoder: how many of its parts lie before each boundary that holds."""

    def describe(self) -> dict[str, Any]:
        """Plug-in and settings, and a hash of the configuration, by which what is known of it may be kept.

        The seed is left out: it decides weights alone, and these have a hash of their own.
        """
        return {
            "plugin": self.family,
            "settings": {**self._settings, "seed": 0},
            "architecture": hash_bytes(self._files["config.json"]),
        }

    def assets(self) -> Mapping[str, bytes]:
        """`config.json` and the files of the preprocessing."""
        return self._files

    def _taps_within(self, start: int, stop: int, taps: Sequence[Tap]) -> tuple[Tap, ...]:
        """The taps of a segment, those of its own features among them.

        Raises:
            BackboneError: there is no such segment, or a tap lies outside it or has an unknown form.
        """
        names = self.boundary_names()
        if not 0 <= start < stop < len(names):
            raise BackboneError(f"{self.name} has no segment {start}..{stop}: its boundaries are 0..{len(names) - 1}")
        inside = names[start + 1 : stop + 1]
        found = tapped(taps, self.beside_last, inside)
        for tap in found:
            if tap.boundary not in inside:
                raise BackboneError(unknown("boundary", tap.boundary, inside))
            if tap.form not in ("pooled", "map"):
                raise BackboneError(unknown("form of tap", tap.form, ("pooled", "map")))
        return found

    def _drop(self, failing: Collection[int]) -> None:
        """Join the encoder's stages where a boundary fails; of a decoder's all hold, as nothing runs between them."""
        end = len(self._boundaries) - 1
        spans = merged(self.stages[:end], [k for k in failing if k < end])
        encoder = (joined_stages(self.stages[start:stop]) for start, stop in spans)
        self.stages = (*encoder, *self.stages[end:])
        self._boundaries = [0, *(stop for _, stop in spans)]


class SeveralLayers(LayeredBackbone):
    """One that has features of inner layers too; see `contracts/several_stages.py`."""

    def map_taps(self) -> tuple[Tap, ...]:
        """The tokens or frames of the stages whose features stand beside the last ones."""
        return tuple(Tap(tap.boundary, "map") for tap in self.beside_last)

    def several(self, inner: Sequence[Tap] = ()) -> Self:
        """Pooled features, and tokens or frames, of inner layers too."""
        twin = copy.copy(self)
        twin.beside_last = tuple(inner) or inner_taps(self)
        twin.stage_widths = (self.width,) * (len(twin.beside_last) + 1)
        twin.width = sum(twin.stage_widths)
        twin._settings = {**self._settings, "features": "multi"}
        return twin


def joined_stages(stages: Sequence[Stage]) -> Stage:
    """Stages as one, under the name of the last, by which the boundary after it is known."""
    return Stage(
        stages[-1].name,
        tuple(name for stage in stages for name in stage.parameters),
        tuple(name for stage in stages for name in stage.buffers),
        tuple(name for stage in stages for name in stage.modules),
    )
