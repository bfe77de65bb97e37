"""Errors and the names they suggest."""

from __future__ import annotations

from headstart.kernel.errors import nearest, unknown


def test_nearest_is_best_first_and_blind_to_case() -> None:
    assert nearest("RESNET5", ["vit_small", "resnet18", "resnet50"])[0] == "resnet50"
    assert nearest("zzz", ["resnet18"]) == []


def test_nearest_gives_the_name_as_it_is_spelt() -> None:
    assert nearest("dann", ["DANN"]) == ["DANN"]


def test_an_unknown_name_with_a_near_one() -> None:
    assert unknown("objective", "dan", ["dann", "coral"]) == "objective 'dan' is not known. Did you mean 'dann'?"


def test_an_unknown_name_like_none_of_a_few_lists_them() -> None:
    assert unknown("task", "zzz", ["b", "a"]) == "task 'zzz' is not known. Known: a, b."


def test_an_unknown_name_like_none_of_many_counts_them() -> None:
    assert "None of the 30 known names is similar" in unknown("backbone", "zzz", [f"model{i}" for i in range(30)])
