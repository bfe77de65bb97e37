"""`suggest` chooses examples of a pool, never a labelled one or a copy, and writes a list or a page."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import headstart
from headstart.__main__ import main
from headstart.kernel.errors import DataError, SettingsError
from tiny_text_models import save_tiny

WORDS = [f"{first} {second} {third}" for first in "abcd" for second in "efgh" for third in "ijkl"]


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_tiny(tmp_path_factory.mktemp("bert") / "bert", "bert"))


def labelled(rows: int) -> pd.DataFrame:
    texts = [f"{word} {number}" for number in range(2) for word in WORDS][:rows]
    return pd.DataFrame({"text": texts, "label": [("good", "bad")[k % 2] for k in range(rows)]})


def test_without_labels_typical_examples_are_suggested_once_each(bert: str) -> None:
    pool = pd.DataFrame({"text": [*WORDS, *WORDS[:5], " "]})
    found = headstart.suggest(pool, count=10, text="text", backbone=bert)
    assert found.method == "typical" and found.pool == len(WORDS) and found.labelled == 0
    assert len({row.text for row in found.rows}) == 10
    assert any("Skipped 5 examples" in note for note in found.notes)
    assert any("Skipped 1 inputs" in note for note in found.notes)


@pytest.mark.parametrize(("rows", "method"), [(12, "typical"), (96, "uncertain")])
def test_the_number_of_labels_decides_the_method_and_labelled_ones_are_passed_over(
    rows: int, method: str, bert: str
) -> None:
    known = labelled(rows)
    pool = pd.DataFrame({"text": [*known["text"][:8], *(f"{word} new" for word in WORDS)], "label": "unread"})
    found = headstart.suggest(pool, labelled=known, count=200, text="text", label="label", backbone=bert)
    assert found.method == method and str(10) in found.reason
    assert {row.text for row in found.rows} == {f"{word} new" for word in WORDS}
    assert found.labelled == rows


def test_a_run_gives_its_data_columns_and_backbone(bert: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    labelled(64).rename(columns={"text": "review", "label": "mood"}).to_csv("known.csv", index=False)
    headstart.fit("known.csv", text="review", label="mood", backbone=bert, scratch=False, out="run")
    pd.DataFrame({"review": [f"{word} new" for word in WORDS]}).to_csv("pool.csv", index=False)
    found = headstart.suggest("pool.csv", labelled="run", count=5)
    assert found.labelled == 64 and len(found.rows) == 5


def test_a_list_and_a_page_are_written_and_nothing_else_is_replaced(
    bert: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    pd.DataFrame({"text": WORDS}).to_csv("pool.csv", index=False)
    for out in ("next.csv", "next.html", "next.csv"):
        monkeypatch.setattr(
            "sys.argv", ["headstart", "suggest", "pool.csv", "--count", "7", "--out", out, "--backbone", bert]
        )
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
    assert "7 of 64 examples" in capsys.readouterr().out
    listed = pd.read_csv("next.csv")
    assert list(listed.columns) == ["origin", "reason"] and len(listed) == 7
    page = Path("next.html").read_text()
    assert page.count('<li class="card">') == 7 and "<script" not in page
    Path("mine.csv").write_text("a,b\n1,2\n")
    with pytest.raises(SettingsError, match="is not a list of suggestions"):
        headstart.suggest("pool.csv", count=7, out="mine.csv", backbone=bert)
    with pytest.raises(SettingsError, match=r"written to \.csv or \.html"):
        headstart.suggest("pool.csv", out="next.txt", backbone=bert)
    with pytest.raises(SettingsError, match="an input"):
        headstart.suggest("pool.csv", out="pool.csv", backbone=bert)


def test_a_pool_that_is_all_labelled_is_refused(bert: str) -> None:
    known = labelled(40)
    with pytest.raises(DataError, match="nothing of the pool is left to label"):
        headstart.suggest(known[["text"]], labelled=known, text="text", label="label", backbone=bert)
