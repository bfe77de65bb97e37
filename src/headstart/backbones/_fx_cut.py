"""Cutting a recorded timm model into stages, and running a part of them with the model's own live modules.

A boundary may lie where a single tensor carries everything (`_fx_trace.py`). Of these places, stages begin where a
module with weights (normalisation apart) changes the spatial resolution or belongs to another top-level attribute of
the model: stem, layer1 ... layer4. Where that yields fewer than `FEWEST` stages behind the stem, as in nets of constant
resolution, every such module begins one: stem, blocks.0 ... blocks.11.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from torch import Tensor, fx, nn

from headstart.backbones._fx_segment import Layout, Part, TappedSegment
from headstart.backbones._fx_stages import has_weights, stages_of, whole_stage
from headstart.backbones._fx_trace import Trace
from headstart.contracts.backbone import Stage
from headstart.contracts.boundaries import merged
from headstart.contracts.carriers import Tap
from headstart.kernel.errors import BackboneError

FEWEST = 4
"""Stages behind the stem that a cut by resolution must yield."""


class Cut:
    """A recorded model with the places where its stages begin."""

    def __init__(self, trace: Trace, starts: Sequence[int], *, channels_last: bool, prefix_tokens: int) -> None:
        """Cut `trace` before the calls numbered `starts`, the first of which is 0.

        Args:
            trace: the recorded model.
            starts: ascending positions at which `trace.carriers` is not None.
            channels_last: whether the model's maps are (batch, height, width, channels).
            prefix_tokens: class and register tokens in front of the patch tokens.
        """
        self._trace = trace
        self._places = (*starts, len(trace.nodes))
        self._layouts = [_layout(trace, place, channels_last, prefix_tokens) for place in self._places]
        self._channels_last, self._prefix_tokens = channels_last, prefix_tokens
        self.stages = stages_of(trace, self._places)

    def without(self, failing: Collection[int]) -> Cut:
        """The same cut with the boundaries `failing` dropped."""
        starts = [self._places[start] for start, _ in merged(self.stages, failing)]
        return Cut(self._trace, starts, channels_last=self._channels_last, prefix_tokens=self._prefix_tokens)

    def segment(self, start: int, stop: int, taps: Sequence[Tap]) -> nn.Module:
        """Stages start..stop-1 as `State -> State`. Raises BackboneError on a tap that lies outside of them."""
        tapped = _tapped(self.stages, start, stop, taps)
        body = self._body(start, stop, tapped)
        return TappedSegment(body, [Part(tap, self._layouts[k]) for tap, k in zip(taps, tapped)])

    def _body(self, start: int, stop: int, tapped: Sequence[int]) -> fx.GraphModule:
        trace, graph = self._trace, fx.Graph()
        carriers = {k: self._carrier(k) for k in (start, stop, *tapped)}
        made = {carriers[start]: graph.placeholder("hidden")}

        def copy(node: fx.Node) -> fx.Node:
            if node not in made:
                made[node] = graph.node_copy(node, copy)
            return made[node]

        for node in trace.nodes[self._places[start] : self._places[stop]]:
            if node not in trace.free:  # these are made again where they are needed
                copy(node)
        graph.output(tuple(made[carriers[k]] for k in (stop, *tapped)))
        return fx.GraphModule(trace.model, graph, "Segment")

    def _carrier(self, k: int) -> fx.Node:
        node = self._trace.carriers[self._places[k]]
        if node is None:
            raise BackboneError(f"there is no boundary at call {self._places[k]}")
        return node


class Whole:
    """A model that cannot be recorded: one stage, whole or nothing. Offers what `Cut` does."""

    def __init__(self, model: nn.Module, layout: Layout) -> None:
        """Wrap `model`; `layout` is that of its final hidden tensor."""
        self._model, self._layout = model, layout
        self.stages = (whole_stage(model),)

    def without(self, failing: Collection[int]) -> Whole:  # noqa: ARG002
        """Itself: there is no inner boundary to drop."""
        return self

    def segment(self, start: int, stop: int, taps: Sequence[Tap]) -> nn.Module:
        """The whole, or nothing where start equals stop. Raises BackboneError on a tap that lies outside."""
        copies = 1 + len(_tapped(self.stages, start, stop, taps))
        body = _Repeated(self._model if start < stop else None, copies)
        return TappedSegment(body, [Part(tap, self._layout) for tap in taps])


class _Repeated(nn.Module):
    model: Any

    def __init__(self, model: nn.Module | None, copies: int) -> None:
        super().__init__()
        self.model, self.copies = model, copies

    def forward(self, hidden: Tensor) -> tuple[Tensor, ...]:
        return (hidden if self.model is None else self.model.forward_features(hidden),) * self.copies


def propose(trace: Trace, *, channels_last: bool, prefix_tokens: int) -> Cut:
    """Cut a recorded model where the module docstring says."""
    begins = [i for i, node in enumerate(trace.nodes) if trace.carriers[i] is not None and has_weights(trace, node)]
    starts, before = [0], None
    for i in begins:
        node = trace.nodes[i]
        here = (str(node.target).split(".")[0], _resolution(trace, node, channels_last))
        if before not in (None, here):
            starts.append(i)
        before = here
    if len(starts) - 1 < FEWEST:
        starts = [0, *begins[1:]]
    return Cut(trace, starts, channels_last=channels_last, prefix_tokens=prefix_tokens)


def _resolution(trace: Trace, node: fx.Node, channels_last: bool) -> tuple[int, ...]:
    shape = trace.shapes.get(node, ())
    return shape[2:] if len(shape) == 4 and not channels_last else shape[1:-1]


def _layout(trace: Trace, place: int, channels_last: bool, prefix_tokens: int) -> Layout:
    """Prefix tokens are there once the sequence has its final length: some models add them late."""
    here = trace.carriers[place]
    shape, last = (trace.shapes.get(node, ()) if node else () for node in (here, trace.carriers[-1]))
    present = len(shape) == 3 and shape[1:2] == last[1:2]
    return Layout(channels_last, prefix_tokens if present else 0)


def _tapped(stages: Sequence[Stage], start: int, stop: int, taps: Sequence[Tap]) -> list[int]:
    """The number of the boundary that each tap names."""
    inside = {stages[k].name: k + 1 for k in range(start, stop)}
    for tap in taps:
        if tap.boundary not in inside:
            have = ", ".join(inside) or "none"
            raise BackboneError(f"boundary '{tap.boundary}' cannot be tapped in this segment. Its boundaries: {have}")
    return [inside[tap.boundary] for tap in taps]
