"""Every kind of target under every augmentation: it follows, or it is refused by name; nothing stays behind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from plugins import sample
from test_augmentations_conformance import KINDS as INPUTS
from test_augmentations_conformance import PAIRS, SEEDS, states

from headstart.contracts import target_kinds
from headstart.contracts.augmentation import augmented, fault_of
from headstart.contracts.carriers import Batch
from headstart.contracts.composed_augmentation import Composed, composed
from headstart.contracts.placed_targets import Boxes, ClassMaps
from headstart.contracts.target_kinds import Numbers
from headstart.contracts.target_movement import Follows, has_place
from headstart.contracts.targets import PADDED_TARGET
from headstart.kernel import registry
from headstart.kernel.errors import SettingsError


class Outlines:
    """A kind of a package outside, without geometry: polygons."""

    title = "outlines"
    additive = False

    def collated(self, values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.stack([*values]))

    def identity(self, values: np.ndarray) -> list[Any]:
        return [value.tolist() for value in values]


def ragged(*rows: Any, dtype: Any) -> np.ndarray:
    column = np.empty(len(rows), dtype=object)
    for place, row in enumerate(rows):
        column[place] = np.asarray(row, dtype)
    return column


SIDES = (12, 20)
BOXES = [[[2, 3, 9, 8, 1], [5, 1, 18, 11, 0]], np.zeros((0, 5)), [[0, 0, 20, 12, 2]], [[4, 4, 6, 9, 1]]]
TARGETS: dict[str, np.ndarray] = {
    "class ids": np.arange(5),
    "values": np.linspace(-1.0, 1.0, 5),
    "label sets": np.eye(5, 3, dtype=np.float32),
    "tag sequences": ragged([0, 1, 0, 2, 1, 0], [0], [1, 1, 0, 0], [2, 0, 0], [0, 0], dtype=np.int64),
    "token ids": ragged([3, 1, 2], [1], [], [4, 4, 0, 1], [2, 0], dtype=np.int64),
    "class maps": np.random.default_rng(0).integers(0, 3, (5, *SIDES)),
    "boxes": ragged(*BOXES, BOXES[0], dtype=np.float32),
    "outlines": np.random.default_rng(0).random((5, 4, 2)),
}
"""Targets of five examples, of each kind."""

HOUSE = (*vars(target_kinds).values(), ClassMaps(), Boxes())
FOUND = {kind.title: kind for kind in HOUSE if isinstance(kind, Numbers)}
ALL: dict[str, Any] = {**FOUND, Outlines.title: Outlines()}
every_kind = pytest.mark.parametrize("kind", ALL)
every_meeting = pytest.mark.parametrize(
    ("name", "modality", "kind"), [(*pair, kind) for pair in PAIRS for kind in ALL], ids=lambda value: str(value)
)


def bound(name: str, modality: str) -> Composed:
    return composed(name, {}).bind(INPUTS[modality], 100)


def made(name: str, modality: str, kind: str, rows: list[int]) -> Batch:
    state = states()[modality]
    state = type(state)(state.hidden[rows], {key: value[rows] for key, value in state.context.items()})
    batch = Batch(state, {"target": ALL[kind].collated(TARGETS[kind])[rows]}, torch.tensor(rows))
    return augmented(bound(name, modality), batch, [SEEDS[row] for row in rows], {"target": ALL[kind]})


@every_meeting
def test_targets_follow_their_inputs_or_are_refused_by_name(name: str, modality: str, kind: str) -> None:
    whole, kinds, rows = bound(name, modality), {"target": ALL[kind]}, [0, 1, 2, 3, 4]
    faults = [fault for part in whole.parts if (fault := fault_of(part, kinds))]
    if faults:
        with pytest.raises(SettingsError, match=f"'{ALL[kind].title}'.*--augmentation none"):
            whole.require_targets(kinds)
        with pytest.raises(SettingsError, match=f"cannot m.*'{ALL[kind].title}'"):
            made(name, modality, kind, rows)
        return
    whole.require_targets(kinds)
    before = ALL[kind].collated(TARGETS[kind])
    once, again = (made(name, modality, kind, rows).targets["target"] for _ in range(2))
    assert once.shape == before.shape and once.dtype == before.dtype
    torch.testing.assert_close(once, again, atol=0, rtol=0, equal_nan=True)
    if not has_place(ALL[kind]) or not (whole.moves or whole.mixes):
        torch.testing.assert_close(once, before, atol=0, rtol=0, equal_nan=True)
    if not whole.mixes:
        some = made(name, modality, kind, [3, 1]).targets["target"]
        torch.testing.assert_close(some, once[[3, 1]], equal_nan=True)


@every_kind
def test_a_kind_without_geometry_meets_nothing_that_moves(kind: str) -> None:
    if isinstance(ALL[kind], Follows):
        return
    for name, modality in PAIRS:
        whole = bound(name, modality)
        refused = any(fault_of(part, {"target": ALL[kind]}) for part in whole.parts)
        assert refused == (whole.moves or whole.mixes)


@every_kind
def test_collated_targets_keep_every_entry_and_pad_the_rest(kind: str) -> None:
    collated = ALL[kind].collated(TARGETS[kind])
    assert len(collated) == 5
    for row, entry in zip(collated, TARGETS[kind]):
        entry = torch.as_tensor(np.asarray(entry))
        head, tail = (row[: len(entry)], row[len(entry) :]) if entry.ndim else (row, row[None][:0])
        assert torch.equal(head, entry)
        assert bool((tail.isnan() if tail.is_floating_point() else tail == PADDED_TARGET).all())


@every_kind
def test_an_identity_changes_with_the_content(kind: str) -> None:
    values = TARGETS[kind]
    same, other = ALL[kind].identity(values), ALL[kind].identity(values[::-1].copy())
    assert len(same) == 5 and same == ALL[kind].identity(values.copy())
    assert (same[0], same[-1]) == (other[-1], other[0])
    assert same[0] != same[3]


@pytest.mark.parametrize("kind", FOUND)
def test_targets_of_another_type_or_shape_are_refused(kind: str) -> None:
    whole = ALL[kind].whole
    with pytest.raises(TypeError, match=f"{ALL[kind].title} of a batch must be"):
        ALL[kind].collated(np.zeros((2, 3, 4, 5), np.int64 if whole else np.float32))
    with pytest.raises(TypeError, match=f"{ALL[kind].title} of a batch must be"):
        ALL[kind].collated(TARGETS["values"] if whole else TARGETS["class ids"])


@pytest.mark.parametrize("name", registry.names("augmentations"))
def test_what_moves_nothing_says_so_and_what_moves_can_move_maps_and_points(name: str) -> None:
    augmentation = sample("augmentations", name)
    claims = augmentation.modalities or ("image",)
    for part in bound(name, claims[0]).parts:
        placed = part.moves and claims[0] != "audio"  # nothing moves what has a place in a sound: it is refused
        assert placed == hasattr(part, "move_maps") == hasattr(part, "move_points")


def test_the_refusal_names_what_would_do() -> None:
    with pytest.raises(SettingsError) as raised:
        composed("crop+flip", {}).require_targets({"outline": Outlines()})
    assert str(raised.value) == (
        "augmentation 'crop' cannot move targets of kind 'outlines' ('outline'); augmentation 'flip' cannot move"
        " targets of kind 'outlines' ('outline'). Use --augmentation none, blur or colour."
    )
    with pytest.raises(SettingsError, match="cannot mix targets of kind 'boxes'"):
        composed("mixup", {}).require_targets({"boxes": Boxes()})
    with pytest.raises(SettingsError, match="cannot move targets of kind 'boxes'"):
        composed("elastic", {"magnitude": 0.1}).require_targets({"boxes": Boxes()})


def test_a_target_without_a_kind_is_refused() -> None:
    batch = Batch(states()["image"], {"label": torch.arange(5)}, torch.arange(5))
    for name in ("crop", "mixup", "cutmix"):
        with pytest.raises(SettingsError, match="of what kind its target 'label' is"):
            augmented(bound(name, "image"), batch, SEEDS, {})
