"""Fits on several data sets: put together with figures for each, repeated, evaluated again, and refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from small_data import OFFLINE, photo_folder, reviews

import headstart
from conftest import Command
from headstart.contracts.format import Columns
from headstart.kernel.errors import HeadstartError
from headstart.pipeline.data import Several
from headstart.pipeline.several_domains import read_given, several


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Pictures of two shops, of which the second has a class more."""
    root = tmp_path_factory.mktemp("shops")
    counts = ({"dark": 12, "light": 12}, {"dark": 10, "light": 10, "mid": 10})
    return [photo_folder(root / f"shop-{n}", given, seed=n) for n, given in enumerate(counts)]


def test_pictures_of_several_folders_are_put_together(
    shops: list[Path], tmp_path: Path, headstart_command: Command
) -> None:
    ended = headstart_command("fit", *shops, *OFFLINE, "--no-scratch", "--no-label-curve", "--out", "run")
    assert ended.code == 0, ended.err
    run = headstart.load("run")
    assert isinstance(run, headstart.Run)
    data, slices = run.record.data, run.record.slices
    assert {(row.column, row.value) for row in slices} == {("data set", "shop-0"), ("data set", "shop-1")}
    assert sum(part.examples for part in data.parts) == 54
    assert "shop-0 has no examples of mid" in data.notes
    assert run.plan.more_data == (str(shops[1]),)
    again = headstart.evaluate(run)
    assert again.figures["accuracy"].value == run.metrics["test"]["accuracy"]["value"]
    assert len(run.predict(shops[0])) == 24
    pool = photo_folder(tmp_path / "pool", {"new": 6}, seed=9)
    assert headstart.suggest(pool, labelled="run", count=2).labelled == 54


def test_tables_keep_groups_of_different_data_sets_apart(bert: Path) -> None:
    frames = [reviews(30), reviews(30).assign(review=[f"item {row} was bad" for row in range(30)], mood=["cross"] * 30)]
    for name, frame in zip(("north.csv", "south.csv"), frames):
        frame.drop(columns="answer").to_csv(name, index=False)
    flags: dict[str, Any] = {
        "text": "review",
        "label": "mood",
        "group": "writer",
        "backbone": str(bert),
        "scratch": False,
    }
    run = headstart.fit(["north.csv", "south.csv"], out="run", label_curve=False, **flags)
    assert "south has no examples of glad" in run.record.data.notes
    assert pd.read_csv("run/split.csv")["origin"].str.startswith("north/").sum() == 30
    assert sum(part.groups or 0 for part in run.record.data.parts) == 30
    repeated = headstart.fit("run/plan.toml", out="again")
    assert repeated.metrics == run.metrics


TEXTS = {"review": ["a", "b", "c"] * 3, "mood": ["x", "y", "z"] * 3}
NUMBERS = {"a": np.arange(9.0), "mood": ["x", "y", "z"] * 3}


@pytest.mark.parametrize(
    ("other", "first", "flags", "words"),
    [
        ({**TEXTS, "mood": ["u", "v", "w"] * 3}, TEXTS, {"text": "review"}, "none of those of the other data sets"),
        ({**NUMBERS, "b": np.arange(9.0)}, NUMBERS, {}, "only one of the data sets data 1 and data 2 has .* columns b"),
        (TEXTS, TEXTS, {"text": "review", "domain": "mood"}, "each of several data sets is a domain"),
        (NUMBERS, TEXTS, {}, "cannot be put together: their"),
    ],
)
def test_data_sets_that_do_not_go_together_are_refused(
    other: dict[str, Any], first: dict[str, Any], flags: dict[str, Any], words: str
) -> None:
    with pytest.raises(HeadstartError, match=words):
        headstart.fit([pd.DataFrame(first), pd.DataFrame(other)], out="run", label="mood", **flags)


def test_a_column_that_is_no_input_may_differ_or_be_absent() -> None:
    frames = [pd.DataFrame({**TEXTS, **more}) for more in ({"note": np.arange(9)}, {"note": ["n"] * 9}, {})]
    found, _ = read_given(Several(frames), Columns(text=("review",), label="mood"))
    assert len(found) == 27 and set(found.column("note")) >= {"0", "n", None}


def test_a_data_set_given_twice_is_refused_and_a_list_of_pictures_is_one_data_set(shops: list[Path]) -> None:
    with pytest.raises(HeadstartError, match=r"the data set .*shop-1 is given twice"):
        headstart.fit([shops[0], shops[1], shops[1]], out="run")
    with pytest.raises(HeadstartError, match="no such folder does not exist"):
        headstart.fit([shops[0], "no such folder"], out="run")
    assert several(shops) and not several(sorted(shops[0].rglob("*.png"))) and not several([shops[0], "no such folder"])


@pytest.mark.parametrize("column", [None, "shop"])
def test_with_a_target_experts_are_chosen_where_the_sources_contradict_each_other(column: str | None) -> None:
    draws = np.random.default_rng(0)

    def shop(place: float, turned: int, rows: int = 120) -> pd.DataFrame:
        kind = draws.integers(2, size=rows)
        side = (2 * kind - 1) * (-1 if turned else 1)
        values = {"width": place + draws.normal(0, 0.5, rows), "shade": side + draws.normal(0, 0.3, rows)}
        return pd.DataFrame({**values, "kind": np.where(kind, "good", "bad")})

    target = shop(-2.5, 0)
    flags: dict[str, Any] = {
        "label": "kind",
        "out": "run",
        "scratch": False,
        "label_curve": False,
        "task": "classification",
    }
    shops = [shop(-2, 0), shop(2, 1)]
    named = [one.assign(shop=f"data {n}") for n, one in enumerate(shops, start=1)]
    source = shops if column is None else pd.concat(named, ignore_index=True)
    run = headstart.fit(source, domain=column, target=target.drop(columns="kind"), **flags)
    adaptation = run.record.adaptation
    assert adaptation is not None
    assert adaptation.chosen == "experts", adaptation.why
    assert "held-out source examples" in adaptation.why
    assert run.verdict.startswith("Not adapted to <DataFrame>, but an expert for each domain in place of one model of")
    found = {row.name: row for row in adaptation.candidates}
    assert "weights on the target: data 1 100 %, data 2 0 %" in found["experts"].note
    assert "of 2 domains alone" in found["single"].note
    again = headstart.predict(run.folder, target.drop(columns="kind"))["prediction"]
    assert (again == target["kind"]).mean() > 0.95
