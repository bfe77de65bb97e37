"""A fit with an unlabelled target: what it reads of it, what it writes, and what it refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_data import photo_folder

import headstart
from headstart.kernel.errors import DataError, SettingsError, TrainingError

MEANS = np.array([[0, 0, 3, 0], [3, 0, 0, 1], [0, 3, 0, 1]])
NAMES = np.array(["red", "green", "blue"])


def _frame(rows: int, *, seed: int, shift: float = 0.0, scale: float = 1.0) -> pd.DataFrame:
    draws = np.random.default_rng(seed)
    labels = draws.integers(0, 3, rows)
    values = (MEANS[labels] + draws.normal(size=(rows, 4))) * scale + shift
    return pd.DataFrame(values, columns=list("abcd")).assign(kind=NAMES[labels])


PLAIN = {"scratch": False, "label_curve": False}
SOURCE, TARGET = _frame(240, seed=0), _frame(120, seed=1, shift=2.0, scale=1.5)


def _fit(folder: Path, **changes: object) -> headstart.Run:
    given = {"data": SOURCE, "label": "kind", "target": TARGET, "out": folder / "run", **changes}
    data = given.pop("data")
    return headstart.fit(data, **given)  # type: ignore[arg-type]


def test_labels_of_the_target_change_nothing(tmp_path: Path) -> None:
    mixed = TARGET.assign(kind=np.random.default_rng(2).permutation(TARGET["kind"]))
    variants = {"as they are": TARGET, "mixed": mixed, "absent": TARGET.drop(columns="kind")}
    found = {}
    for name, target in variants.items():
        run = _fit(tmp_path / name, data=SOURCE.head(120), target=target, **PLAIN)
        record = json.loads((run.folder / "record.json").read_text())
        kept = {key: record["adaptation"][key] for key in ("kind", "chosen", "why", "estimate", "classes")}
        rows = (run.folder / "target_predictions.csv").read_bytes()
        found[name] = (kept, (run.folder / "model" / "model.safetensors").read_bytes(), rows)
    assert found["mixed"] == found["as they are"] == found["absent"]


def test_predictions_for_the_target_are_those_of_the_saved_model(tmp_path: Path) -> None:
    run = _fit(tmp_path)
    written = pd.read_csv(run.folder / "target_predictions.csv")
    predicted = run.predict(TARGET.drop(columns="kind"))
    assert written["prediction"].tolist() == predicted["prediction"].tolist()
    assert np.allclose(written["confidence"], predicted["confidence"])


def test_columns_that_the_target_lacks_are_left_out_and_told(tmp_path: Path) -> None:
    run = _fit(tmp_path, target=TARGET.drop(columns=["a", "kind"]), **PLAIN)
    assert [d.value for d in run.record.decisions if d.what == "left out"] == ["a"]
    assert run.predict(TARGET[["b", "c", "d"]])["prediction"].isin(NAMES).all()


BAD = {
    "too few": ({"target": TARGET.head(7)}, "7 usable inputs; at least 20"),
    "none at all": ({"target": TARGET.head(0)}, "the target <DataFrame>: "),
    "no shared column": ({"target": pd.DataFrame({"u": [1.0, 2.0], "v": [3.0, 4.0]})}, "shares no input column"),
    "the source itself": ({"target": SOURCE}, "are in the source as well"),
    "another kind of input": ({"target": pd.DataFrame({"a": ["some words"] * 30})}, "the target <DataFrame>: column"),
    "unknown label": ({"target_labels": TARGET.head(9).assign(kind="violet")}, "--target-labels.*violet"),
    "labels of the source": ({"target_labels": SOURCE.head(9)}, "9 of its inputs are in the source as well"),
    "labels alone": ({"target": None, "target_labels": TARGET.head(9)}, "--target"),
}


@pytest.mark.parametrize(("changes", "words"), BAD.values(), ids=BAD.keys())
def test_a_target_that_cannot_be_adapted_to_is_refused(changes: dict[str, object], words: str, tmp_path: Path) -> None:
    with pytest.raises((DataError, SettingsError), match=words):
        _fit(tmp_path, **changes)
    assert not (tmp_path / "run").exists()


def _mixed(rows: int, shares: tuple[float, ...], seed: int) -> pd.DataFrame:
    draws = np.random.default_rng(seed)
    labels = draws.choice(3, rows, p=shares)
    values = MEANS[labels] / 2 + draws.normal(size=(rows, 4))
    return pd.DataFrame(values, columns=list("abcd")).assign(kind=NAMES[labels])


def test_another_mix_of_classes_is_corrected_for_and_the_gain_is_real(tmp_path: Path) -> None:
    source, target = _mixed(600, (1 / 3, 1 / 3, 1 / 3), 0), _mixed(600, (0.9, 0.05, 0.05), 1)
    run = _fit(tmp_path, data=source, target=target.drop(columns="kind"))
    adaptation = run.record.adaptation
    assert adaptation is not None and adaptation.chosen in ("em", "bbse")
    plain = headstart.fit(source, label="kind", out=tmp_path / "plain", label_curve=False)
    adapted, before = ((one.predict(target)["prediction"] == target["kind"]).mean() for one in (run, plain))
    assert adapted > before + 0.02
    assert adaptation.estimate is not None and adaptation.estimate.low <= adapted <= adaptation.estimate.high
    assert [*run.record.arms] == ["model", "source"] and run.record.arms["model"].fit_on == ("train", "val")
    assert "Adapted to" in run.verdict and "expected accuracy there" in run.verdict
    assert "The target" in run.report.read_text()


def test_a_candidate_that_cannot_be_computed_is_skipped(tmp_path: Path) -> None:
    run = _fit(tmp_path, target=TARGET.assign(a=1e30 * TARGET["a"]), **PLAIN)
    assert run.record.adaptation is not None
    skipped = [row for row in run.record.adaptation.candidates if row.fate.startswith("skipped: ")]
    assert "CORAL" in {row.title for row in skipped}


def test_no_shift_keeps_the_source_model(tmp_path: Path) -> None:
    run = _fit(tmp_path, target=_frame(200, seed=5))
    adaptation = run.record.adaptation
    assert adaptation is not None and adaptation.chosen == "source" and "no shift is found" in adaptation.why


def test_labelled_target_examples_decide_where_their_labels_follow_another_rule(tmp_path: Path) -> None:
    target = _frame(200, seed=5)
    target["kind"] = target["kind"].map(dict(zip(NAMES, np.roll(NAMES, 1))))
    run = _fit(tmp_path, data=SOURCE.head(120), target=target.iloc[80:], target_labels=target.iloc[:80], **PLAIN)
    adaptation = run.record.adaptation
    assert adaptation is not None and adaptation.chosen == "tradaboost"
    assert re.match(r"It is right on \d+ of 80 labelled target examples", adaptation.why)
    assert "the labels of 80 given examples were read" in run.report.read_text()
    right = (run.predict(target.iloc[80:])["prediction"].to_numpy() == target["kind"].iloc[80:].to_numpy()).mean()
    assert right > 0.3  # the source model is right on hardly any


SMALL = {"settings": {"tuning": {"epochs": 1}, "backbone": {"image_size": 32}}, "weights": "random", "scratch": False}


@pytest.mark.parametrize(("objective", "told"), [("mcc", "mcc, full tuning"), (None, "Not adapted to")])
def test_a_tuned_model_is_adapted_by_its_objective_or_on_its_own_features(
    objective: str | None, told: str, tmp_path: Path
) -> None:
    places = [
        photo_folder(tmp_path / name, {"dark": 24, "light": 24}, seed) for seed, name in enumerate(("here", "there"))
    ]
    source, target = map(str, places)
    (places[1] / "dark" / "broken.png").write_bytes(b"no picture")
    chosen = {"backbone": "test_resnet", "tuning": "full", "objective": objective, **SMALL}
    run = headstart.fit(source, target=target, out=tmp_path / "run", **chosen)
    adaptation = run.record.adaptation
    assert adaptation is not None and told in run.verdict and [*run.record.arms] == ["model", "probe"]
    assert adaptation.chosen == (objective or "source")
    written = pd.read_csv(run.folder / adaptation.predictions)
    assert written["prediction"].tolist() == run.predict(target)["prediction"].dropna().tolist()
    assert any("Left out 1 of the target's inputs" in note and "broken.png" in note for note in run.record.data.notes)


def test_a_task_without_classes_says_how_it_can_be_adapted(tmp_path: Path) -> None:
    numbers = {part: frame.assign(kind=frame["a"] + frame["b"]) for part, frame in (("s", SOURCE), ("t", TARGET))}
    run = _fit(tmp_path, data=numbers["s"], target=numbers["t"].iloc[9:], target_labels=numbers["t"].head(9))
    assert run.record.adaptation is None and "--objective coral" in run.verdict
    assert "Its 9 labelled examples are not used." in run.verdict


def test_a_fine_tuning_that_is_kept_beside_an_adapted_model_is_its_own_and_not_adapted(tmp_path: Path) -> None:
    settings = {"tuning": {"epochs": 1, "learning_rate": 1e-6, "head_learning_rate": 1e-6}}
    given = {"backbone": "table_mlp", "weights": "random", "tuning": "full", "settings": settings, "budget": 100}
    run = _fit(tmp_path, target=_frame(240, seed=3, shift=8.0), **PLAIN, **given)
    assert [*run.record.arms] == ["model", "source", "tuned"]
    assert run.tuned is not None
    tuned = headstart.load(run.tuned)
    assert isinstance(tuned, headstart.Run) and [*tuned.record.arms] == ["model", "probe"]
    assert tuned.record.adaptation is None and "dapted to" not in tuned.verdict
    for arm, other in (("model", "tuned"), ("probe", "source")):
        assert tuned.record.arms[arm].figures == run.record.arms[other].figures
        assert tuned.record.arms[arm].title == run.record.arms[other].title


def test_a_training_towards_a_target_ends_with_its_last_epoch_whatever_the_source_says(tmp_path: Path) -> None:
    """Labels are random here, so that the source's validation loss is least at the beginning."""
    noisy = SOURCE.assign(kind=np.random.default_rng(5).permutation(SOURCE["kind"]))
    settings = {"tuning": {"epochs": 4, "head_learning_rate": 0.1, "learning_rate": 0.05}}
    given = {"tuning": "full", "objective": "dann", "settings": settings, "scratch": False, "label_curve": False}
    with pytest.raises(TrainingError, match="no weight of the backbone table_features moves"):
        _fit(tmp_path / "fixed", data=noisy, **given)
    given |= {"backbone": "table_mlp", "weights": "random"}
    arm = _fit(tmp_path, data=noisy, **given).record.arms["model"]
    losses = [epoch.val_loss for epoch in arm.history]
    assert losses.index(min(losses)) < 3 and arm.chosen["best_epoch"] == 4


@pytest.mark.parametrize("objective", [None, "mmd"])
def test_where_a_backbone_has_learnt_from_all_labels_nothing_is_estimated(
    objective: str | None, tmp_path: Path
) -> None:
    settings = {"tuning": {"epochs": 1, "keep": "last", "interpolate": False, "refit": True}}
    given = {"backbone": "table_mlp", "weights": "random", "tuning": "full", "objective": objective}
    halves = SOURCE.assign(half=["one", "other"] * 120)
    run = _fit(tmp_path, data=halves, domain="half", settings=settings, **PLAIN, **given)
    assert run.record.arms["model"].fit_on == ("train", "val") and run.record.adaptation is not None
    assert "its accuracy there cannot be estimated: no held-out source examples" in run.verdict
    assert "single" not in {row.name for row in run.record.adaptation.candidates}


def test_domains_that_lie_apart_get_the_mean_of_adapted_heads(tmp_path: Path) -> None:
    target = _frame(240, seed=3, shift=8.0)
    run = _fit(tmp_path, target=target.drop(columns="kind"), **PLAIN)
    adaptation = run.record.adaptation
    assert adaptation is not None and adaptation.chosen == "ensemble" and len(adaptation.pictures) == 2
    members = next(row.note for row in adaptation.candidates if row.name == "ensemble")
    assert "standardised domains" in members and "mcc" in members
    predicted = headstart.load(run.folder).predict(target.drop(columns="kind"))
    assert (predicted["prediction"] == target["kind"]).mean() > 0.85
    written = pd.read_csv(run.folder / adaptation.predictions)
    assert np.allclose(written["p_red"], predicted["p_red"])
    with pytest.raises(
        SettingsError, match=r"adapted to a target and is not one layer.*give --backbone .* in place of"
    ):
        headstart.fit(_frame(60, seed=4), from_run=run.folder, out=tmp_path / "on")


def test_seeds_tell_how_often_the_target_was_adapted_to(tmp_path: Path) -> None:
    source, target = _mixed(300, (1 / 3, 1 / 3, 1 / 3), 0), _mixed(300, (0.9, 0.05, 0.05), 1)
    run = _fit(tmp_path, data=source, target=target.drop(columns="kind"), seeds=2)
    assert "Adapted to <DataFrame> in 2 of 2 runs (2 by" in run.verdict and "WORSE" not in run.verdict
    assert run.record.adaptation is None
