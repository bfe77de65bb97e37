from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from headstart.evidence.splits import Split, split
from headstart.kernel.errors import DataError

PARTS = ("train", "val", "test")


def part_of_row(made: Split) -> dict[int, str]:
    return {int(row): name for name in PARTS for row in getattr(made, name)}


def keys(rows: Sequence[int]) -> list[str]:
    return [f"{row * 2654435761 % 2**32:032x}" for row in rows]


def grouped(seed: int) -> tuple[np.ndarray, np.ndarray, list[int | None]]:
    """Strata, duplicate clusters and groups of up to 60 rows."""
    draws = np.random.default_rng(seed)
    rows = int(draws.integers(1, 61))
    groups = [None if draws.random() < 0.3 else int(draws.integers(rows + 1)) for _ in range(rows)]
    return draws.integers(0, draws.integers(1, 6), rows), draws.integers(0, rows + 1, rows), groups


@pytest.mark.parametrize("seed", range(60))
def test_every_row_is_in_one_part_and_nothing_that_belongs_together_is_cut(seed: int) -> None:
    strata, clusters, groups = grouped(seed)
    made = split(strata, clusters=clusters, groups=groups, seed=seed)
    parts = part_of_row(made)
    assert sorted(parts) == list(range(len(strata)))
    assert sum(len(getattr(made, name)) for name in PARTS) == len(strata)
    for together in (clusters.tolist(), groups):
        sides: dict[int, set[str]] = {}
        for row, name in enumerate(together):
            if name is not None:
                sides.setdefault(name, set()).add(parts[row])
        assert all(len(side) == 1 for side in sides.values())
    assert len(made.train)


@pytest.mark.parametrize("seed", range(40))
def test_a_class_with_three_independent_groups_is_in_every_part(seed: int) -> None:
    draws = np.random.default_rng(seed)
    units, sizes = draws.integers(0, 4, draws.integers(1, 26)), draws.integers(1, 7, 25)
    strata, groups = np.repeat(units, sizes[: len(units)]), np.repeat(np.arange(len(units)), sizes[: len(units)])
    made = split(strata, groups=groups.tolist(), seed=seed)
    for stratum in set(strata.tolist()):
        independent = len(set(groups[strata == stratum].tolist()))
        held = [name for name in PARTS if (strata[getattr(made, name)] == stratum).any()]
        assert len(held) == min(independent, 3)
        assert "train" in held


@pytest.mark.parametrize("seed", range(20))
def test_without_groups_every_class_is_in_proportion(seed: int) -> None:
    draws = np.random.default_rng(seed)
    sizes = draws.integers(20, 201, draws.integers(1, 6)).tolist()
    strata = np.repeat(np.arange(len(sizes)), sizes)
    made = split(strata, seed=seed)
    for stratum, size in enumerate(sizes):
        for name, share in {"test": 0.2, "val": 0.16}.items():
            count = int((strata[getattr(made, name)] == stratum).sum())
            assert abs(count - share * size) <= 0.5 + 1e-9


def test_small_groups_come_near_the_proportions() -> None:
    strata = np.random.default_rng(0).choice(4, 4000, p=[0.5, 0.3, 0.15, 0.05])
    made = split(strata, groups=(np.arange(4000) // 7).tolist(), seed=3)
    for stratum in range(4):
        total = (strata == stratum).sum()
        assert abs((strata[made.test] == stratum).sum() / total - 0.2) < 0.03
        assert abs((strata[made.val] == stratum).sum() / total - 0.16) < 0.03
    assert made.notes == ()


def test_the_split_depends_on_the_seed_and_not_on_the_order_of_rows() -> None:
    strata, order = np.arange(300) % 3, np.random.default_rng(1).permutation(300)
    here = part_of_row(split(strata, keys=keys(range(300)), seed=0))
    there = part_of_row(split(strata[order], keys=keys(order.tolist()), seed=0))
    assert {int(order[row]): name for row, name in there.items()} == here
    assert part_of_row(split(strata, keys=keys(range(300)), seed=1)) != here
    assert part_of_row(split(strata, keys=keys(range(300)), seed=0)) == here


def test_new_data_move_only_a_few_examples() -> None:
    strata = np.arange(1100) % 2
    before = part_of_row(split(strata[:1000], keys=keys(range(1000)), seed=0))
    after = part_of_row(split(strata, keys=keys(range(1100)), seed=0))
    assert sum(after[row] != before[row] for row in before) < 60


def test_a_group_keeps_its_side_when_it_grows() -> None:
    groups = [f"patient {row // 5}" for row in range(500)]
    before = part_of_row(split(np.zeros(500, int), groups=groups, keys=keys(range(500)), seed=0))
    more, grown = [*groups, "patient 0"], np.zeros(501, int)
    after = part_of_row(split(grown, groups=more, keys=keys(range(501)), seed=0))
    assert sum(after[row] != before[row] for row in before) <= 10


def test_a_class_with_one_example_trains_and_is_told() -> None:
    made = split(np.array([0] * 30 + [1] + [2] * 2), names=["cat", "dog", "cow"], seed=0)
    parts = part_of_row(made)
    assert parts[30] == "train"
    assert {parts[31], parts[32]} == {"train", "test"}
    assert any("'dog'" in note and "test or val" in note for note in made.notes)
    assert any("'cow'" in note and "not in val" in note for note in made.notes)


def test_classes_are_counted_wherever_they_occur_not_where_they_are_the_rarest() -> None:
    held = [[0, 1]] * 30 + [[1]] * 2 + [[0, 2]]  # class 1 is nearly everywhere and the rarest of two rows alone
    made = split(np.array([0] * 30 + [1] * 2 + [2]), names=["cat", "dog", "cow"], held=held, seed=0)
    (note,) = [note for note in made.notes if "too few" in note]
    assert note.endswith("a single independent example or group each, so not in test or val: 'cow'")


def test_one_large_group_trains_and_is_told() -> None:
    made = split(np.zeros(100, int), groups=["one"] * 100, seed=0)
    assert len(made.train) == 100
    assert any("too few independent examples for a test part" in note for note in made.notes)


def test_parts_of_odd_size_are_told() -> None:
    groups = [0] * 40 + [1] * 40 + [2] * 40
    made = split(np.zeros(120, int), groups=groups, seed=0)
    assert any("the test part has 33% of the examples, not 20%" in note for note in made.notes)
    assert any(note.endswith(": the largest group or set of copies has 40 of the 120 examples") for note in made.notes)


@pytest.mark.parametrize(("classes", "each"), [(40, 3), (60, 2), (100, 1), (77, 7)])
def test_small_classes_are_named_where_they_make_parts_odd(classes: int, each: int) -> None:
    made = split(np.repeat(np.arange(classes), each), names=[f"{k}" for k in range(classes)], seed=0)
    odd = [note for note in made.notes if "the examples, not" in note or "independent examples for a" in note]
    assert odd
    for note in odd:
        assert note.endswith(f": {classes} of {classes} classes have fewer than 10 examples, too few for exact shares")
    assert all(note.endswith(f"and {classes - 10} more") for note in made.notes if note not in odd)


def test_three_given_parts_are_kept_and_leaks_reported() -> None:
    parts = ["train", "train", "val", "test", "test"]
    made = split(np.zeros(5, int), given=parts, clusters=np.array([0, 1, 2, 1, 4]), seed=0)
    assert [part_of_row(made)[row] for row in range(5)] == parts
    assert made.leaks == ((3, 1),)
    assert made.notes == ()


@pytest.mark.parametrize("second", ["val", "test"])
def test_a_second_given_part_is_the_test_part_and_validation_is_cut(second: str) -> None:
    made = split(np.arange(200) % 2, given=["train"] * 100 + [second] * 100, seed=0)
    assert made.test.tolist() == list(range(100, 200))
    assert len(made.val) == 20
    assert len(made.train) == 80
    assert any("validation is cut from the given train part" in note for note in made.notes)
    assert any("serves as the test part" in note for note in made.notes) == (second == "val")


def test_validation_cut_from_a_given_train_part_keeps_groups_whole() -> None:
    groups = [row // 4 for row in range(80)] + [100] * 20
    made = split(np.zeros(100, int), given=["train"] * 80 + ["test"] * 20, groups=groups, seed=0)
    assert not {groups[row] for row in made.val} & {groups[row] for row in made.train}
    assert len(made.val) == 16


def test_only_a_train_part_is_split_like_none() -> None:
    made = split(np.zeros(100, int), given=["train"] * 100, seed=0)
    assert len(made.test) == 20
    assert any("only a train part is given" in note for note in made.notes)
    assert split(np.zeros(100, int), given=[None] * 100, seed=0).test.tolist() == made.test.tolist()


def test_rows_without_a_part_follow_their_group_or_train() -> None:
    made = split(np.zeros(4, int), given=["train", "test", "", None], groups=["a", "b", "b", "c"], seed=0, val=0.0)
    assert part_of_row(made) == {0: "train", 1: "test", 2: "test", 3: "train"}


def test_a_group_on_two_sides_of_a_given_split_is_told_and_not_moved() -> None:
    parts = ["train", "val", "test"]
    made = split(np.zeros(3, int), given=parts, groups=["a", "a", "b"], seed=0)
    assert part_of_row(made) == dict(enumerate(parts))
    assert any("more than one given part and were not moved: 1, such as 'a'" in note for note in made.notes)


@pytest.mark.parametrize(
    ("parts", "message"),
    [(["test", "val"], "no examples to train on"), (["train", "dev"], "part 'dev' is not known"), ([], "no examples")],
)
def test_parts_that_cannot_serve_are_refused(parts: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        split(np.zeros(len(parts), int), given=parts, seed=0)
