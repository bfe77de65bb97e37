"""`inspect --deep`: what frozen features tell of labels and inputs, and where it is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import headstart
from headstart.kernel.errors import SettingsError
from headstart.pipeline.inspection import Inspection


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
