"""`inspect --against OTHER` finds inputs that are in both sets, and a shift between them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import headstart
from headstart.cli.printing import print_inspection
from headstart.contracts.format import Columns
from headstart.kernel.errors import DataError
from headstart.pipeline.compared_labels import class_numbers
from headstart.pipeline.data import read_examples
from tiny_text_models import save_tiny

ORDERED = [f"{first} {second} {third}" for first in "abcd" for second in "efgh" for third in "ijkl"]
WORDS = [ORDERED[row] for row in np.random.default_rng(0).permutation(len(ORDERED))]
DATA = pd.DataFrame({"text": WORDS[::2], "label": ["good", "bad"] * 16})


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_tiny(tmp_path_factory.mktemp("bert") / "bert", "bert"))


def against(other: object, bert: str) -> headstart.verbs.inspect.Inspection:  # type: ignore[name-defined]
    return headstart.inspect(DATA, against=other, text="text", label="label", backbone=bert)


def test_another_half_of_the_same_data_shows_no_shift(bert: str) -> None:
    found = against(pd.DataFrame({"text": WORDS[1::2]}), bert)
    assert found.shift is not None and found.shift.p > 0.01 and found.shift.examples == 32
    (told,) = [one for one in found.findings if "no shift found against <DataFrame>" in one.text]
    assert told.severity == "note"


def test_other_inputs_are_a_warning_with_its_evidence(bert: str) -> None:
    other = pd.DataFrame({"text": [f"Why? A dog barked at {word} and looked at the rain" for word in WORDS]})
    found = against(other, bert)
    assert found.shift is not None and found.shift.p < 0.01 and found.shift.auc > 0.9
    (told,) = [one for one in found.findings if "differ from the data" in one.text]
    assert told.severity == "warning" and "proxy A-distance" in told.text


def test_inputs_of_both_sets_are_counted(bert: str) -> None:
    found = against(pd.DataFrame({"text": [*WORDS[1::2], *WORDS[:4:2]]}), bert)
    assert any("2 of 34 inputs of <DataFrame> are in the data as well" in one.text for one in found.findings)


def test_too_few_and_other_kinds_of_inputs_are_told(bert: str, tmp_path: Path) -> None:
    found = against(pd.DataFrame({"text": WORDS[1:8:2]}), bert)
    assert found.shift is None
    assert any("4 usable inputs are fewer than 10" in one.text for one in found.findings)
    with pytest.raises(DataError, match=r"nowhere\.csv does not exist"):
        against(str(tmp_path / "nowhere.csv"), bert)


def test_labels_of_the_other_set_are_read_and_tell_the_kind(bert: str) -> None:
    half = pd.DataFrame({"text": WORDS[1::2], "label": [*["good"] * 3, *["bad"] * 29]})
    found = against(half, bert).shift
    assert found is not None and found.labels == 32 and found.kind in ("label", "cannot tell")
    assert {one.name for one in found.classes} == {"good", "bad"} and found.classes[0].other == pytest.approx(29 / 32)
    told = found.tests[[one.name for one in found.tests].index("labels")]
    assert told.found and told.corrected < 0.05


def test_a_set_without_labels_is_compared_without_them_and_says_so(bert: str) -> None:
    found = against(pd.DataFrame({"text": WORDS[1::2]}), bert)
    assert found.shift is not None and found.shift.labels == 0 and found.shift.classes[0].other is None
    assert any("is compared without labels: " in one.text for one in found.findings)


def test_label_names_that_the_data_lack_are_a_missing_class(bert: str) -> None:
    words = [f"{first} {second}" for first in WORDS for second in ("m", "n")]
    data = pd.DataFrame({"text": words[::2], "label": ["good", "bad"] * 32})
    other = pd.DataFrame({"text": words[1::2], "label": ["good", "odd"] * 32})
    found = headstart.inspect(data, against=other, text="text", label="label", backbone=bert)
    assert found.shift is not None and found.shift.kind == "support"
    assert found.shift.missing_classes == {"bad": "other", "odd": "data"}
    (told,) = [one for one in found.findings if one.text.startswith("kind of the shift to <DataFrame>: support")]
    assert told.severity == "warning" and "the other set has no 'bad'" in told.text


def test_what_is_least_like_the_other_set_is_listed_and_written(bert: str, tmp_path: Path) -> None:
    other = pd.DataFrame({"text": [f"Why? A dog barked at {word} and looked at the rain" for word in WORDS]})
    table = tmp_path / "findings.csv"
    found = headstart.inspect(DATA, against=other, text="text", label="label", backbone=bert, out=table)
    assert found.shift is not None
    kinds = [one.kind for one in found.shift.faults]
    assert 0 < kinds.count("unlike the data") <= 12 and 0 < kinds.count("unlike the other set") <= 12
    rows = pd.read_csv(table)
    theirs = rows[rows["kind"] == "unlike the data"]
    assert theirs["origin"].str.startswith("<DataFrame>: ").all() and len(theirs) == kinds.count("unlike the data")


@pytest.mark.slow
@pytest.mark.parametrize(("numbers", "kind"), [(np.arange(32.0) / 7, "none"), (np.arange(32.0) / 90, "label")])
def test_labels_that_are_numbers_are_compared_by_bands(bert: str, numbers: np.ndarray, kind: str) -> None:
    data = DATA.assign(label=np.random.default_rng(0).permutation(np.arange(32.0) / 7))
    other = pd.DataFrame({"text": WORDS[1::2], "label": np.random.default_rng(1).permutation(numbers)})
    found = headstart.inspect(data, against=other, text="text", label="label", backbone=bert).shift
    assert found is not None and len(found.classes) == 5 and found.labels == 32
    labels = next(one for one in found.tests if one.name == "labels")
    assert (labels.p > 0.05) == (kind == "none") or labels.basis.endswith("predicted labels")


@pytest.mark.parametrize("labels", [["good"] * 32, [None] * 32])
def test_data_of_one_class_or_none_are_compared_by_their_inputs(bert: str, labels: list[str | None]) -> None:
    other = pd.DataFrame({"text": [f"Why? A dog barked at {word} and looked at the rain" for word in WORDS]})
    found = headstart.inspect(DATA.assign(label=labels), against=other, text="text", label="label", backbone=bert)
    assert found.shift is not None and found.shift.kind == "cannot tell" and found.shift.classes == ()


def test_an_empty_set_and_one_of_another_modality_are_refused(bert: str, tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_text("text,label\n")
    with pytest.raises(DataError):
        against(str(tmp_path / "empty.csv"), bert)
    Image.new("RGB", (40, 40)).save(tmp_path / "picture.png")
    with pytest.raises(DataError, match="image"):
        against(str(tmp_path / "picture.png"), bert)


def test_the_terminal_and_the_page_show_every_test_and_the_mix_of_classes(
    bert: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = pd.DataFrame({"text": WORDS[1::2], "label": [*["good"] * 3, *["bad"] * 29]})
    page = tmp_path / "page.html"
    found = headstart.inspect(DATA, against=other, text="text", label="label", backbone=bert, out=page)
    print_inspection(found)
    shown, written = capsys.readouterr().out, page.read_text()
    assert found.shift is not None and len(found.shift.tests) >= 7
    for one in found.shift.tests:
        assert one.name in shown and one.name in written
    assert "do the sets differ in" in shown and 'id="shift"' in written
    assert "90.6%" in shown and "90.6%" in written  # of the other set that is labelled bad


def test_a_small_set_whose_classes_pass_for_numbers_has_the_same_classes() -> None:
    sets = [pd.DataFrame({"text": [f"w {k}" for k in range(n)], "label": np.arange(n) % 12}) for n in (600, 12)]
    one, other = (read_examples(of, Columns(text=("text",), label="label"))[0] for of in sets)
    mine, theirs, names = class_numbers(one, other, "auto")
    assert len(names) == 12 and theirs is not None and mine is not None and theirs.tolist() == mine[:12].tolist()


@pytest.mark.parametrize(("value", "told"), [(np.nan, "0 usable inputs are fewer than 10"), (1.0, "no shift found")])
def test_numbers_that_are_missing_or_constant_are_no_fault(value: float, told: str) -> None:
    data = pd.DataFrame({"a": np.arange(60) / 7, "b": 2.0, "label": ["x", "y"] * 30})
    other = data.assign(a=value)
    found = headstart.inspect(data if value != value else other, against=other, label="label")
    assert any(told in one.text for one in found.findings)
