"""Interactions with every fault that their makers let pass: each is named, counted or mended."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from headstart.contracts.examples import Examples
from headstart.contracts.format import Columns
from headstart.formats.interactions import Interactions
from headstart.kernel.errors import DataError

DAY = 86_400


def read(table: pd.DataFrame | Path, **settings: object) -> Examples:
    return Interactions.model_validate(settings).read(table, Columns())


def plain(rows: int = 40) -> pd.DataFrame:
    """Ten users with four items each, in order of time."""
    return pd.DataFrame({"user_id": [f"u{n // 4}" for n in range(rows)], "item_id": [f"i{n % 7}" for n in range(rows)]})


def noted(examples: Examples, words: str) -> bool:
    return any(words in note for note in examples.notes)


def test_recboles_files_are_read_with_their_types(tmp_path: Path) -> None:
    file = tmp_path / "films.inter"
    file.write_text(
        "user_id:token\titem_id:token\trating:float\ttimestamp:float\n007\tb\t4\t20\n007\ta\t5\t10\n8\ta\t1\t5\n"
    )
    assert "films.inter" in (Interactions.recognises(file) or "")
    found = read(file)
    assert dict(zip(found.column("user"), found.column("items"))) == {"8": ["a"], "007": ["a", "b"]}
    with pytest.raises(DataError, match="no rows"):
        file.write_text("user_id:token\titem_id:token\n")
        read(file)


def test_repeated_interactions_count_once() -> None:
    twice = pd.concat([plain(), plain().head(3)])
    assert noted(read(twice), "3 repeated interactions") and not noted(read(plain()), "repeated")
    assert read(twice).column("items") == read(plain()).column("items")


@pytest.mark.parametrize(("column", "value"), [("user_id", None), ("item_id", " "), ("item_id", None)])
def test_rows_without_a_user_or_an_item_are_counted(column: str, value: str | None) -> None:
    table = plain()
    table.loc[[0, 9], column] = value
    assert noted(read(table), "rows without a user or an item, left out: 2")


def test_swapped_columns_are_noticed_by_their_counts() -> None:
    draws = np.random.default_rng(0)
    popular = draws.zipf(1.3, 4000) % 300
    table = pd.DataFrame({"user_id": np.arange(4000) % 500, "item_id": popular}).drop_duplicates()
    swapped = table.rename(columns={"user_id": "item_id", "item_id": "user_id"})
    assert noted(read(swapped), "if the columns are swapped") and not noted(read(table), "swapped")


def test_times_of_mixed_units_are_brought_to_one_and_named() -> None:
    seconds = 1.5e9 + np.arange(40)
    mixed = np.where(np.arange(40) % 2, seconds * 1000, seconds)
    found, same = read(plain().assign(timestamp=mixed)), read(plain().assign(timestamp=seconds))
    assert noted(found, "mixed units (20 in seconds, 20 in milliseconds)")
    assert found.column("times") == same.column("times") and not noted(same, "mixed units")


def test_times_in_the_future_are_counted() -> None:
    times = np.full(40, time.time() - DAY)
    times[:3] += 10 * DAY
    assert noted(read(plain().assign(timestamp=times)), "3 times lie in the future")


def test_dates_are_times() -> None:
    table = plain(4).assign(date=["2024-03-01", "2024-02-01", "2024-04-01", "2024-01-01"])
    (items,) = read(table).column("items")
    assert items == ["i3", "i1", "i0", "i2"]


def test_ratings_of_mixed_scales_are_named_and_low_ones_can_be_left_out() -> None:
    ratings = np.where(np.arange(40) < 6, 90.0, 1 + np.arange(40) % 5)
    found = read(plain().assign(rating=ratings))
    assert noted(found, "mixed scales: 6 are above 10, up to 90")
    assert not noted(read(plain().assign(rating=1 + np.arange(40) % 5)), "mixed scales")
    few = read(plain().assign(rating=1 + np.arange(40) % 5), least=4)
    assert noted(few, "24 rows with a rating below 4") and sum(map(len, few.column("items"))) == 16


def test_other_names_of_columns_are_given_and_missing_ones_refused() -> None:
    odd = plain().rename(columns={"user_id": "wer", "item_id": "was"})
    assert Interactions.recognises(odd) is None
    assert read(odd, user="wer", item="was").column("items") == read(plain()).column("items")
    with pytest.raises(DataError, match=r"no column of users.*wer, was.*format.user=COLUMN"):
        read(odd)
    with pytest.raises(DataError, match="no column 'who' for user"):
        read(odd, user="who")


def test_ratings_in_words_are_counted_apart_from_low_ones() -> None:
    table = plain().assign(rating=["5", "1", "good", "4"] * 10)
    found = read(table, least=4.0)
    assert noted(found, "10 rows with a rating below 4") and noted(found, "whose rating is no number, left out: 10")
    with pytest.raises(DataError, match=r"an item that counts\. 30 rows with a rating below 9"):
        read(table, least=9.0)
