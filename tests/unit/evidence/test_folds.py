"""Folds of labelled rows."""

from __future__ import annotations

import numpy as np

from headstart.evidence.folds import folds

ROWS = np.arange(3, 63)
STRATA = np.arange(70) % 3


def test_every_row_is_held_once_and_each_fold_has_its_share_of_each_stratum() -> None:
    cut = folds(ROWS, STRATA, None, 5, seed=0)
    assert np.array_equal(np.sort(np.concatenate([fold.held for fold in cut])), ROWS)
    for fold in cut:
        assert np.array_equal(np.union1d(fold.rest, fold.held), ROWS) and not np.isin(fold.rest, fold.held).any()
        assert np.bincount(STRATA[fold.held]).tolist() == [4, 4, 4]


def test_what_stays_together_is_in_one_fold() -> None:
    units = np.arange(70) // 4
    for fold in folds(ROWS, STRATA, units, 4, seed=0):
        assert not np.isin(units[fold.held], units[fold.rest]).any()


def test_the_seed_decides_and_a_class_with_one_example_is_in_order() -> None:
    strata = np.where(np.arange(70) == 5, 3, STRATA)
    one, same, other = (folds(ROWS, strata, None, 3, seed) for seed in (0, 0, 1))
    assert all(np.array_equal(a.held, b.held) for a, b in zip(one, same))
    assert not all(np.array_equal(a.held, b.held) for a, b in zip(one, other))


def test_a_few_copies_among_many_stay_together_and_classes_keep_their_shares() -> None:
    strata, units = np.arange(2000) % 4, np.arange(2000)
    units[::40] = units[1::40]  # 50 pairs, each of two classes
    cut = folds(np.arange(2000), strata, units, 5, seed=0)
    assert np.array_equal(np.sort(np.concatenate([fold.held for fold in cut])), np.arange(2000))
    for fold in cut:
        assert not np.isin(units[fold.held], units[fold.rest]).any()
        assert np.abs(np.bincount(strata[fold.held]) - 100).max() <= 15
