"""`inspect --deep`: what frozen features tell of labels and inputs, and where it is written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

import headstart
from headstart.kernel.errors import SettingsError
from headstart.pipeline.inspection import Inspection
from tiny_text_models import save_tiny


def measured(rows: int = 120, classes: int = 2, seed: int = 0) -> pd.DataFrame:
    """Clouds of numbers, one for each class."""
    draws = np.random.default_rng(seed)
    labels = draws.permutation(np.arange(rows) % classes)
    numbers = draws.normal(size=(rows, 6)) + 5.0 * np.eye(6)[labels]
    return pd.DataFrame(numbers, columns=list("abcdef")).assign(label=[f"class {k}" for k in labels])


def kinds(found: Inspection, kind: str) -> list[str]:
    assert found.deep is not None
    return [fault.origin for fault in found.deep.faults if fault.kind == kind]


def told(found: Inspection) -> str:
    return "\n".join(f"{one.severity}: {one.text}" for one in found.findings)


def test_flipped_labels_are_named_with_the_likely_class() -> None:
    data = measured()
    flipped = [4, 50, 77]
    data.loc[flipped, "label"] = ["class 1" if name == "class 0" else "class 0" for name in data.loc[flipped, "label"]]
    found = headstart.inspect(data, deep=True, label="label")
    origins = {f"row {row}" for row in flipped}
    assert found.deep is not None and origins <= {*kinds(found, "wrong label")}
    worst = found.deep.faults[0]
    assert worst.given != worst.likely and worst.score is not None and worst.score < 0.1
    assert "warning: " in told(found) and " labels look wrong, " in told(found)


def test_an_input_unlike_all_others_is_an_outlier() -> None:
    data = measured()
    data.loc[9, list("abcdef")] = [-30.0, 40.0, -30.0, 50.0, -30.0, 20.0]
    found = headstart.inspect(data, deep=True, label="label")
    assert "row 9" in kinds(found, "outlier")


def test_classes_drawn_from_the_same_cloud_overlap() -> None:
    data = measured(240, 3)
    same = data["label"] != "class 0"
    data.loc[same, list("abcdef")] = np.random.default_rng(1).normal(size=(int(same.sum()), 6))
    found = headstart.inspect(data, deep=True, label="label")
    assert "classes that overlap: 'class 1' and 'class 2' (" in told(found)


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        (["same"] * 60, "--deep did not look at labels: a fit would refuse them"),
        ([None] * 30 + ["one", "two"] * 15, "--deep did not look at labels: a fit would refuse them"),
    ],
)
def test_labels_that_cannot_be_learnt_leave_the_rest(labels: list[str | None], why: str) -> None:
    data = measured(60).assign(label=labels)
    data.loc[9, list("abcdef")] = [-300.0, 400.0, -300.0, 500.0, -300.0, 200.0]
    found = headstart.inspect(data, deep=True, label="label")
    assert why in told(found) and "row 9" in kinds(found, "outlier")


def test_fewer_examples_than_folds_and_rare_classes_are_told() -> None:
    few = pd.DataFrame({"a": [1.0, 2.0, 3.0, 4.0], "b": [0.0, 1.0, 0.5, 2.0], "label": ["x", "y", "x", "y"]})
    assert "4 examples, or groups of them, are fewer than the 5 folds" in told(headstart.inspect(few, deep=True))
    rare = measured()
    rare.loc[:1, "label"] = "seldom"
    found = headstart.inspect(rare, deep=True, label="label")
    assert "labels of classes with fewer than 5 examples are not checked: 'seldom'" in told(found)
    assert not {"row 0", "row 1"} & {*kinds(found, "wrong label")}


def test_all_findings_are_written_as_a_table_and_nothing_else_is_replaced(tmp_path: Path) -> None:
    data, source = measured(), tmp_path / "data.csv"
    data.loc[3, "label"] = "class 1" if data.loc[3, "label"] == "class 0" else "class 0"
    pd.concat([data, data.loc[[7]]]).to_csv(source, index=False)
    out = tmp_path / "findings.csv"
    for _ in range(2):  # its own table is replaced
        headstart.inspect(source, deep=True, label="label", out=out)
    table = pd.read_csv(out, keep_default_na=False)
    rows = {(row.kind, row.origin) for row in table.itertuples()}
    assert ("exact copy", "data.csv:122") in rows and ("wrong label", "data.csv:5") in rows
    assert ("warning", "") in rows
    before = source.read_bytes()
    for place in (source, tmp_path / "other.csv", tmp_path / "findings.txt"):
        (tmp_path / "other.csv").write_text("mine\n1\n")
        with pytest.raises(SettingsError):
            headstart.inspect(source, label="label", out=place)
    assert source.read_bytes() == before


def camera(rows: int = 240) -> pd.DataFrame:
    """Pictures of an old camera, in a column that is not learnt from, have labels at random."""
    data, draws = measured(rows), np.random.default_rng(5)
    old = np.arange(rows) % 3 == 0
    data.loc[old, "label"] = draws.choice(["class 0", "class 1"], int(old.sum()))
    return data.assign(camera=np.where(old, "old", "new"))


def test_a_column_of_which_one_value_is_predicted_badly_is_a_weak_group() -> None:
    found = headstart.inspect(camera(), deep=True, numeric=list("abcdef"), slices="camera", label="label")
    assert found.deep is not None
    (weak,) = [one for one in found.deep.faults if one.kind == "weak group" and "camera" in one.given]
    assert weak.given == "column 'camera' 'old'" and "80 examples" in weak.detail and weak.score is not None
    assert "warning: the probe does worse on a group: column 'camera' 'old'" in told(found)


def test_a_column_that_goes_with_the_label_is_named() -> None:
    data = measured(200)
    data = data.assign(site=np.where(data["label"] == "class 0", "north", "south"))
    data.loc[:5, "site"] = "north"
    found = headstart.inspect(data, deep=True, numeric=list("abcdef"), slices="site", label="label")
    assert "warning: column 'site' alone tells 'class 0' from the rest" in told(found)


@pytest.mark.slow
def test_an_order_that_is_not_random_is_told() -> None:
    data = measured(200)
    assert "the order of the examples is not random" not in told(headstart.inspect(data, deep=True, label="label"))
    drift = data.assign(a=np.linspace(0, 40, 200), b=np.linspace(30, 0, 200))
    found = headstart.inspect(drift, deep=True, label="label")
    assert "warning: the order of the examples is not random" in told(found)


@pytest.mark.slow
def test_sets_of_labels_and_numbers_that_look_wrong_are_named() -> None:
    draws = np.random.default_rng(0)
    truth = draws.random((200, 3)) < 0.4
    data = pd.DataFrame(6.0 * truth @ np.eye(3, 6) + draws.normal(size=(200, 6)), columns=list("abcdef"))
    truth[17, 0] = not truth[17, 0]
    sets = ["|".join(name for name, held in zip("xyz", row) if held) for row in truth]
    found = headstart.inspect(data.assign(label=sets), deep=True, task="multilabel", label="label")
    assert found.deep is not None and found.deep.faults[0].origin == "row 17"
    assert found.deep.faults[0].detail in ("'x' missing", "'x' out of place")
    rare = [f"{one}|w".strip("|") if row < 8 else one for row, one in enumerate(sets)]
    grouped = data.assign(label=rare, site=np.maximum(np.arange(200), 8) // 2)  # w in a single group
    found = headstart.inspect(
        grouped, deep=True, task="multilabel", label="label", group="site", numeric=list("abcdef")
    )
    assert found.deep is not None and found.deep.faults[0].origin == "row 17"
    assert not any("'w'" in one.detail for one in found.deep.faults if one.kind == "wrong label")
    values = 10 + data.to_numpy() @ np.arange(6.0) + draws.normal(size=200)
    values[31] += 100
    found = headstart.inspect(data.assign(label=values), deep=True, task="regression", label="label")
    assert kinds(found, "wrong label") == ["row 31"]
    assert "1 label looks wrong, such as row 31" in told(found)


def test_the_page_has_every_kind_and_is_replaced_only_by_its_own(tmp_path: Path) -> None:
    data = measured()
    data.loc[3, "label"] = "class 1" if data.loc[3, "label"] == "class 0" else "class 0"
    page = tmp_path / "findings.html"
    for _ in range(2):
        headstart.inspect(pd.concat([data, data.loc[[7]]]), deep=True, label="label", out=page)
    text = page.read_text(encoding="utf-8")
    assert "Labels that look wrong" in text and "Exact copies" in text and "row 3" in text
    page.write_text("mine")
    with pytest.raises(SettingsError, match="will not be replaced"):
        headstart.inspect(data, label="label", out=page)


def test_a_cleaned_list_is_read_by_a_fit_and_says_why_others_were_dropped(tmp_path: Path) -> None:
    data, source, fixed = measured(), tmp_path / "data.csv", tmp_path / "cleaned.csv"
    flipped = "class 1" if data.loc[3, "label"] == "class 0" else "class 0"
    data.loc[3, "label"] = flipped
    pd.concat([data, data.loc[[7]]]).assign(part=["train"] * 120 + ["test"]).to_csv(source, index=False)
    before = source.read_bytes()
    for _ in range(2):
        headstart.inspect(source, deep=True, label="label", part="part", fix=fixed)
    assert source.read_bytes() == before
    kept = pd.read_csv(fixed)
    assert len(kept) == 119 and [*kept.columns] == [*"abcdef", "label", "part"]
    assert kept["part"].tolist().count("test") == 1  # of the copies the one outside the training part
    reasons = pd.read_csv(tmp_path / "cleaned.reasons.csv").set_index("origin")
    assert reasons.loc["data.csv:9", "reason"] == "copy of data.csv:122"
    assert reasons.loc["data.csv:5", "reason"].startswith(f"wrong label: '{flipped}', likely ")
    assert headstart.inspect(fixed, label="label", part="part").exact_duplicates == 0
    for place in (source, tmp_path / "findings.html"):
        with pytest.raises(SettingsError):
            headstart.inspect(source, label="label", fix=place)
    fixed.with_name("mine.csv").write_text("mine")
    with pytest.raises(SettingsError, match="will not be replaced"):
        headstart.inspect(source, label="label", fix=fixed.with_name("mine.csv"))


def test_contradicting_copies_and_unreadable_pictures_are_dropped_from_the_list(tmp_path: Path) -> None:
    for label, seeds in {"cats": range(8), "dogs": range(8, 16)}.items():
        (tmp_path / "photos" / label).mkdir(parents=True)
        for seed in seeds:
            noise = np.random.default_rng(seed).integers(0, 255, (24, 24, 3), dtype=np.uint8)
            Image.fromarray(noise).save(tmp_path / "photos" / label / f"{seed}.png")
    photos = tmp_path / "photos"
    (photos / "dogs" / "again.png").write_bytes((photos / "cats" / "3.png").read_bytes())
    (photos / "cats" / "cut.png").write_bytes(b"")
    headstart.inspect(photos, fix=tmp_path / "cleaned.csv")
    kept = pd.read_csv(tmp_path / "cleaned.csv")
    assert len(kept) == 15
    assert all(Path(path).is_file() for path in kept["path"])
    reasons = pd.read_csv(tmp_path / "cleaned.reasons.csv").set_index("origin")["reason"]
    assert sorted(reasons[["cats/3.png", "dogs/again.png"]]) == [
        f"conflicting labels: a copy is labelled '{label}'" for label in ("cats", "dogs")
    ]
    assert reasons["cats/cut.png"].startswith("unreadable")


def test_features_of_nan_are_left_out_and_the_rest_is_looked_at(tmp_path: Path) -> None:
    bert = save_tiny(tmp_path / "bert", "bert")
    weights = load_file(bert / "model.safetensors")
    (name,) = [name for name in weights if name.endswith("word_embeddings.weight")]
    weights[name][AutoTokenizer.from_pretrained(bert)("dog", add_special_tokens=False)["input_ids"]] = (
        3e38  # finite, but not what follows
    )
    save_file(weights, bert / "model.safetensors", {"format": "pt"})
    draws = np.random.default_rng(0)
    texts = [" ".join(draws.choice(["cat", "mat", "rain", "model"], 5)) + f" {row}" for row in range(80)]
    texts[70] = "a dog barked"
    data = pd.DataFrame({"text": texts, "label": ["x", "y"] * 40})
    found = headstart.inspect(data, deep=True, backbone=str(bert))
    assert "1 example has no features: row 70 has features of NaN or infinity" in told(found)
    assert kinds(found, "no features") == ["row 70"] and found.deep is not None
    assert (found.deep.examples, found.deep.folds) == (79, 5)
    nothing = headstart.inspect(data.assign(text=[f"dog {row}" for row in range(80)]), deep=True, backbone=str(bert))
    assert "--deep has no features to look at: none of the 80 examples has features" in told(nothing)


@pytest.mark.slow
def test_a_cleaned_list_of_tagged_texts_is_jsonl_that_a_fit_reads(tmp_path: Path) -> None:
    lines = [line for row in range(12) for line in (f"Ann{row} B-person", "came O", f"home{row} O", "")]
    (tmp_path / "all.conll").write_text("\n".join([*lines, *lines[:4]]))
    with pytest.raises(SettingsError, match=r"holds lists, which cleaned\.csv cannot; give a name in \.jsonl"):
        headstart.inspect(tmp_path / "all.conll", fix=tmp_path / "cleaned.csv")
    headstart.inspect(tmp_path / "all.conll", fix=tmp_path / "cleaned.jsonl")
    again = headstart.inspect(tmp_path / "cleaned.jsonl", text="text", label="spans")
    assert again.examples == 12 and "12 labelled spans in 12 texts: person 12" in told(again)


def test_a_cleaned_list_in_jsonl_keeps_dates_and_small_numbers(tmp_path: Path) -> None:
    data = pd.DataFrame({"text": [f"a cat {row}" for row in range(30)], "label": ["x", "y"] * 15})
    data = data.assign(dose=1.25e-12, taken=pd.Timestamp("2024-03-01"))
    headstart.inspect(data, text="text", label="label", fix=tmp_path / "cleaned.jsonl")
    first = json.loads((tmp_path / "cleaned.jsonl").read_text().splitlines()[0])
    assert first["dose"] == pytest.approx(1.25e-12, abs=0) and first["taken"].startswith("2024-03-01")


def test_findings_and_a_cleaned_list_do_not_share_a_file(tmp_path: Path) -> None:
    fix = tmp_path / "cleaned.csv"
    for out in (fix, tmp_path / "cleaned.reasons.csv"):
        with pytest.raises(SettingsError, match="--out and --fix would both write"):
            headstart.inspect(measured(), label="label", out=out, fix=fix)


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_classes_that_are_all_rare_are_said_not_to_be_checked() -> None:
    found = headstart.inspect(
        measured()[:60].assign(label=[f"c{row // 3}" for row in range(60)]), deep=True, label="label"
    )
    assert "labels of classes with fewer than 5 examples are not checked" in told(found)
