"""Texts with numbers and categories beside them: both are used, by the command line's functions and the estimators."""

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
from tiny_text_models import save_tiny


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_tiny(tmp_path_factory.mktemp("models"), "bert", num_hidden_layers=2))


def _frame(rows: int = 120, seed: int = 0) -> pd.DataFrame:
    """The label needs the text and the brand; the price is worth nothing."""
    draws = np.random.default_rng(seed)
    good, brand = draws.random(rows) < 0.5, draws.choice(["Acme", "Bolt", "Core"], rows)
    words = np.where(good, "a really good thing to buy for all of us", "an awful waste of my money and of time")
    frame = pd.DataFrame({"remark": [f"{text} {k}" for k, text in enumerate(words)]})
    frame["price"], frame["brand"] = draws.lognormal(3, 1, rows), brand
    frame.loc[3:5, "price"], frame.loc[7, "brand"] = np.nan, None
    return frame.assign(label=np.where(good & (brand != "Acme"), "kept", "returned"))


def test_named_columns_are_used_with_the_text(bert: str, tmp_path: Path) -> None:
    _frame().to_csv(tmp_path / "shop.csv", index=False)
    columns: dict[str, Any] = {"text": "remark", "numeric": "price", "categorical": "brand"}
    options: dict[str, Any] = {"backbone": bert, "scratch": False, "label": "label"}
    run = headstart.fit(tmp_path / "shop.csv", **columns, **options, out=tmp_path / "run")
    new = _frame(40, seed=1)
    found = headstart.evaluate(run.folder, new)
    plain = headstart.fit(_frame(), text="remark", **options, out=tmp_path / "plain")
    text_alone = headstart.evaluate(plain.folder, new).figures["accuracy"].value
    assert found.figures["accuracy"].value > text_alone + 0.05
    predicted = headstart.predict(run.folder, new.drop(columns="label"))
    new[new.columns[::-1]].to_csv(tmp_path / "new.csv", index=False)
    again = headstart.predict(run.folder, tmp_path / "new.csv")
    assert isinstance(predicted, pd.DataFrame) and isinstance(again, pd.DataFrame)
    np.testing.assert_allclose(again["p_kept"], predicted["p_kept"], atol=1e-5)
    with pytest.raises(DataError, match="'brand'"):
        headstart.predict(run.folder, new.drop(columns="brand"))
    every = headstart.fit(_frame(), **options, settings={"format": {"inputs": "all"}}, out=tmp_path / "every")
    saved = [json.loads((one.folder / "model/model.json").read_text()) for one in (run, every)]
    assert saved[0]["columns"] == saved[1]["columns"]
    assert "TF-IDF" in run.record.arms["classical"].title or "boosted" in run.record.arms["classical"].title


def test_a_run_goes_on_and_is_fine_tuned_with_its_columns(bert: str, tmp_path: Path) -> None:
    columns: dict[str, Any] = {"text": "remark", "numeric": "price", "categorical": "brand", "label": "label"}
    settings: dict[str, Any] = {"tuning": {"epochs": 1}}
    run = headstart.fit(
        _frame(), **columns, backbone=bert, tuning="full", settings=settings, scratch=False, out=tmp_path / "run"
    )
    more = _frame(100, seed=2)
    further = headstart.fit(more, from_run=run.folder, settings=settings, scratch=False, out=tmp_path / "further")
    anew = headstart.fit(more, label="label", backbone=str(run.folder), scratch=False, out=tmp_path / "anew")
    saved = [json.loads((one.folder / "model/model.json").read_text()) for one in (run, further, anew)]
    assert len({json.dumps(one["backbone"]["settings"]["encoding"]) for one in saved}) == 1
    assert anew.predict(more)["error"].isna().all()


def test_estimators_use_the_text_and_the_other_columns_of_a_frame(bert: str) -> None:
    frame, new = _frame(), _frame(60, seed=1)
    inputs, labels = frame.drop(columns="label"), frame["label"]
    fitted = headstart.TransferClassifier(bert).fit(inputs, labels)
    assert fitted.inputs_ == ("remark", "price", "brand")
    score = fitted.score(new.drop(columns="label"), new["label"])
    alone = headstart.TransferClassifier(bert).fit(inputs[["remark"]], labels)
    assert score > alone.score(new[["remark"]], new["label"]) + 0.05
    again = pickle.loads(pickle.dumps(fitted)).predict(new[new.columns[::-1]])
    np.testing.assert_array_equal(again, fitted.predict(new.drop(columns="label")))
