"""The layer view in a fit, the cut that is taken from it, and features of several stages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import headstart
from headstart.kernel.errors import DataError, SettingsError
from tiny_text_models import save_tiny

SHORT = {"epochs": 2, "batch_size": 16}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny", "bert", num_hidden_layers=4)


def texts(rows: int) -> pd.DataFrame:
    """Texts of noise words and one that tells the label."""
    draws = np.random.default_rng(0)
    noise = ["red", "blue", "tree", "rain", "house", "road"]
    words = [[*draws.choice(noise, 5), ("good", "bad")[row % 2]] for row in range(rows)]
    return pd.DataFrame(
        {
            "text": [f"{row} " + " ".join(draws.permutation(some)) for row, some in enumerate(words)],
            "mood": ["up" if row % 2 == 0 else "down" for row in range(rows)],
        }
    )


def fit(data: Any, out: Path, model: Path, **more: Any) -> headstart.Run:
    given: dict[str, Any] = {"text": "text", "label": "mood", "scratch": False, "label_curve": False, "runner": "eager"}
    return headstart.fit(data, out=out, backbone=str(model), **given, **more)


@pytest.mark.slow
def test_partial_takes_its_cut_from_the_layer_view_and_the_plan_repeats_it(tmp_path: Path, model: Path) -> None:
    table = tmp_path / "texts.csv"
    texts(80).to_csv(table, index=False)
    settings = {"tuning": {"depth": "auto", **SHORT}}
    run = fit(str(table), tmp_path / "run", model, tuning="partial", settings=settings)
    layers = run.record.layers
    assert layers is not None and layers.examples < 80 and len(layers.stages) == 5
    moving = max(4 - layers.ends, 2)
    assert run.plan.settings["tuning"] == {"last": moving, **SHORT}
    stages = (headstart.load(run.tuned) if run.tuned else run).record.stages
    assert [row.state for row in stages] == ["frozen"] * (5 - moving) + ["trained"] * moving
    assert any(one.what == "tuning.last" and one.value == str(moving) for one in run.record.decisions)
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["layers"]["ends"] == layers.ends
    assert 'id="layers"' in run.report.read_text()
    again = headstart.fit(tmp_path / "run" / "plan.toml", out=tmp_path / "again")
    assert again.metrics["test"] == run.metrics["test"] and again.record.stages == run.record.stages


@pytest.mark.slow
def test_a_search_takes_the_cut_too(tmp_path: Path, model: Path) -> None:
    settings = {"tuning": {"tunings": ["partial"], "depth": "auto", "epochs": 2}}
    run = fit(texts(80), tmp_path / "run", model, tuning="auto", settings=settings)
    assert run.record.layers is not None
    assert any(row.tuning == "partial" for row in run.record.candidates)


def test_too_few_examples_leave_the_view_out_and_a_cut_by_it_is_refused(tmp_path: Path, model: Path) -> None:
    run = fit(texts(20), tmp_path / "run", model, layers=True)
    assert run.record.layers is None
    (told,) = [one for one in run.record.decisions if one.what == "layer view"]
    assert "there is no layer view of 16 labelled examples" in told.reason
    with pytest.raises(DataError, match=r"no layer view of 16 labelled.*: give tuning\.last"):
        fit(texts(20), tmp_path / "other", model, tuning="partial", settings={"tuning": {"depth": "auto"}})


def test_two_cuts_are_refused(tmp_path: Path, model: Path) -> None:
    with pytest.raises(SettingsError, match="last = 2 and depth = auto both say which stages move"):
        fit(texts(20), tmp_path / "run", model, tuning="partial", settings={"tuning": {"depth": "auto", "last": 2}})


@pytest.mark.slow
@pytest.mark.parametrize("tuning", ["probe", "full"])
def test_features_of_several_stages_are_saved_with_the_run(tuning: str, tmp_path: Path, model: Path) -> None:
    settings = {"backbone": {"features": "multi"}, **({} if tuning == "probe" else {"tuning": SHORT})}
    run = fit(texts(60), tmp_path / "run", model, tuning=tuning, settings=settings, layers=True)
    again = headstart.load(tmp_path / "run")
    found = again.predict(texts(60)[["text"]])
    assert again.model.backbone.width == 4 * 32 == again.model.heads["head"].in_features
    rows = pd.read_csv(tmp_path / "run" / "test_predictions.csv")
    assert set(rows["prediction"]) <= {"up", "down"} and len(found) == 60
    assert run.record.layers is not None and run.record.layers.multi is not None
    assert run.record.layers.multi.width == 128 and {row.width for row in run.record.layers.stages} == {32}


@pytest.mark.slow
def test_pairs_that_are_read_apart_have_a_view_and_no_features_of_several_stages(tmp_path: Path, model: Path) -> None:
    frame = texts(60).assign(other=texts(60)["text"].iloc[::-1].to_list())
    pairs: dict[str, Any] = {"text": ["text", "other"], "label": "mood", "backbone": str(model), "scratch": False}
    pairs["label_curve"] = False
    run = headstart.fit(frame, out=tmp_path / "run", layers=True, settings={"backbone": {"pairs": "apart"}}, **pairs)
    layers = run.record.layers
    assert layers is not None and layers.multi is None and {row.width for row in layers.stages} == {4 * 32 + 1}
    with pytest.raises(SettingsError, match="features = multi reads pairs jointly"):
        both = {"backbone": {"pairs": "apart", "features": "multi"}}
        headstart.fit(frame, out=tmp_path / "other", settings=both, **pairs)


@pytest.mark.slow
def test_one_stage_is_compared_with_none(tmp_path: Path) -> None:
    numbers = np.random.default_rng(0).normal(size=(80, 2))
    data = pd.DataFrame(numbers, columns=["a", "b"]).assign(label=np.where(numbers[:, 0] > 0, "x", "y"))
    layers = headstart.fit(
        data, label="label", scratch=False, label_curve=False, layers=True, out=tmp_path / "run"
    ).record.layers
    assert layers is not None and layers.sentence.startswith("There is one stage, columns: accuracy ")
