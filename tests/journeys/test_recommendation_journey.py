"""From interactions to recommendations, with a source domain and without, as a user would go."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import headstart
from headstart.kernel.errors import DataError, HeadstartError, SettingsError, TrainingError
from headstart.verbs.export import export
from headstart.verbs.run import Run
from interaction_tables import domains, item_pictures, item_table, save_domains

QUICK: dict[str, Any] = {"backbone": "popularity+item_knn+ials"}
WALK = ["i3", "i4", "i5", "i6"]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run]:
    folder = tmp_path_factory.mktemp("alone")
    films, _ = save_domains(folder)
    return films, headstart.fit(films, out=folder / "run", **QUICK)


def test_a_fit_to_interactions_beats_popularity_and_shows_it(alone: tuple[Path, Run]) -> None:
    _, run = alone
    record = json.loads((run.folder / "record.json").read_text())
    assert record["task"] == "recommendation" and record["primary_metric"] == "ndcg@10"
    assert {*record["arms"]} == {"model", "classical", "constant"}
    assert next(c for c in record["comparisons"] if c["against"] == "constant")["verdict"] == "better"
    assert run.metrics["test"]["ndcg@10"]["low"] > 0
    assert {one["tuning"] for one in record["candidates"]} == {"popularity", "item_knn", "ials"}
    assert any("by time, at one moment" in note for note in record["data"]["notes"])
    assert "By popularity of items" in run.report.read_text()


def test_known_and_new_users_get_items_that_they_had_not(alone: tuple[Path, Run]) -> None:
    films, run = alone
    had = pd.read_csv(films).groupby("user")["item"].apply(set)
    found = run.predict(pd.DataFrame({"user": ["u3", "nobody"]}))
    known = found[found["user"] == "u3"]
    assert list(known["rank"]) == list(range(1, 11)) and known["score"].is_monotonic_decreasing
    assert "is not a known user" in found[found["user"] == "nobody"]["error"].item()
    new = run.predict(pd.DataFrame({"user": ["x"] * 3, "item": ["f1", "f2", "never seen"]}))
    assert not {"f1", "f2"} & {*new["prediction"]} and len(new) == 10
    everything = run.predict(films)
    assert all(not had[user] & {*rows["prediction"]} for user, rows in everything.groupby("user"))


def test_the_test_part_is_the_same_when_it_is_evaluated_again(alone: tuple[Path, Run]) -> None:
    _, run = alone
    before = run.metrics["test"]["ndcg@10"]
    again = run.evaluate()
    assert again.figures["ndcg@10"].value == pytest.approx(before["value"], abs=1e-9) and again.n == before["n"]
    loaded = headstart.load(run.folder)
    assert isinstance(loaded, Run) and loaded.predict(pd.DataFrame({"user": ["u3"]})).equals(
        run.predict(pd.DataFrame({"user": ["u3"]}))
    )


@pytest.fixture(scope="module")
def transferred(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run]:
    folder = tmp_path_factory.mktemp("transferred")
    films, games = save_domains(folder)
    methods = "popularity+ials+cgsp+shared_ridge"
    return games, headstart.fit(films, source=games, out=folder / "run", backbone=methods)


def test_cold_users_gain_by_their_source_history_and_every_group_is_told(transferred: tuple[Path, Run]) -> None:
    _, run = transferred
    record = json.loads((run.folder / "record.json").read_text())
    groups = {row["value"]: row["n"] for row in record["slices"]}
    assert {*groups} == {"cold (source history alone)", "warm, in both domains", "in the target domain alone"}
    chosen = {d["what"]: d["value"] for d in record["decisions"]}
    assert chosen["recommender for cold users"].startswith(("CGSP", "shared-user ridge"))
    assert "scratch" in record["arms"] and "without transfer" in record["arms"]["scratch"]["title"]
    panels = {panel["title"]: panel for panel in record["panels"]}
    overlap = panels["What the overlap is worth"]["rows"]
    assert [row[0] for row in overlap] == [0.25, 0.5, 1.0] and overlap[2][3] > max(0, overlap[0][3])
    lists = panels["Lists beside histories"]["rows"]
    assert {row[0] for row in lists} == {*groups} and all(row[3].startswith("f") for row in lists)
    assert len(panels["Gain by popularity of items"]["rows"]) >= 2
    assert "Transfer helps" in record["verdict"] and "over iALS" in record["verdict"]
    assert any("140 of 220 users are also among the 220 of the source domain" in n for n in record["data"]["notes"])


def test_cold_users_are_predicted_by_id_and_by_a_source_history(transferred: tuple[Path, Run]) -> None:
    games, run = transferred
    only = "u250"  # has games alone
    by_id = run.predict(pd.DataFrame({"user": [only]}))
    had = pd.read_csv(games).query("user == @only")
    settings = {"format": {"domain": "source"}}
    given = headstart.predict(run.folder, had.assign(user="new"), settings=settings)
    assert isinstance(given, pd.DataFrame)
    assert list(by_id["prediction"]) == list(given["prediction"]) and len(by_id) == 10
    assert by_id["prediction"].str.startswith("f").all()


def test_a_run_on_the_source_is_as_good_as_its_table(tmp_path: Path) -> None:
    films, games = save_domains(tmp_path)
    source = headstart.fit(games, out=tmp_path / "games", backbone="popularity", label_curve=False)
    run = headstart.fit(films, backbone=str(source.folder), out=tmp_path / "films")
    notes = json.loads((run.folder / "record.json").read_text())["data"]["notes"]
    assert any("are also among the" in note for note in notes)
    tried = {one["tuning"] for one in json.loads((run.folder / "record.json").read_text())["candidates"]}
    assert {"ease", "cgsp", "emcdr"} <= tried, "the source may have been fit by popularity alone"


def test_recommenders_that_tell_no_cold_users_apart_leave_them_to_popularity(tmp_path: Path) -> None:
    films, games = domains()
    run = headstart.fit(films, source=games, backbone="item_knn", out=tmp_path / "run", label_curve=False)
    cold = run.predict(pd.DataFrame({"user": ["u250", "u251"]}))
    assert (
        cold.loc[cold["user"] == "u250", "prediction"].tolist()
        == cold.loc[cold["user"] == "u251", "prediction"].tolist()
    )


def test_a_plan_file_repeats_the_fit(alone: tuple[Path, Run], tmp_path: Path) -> None:
    _, run = alone
    again = headstart.fit(run.folder / "plan.toml", out=tmp_path / "again")
    assert again.metrics["test"] == run.metrics["test"]


def test_no_graph_is_exported(alone: tuple[Path, Run], tmp_path: Path) -> None:
    _, run = alone
    with pytest.raises(HeadstartError, match="look histories up among all items, which is no graph"):
        export(run.folder, out=tmp_path / "export")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"tuning": "full"}, "--tuning full would do nothing"),
        ({"target": "games.csv"}, "--target games.csv would do nothing"),
        ({"settings": {"recommender": {"ridge": 3}}}, "needs one recommender"),
        ({"settings": {"head": {"layers": 1}}}, r"--set head\.\.\. would do nothing"),
        (
            {"settings": {"scratch": {"epochs": 1}}},
            r"--set scratch\.\.\. would do nothing.*What is read here: backbone",
        ),
        ({"backbone": "ease", "settings": {"recommender": {"rige": 3}}}, "Did you mean 'ridge'"),
        ({"backbone": "sasrec", "settings": {"recommender": {"heads": 5}}}, "width 64 is not a multiple of heads 5"),
    ],
)
def test_what_would_do_nothing_is_refused(
    given: dict[str, Any], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    films, _ = save_domains(tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match=words):
        headstart.fit(films, out=tmp_path / "run", **{**QUICK, **given})


@pytest.mark.parametrize("given", [{"source": "x"}, {"items": "x"}, {"settings": {"recommender": {"ridge": 3}}}])
def test_what_only_recommendations_have_is_refused_for_other_data(given: dict[str, Any], tmp_path: Path) -> None:
    films, _ = save_domains(tmp_path)
    given = {name: str(films) if value == "x" else value for name, value in given.items()}
    with pytest.raises(SettingsError, match="is for recommendations; the task is regression"):
        headstart.fit(films, label="rating", task="regression", out=tmp_path / "run", **given)


def test_one_recommender_keeps_to_the_settings_that_are_given(tmp_path: Path) -> None:
    films, _ = save_domains(tmp_path)
    run = headstart.fit(films, out=tmp_path / "run", backbone="ease", settings={"recommender": {"ridge": 33.0}})
    (row,) = json.loads((run.folder / "record.json").read_text())["candidates"]
    assert row["name"] == "EASE, ridge 33"


def test_an_empty_source_domain_is_named(tmp_path: Path) -> None:
    films, games = domains()
    with pytest.raises(DataError, match=r"the source domain: .* no rows"):
        headstart.fit(films, source=games.iloc[:0], out=tmp_path / "run", **QUICK)


def test_what_comes_next_is_learnt_from_the_order_of_histories(tmp_path: Path) -> None:
    """Everyone goes round a ring of items, some one way and some the other: only the last steps tell what is next."""
    draws = np.random.default_rng(0)
    start, way = draws.integers(0, 24, 150), draws.choice([1, 23], 150)
    user, step = np.repeat(np.arange(150), 10), np.tile(np.arange(10), 150)
    items = [f"i{n}" for n in (start[user] + way[user] * step) % 24]
    films = pd.DataFrame({"user": user.astype(str), "item": items, "time": 10.0 * step + draws.random(1500)})
    settings = {"task": {"k": 1, "negatives": 5}, "recommender": {"max_steps": 200, "learning_rate": 0.003}}
    run = headstart.fit(films, out=tmp_path / "run", backbone="sasrec", settings=settings)
    (row,) = json.loads((run.folder / "record.json").read_text())["candidates"]
    assert row["name"].startswith("SASRec, epochs")
    figures = run.metrics["test"]
    assert figures["ndcg@1"]["value"] > 0.5 and figures["sampled_ndcg@1"]["value"] >= figures["ndcg@1"]["value"]
    there, back = (pd.DataFrame({"user": "x", "item": some, "time": range(4)}) for some in (WALK, WALK[::-1]))
    assert [run.predict(one)["prediction"].item() for one in (there, back)] == ["i7", "i2"]
    again = headstart.load(run.folder)
    assert isinstance(again, Run) and again.predict(back)["prediction"].item() == "i2"


def test_a_training_that_diverges_is_named(tmp_path: Path) -> None:
    films, _ = save_domains(tmp_path)
    with pytest.raises(TrainingError, match="Try a lower learning rate"):
        headstart.fit(films, out=tmp_path / "run", backbone="sasrec", settings={"recommender": {"learning_rate": 1e30}})


def test_recommenders_are_ranked_without_a_model(tmp_path: Path) -> None:
    films, _ = save_domains(tmp_path)
    found = headstart.select(films, candidates="popularity,item_knn,ease,sasrec,content", out=tmp_path / "ranking.html")
    assert {row.reference for row in found.backbones[:2]} <= {"item_knn", "ease", "sasrec"}
    assert [row.figure.value for row in found.backbones] == sorted(
        (r.figure.value for r in found.backbones), reverse=True
    )
    assert all(row.figure.low < row.figure.value < row.figure.high for row in found.backbones)
    assert sum(row.best for row in found.backbones) == pytest.approx(1, abs=1e-6)
    assert [one.reference for one in found.skipped] == ["content"] and "contents of items" in found.skipped[0].reason
    assert "validation part" in found.basis and "of lists" in (tmp_path / "ranking.html").read_text()


def test_no_shared_user_is_refused_with_that_sentence(tmp_path: Path) -> None:
    films, games = domains()
    apart = games.assign(user="other " + games["user"])
    with pytest.raises(DataError, match="nothing connects the domains"):
        headstart.fit(films, source=apart, out=tmp_path / "run", **QUICK)


def test_contents_of_items_connect_domains_without_a_shared_user(tmp_path: Path) -> None:
    films, games = domains(most=8, users=150)
    apart, new = (
        games.assign(user="other " + games["user"]),
        pd.DataFrame({"item": ["f new"], **dict.fromkeys("abcd", 1.0)}),
    )
    contents = pd.concat([item_table(60), new])
    methods = "popularity+ials+content"
    run = headstart.fit(films, source=apart, items=contents, backbone=methods, out=tmp_path / "run")
    record = json.loads((run.folder / "record.json").read_text())
    assert next(d for d in record["decisions"] if "warm" in d["what"])["value"].startswith("item contents")
    assert next(c for c in record["comparisons"] if c["against"] == "scratch")["verdict"] == "better"
    assert any("Contents of 121 items" in note for note in record["data"]["notes"])
    everything = run.predict(pd.DataFrame({"user": [f"u{n}" for n in range(150)]}))
    assert "f new" in {*everything["prediction"]} and not everything["prediction"].str.startswith("g").any()


def test_pictures_of_items_connect_domains_without_a_shared_user(tmp_path: Path) -> None:
    films, games = domains(most=8, users=150)
    rows = item_pictures(tmp_path, 60)
    rows = pd.concat([rows, pd.DataFrame({"item": ["f new"], "picture": [rows["picture"][0]], "title": ["new"]})])
    rows.to_csv(tmp_path / "items.csv", index=False)
    apart = games.assign(user="other " + games["user"])
    how: dict[str, Any] = {"source": apart, "items": tmp_path / "items.csv", "label_curve": False}
    run = headstart.fit(films, backbone="popularity+content", out=tmp_path / "run", **how)
    record = json.loads((run.folder / "record.json").read_text())
    values = {one["tuning"]: one["val_metric"] for one in record["candidates"]}
    assert values["content"] > values["popularity"] + 0.03
    (note,) = (note for note in record["data"]["notes"] if "Contents of 121 items by embedded" in note)
    assert "title is not read by it" in note
    everything = run.predict(pd.DataFrame({"user": [f"u{n}" for n in range(150)]}))
    assert not everything["prediction"].str.startswith("g").any()
    (tmp_path / rows["picture"].iloc[5]).unlink()
    rows.drop(columns="title").to_csv(tmp_path / "items.csv", index=False)
    with pytest.raises(DataError, match=r"the table of items: (.|\n)*f5.png' does not exist"):
        headstart.fit(films, backbone="popularity+content", out=tmp_path / "again", **how)


def test_a_given_split_keeps_cold_users_cold(tmp_path: Path) -> None:
    films, games = domains()
    hidden = set(sorted({*films["user"]} & {*games["user"]})[:40])
    parts = ["train" if user not in hidden else ("val", "test")[row % 2] for row, user in enumerate(films["user"])]
    run = headstart.fit(
        films.assign(part=parts), source=games, backbone="popularity+shared_ridge", out=tmp_path / "run"
    )
    record = json.loads((run.folder / "record.json").read_text())
    assert [row["value"] for row in record["slices"]] == ["cold (source history alone)"]
    assert next(c for c in record["comparisons"] if c["against"] == "scratch")["verdict"] == "better"


def test_named_columns_make_an_ordinary_table(alone: tuple[Path, Run], tmp_path: Path) -> None:
    films, _ = alone
    found = headstart.inspect(films, label="rating")
    assert found.modality == "table"
    assert headstart.inspect(films).modality == "interactions"
