"""Histories are cut so that nothing of the future is learnt from, and what no method can know is counted apart."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from headstart.contracts.examples import Examples
from headstart.contracts.format import Columns
from headstart.contracts.interactions import ORDERED
from headstart.contracts.task_capabilities import KnownHistories
from headstart.formats.interactions import Interactions
from headstart.kernel.errors import DataError
from headstart.tasks.recommendation.task import Recommendation
from interaction_tables import domains

FILMS, GAMES = domains()


def cut(table: pd.DataFrame, source: pd.DataFrame | None = None, seed: int = 0, **settings: float) -> Examples:
    known = None
    if source is not None:
        read = Interactions().read(source, Columns(), labelled=False)
        known = KnownHistories(read.table.column("user").combine_chunks(), read.table.column("items"))
    return Recommendation(**settings).cut(Interactions().read(table, Columns()), known, seed)


def rows(examples: Examples, part: str) -> dict[str, dict[str, list[str]]]:
    names = ("items", "relevant", "source items")
    found = zip(*(examples.column(name) for name in ("user", "part", *names)))
    return {user: dict(zip(names, lists)) for user, which, *lists in found if which == part}


def noted(examples: Examples, words: str) -> bool:
    return any(words in note for note in examples.notes)


def test_a_split_in_time_has_one_moment_for_all_users() -> None:
    examples = cut(FILMS)
    when = {(user, item): time for user, item, time in zip(FILMS["user"], FILMS["item"], FILMS["time"])}
    moments = {}
    for part in ("train", "val", "test"):
        found = [
            when[user, item] for user, row in rows(examples, part).items() for item in row["relevant"] or row["items"]
        ]
        moments[part] = min(found), max(found)
    assert moments["train"][1] <= moments["val"][0] <= moments["val"][1] <= moments["test"][0]
    for part in ("val", "test"):
        for user, row in rows(examples, part).items():
            assert max(when[user, item] for item in row["items"]) <= moments[part][0]
    assert noted(examples, "by time, at one moment")


def test_without_times_random_interactions_of_each_user_are_held_out_and_that_is_said() -> None:
    table = FILMS.drop(columns="time")
    examples = cut(table)
    counts = {str(user): count for user, count in table.groupby("user").size().items()}
    train = {user: len(row["items"]) for user, row in rows(examples, "train").items()}
    assert all(train[user] == count for user, count in counts.items() if count < 3)
    assert all(train[user] < count for user, count in counts.items() if count >= 3)
    for user, row in rows(examples, "test").items():
        assert len(row["relevant"]) >= 1 and not {*row["relevant"]} & {*row["items"]}
        assert len(row["relevant"]) + len(row["items"]) == counts[user]
    assert noted(examples, "leaks in time: there are no times")
    assert rows(cut(table, seed=1), "test") != rows(examples, "test") == rows(cut(table), "test")


def test_cold_users_are_hidden_from_training_altogether() -> None:
    examples = cut(FILMS, GAMES)
    train, test = rows(examples, "train"), rows(examples, "test")
    groups = dict(zip(examples.column("user"), examples.column("users")))
    cold = [user for user, row in test.items() if not row["items"]]
    assert len(cold) == 14 and all(not train[user]["items"] and train[user]["source items"] for user in cold)
    had = FILMS.groupby("user")["item"].apply(set)
    assert all({*test[user]["relevant"]} == had[user] for user in cold)
    assert {groups[user] for user in cold} == {"cold (source history alone)"}
    assert noted(examples, "28 users of both domains are cold")


def test_items_that_nobody_had_before_and_users_without_a_history_are_counted_apart() -> None:
    late = FILMS.assign(
        time=np.where(FILMS["item"].isin(["f1", "f2"]) | FILMS["user"].isin(["u3"]), 10**8, FILMS["time"])
    )
    examples = cut(late)
    assert noted(examples, "interactions are with 2 items that nobody had before") and noted(
        examples, "1 users without"
    )
    assert not {"f1", "f2"} & {item for row in rows(examples, "test").values() for item in row["relevant"]}


def test_a_user_with_one_interaction_trains() -> None:
    table = pd.concat([FILMS.drop(columns="time"), pd.DataFrame({"user": ["once"], "item": ["f1"]})])
    examples = cut(table)
    assert rows(examples, "train")["once"]["items"] == ["f1"]
    assert all("once" not in rows(examples, part) for part in ("val", "test"))


def test_nothing_left_to_judge_by_is_refused() -> None:
    with pytest.raises(DataError, match="no users to choose by"):
        cut(pd.DataFrame({"user": ["a", "b"], "item": ["x", "y"]}))


def test_users_under_other_ids_are_refused_with_their_number() -> None:
    renamed = GAMES.assign(user="other " + GAMES["user"])
    with pytest.raises(
        DataError,
        match=r"no user of the 220, such as 'u.* the 220 .* such as 'other u.* the same ids",
    ):
        cut(FILMS, renamed)


def test_given_parts_are_kept_and_a_missing_one_is_drawn() -> None:
    parts = np.where(np.arange(len(FILMS)) % 5 == 0, "test", "train")
    examples = cut(FILMS.assign(part=parts))
    given = {(user, item) for user, item, part in zip(FILMS["user"], FILMS["item"], parts) if part == "test"}
    found = {(user, item) for user, row in rows(examples, "test").items() for item in row["relevant"]}
    assert found <= given and len(found) > 0.9 * len(given)
    assert noted(examples, "as given; the val part is drawn from the train part") and rows(examples, "val")


def test_lists_of_other_parts_survive_pieces_of_tables() -> None:
    examples = cut(FILMS, GAMES)
    pieces = pa.concat_tables([examples.table.slice(0, 100), examples.table.slice(100)])
    assert Examples(pieces, examples.schema).take([150, 3]).column("items") == examples.take([150, 3]).column("items")


def test_users_that_each_domain_numbers_by_itself_are_doubted() -> None:
    numbers = {user: str(n) for n, user in enumerate(FILMS["user"].unique())}
    others = {user: str(n) for n, user in enumerate(GAMES["user"].unique())}
    examples = cut(FILMS.assign(user=FILMS["user"].map(numbers)), GAMES.assign(user=GAMES["user"].map(others)))
    assert noted(examples, "Both domains number their users without a gap")
    assert not noted(cut(FILMS, GAMES), "number their users")


def test_a_part_of_items_alone_that_nobody_had_is_refused_with_that_reason() -> None:
    place = np.arange(len(FILMS)) % 10
    parts = np.where(place < 8, "train", np.where(place == 8, "val", "test"))
    new = FILMS.assign(part=parts, item=np.where(parts == "test", "new " + FILMS["item"], FILMS["item"]))
    with pytest.raises(DataError, match=r"test: \d+ interactions are with \d+ items that nobody had before"):
        cut(new)


@pytest.mark.parametrize(
    ("times", "words"),
    [
        (np.full(len(FILMS), 7.0), "there is one time for all interactions"),
        (np.arange(len(FILMS)) % 2 * 1.0, "there are two times for all interactions"),
        (np.where(np.arange(len(FILMS)) == 5, np.nan, np.arange(len(FILMS)) * 1.0), "1 interactions have no time"),
    ],
)
def test_times_that_give_no_order_are_told_and_not_taken_for_one(times: np.ndarray, words: str) -> None:
    examples = cut(FILMS.assign(time=times))
    assert noted(examples, f"leaks in time: {words}") and ORDERED not in examples.table.column_names
    assert ORDERED in cut(FILMS).table.column_names
