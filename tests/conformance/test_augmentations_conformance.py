"""Every augmentation is a pure function of seeds that leaves its input alone; views do not depend on their batch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from plugins import sample

from headstart.contracts.augmentation import augmented
from headstart.contracts.carriers import Batch, State
from headstart.contracts.inputs import Pixels, Sounds, Tokens
from headstart.contracts.placed_targets import ClassMaps
from headstart.contracts.target_kinds import CLASS_IDS
from headstart.kernel import registry

SEEDS = (5, 2**62 + 1, 0, 7, 5)
KINDS = {
    "image": Pixels(mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.25)),
    "text": Tokens(mask=49, special=(1, 2)),
    "audio": Sounds(rate=100.0, log=1.0),
    "table": None,
}


def states() -> dict[str, State]:
    """A prepared batch of five for each kind of input, the last example equal to the first."""
    generator = torch.Generator().manual_seed(0)

    def repeated(values: torch.Tensor) -> torch.Tensor:
        return torch.cat([values, values[:1]])

    length = torch.tensor([6, 1, 4, 3])
    mask = (torch.arange(6) < length[:, None]).long()
    heard = (torch.arange(60) < 10 * length[:, None]).long()
    tokens = torch.randint(2, 50, (4, 6), generator=generator) * mask
    return {
        "image": State(repeated(torch.randn(4, 3, 12, 20, generator=generator))),
        "text": State(repeated(tokens), {"attention_mask": repeated(mask)}),
        "audio": State(repeated(torch.randn(4, 60, 8, generator=generator)), {"attention_mask": repeated(heard)}),
        "table": State(repeated(torch.randn(4, 7, generator=generator, dtype=torch.float64))),
    }


PAIRS = [
    (name, modality)
    for name in registry.names("augmentations")
    for modality in sample("augmentations", name).modalities or states()
]
every_claimed = pytest.mark.parametrize(("name", "modality"), PAIRS, ids=[f"{n}-{m}" for n, m in PAIRS])


@pytest.mark.parametrize("name", registry.names("augmentations"))
def test_it_claims_kinds_of_input_that_there_are(name: str) -> None:
    assert set(sample("augmentations", name).modalities) <= states().keys()


@every_claimed
def test_shape_type_and_what_goes_with_it_are_kept(name: str, modality: str) -> None:
    state = states()[modality]
    view = made(name, modality, state)
    assert view.hidden.dtype == state.hidden.dtype
    assert view.hidden.shape == state.hidden.shape
    assert bool(torch.isfinite(view.hidden).all())
    assert view.context.keys() == state.context.keys()
    assert all(len(value) == len(SEEDS) for value in (view.hidden, *view.context.values()))


@every_claimed
def test_seeds_decide_everything_and_no_state_is_left_behind(name: str, modality: str) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one = mixed(name, modality)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    same(one.state, mixed(name, modality).state)


@every_claimed
def test_the_view_of_an_example_does_not_depend_on_its_batch(name: str, modality: str) -> None:
    state = states()[modality]
    together = made(name, modality, state)
    same(taken(together, [0]), taken(together, [4]))  # equal inputs, equal seeds
    for rows in ([2], [4, 1], [3, 2, 1, 0]):
        same(taken(together, rows), made(name, modality, taken(state, rows), [SEEDS[row] for row in rows]))


@every_claimed
def test_what_it_does_shows_in_views_or_in_mixtures(name: str, modality: str) -> None:
    augmentation, state = sample("augmentations", name), states()[modality]
    many = [[seed + 1000 * draw for seed in range(5)] for draw in range(20)]
    changed = {seen for seeds in many for seen in _changes(name, modality, state, seeds)}
    acts = augmentation.first_stage(1) == 0 or augmentation.mixes
    assert bool(changed) == acts
    assert ("mixed" in changed) == augmentation.mixes


@every_claimed
def test_the_input_is_never_written_to(name: str, modality: str) -> None:
    state = states()[modality]
    batch = Batch(state, {"label": torch.arange(5)}, torch.arange(5))
    augmented(bound(name, modality), batch, SEEDS, {"label": CLASS_IDS})
    same(state, states()[modality])
    assert batch.targets["label"].tolist() == [0, 1, 2, 3, 4]


@every_claimed
def test_mixed_batches_say_of_whom_and_how_much(name: str, modality: str) -> None:
    batch = mixed(name, modality)
    if not sample("augmentations", name).mixes:
        assert batch.mixed is None
        return
    assert batch.mixed is not None
    assert 0 <= batch.mixed.weight <= 1
    assert sorted(batch.mixed.targets["label"].tolist()) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("name", "modality"), [pair for pair in PAIRS if pair[1] == "image"])
def test_class_maps_move_as_pictures_do(name: str, modality: str) -> None:
    """The map is the picture: where a pixel of a view has a value of its own, its class is that value's."""
    classes = torch.arange(12 * 20).reshape(1, 12, 20).repeat(5, 1, 1)
    pixels = classes[:, None].float().repeat(1, 3, 1, 1)
    augmentation = bound(name, modality)
    if name in ("trivial", "standard"):  # colours change as well: see the tests of their own
        pytest.skip("its pictures do not keep their values")
    view = augmentation.view(State(pixels), SEEDS).hidden[:, 0]
    moved = augmentation.move(ClassMaps(), classes, SEEDS, (12, 20))
    known = (moved >= 0) & (view == view.round()) & (view >= 0) & (view < 240)
    inside = known & ((view - moved).abs() < 1e-4)
    assert moved.shape == classes.shape and moved.dtype == classes.dtype
    assert inside.sum() >= 0.9 * known.sum()


def _changes(name: str, modality: str, state: State, seeds: list[int]) -> set[str]:
    batch = augmented(bound(name, modality), Batch(state, {}, torch.arange(5)), seeds, {})
    now, before = batch.state.tensors(), state.tensors()
    differs = {"view"} if any(not torch.equal(now[key], before[key]) for key in before) else set()
    return differs | ({"mixed"} if batch.mixed is not None else set())


def bound(name: str, modality: str) -> Any:
    return sample("augmentations", name).bind(KINDS[modality], 100)


def made(name: str, modality: str, state: State, seeds: Any = SEEDS) -> State:
    view: State = bound(name, modality).view(state, seeds)
    return view


def mixed(name: str, modality: str) -> Batch:
    batch = Batch(states()[modality], {"label": torch.arange(5)}, torch.arange(5))
    return augmented(bound(name, modality), batch, SEEDS, {"label": CLASS_IDS})


def taken(state: State, rows: list[int]) -> State:
    return State(state.hidden[rows], {name: value[rows] for name, value in state.context.items()})


def same(one: State, other: State) -> None:
    assert torch.equal(one.hidden, other.hidden)
    assert all(torch.equal(value, other.context[name]) for name, value in one.context.items())
