"""Cutting a recorded timm model into stages, and running a part of them with the model's own live modules.

A boundary may lie where a single tensor carries everything (`_fx_trace.py`). Of these places, stages begin where a
module with weights (normalisation apart) differs from the one before in spatial resolution or in the first component of
its path: stem, layer1 ... layer4. Where that yields fewer than `FEWEST` stages behind the stem, as in nets of constant
resolution, the first two components count, and so on: stem, blocks.0 ... blocks.11.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from torch import Tensor, fx, nn

from headstart.backbones._fx_segment import Layout, Part, TappedSegment
from headstart.backbones._fx_stages import has_weights, stages_of, whole_stage
from headstart.backbones._fx_trace import Trace
from headstart.contracts.boundaries import merged
from headstart.contracts.carriers import Tap
from headstart.contracts.network import Stage
from headstart.kernel.errors import BackboneError

FEWEST = 4
"""Stages wanted behind the stem."""


class Cut:
    """A recorded model with the places where its stages begin."""

    def __init__(self, trace: Trace, starts: Sequence[int], layout: Layout) -> None:
        """Cut `trace` before the calls numbered `starts`, the first of which is 0.

        Args:
            trace: the recorded model.
            starts: ascending positions at which `trace.carriers` is not None.
            layout: how the model's final hidden tensor is laid out.
        """
        self._trace = trace
        self._places = (*starts, len(trace.nodes))
        self._layout = layout
        self._layouts = [_layout_at(trace, place, layout) for place in self._places]
        self.stages = stages_of(trace, self._places)

    def without(self, failing: Collection[int]) -> Cut:
        """The same cut with the boundaries `failing` dropped."""
        starts = [self._places[start] for start, _ in merged(self.stages, failing)]
        return Cut(self._trace, starts, self._layout)

    def layout_at(self, boundary: int) -> Layout:
        """The layout of what is carried over a boundary."""
        return self._layouts[boundary]

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

    def __init__(self, model: nn.Module, method: str, layout: Layout) -> None:
        """Wrap `model`, whose `method` gives the final hidden tensor in that layout."""
        self._model, self._method, self._layout = model, method, layout
        self.stages = (whole_stage(model),)

    def without(self, failing: Collection[int]) -> Whole:  # noqa: ARG002
        """Itself: there is no inner boundary to drop."""
        return self

    def layout_at(self, boundary: int) -> Layout:  # noqa: ARG002
        """Return the layout of the model's end."""
        return self._layout

    def segment(self, start: int, stop: int, taps: Sequence[Tap]) -> nn.Module:
        """The whole, or nothing where start equals stop. Raises BackboneError on a tap that lies outside."""
        copies = 1 + len(_tapped(self.stages, start, stop, taps))
        body = _Repeated(self._model, self._method, copies) if start < stop else _Unchanged()
        return TappedSegment(body, [Part(tap, self._layout) for tap in taps])


class _Repeated(nn.Module):
    def __init__(self, model: nn.Module, method: str, copies: int) -> None:
        super().__init__()
        self.model, self.method, self.copies = model, method, copies

    def forward(self, hidden: Tensor) -> tuple[Tensor, ...]:
        return (getattr(self.model, self.method)(hidden),) * self.copies


class _Unchanged(nn.Module):
    def forward(self, hidden: Tensor) -> tuple[Tensor, ...]:
        return (hidden,)


def propose(trace: Trace, layout: Layout) -> Cut:
    """Cut a recorded model where the module docstring says; `layout` is that of its final hidden tensor."""
    weighty = [i for i, node in enumerate(trace.nodes) if trace.carriers[i] is not None and has_weights(trace, node)]
    deepest = max((str(trace.nodes[i].target).count(".") + 1 for i in weighty), default=1)
    starts = [0]
    for depth in range(1, deepest + 1):
        starts = _starts(trace, weighty, depth, layout)
        if len(starts) - 1 >= FEWEST:
            break
    return Cut(trace, starts, layout)


def _starts(trace: Trace, weighty: Sequence[int], depth: int, layout: Layout) -> list[int]:
    """0, and where the resolution or the first `depth` components of the path differ from those of the call before."""
    keys = []
    for i in weighty:
        node = trace.nodes[i]
        shape = trace.shapes.get(node, ())
        resolution = shape[2:] if len(shape) == 4 and not layout.channels_last else shape[1:-1]
        keys.append((str(node.target).split(".")[:depth], resolution))
    return [0, *(i for i, key, before in zip(weighty[1:], keys[1:], keys) if key != before)]


def _layout_at(trace: Trace, place: int, final: Layout) -> Layout:
    """Prefix tokens are there once the sequence has its final length: some models add them late."""
    here = trace.carriers[place]
    shape, last = (trace.shapes.get(node, ()) if node else () for node in (here, trace.carriers[-1]))
    present = len(shape) == 3 and shape[1:2] == last[1:2]
    return final._replace(prefix_tokens=final.prefix_tokens if present else 0)


def _tapped(stages: Sequence[Stage], start: int, stop: int, taps: Sequence[Tap]) -> list[int]:
    """The number of the boundary that each tap names."""
    inside = {stages[k].name: k + 1 for k in range(start, stop)}
    for tap in taps:
        if tap.boundary not in inside:
            have = ", ".join(inside) or "none"
            raise BackboneError(f"boundary '{tap.boundary}' cannot be tapped in this segment. Its boundaries: {have}")
    return [inside[tap.boundary] for tap in taps]
