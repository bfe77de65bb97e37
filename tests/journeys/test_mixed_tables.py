"""Tables of numbers, categories, dates and yes or no, with gaps: from fit to prediction."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import headstart
from headstart.kernel.errors import DataError
from headstart.kernel.progress import Quiet


class Said(Quiet):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def say(self, text: str) -> None:
        self.words.append(text)


def _frame(rows: int = 240, seed: int = 0) -> pd.DataFrame:
    draws = np.random.default_rng(seed)
    age, town = draws.integers(18, 80, rows), draws.choice(["Ulm", "Bonn", "Kiel"], rows)
    bought = age + 40 * (town == "Ulm") > 60
    frame = pd.DataFrame({"age": age.astype(object), "town": town})
    frame["since"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(draws.integers(0, 900, rows), "D")
    frame["member"] = draws.random(rows) < 0.5
    frame["zip"] = draws.choice([10115, 80331, 50667], rows)
    frame["code"] = [f"c{k:05d}" for k in range(rows)]
    frame["country"] = "DE"
    frame["remark"] = [f"asked for sample {k} and left" for k in range(rows)]
    frame["id"] = np.arange(rows)
    frame["nothing"] = None
    for gap, name in zip(("?", "N/A", "", "-"), ("age", "age", "town", "age")):
        frame.loc[draws.integers(0, rows, 8), name] = gap
    frame["bought"] = np.where(bought, "yes", "no")
    return frame


@pytest.fixture(scope="module")
def bought(tmp_path_factory: pytest.TempPathFactory) -> headstart.Run:
    folder = tmp_path_factory.mktemp("bought")
    _frame().to_csv(folder / "bought.csv", index=False)
    options: dict[str, Any] = {"label": "bought", "categorical": "zip", "scratch": False}
    return headstart.fit(folder / "bought.csv", out=folder / "run", **options)


def test_every_row_and_kind_of_column_is_used(bought: headstart.Run) -> None:
    record = json.loads((bought.folder / "record.json").read_text())
    notes = "\n".join(record["data"]["notes"])
    assert (
        "as numbers: age; as yes or no: member; as categories: town (3 values), zip (3 values); as dates: since"
        in notes
    )
    assert "left out as they identify rows: id" in notes
    assert (
        "left out as nearly every row has a value of its own (--categorical COLUMN takes one all the same): code"
        in notes
    )
    assert "left out as they say the same in every row: country" in notes
    assert "left out as they hold running text (--text COLUMN reads one): remark" in notes
    assert "left out as they hold no value: nothing" in notes
    assert sum(part["examples"] for part in record["data"]["parts"]) == 240 and not record["data"]["unreadable"]
    assert record["arms"]["classical"]["title"] == "gradient boosted trees"
    assert record["arms"]["model"]["figures"]["accuracy"]["value"] > 0.8


def _clean(rows: int) -> pd.DataFrame:
    frame = _frame(rows, seed=1)[["age", "town", "since", "member", "zip"]].replace({"?": None, "N/A": None, "-": None})
    return frame.replace({"": None}).astype({"age": float})


@pytest.mark.parametrize("form", ["csv", "parquet", "jsonl", "nullable", "turned", "objects"])
def test_the_same_rows_get_the_same_predictions(bought: headstart.Run, form: str, tmp_path: Path) -> None:
    frame = _clean(60)
    expected = headstart.predict(bought.folder, frame)
    path: Any = tmp_path / f"new.{form}"
    if form == "csv":
        frame.to_csv(path, index=False)
    elif form == "parquet":
        frame.to_parquet(path)
    elif form == "jsonl":
        frame.assign(since=frame["since"].dt.strftime("%Y-%m-%d")).to_json(path, orient="records", lines=True)
    elif form == "turned":
        path = frame[frame.columns[::-1]].assign(extra="unknown")
    elif form == "objects":
        path = frame.assign(since=frame["since"].astype(str)).astype(object)
    else:
        kinds = {"age": "Int64", "town": "category", "member": "boolean", "zip": "category"}
        path = frame.astype(kinds)
        path["since"] = path["since"].dt.tz_localize("UTC")
    found = headstart.predict(bought.folder, path)
    assert isinstance(found, pd.DataFrame) and isinstance(expected, pd.DataFrame)
    pd.testing.assert_frame_equal(found.drop(columns="origin"), expected.drop(columns="origin"))


def test_a_missing_column_is_refused_and_surprises_are_told(bought: headstart.Run) -> None:
    frame = _clean(30)
    with pytest.raises(DataError, match="the model learnt from the column 'town'"):
        headstart.predict(bought.folder, frame.drop(columns="town"))
    frame.loc[3, "town"], frame["extra"] = "Rom", 1
    frame.loc[4, "since"] = pd.NaT
    said = Said()
    found = headstart.predict(bought.folder, frame, reporter=said)
    assert isinstance(found, pd.DataFrame) and found["error"].isna().all()
    assert "column 'town', values not seen in training: 1, such as 'Rom'" in said.words
    assert "column 'since' never had gaps in training; filled with its median: 1" in said.words
    assert any("not inputs: extra" in word for word in said.words)


def test_a_run_goes_on_and_is_a_backbone_for_columns_in_another_order(bought: headstart.Run, tmp_path: Path) -> None:
    more = _frame(200, seed=2)
    more = more[more.columns[::-1]]
    quick = {"scratch": False, "label_curve": False}
    again = headstart.fit(more, label="bought", backbone=str(bought.folder), out=tmp_path / "again", **quick)
    columns = json.loads((again.folder / "model" / "model.json").read_text())["columns"]
    assert (columns["numeric"], columns["categorical"], columns["date"]) == (
        ["age", "member"],
        ["town", "zip"],
        ["since"],
    )
    encoding = [json.loads((run.folder / "model/model.json").read_text())["backbone"] for run in (bought, again)]
    assert encoding[0] == encoding[1]
    further = headstart.fit(more, from_run=bought.folder, tuning="head_only", out=tmp_path / "further", **quick)
    assert headstart.evaluate(further.folder, more).n == 200


def test_a_frame_is_read_by_its_columns_in_the_estimators() -> None:
    frame = _clean(150).astype({"town": "category", "zip": "category"})
    frame["age"], frame["y"] = frame["age"].astype("Int64"), frame["age"] > 40
    frame["rating"] = np.arange(150) % 5
    wanted = frame["age"].fillna(0).to_numpy(float)
    regressor = headstart.TransferRegressor().fit(frame, wanted)
    assert regressor.inputs_ == ("age", "member", "y", "rating", "town", "zip", "since")
    assert regressor.score(frame, wanted) > 0.9
    turned = frame[frame.columns[::-1]].assign(extra="new")
    again = pickle.loads(pickle.dumps(regressor))
    np.testing.assert_array_equal(again.predict(turned), regressor.predict(frame))
    for wrong, words in ((frame.drop(columns="zip"), "'zip'"), (frame.to_numpy(), "expected a frame with the columns")):
        with pytest.raises(ValueError, match=words):
            regressor.predict(wrong)
    numbers = frame[["rating"]].assign(age=wanted)
    fitted = headstart.TransferRegressor().fit(numbers, wanted)
    np.testing.assert_array_equal(fitted.predict(numbers), fitted.predict(numbers.to_numpy()))
    assert np.isfinite(fitted.predict(numbers.assign(age=np.nan))).all()
