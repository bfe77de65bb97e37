from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import fisher_exact

from headstart.evidence.weak_groups import Group, clusters_of, groups_by_attribute, newcombe, weak_groups


def test_the_interval_is_that_of_newcombes_paper() -> None:
    low, high = newcombe(56, 70, 48, 80)  # 1998, example a, method 10
    assert (low, high) == (pytest.approx(0.0524, abs=1e-4), pytest.approx(0.3339, abs=1e-4))


def test_p_values_are_fishers_with_holms_correction() -> None:
    draws = np.random.default_rng(0)
    right = draws.random(400) < 0.9
    right[:60] = draws.random(60) < 0.55
    groups = [Group(str(k), np.arange(60 * k, 60 * (k + 1))) for k in range(6)]
    (found,) = weak_groups(right, [*groups, Group("too small", np.arange(5))])
    assert found.group.name == "0" and found.tested == 6 and found.low < found.share - found.rest < found.high < 0
    table = [[right[:60].sum(), 60 - right[:60].sum()], [right[60:].sum(), 340 - right[60:].sum()]]
    assert found.p == pytest.approx(6 * fisher_exact(table, alternative="less")[1])


def test_groups_that_do_not_differ_are_seldom_named() -> None:
    named = 0
    for seed in range(60):
        right = np.random.default_rng(seed).random(500) < 0.8
        named += bool(weak_groups(right, [Group(str(k), np.arange(k, 500, 10)) for k in range(10)]))
    assert named <= 5


def test_values_and_quarters_are_groups_and_a_class_is_none() -> None:
    strata = np.repeat([0, 1], 40)
    camera = ["old", "new"] * 40
    attributes = {"camera": camera, "folder": ["x"] * 40 + ["y"] * 40, "size": np.arange(80.0)}
    names = [one.name for one in groups_by_attribute(attributes, strata)]
    assert names[:2] == ["camera 'new'", "camera 'old'"] and len(names) == 6
    assert not any("folder" in name for name in names)


def test_clusters_are_those_of_the_features() -> None:
    draws = np.random.default_rng(0)
    member = np.arange(120) % 2
    found = clusters_of(8.0 * np.eye(2, 6)[member] + draws.normal(size=(120, 6)), 0)
    assert sorted(set(member[rows].tolist()) == {0} for _, rows in found) == [False, True]
    assert all(first in rows for first, rows in found)


def test_ties_that_leave_a_quarter_empty_are_no_fault() -> None:
    heights = np.concatenate([np.arange(25.0), np.full(40, 100.0), 200 + np.arange(33.0)])
    sizes = [len(one.rows) for one in groups_by_attribute({"height": heights}, np.arange(98) % 2)]
    assert sizes == [25, 48, 25]
