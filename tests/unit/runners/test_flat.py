from __future__ import annotations

import torch
from small_segments import Pictures, Texts, far, pictures, plain, texts
from torch import nn

from headstart.contracts.carriers import LENGTH_MASK, State
from headstart.runners._flat import Flat, Signature


class Halved(nn.Module):
    """Hands one entry of the context through, changes one, and makes one."""

    def forward(self, state: State) -> State:
        seen, sizes = state.context["seen"], state.context["sizes"]
        return State(state.hidden / 2, {"sizes": sizes + 0, "seen": seen, "made": sizes * 2}, {"a.pooled": sizes})


def test_what_is_handed_through_stays_outside() -> None:
    state = State(torch.ones(2, 3), {"seen": torch.tensor([1, 0]), "sizes": torch.tensor([5.0, 6.0])})
    signature = Signature.of(Halved(), state)
    assert signature.handed_through == ("seen",)
    assert signature.outputs == ("hidden", "context.sizes", "context.made", "taps.a.pooled")
    outputs = Flat(Halved(), signature)(*signature.inputs(state))
    other = torch.tensor([7, 7])
    found = signature.state(outputs, State(state.hidden, {**state.context, "seen": other}))
    assert found.context["seen"] is other
    assert found.context["made"].tolist() == [10, 12]
    assert found.taps["a.pooled"].tolist() == [5, 6]
    assert found.hidden.tolist() == [[0.5] * 3] * 2


def test_there_and_back_is_the_segment() -> None:
    for segment, state in ((Pictures(), pictures(3)), (Texts(), texts(4, 2))):
        signature = Signature.of(segment.eval(), state)
        with torch.no_grad():
            outputs = Flat(segment, signature)(*signature.inputs(state))
        assert far(signature.state(outputs, state), plain(segment, state)) == 0


def test_texts_differ_in_number_and_length_pictures_in_number() -> None:
    state = texts(4, 2)
    assert Signature.of(Texts(), state).varying(state) == ((True, True), (True, True))
    assert Signature.of(Pictures(), pictures(2)).varying(pictures(2)) == ((True, False, False, False),)
    with_sizes = State(state.hidden, {**state.context, "sizes": torch.tensor([1.0, 2.0])})
    signature = Signature(("sizes", LENGTH_MASK), ("hidden",), ())
    assert signature.varying(with_sizes) == ((True, True), (True,), (True, True))
