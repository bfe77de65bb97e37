"""Bad data, settings and models: a clear error or a note, the documented exit code, and nothing left in the way."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from small_data import OFFLINE, measurements, own_copy, photo_folder, png, reviews

import headstart
from headstart.kernel.errors import BackboneError, DataError, RunError, SettingsError

Command = Callable[..., Any]
NUMBERS = measurements(40)


def fit(data: Any, **given: Any) -> headstart.Run:
    """A fit by hand of Python, without the baseline."""
    return headstart.fit(data, **{"scratch": False, **given})


def fit_photos(data: Path, **given: Any) -> headstart.Run:
    small = {"backbone": "test_resnet", "weights": "random", "settings": {"backbone": {"image_size": 32}}}
    return fit(data, **{**small, **given})


def nothing_was_left(here: Path) -> bool:
    return not any(here.glob("runs/*"))


# --- data that cannot be used ---


def test_an_empty_folder(here: Path, headstart_command: Command) -> None:
    Path("photos").mkdir()
    ended = headstart_command("fit", "photos")
    assert ended.code == DataError.exit_code
    assert "photos is not recognised" in ended.err and "the folder is empty" in ended.err
    assert nothing_was_left(here)


def test_data_that_do_not_exist_and_what_was_meant(here: Path, headstart_command: Command) -> None:
    NUMBERS.to_csv("numbers.csv", index=False)
    ended = headstart_command("fit", "nubmers.csv")
    assert ended.code == DataError.exit_code
    assert "nubmers.csv does not exist. Did you mean numbers.csv?" in ended.err
    assert nothing_was_left(here)


def test_the_corrected_command_takes_the_name_that_the_wrong_one_had(here: Path, headstart_command: Command) -> None:
    NUMBERS.to_csv("numbers.csv", index=False)
    wrong = headstart_command("fit", "numbers.csv", "--label", "targte", "--out", "runs/mine")
    assert wrong.code == DataError.exit_code
    assert "--label targte: column 'targte' is not known. Did you mean 'target'?" in wrong.err
    assert nothing_was_left(here)
    right = headstart_command("fit", "numbers.csv", "--label", "target", "--out", "runs/mine")
    assert right.code == 0, right.err
    assert headstart.load("runs/mine").metrics["test"]["r2"]["value"] > 0.9


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("", "the path of the data is empty"),
        (None, "an object of type NoneType is not recognised"),
        (["a", "b"], "a does not exist"),
    ],
)
def test_what_is_no_data_at_all(data: Any, reason: str, here: Path) -> None:
    with pytest.raises(DataError, match=reason):
        headstart.fit(data)
    assert nothing_was_left(here)


def test_one_class_folder(here: Path) -> None:
    photo_folder(Path("photos"), {"dark": 5})
    with pytest.raises(DataError, match=r"all 5 labels are 'dark'.*at least two classes"):
        fit_photos(Path("photos"))
    assert nothing_was_left(here)


def test_a_single_class_is_judged_in_a_folder_as_in_a_table(here: Path) -> None:
    run = fit_photos(photo_folder(Path("photos"), {"dark": 12, "light": 12}))
    photo_folder(Path("more"), {"dark": 4}, seed=9)
    rows = [{"image": str(path), "label": "dark"} for path in sorted(Path("more/dark").iterdir())]
    pd.DataFrame(rows).to_csv("more.csv", index=False)
    folder, table = (
        headstart.evaluate(run, Path("more")),
        headstart.evaluate(run, Path("more.csv"), image="image", label="label"),
    )
    assert folder.n == 4 and folder.figures["accuracy"] == table.figures["accuracy"]


def test_evaluate_and_predict_say_what_was_left_out(here: Path, headstart_command: Command) -> None:
    run = fit_photos(photo_folder(Path("photos"), {"dark": 12, "light": 12}))
    Path("photos/zones.txt").write_text("none")
    said = "1 file other than images left out (1 .txt)"
    assert said in headstart.evaluate(run, Path("photos")).notes
    ended = headstart_command("predict", run.folder, "photos", "--out", "found.csv")
    assert ended.code == 0 and said in ended.err


def test_one_class_in_a_table(here: Path) -> None:
    frame = reviews(20).assign(mood="glad")
    with pytest.raises(DataError, match=r"column 'mood': all 20 labels are 'glad'.*at least two classes"):
        fit(frame, text="review", label="mood")
    assert nothing_was_left(here)


def test_a_class_with_one_example_works_and_is_told_of(here: Path) -> None:
    run = fit_photos(photo_folder(Path("photos"), {"dark": 15, "light": 15, "rare": 1}))
    note, warning = [note for note in run.record.data.notes if "'rare'" in note]
    assert "too few for every part" in note and "not in test or val" in note
    assert warning == "1 class with fewer than 10 examples: 'rare' (1)"
    parts = {part.name: part.classes for part in run.record.data.parts}
    assert parts["train"]["rare"] == 1
    assert run.predict(Path("photos"))["p_rare"].notna().all()


def test_a_class_that_is_never_trained_on_is_told_of(here: Path) -> None:
    photo_folder(Path("photos/train"), {"dark": 12, "light": 12})
    photo_folder(Path("photos/test"), {"dark": 3, "light": 3, "new": 3}, seed=4)
    run = fit_photos(Path("photos"))
    assert "no training example has 'new'" in run.record.data.notes
    assert run.metrics["test"]["accuracy"]["value"] <= 2 / 3


def test_images_that_are_all_the_same(here: Path) -> None:
    for name in ("a", "b"):
        Path("photos", name).mkdir(parents=True)
        for number in range(5):
            Path("photos", name, f"{number}.png").write_bytes(png((32, 32)))
    with pytest.raises(DataError, match="10 usable examples, 9 of them copies of others, are too few to split"):
        fit_photos(Path("photos"))


def test_no_column_is_the_label(here: Path) -> None:
    with pytest.raises(DataError, match=r"no column is plainly the label\. Say which with --label COLUMN") as raised:
        fit(reviews(20), text="review")
    assert "mood: text, for example 'cross'" in str(raised.value)
    assert nothing_was_left(here)


@pytest.mark.parametrize("missing", [None, np.nan, "", "  "])
def test_missing_labels_are_counted_and_located(here: Path, missing: object) -> None:
    frame = reviews(20).astype({"mood": object})
    frame.loc[[3, 7], "mood"] = missing
    with pytest.raises(DataError, match=r"'mood': 2 of 20 examples have no label .*first row 3, row 7\. Fill them in"):
        fit(frame, text="review", label="mood")
    assert nothing_was_left(here)


def test_labels_of_mixed_kinds(here: Path, headstart_command: Command) -> None:
    rows = [{"text": f"a text {row}", "label": "yes" if row % 3 else 1} for row in range(12)]
    Path("rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    ended = headstart_command("fit", "rows.jsonl")
    assert ended.code == DataError.exit_code
    assert "the label column 'label' mixes values of several kinds: 1 (int), 'yes' (str)" in ended.err
    assert "Make them all numbers or all text" in ended.err
    assert nothing_was_left(here)


# --- inputs of which some are bad: they are named and counted, and the run goes on ---


def test_bad_images_are_named_and_counted(here: Path, headstart_command: Command) -> None:
    root = photo_folder(Path("photos"))
    whole = png((64, 64))
    bad = {
        "dark/zero.jpg": (b"", "is empty (0 bytes)"),
        "dark/text.jpg": (b"no picture at all", "is not an image that Pillow can read"),
        "light/cut.png": (whole[:-40], "cannot be decoded"),
        "light/bomb.png": (png((20_000, 20_000), "1"), "is too large"),
    }
    for name, (content, _) in bad.items():
        (root / name).write_bytes(content)
    ended = headstart_command("fit", root, *OFFLINE, "--no-scratch")
    assert ended.code == 0, ended.err
    run = headstart.load("runs/photos")
    troubles = {trouble.origin: trouble.reason for trouble in run.record.data.unreadable}
    assert troubles.keys() == bad.keys()
    for name, (_, reason) in bad.items():
        assert reason in troubles[name]
        assert f"- {name} " in ended.out
        assert name in run.report.read_text(encoding="utf-8")
    assert sum(part.examples for part in run.record.data.parts) == 40
    predicted = run.predict(root).set_index("origin")
    assert predicted["error"].notna().sum() == 4
    assert predicted.loc[list(bad), "prediction"].isna().all()
    assert predicted.drop(index=list(bad))["prediction"].notna().all()


def test_when_no_image_can_be_read(here: Path) -> None:
    for name in ("a", "b"):
        Path("photos", name).mkdir(parents=True)
        for number in range(3):
            Path("photos", name, f"{number}.jpg").write_text(f"text {name} {number}")
    with pytest.raises(DataError, match=r"none of the 6 inputs is of use; a/0\.jpg is not an image"):
        fit_photos(Path("photos"))
    assert nothing_was_left(here)


def test_blank_texts_are_named_and_nothing_is_predicted_for_them(here: Path, bert: Path) -> None:
    frame = reviews(40)
    frame.loc[4, "review"], frame.loc[9, "review"], frame.loc[11, "review"] = "", "   ", None
    run = fit(frame, text="review", label="mood", backbone=str(bert))
    troubles = {trouble.origin: trouble.reason for trouble in run.record.data.unreadable}
    assert troubles == {"row 4": "is empty", "row 9": "is empty", "row 11": "is empty"}
    predicted = run.predict(frame)
    assert predicted.index[predicted["prediction"].isna()].tolist() == [4, 9, 11]
    assert predicted["error"].dropna().tolist() == ["is empty"] * 3
    assert run.evaluate(frame).n == 37
    with pytest.raises(DataError, match="none of the 40 inputs is of use; row 0 is empty"):
        fit(frame.assign(review=" "), text="review", label="mood", backbone=str(bert))


def test_gaps_are_filled_and_infinite_numbers_are_named(here: Path) -> None:
    frame = measurements(40)
    frame.loc[5, "width"], frame.loc[6, "height"] = np.nan, np.inf
    run = fit(frame, label="target")
    assert [trouble.origin for trouble in run.record.data.unreadable] == ["row 6"]
    assert sum(part.examples for part in run.record.data.parts) == 39
    predicted = run.predict(frame)
    assert predicted.index[predicted["prediction"].isna()].tolist() == [6]
    assert set(predicted["error"].dropna()) == {"has an infinite number"}


def test_too_few_examples_to_train_by_steps(here: Path) -> None:
    photos = photo_folder(Path("photos"), {"dark": 2, "light": 2})
    with pytest.raises(DataError, match=r"no validation part to choose the best epoch on.*--tuning probe"):
        fit_photos(photos, tuning="full")
    assert nothing_was_left(here)
    assert fit_photos(photos).metrics["test"]["accuracy"]["n"] == 2


def test_a_training_that_diverges_at_once_leaves_nothing_in_the_way(here: Path, photos: Path) -> None:
    wild = {
        "backbone": {"image_size": 32},
        "tuning": {"learning_rate": 1e30, "epochs": 8, "warmup": 0, "warmup_steps": 0},
    }
    with pytest.raises(headstart.HeadstartError, match=r"became nan in epoch \d.*Try a lower learning rate") as raised:
        fit_photos(photos, tuning="full", settings=wild, out="mine")
    assert raised.value.exit_code == 7
    assert not Path("mine").exists()


def test_a_training_that_diverges_after_an_epoch_keeps_its_best_weights_as_a_run(here: Path, photos: Path) -> None:
    late = {"backbone": {"image_size": 32}, "tuning": {"learning_rate": 1e30, "epochs": 8, "unfrozen_by": 0.9}}
    with pytest.raises(headstart.HeadstartError, match=r"became nan in epoch \d .*are kept: mine is a run") as raised:
        fit_photos(photos, tuning="gradual", settings=late, out="mine")
    assert raised.value.exit_code == 7
    run = headstart.load("mine")
    arm = run.record.arms["model"]
    assert "became nan" in arm.stopped and "(dark/" in arm.stopped and 1 <= len(arm.history) < 8
    assert f"The weights are the best until then, of epoch {arm.chosen['best_epoch']}." in run.record.verdict
    assert run.predict(photos)["prediction"].notna().all()
    assert "STOPPED EARLY" in (run.folder / "report.html").read_text()


def test_a_baseline_that_diverges_does_not_cost_the_model(here: Path, photos: Path) -> None:
    wild = {"backbone": {"image_size": 32}, "scratch": {"learning_rate": 1e30, "epochs": 8, "rates_tried": [1.0]}}
    record = fit_photos(photos, scratch=True, settings=wild).record
    assert "scratch" not in record.arms
    (decision,) = [decision for decision in record.decisions if decision.what == "training from scratch"]
    assert decision.value == "left out" and "became nan" in decision.reason


# --- models that cannot be had ---


def test_an_unknown_backbone_and_the_nearest_names(here: Path, photos: Path, headstart_command: Command) -> None:
    ended = headstart_command("fit", photos, "--backbone", "resnet5")
    assert ended.code == BackboneError.exit_code
    assert "image backbone 'resnet5' is not known. Did you mean 'resnet50'" in ended.err
    assert nothing_was_left(here)


class Bomb:
    """A pickle that makes a file when it is read carelessly."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("EXPLODED",)


def test_a_pickle_offered_as_image_weights_is_refused_and_not_run(here: Path, photos: Path) -> None:
    Path("weights.pth").write_bytes(pickle.dumps({"layer": Bomb()}, protocol=2))
    with pytest.raises(BackboneError, match=r"weights\.pth is a pickle of more than tensors\. It was refused"):
        fit_photos(photos, weights="weights.pth")
    assert not Path("EXPLODED").exists()
    assert nothing_was_left(here)


def test_a_pickle_in_a_text_model_is_refused_and_not_run(here: Path, bert: Path) -> None:
    folder = own_copy(bert, here / "bert")
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"layer": Bomb()}, protocol=2))
    with pytest.raises(BackboneError, match="pickle that needs code to be read; it was refused"):
        fit(reviews(20), text="review", label="mood", backbone=str(folder))
    assert not Path("EXPLODED").exists()


def test_a_folder_that_is_no_model(here: Path, bert: Path, photos: Path) -> None:
    Path("model").mkdir()
    with pytest.raises(BackboneError, match=r"model exists but is not a model for image inputs.*config\.json"):
        fit_photos(photos, backbone="model")
    with pytest.raises(BackboneError, match="takes text inputs; the data are image"):
        fit_photos(photos, backbone=str(bert))


# --- settings ---


def test_all_faults_of_the_settings_come_at_once(here: Path, headstart_command: Command) -> None:
    NUMBERS.to_csv("numbers.csv", index=False)
    line = (
        "fit numbers.csv --tuning full --objective superised --format tabel --set tuning.epochs=0"
        " --set tuning.batch=8 --set scratch.patience=none --set augmentatoin.degrees=1"
    )
    ended = headstart_command(*line.split())
    assert ended.code == SettingsError.exit_code
    for fault in (
        "'augmentatoin' is not known. Did you mean 'augmentation'?",
        "tuning.epochs = 0: Input should be greater than or equal to 1",
        "tuning.batch is not a setting. Did you mean 'batch_size'?",
        "objective 'superised' is not known. Did you mean 'supervised'",
        "format 'tabel' is not known. Did you mean 'table'",
        "scratch.patience = 'none': Input should be a valid integer",
    ):
        assert fault in ended.err
    assert nothing_was_left(here)


def test_an_objective_of_classes_for_numbers(here: Path, headstart_command: Command) -> None:
    measured = NUMBERS.assign(label=[number / 7 for number in range(len(NUMBERS))])
    measured.to_csv("measured.csv", index=False)
    ended = headstart_command("fit", "measured.csv", "--tuning", "full", "--objective", "contrastive")
    assert ended.code == SettingsError.exit_code
    assert "needs data of which each example has one class, and the task is regression" in ended.err
    line = "fit measured.csv --tuning auto --set objective.weight=2"
    assert "--set objective... needs an objective: name one with --objective" in headstart_command(*line.split()).err
    assert nothing_was_left(here)


def test_a_cache_limit_that_is_no_size(
    here: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, headstart_command: Command
) -> None:
    monkeypatch.setenv("HEADSTART_CACHE_LIMIT", "plenty")
    ended = headstart_command("fit", photos, *OFFLINE)
    assert ended.code == SettingsError.exit_code
    assert "HEADSTART_CACHE_LIMIT: 'plenty' is not a size. Give a number and a unit: B, KB, MB, GB or TB" in ended.err
    assert nothing_was_left(here)


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (["--seed", "-1"], "greater than or equal to 0"),
        (["--budget", "5x"], "'5x' is not a time. Write 90, 90s, 5m or 1h."),
        (["--set", "epochs"], "expected FAMILY.KEY=VALUE, for example tuning.epochs=3"),
        (["--task", "regresion"], "task 'regresion' is not known. Did you mean 'regression' or 'segmentation'"),
        (["--tuning", "scratch", "--set", "scratch.epochs=2"], "--tuning scratch has none: write --set tuning..."),
        (["--augmentation", "affine"], "augmentation 'affine' would do nothing"),
        (["--augmentation", "affine", "--tuning", "full"], "changes image inputs, the data are table"),
    ],
)
def test_a_flag_that_is_not_valid(flags: list[str], reason: str, here: Path, headstart_command: Command) -> None:
    NUMBERS.to_csv("numbers.csv", index=False)
    ended = headstart_command("fit", "numbers.csv", "--no-scratch", *flags)
    assert ended.code == SettingsError.exit_code
    assert reason in ended.err
    assert nothing_was_left(here)


def test_a_repeated_plan_finds_the_same(here: Path, photos: Path, photo_run: Path, headstart_command: Command) -> None:
    ended = headstart_command("fit", photo_run / "plan.toml", "--out", "again")
    assert ended.code == 0, ended.err
    again = headstart.load("again")
    assert again.metrics == headstart.load(photo_run).metrics
    for name in ("model/model.safetensors", "split.csv", "test_predictions.csv"):
        assert (again.folder / name).read_bytes() == (photo_run / name).read_bytes()


def test_a_plan_takes_no_other_flags(here: Path, photo_run: Path, headstart_command: Command) -> None:
    ended = headstart_command("fit", photo_run / "plan.toml", "--seed", "3")
    assert ended.code == SettingsError.exit_code
    assert "says everything itself: edit it, or leave the other settings out" in ended.err
    assert nothing_was_left(here)


def test_a_plan_that_cannot_be_followed(here: Path) -> None:
    with pytest.raises(SettingsError, match=r"missing\.toml cannot be read as a plan"):
        headstart.fit("missing.toml")
    Path("newer.toml").write_text('format_number = 99\ndata = "x"\n')
    with pytest.raises(SettingsError, match="has format 99; this Headstart reads plans up to 2"):
        headstart.fit("newer.toml")
    Path("wrong.toml").write_text('data = "x"\nsed = 3\nbudget = -1\n')
    with pytest.raises(SettingsError, match="Did you mean 'seed'") as raised:
        headstart.fit("wrong.toml")
    assert "budget = -1" in str(raised.value)
    run = fit(NUMBERS, label="target")
    with pytest.raises(SettingsError, match=r"data handed over in memory \(<DataFrame of 40 rows>\)"):
        headstart.fit(run.folder / "plan.toml")


# --- predicting and evaluating ---


def test_inputs_of_another_kind_than_those_learnt_from(photo_run: Path, reviews_csv: Path, review_run: Path) -> None:
    with pytest.raises(DataError, match="the model takes image inputs; the data hold text inputs"):
        headstart.predict(photo_run, reviews_csv)
    with pytest.raises(DataError, match="--text letter: column 'letter' is not known"):
        headstart.predict(review_run, reviews_csv, text="letter")
    with pytest.raises(DataError, match="the model takes 1 text columns; the data have review, answer"):
        headstart.predict(review_run, reviews_csv, text=["review", "answer"])


def test_labels_that_the_run_does_not_know(here: Path, photo_run: Path, headstart_command: Command) -> None:
    photo_folder(Path("more"), {"dark": 2, "green": 2})
    ended = headstart_command("evaluate", photo_run, "more")
    assert ended.code == DataError.exit_code
    assert (
        "class 'green' is not known. Known: dark, light. 2 examples have a label that is not a class here" in ended.err
    )


def test_predictions_go_to_csv_or_parquet(photo_run: Path, photos: Path, headstart_command: Command) -> None:
    ended = headstart_command("predict", photo_run, photos, "--out", "answers.xlsx")
    assert ended.code == SettingsError.exit_code
    assert "predictions are written to .csv or .jsonl or .parquet; got answers.xlsx" in ended.err


def test_nothing_to_predict(here: Path, number_run: Path) -> None:
    NUMBERS.iloc[:0].to_csv("none.csv", index=False)
    for out in (None, "answers.csv"):
        with pytest.raises(DataError, match="there is nothing to predict: the data have no rows"):
            headstart.predict(number_run, "none.csv", out=out)
    assert not Path("answers.csv").exists()


def test_columns_are_found_by_name_and_not_by_place(here: Path, number_run: Path, headstart_command: Command) -> None:
    NUMBERS[["height", "target", "length", "width"]].to_csv("turned.csv", index=False)
    turned, straight = (headstart.predict(number_run, data)["prediction"] for data in ("turned.csv", NUMBERS))
    np.testing.assert_allclose(turned, straight)
    NUMBERS.rename(columns={"width": "widht"}).to_csv("misspelt.csv", index=False)
    ended = headstart_command("predict", number_run, "misspelt.csv")
    assert ended.code == DataError.exit_code
    assert "column 'width' is not known. Did you mean 'widht'?" in ended.err
    NUMBERS.astype(object).replace({"width": {NUMBERS["width"][3]: "wide"}}).to_csv("words.csv", index=False)
    ended = headstart_command("predict", number_run, "words.csv")
    assert ended.code == DataError.exit_code
    assert "column 'width' is not numeric: 'wide' in words.csv:5" in ended.err and "'wide'" in ended.err


def test_a_run_that_is_missing_is_an_error_of_the_run(headstart_command: Command, photos: Path) -> None:
    ended = headstart_command("predict", "runs/photso", photos)
    assert ended.code == RunError.exit_code
    assert "runs/photso is not a folder. A run is the folder that `headstart fit` wrote" in ended.err
