"""`inspect --against OTHER` finds inputs that are in both sets, and a shift between them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import headstart
from headstart.kernel.errors import DataError
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
