"""Every augmentation is a pure function of the examples' own seeds and leaves its input and other examples alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from plugins import sample

from headstart.contracts.carriers import State
from headstart.kernel import registry

SEEDS = (5, 2**62 + 1, 0, 7, 5)


def states() -> dict[str, State]:
    """A prepared batch of five for each kind of input, the last example equal to the first."""
    generator = torch.Generator().manual_seed(0)

    def repeated(values: torch.Tensor) -> torch.Tensor:
        return torch.cat([values, values[:1]])

    length = torch.tensor([6, 1, 4, 3])
    mask = (torch.arange(6) < length[:, None]).long()
    tokens = torch.randint(2, 50, (4, 6), generator=generator) * mask
    return {
        "image": State(repeated(torch.randn(4, 3, 12, 20, generator=generator))),
        "text": State(repeated(tokens), {"attention_mask": repeated(mask)}),
        "table": State(repeated(torch.randn(4, 7, generator=generator, dtype=torch.float64))),
    }


PAIRS = [(name, modality) for name in registry.names("augmentations") for modality in states()]
PAIRS = [(name, modality) for name, modality in PAIRS if modality in sample("augmentations", name).modalities]
every_claimed = pytest.mark.parametrize(("name", "modality"), PAIRS, ids=[f"{n}-{m}" for n, m in PAIRS])


@pytest.mark.parametrize("name", registry.names("augmentations"))
def test_it_claims_kinds_of_input_that_there_are(name: str) -> None:
    claimed = sample("augmentations", name).modalities
    assert claimed and set(claimed) <= states().keys()


@every_claimed
def test_shape_type_and_what_goes_with_it_are_kept(name: str, modality: str) -> None:
    state = states()[modality]
    view = made(name, state)
    assert view.hidden.dtype == state.hidden.dtype
    assert view.hidden.shape[:2] == state.hidden.shape[:2] or modality == "text"
    assert view.hidden.shape[2:] == state.hidden.shape[2:]
    assert bool(torch.isfinite(view.hidden).all())
    assert view.context.keys() == state.context.keys()
    assert all(len(value) == len(SEEDS) for value in (view.hidden, *view.context.values()))


@every_claimed
def test_seeds_decide_everything_and_no_state_is_left_behind(name: str, modality: str) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one = made(name, states()[modality])
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    same(one, made(name, states()[modality]))


@every_claimed
def test_the_view_of_an_example_does_not_depend_on_its_batch(name: str, modality: str) -> None:
    state = states()[modality]
    together = made(name, state)
    same(taken(together, [0]), taken(together, [4]))  # equal inputs, equal seeds
    for rows in ([2], [4, 1], [3, 2, 1, 0]):
        same(taken(together, rows), made(name, taken(state, rows), [SEEDS[row] for row in rows]))


@every_claimed
def test_the_input_is_never_written_to(name: str, modality: str) -> None:
    state = states()[modality]
    made(name, state)
    same(state, states()[modality])


def made(name: str, state: State, seeds: Any = SEEDS) -> State:
    view: State = sample("augmentations", name).view(state, seeds)
    return view


def taken(state: State, rows: list[int]) -> State:
    return State(state.hidden[rows], {name: value[rows] for name, value in state.context.items()})


def same(one: State, other: State) -> None:
    assert torch.equal(one.hidden, other.hidden)
    assert all(torch.equal(value, other.context[name]) for name, value in one.context.items())
