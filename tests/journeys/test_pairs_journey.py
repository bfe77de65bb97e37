"""Pairs of texts: read apart or jointly, tuned, predicted, gone on from, and what is said of them."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import headstart
from headstart.kernel.errors import DataError, SettingsError
from headstart.kernel.progress import Quiet
from tiny_text_models import save_tiny

Command = Callable[..., Any]
WORDS = ("card", "lost", "money", "hotel", "room", "late", "early", "pay", "open", "spa", "gym", "night")


def pairs(rows: int = 80) -> pd.DataFrame:
    """The second text is the first or another one; each is in several pairs."""
    draws = np.random.default_rng(3)
    texts = [" ".join(draws.choice(WORDS, 4, replace=False)) for _ in range(rows // 2)]
    one = [texts[row % len(texts)] for row in range(rows)]
    other = [text if row % 2 else texts[(row * 7 + 5) % len(texts)] for row, text in enumerate(one)]
    return pd.DataFrame(
        {
            "one": one,
            "other": other,
            "same": ["yes" if row % 2 else "no" for row in range(rows)],
            "alike": [len({*a.split()} & {*b.split()}) / 4 for a, b in zip(one, other)],
        }
    )


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_tiny(tmp_path_factory.mktemp("models") / "bert", "bert"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "pairs.csv"
    pairs().to_csv(path, index=False)
    return path


def fitted(data: Path, bert: str, out: Path, label: str = "same", **options: Any) -> headstart.Run:
    options = {"backbone": bert, "scratch": False, **options}
    return headstart.fit(data, text=["one", "other"], label=label, out=out, **options)


def described(run: headstart.Run) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run.folder / "model" / "model.json").read_text())
    return found["backbone"]["settings"]


def require_same_predictions(run: headstart.Run, data: Path, column: str) -> None:
    """What `predict` says of the test part is what the fit said of it."""
    said = pd.read_csv(run.folder / "test_predictions.csv").set_index("origin")
    found = run.predict(data).set_index("origin").loc[said.index]
    np.testing.assert_allclose(found[column], said[column], atol=1e-4)


@pytest.fixture(scope="module")
def run(data: Path, bert: str, tmp_path_factory: pytest.TempPathFactory) -> headstart.Run:
    return fitted(data, bert, tmp_path_factory.mktemp("runs") / "pairs")


def test_the_probe_tries_both_and_says_which(run: headstart.Run, data: Path) -> None:
    (decision,) = [one for one in run.record.decisions if one.what == "pairs"]
    assert decision.value == "apart"
    assert "jointly" in decision.reason
    assert described(run)["pairs"] == "apart"
    assert run.metrics["test"]["accuracy"]["value"] >= 0.8
    require_same_predictions(run, data, "p_yes")


def test_its_plan_repeats_it(run: headstart.Run, data: Path, here: Path) -> None:
    again = headstart.fit(run.folder / "plan.toml", out=here / "again")
    assert described(again)["pairs"] == "apart"
    assert again.metrics["test"] == run.metrics["test"]


def test_the_order_of_columns_in_a_table_does_not_matter_and_that_of_the_texts_does(run: headstart.Run) -> None:
    frame = pairs()
    found = run.predict(frame)["p_yes"]
    np.testing.assert_array_equal(found, run.predict(frame[["other", "alike", "one"]])["p_yes"])
    assert not np.array_equal(found, run.predict(frame.rename(columns={"one": "other", "other": "one"}))["p_yes"])


@pytest.mark.parametrize("tuning", ["full", "lora", "head_only", "partial"])
def test_a_tuning_goes_on_with_the_form(tuning: str, data: Path, bert: str, here: Path) -> None:
    run = fitted(data, bert, here / "run", tuning=tuning, settings={"tuning": {"epochs": 2}})
    assert described(run)["pairs"] == "apart"
    require_same_predictions(run, data, "p_yes")


@pytest.mark.parametrize("form", ["joint", "apart"])
def test_a_form_that_is_named_is_taken(form: str, data: Path, bert: str, here: Path) -> None:
    run = fitted(data, bert, here / "run", settings={"backbone": {"pairs": form}})
    assert described(run).get("pairs", "joint") == form
    assert not [one for one in run.record.decisions if one.what == "pairs"]
    require_same_predictions(run, data, "p_yes")


def test_numbers_are_predicted_for_pairs(data: Path, bert: str, here: Path) -> None:
    run = fitted(data, bert, here / "run", label="alike")
    assert described(run)["pairs"] == "apart"
    assert run.metrics["test"]["r2"]["value"] > 0.5
    require_same_predictions(run, data, "prediction")


def test_a_run_goes_on_in_its_form_and_serves_as_a_backbone_in_any(run: headstart.Run, bert: str, here: Path) -> None:
    frame = pairs(120).iloc[80:]
    further = headstart.fit(
        frame, from_run=run.folder, scratch=False, settings={"tuning": {"epochs": 1}}, out=here / "on"
    )
    assert described(further)["pairs"] == "apart"
    single = headstart.fit(
        frame, text="one", label="same", backbone=str(run.folder), scratch=False, out=here / "single"
    )
    assert "pairs" not in described(single)
    anew = fitted(frame, str(run.folder), here / "anew", settings={"backbone": {"pairs": "joint"}})
    assert "pairs" not in described(anew)


def test_training_from_scratch_reads_them_the_same_way(data: Path, bert: str, here: Path) -> None:
    settings = {"scratch": {"epochs": 1}, "backbone": {"pairs": "apart"}}
    run = fitted(data, bert, here / "run", scratch=True, settings=settings)
    assert "scratch" in run.record.arms


def test_single_texts_have_no_form(data: Path, bert: str, here: Path) -> None:
    with pytest.raises(SettingsError, match="pairs = apart would do nothing"):
        headstart.fit(data, text="one", label="same", backbone=bert, settings={"backbone": {"pairs": "apart"}})


@pytest.mark.parametrize("frame", [False, True], ids=["tuples", "frame"])
def test_estimators_take_pairs(frame: bool, bert: str) -> None:
    table = pairs()
    given = table[["one", "other"]] if frame else [*zip(table["one"], table["other"])]
    classifier = headstart.TransferClassifier(bert).fit(given, table["same"])
    assert classifier.score(given, table["same"]) > 0.9
    kept = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_allclose(kept.predict_proba(given), classifier.predict_proba(given), atol=1e-6)
    if frame:
        with pytest.raises(ValueError, match="in the same order"):
            classifier.predict(table[["other", "one"]])


def test_what_is_read_and_what_is_missing_is_told(run: headstart.Run, bert: str, here: Path) -> None:
    frame = pairs()
    frame.loc[[3, 7], "other"] = [None, " "]
    frame.loc[5, "one"] = None
    frame.to_csv("pairs.csv", index=False)
    inspection = headstart.inspect("pairs.csv", text=["one", "other"], label="same", backbone=bert)
    found = [finding.text for finding in inspection.findings]
    assert "each input is a pair of texts: 'one', then 'other'" in found
    expected = [
        "2 of 80 pairs have no text in 'other', such as pairs.csv:5: it is read as an empty one",
        "1 of 80 pairs have no text in 'one', such as pairs.csv:7: it is read as an empty one",
    ]
    assert set(expected) <= set(found)
    fit = fitted(here / "pairs.csv", bert, here / "run")
    assert set(expected) <= set(fit.record.data.notes)
    said: list[str] = []
    reporter = Quiet()
    reporter.say = said.append  # type: ignore[method-assign]
    predicted = headstart.predict(run.folder, here / "pairs.csv", reporter=reporter)
    assert predicted["error"].isna().all()
    assert any(expected[0] in sentence for sentence in said)


def test_a_pair_without_any_text_is_left_out_and_a_missing_column_refused(run: headstart.Run, here: Path) -> None:
    frame = pairs()[["one", "other"]]
    frame.loc[4] = [None, ""]
    predicted = run.predict(frame)
    assert predicted["error"].notna().sum() == 1
    with pytest.raises(DataError, match="other"):
        run.predict(frame[["one"]])


def test_terms_that_both_texts_have_count_for_the_classical_baseline(data: Path, bert: str, here: Path) -> None:
    run = fitted(data, bert, here / "run")
    assert run.record.arms["classical"].figures["accuracy"].value >= 0.8
