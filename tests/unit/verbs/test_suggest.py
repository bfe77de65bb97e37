"""`suggest` chooses examples of a pool, never a labelled one or a copy, and writes a list or a page."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

import headstart
from headstart.__main__ import main
from headstart.engine.frozen.infer import Predictor
from headstart.kernel.errors import DataError, SettingsError
from headstart.pipeline.listing import listed
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
    assert "Skipped 5 examples of the pool: copies of others in it" in found.notes
    assert "Skipped 1 input, such as row 69: it is empty" in found.notes


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


@pytest.mark.slow
def test_a_run_gives_its_data_columns_and_backbone_and_says_of_what_it_is_unsure(
    bert: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    known = labelled(64).rename(columns={"text": "review", "label": "mood"})
    known.to_csv("known.csv", index=False)
    run = headstart.fit("known.csv", text="review", label="mood", backbone=bert, scratch=False, out="run")
    pd.DataFrame({"review": [f"{word} new" for word in WORDS]}).to_csv("pool.csv", index=False)
    assert headstart.suggest("pool.csv", labelled="run", count=5, method="typical").labelled == 64
    known.assign(mood=known["mood"].map({"good": "bad", "bad": "good"})).to_csv("known.csv", index=False)
    found = headstart.suggest("pool.csv", labelled="run", count=5)
    wanted = run.predict("pool.csv").set_index("review")
    for row in found.rows:
        prediction, confidence = wanted.loc[row.text, ["prediction", "confidence"]]
        assert row.reason == f"guessed {prediction}, {confidence:.0%} sure"
    narrow = str(save_tiny(tmp_path / "narrow", "bert", hidden_size=16))
    other = headstart.suggest("pool.csv", labelled="run", count=5, backbone=narrow)  # the head of the run is of no use
    assert other.method == "uncertain" and other.rows[0].reason.startswith("guessed ")


@pytest.mark.slow
@pytest.mark.parametrize("method", ["typical", "covering"])
def test_labels_of_one_class_still_say_what_is_covered(method: str, bert: str) -> None:
    known = labelled(6).assign(label="good")
    pool = pd.DataFrame({"text": WORDS})
    found = headstart.suggest(pool, labelled=known, count=9, text="text", backbone=bert)
    assert found.method == "typical" and "all 6 labels are 'good'" in found.reason and len(found.rows) == 9
    found = headstart.suggest(pool, labelled=known, count=9, text="text", backbone=bert, method=method)
    assert found.method == method and found.reason == "it was asked for" and len(found.rows) == 9
    with pytest.raises(SettingsError, match=r"--method uncertain is not possible: .*all 6 labels are 'good'"):
        headstart.suggest(pool, labelled=known, text="text", backbone=bert, method="uncertain")


@pytest.mark.parametrize("without", [10, 24])
def test_rows_of_the_labelled_data_without_a_label_are_the_pool(without: int, bert: str) -> None:
    both = labelled(24)
    both.loc[both.index[:without], "label"] = None
    both.loc[both.index[0], "label"] = " "
    known = both if without == 10 else None  # the pool's own labels
    found = headstart.suggest(both, labelled=known, count=30, text="text", label="label", backbone=bert)
    assert {row.text for row in found.rows} == set(both["text"][:without]) and found.labelled == 24 - without
    assert f"Counted {without} of the labelled data as unlabelled: they have no label" in found.notes


def test_a_small_pool_is_suggested_whole_and_unknown_methods_are_refused(bert: str) -> None:
    pool = pd.DataFrame({"text": WORDS[:7]})
    found = headstart.suggest(pool, count=50, text="text", label="not there yet", backbone=bert)
    assert len(found.rows) == 7
    assert "The pool has 7 examples to label, fewer than the 50 asked for" in found.notes
    with pytest.raises(SettingsError, match=r"method 'typicl' is not known\. Did you mean 'typical'"):
        headstart.suggest(pool, text="text", backbone=bert, method="typicl")


def test_examples_whose_features_are_no_numbers_are_counted_and_passed_over(bert: str, tmp_path: Path) -> None:
    broken = tmp_path / "bert"
    shutil.copytree(bert, broken)
    weights = load_file(broken / "model.safetensors")
    name = next(name for name in weights if name.endswith("word_embeddings.weight"))
    weights[name][AutoTokenizer.from_pretrained(bert)("d")["input_ids"][1]] = (
        3e38  # overflows in the first normalisation
    )
    save_file(weights, broken / "model.safetensors", {"format": "pt"})
    known = labelled(64)
    found = headstart.suggest(
        pd.DataFrame({"text": [f"{word} new" for word in WORDS]}), labelled=known, text="text", backbone=str(broken)
    )
    assert found.pool == 48 and all(not row.text.startswith("d") for row in found.rows)
    assert any("Skipped 16 inputs" in note and "features that hold NaN" in note for note in found.notes)
    assert any("Skipped 16 labelled inputs" in note for note in found.notes)


@pytest.mark.slow
def test_texts_whose_words_a_tagger_is_unsure_of_are_suggested_by_its_run(bert: str, tmp_path: Path) -> None:
    words = [word.split() for word in WORDS]
    known, pool = tmp_path / "known.conll", tmp_path / "pool.csv"
    known.write_text("\n".join(f"{a} O\n{b} B-x\n{c} {'B-x' if c == 'i' else 'O'}\n" for a, b, c in words))
    pd.DataFrame({"text": [f"{c} {b} {a}" for a, b, c in words[::4]]}).to_csv(pool, index=False)
    run = headstart.fit(known, backbone=bert, scratch=False, out=tmp_path / "run")
    assert headstart.suggest(pool, labelled=known, count=3, backbone=bert).method == "typical"
    found = headstart.suggest(pool, labelled=run.folder, count=16, method="uncertain")
    margins = [float(row.reason.rpartition(" ")[2].rstrip("%")) for row in found.rows]
    assert len(found.rows) == 16 and margins[0] == min(margins) < max(margins)
    predictor = Predictor(run.model)
    examples = listed(pool, run.model.columns.model_copy(update={"text": ("text",)}), run.plan)
    shares = [np.sort(np.exp(row), axis=1) for row in predictor(examples).prediction.columns["log_probabilities"]]
    wanted = {f"mean margin of the likeliest answers {np.mean(row[:, -1] - row[:, -2]):.0%}" for row in shares}
    assert {row.reason for row in found.rows} == wanted


def test_inputs_called_as_our_columns_are_keep_their_names_in_a_list(tmp_path: Path) -> None:
    pool = pd.DataFrame({"origin": np.arange(40) % 7, "reason": np.arange(40.0)})
    for _ in range(2):  # a list of ours is replaced
        found = headstart.suggest(pool, count=3, numeric=["origin", "reason"], out=tmp_path / "list.csv")
    written = pd.read_csv(tmp_path / "list.csv")
    assert list(written.columns) == ["suggested origin", "suggested reason", "origin", "reason"]
    assert written["reason"].tolist() == [row.inputs["reason"] for row in found.rows]
    assert written["suggested reason"].tolist() == [row.reason for row in found.rows]


def test_tables_take_the_options_of_a_fit(tmp_path: Path) -> None:
    draws = np.random.default_rng(0)
    rows = {"size": draws.normal(size=60), "shop": draws.integers(0, 4, 60), "junk": draws.normal(size=60)}
    pool = pd.DataFrame(rows)
    found = headstart.suggest(pool, count=6, categorical="shop", leave_out="junk")
    assert found.rows[0].text.startswith("size: ") and ", shop: " in found.rows[0].text
    assert any("as numbers: size; as categories: shop (4 values)" in note for note in found.notes)
    known = pool[:8].assign(kind=["a", "b"] * 4)
    found = headstart.suggest(pool, labelled=known, label="kind", count=6, categorical="shop", leave_out="junk")
    assert found.pool == 52 and "Skipped 8 examples of the pool: labelled already" in found.notes


def test_pictures_that_cannot_be_read_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for number, colour in enumerate(["red", "green", "blue", "white"]):
        Image.new("RGB", (40, 40), colour).save(tmp_path / f"{number}.png")
    whole = (tmp_path / "3.png").read_bytes()
    (tmp_path / "4.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "5.png").write_bytes(b"")
    found = headstart.suggest(".", count=9, backbone="embedded")
    assert found.pool == 4 and {row.origin for row in found.rows} == {f"{number}.png" for number in range(4)}
    assert {row.inputs["path"] for row in found.rows} == {str(tmp_path / row.origin) for row in found.rows}
    assert any("4.png" in note for note in found.notes) and any("5.png" in note for note in found.notes)
    with pytest.raises(DataError, match="has image inputs, the labelled data text inputs"):
        headstart.suggest(tmp_path, labelled=labelled(8))


@pytest.mark.slow
def test_a_list_and_a_page_are_written_and_nothing_else_is_replaced(
    bert: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    pd.DataFrame({"text": WORDS}).to_csv("pool.csv", index=False)
    for out, method in (("next.csv", "auto"), ("next.html", "covering"), ("next.csv", "auto")):
        monkeypatch.setattr(
            "sys.argv",
            ["headstart", "suggest", "pool.csv", "--count", "7", "--out", out, "--backbone", bert, "--method", method],
        )
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
    assert "7 of 64 examples" in capsys.readouterr().out
    listed = pd.read_csv("next.csv")
    assert list(listed.columns) == ["origin", "reason", "text"] and len(listed) == 7
    known = listed.assign(label=["a", "b", "a", "b", "a", "b", "a"])
    assert headstart.suggest("pool.csv", labelled=known, text="text", label="label", backbone=bert).pool == 57
    known.to_csv("next.csv", index=False)
    with pytest.raises(SettingsError, match="will not be replaced"):  # the labels are the user's
        headstart.suggest("pool.csv", count=7, out="next.csv", backbone=bert)
    page = Path("next.html").read_text()
    assert page.count('<li class="card">') == 7 and "<script" not in page
    assert "examples that stand for many without a label" in page
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
