"""Predictions for texts, lists and standard input, and how the rows that come out tell what they are about."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import headstart
from headstart.kernel.errors import DataError

Command = Callable[..., Any]
TEXTS = ["a wonderful, warm film", "dull and too long", "I'd see it again 10/10"]


@pytest.fixture
def piped(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    return lambda content: monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))


def expected(run: Path) -> list[float]:
    confidences: list[float] = headstart.predict(run, pd.DataFrame({"review": TEXTS}))["confidence"].tolist()
    return confidences


def test_texts_in_memory_are_predicted_as_those_of_a_table(review_run: Path) -> None:
    for given in (TEXTS, tuple(TEXTS), pd.Series(TEXTS), pd.Series(TEXTS).to_numpy(), [{"review": t} for t in TEXTS]):
        found = headstart.predict(review_run, given)
        assert found["confidence"].tolist() == pytest.approx(expected(review_run), abs=1e-6)
        assert TEXTS in (found.get("text", pd.Series()).tolist(), found.get("review", pd.Series()).tolist())
    assert headstart.predict(review_run, pd.Series(TEXTS, index=[7, 8, 9]))["origin"].tolist()[0] == "row 7"
    for text in (*TEXTS, "great", "and/or so they say"):
        assert headstart.predict(review_run, text)["text"].tolist() == [text]


@pytest.mark.parametrize(
    "given", [["a", None], ["a", float("nan")], ["a", 3], pd.Series(["a", None]), [], pd.Series([])]
)
def test_what_is_no_text_is_refused(given: Any, review_run: Path) -> None:
    with pytest.raises(DataError, match=r"row 1 .*expected a text|nothing to predict"):
        headstart.predict(review_run, given)


@pytest.mark.parametrize(
    "path",
    ["missing.csv", "my reviews.csv", "no/folder", "/data", "./a text", "~/reviews", "review", "a\\b", "here/my text"],
)
def test_a_path_that_does_not_exist_is_no_text(path: str, review_run: Path, here: Path) -> None:
    (here / "reviews").mkdir()
    (here / "here").mkdir()
    with pytest.raises(DataError, match=r"does not exist.*in a list.*predict RUN -"):
        headstart.predict(review_run, path)


def test_pictures_are_still_paths(photo_run: Path, photos: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        headstart.predict(photo_run, "a text")
    paths = sorted(map(str, photos.rglob("*.png")))[:3]
    for given in (paths, pd.Series(paths)):
        assert headstart.predict(photo_run, given)["origin"].tolist() == paths


CSV = pd.DataFrame({"n": [1, 2, 3], "review": TEXTS}).to_csv(index=False).encode()
RECORDS = [{"review": text} for text in TEXTS]
LINES = "".join(f"{json.dumps(record)}\n" for record in RECORDS).encode()


@pytest.mark.parametrize(
    ("content", "ending"),
    [
        ("\n".join(TEXTS).encode(), "txt"),
        ("\r\n".join([TEXTS[0], "", *TEXTS[1:]]).encode("utf-8-sig"), "txt"),
        ("\n".join(TEXTS).encode("utf-16"), "txt"),
        (CSV, "csv"),
        (CSV.replace(b"n,", b"n;").replace(b"1,", b"1;").replace(b"2,", b"2;").replace(b"3,", b"3;"), "csv"),
        (LINES, "jsonl"),
        (LINES.splitlines()[0], "jsonl"),
        (json.dumps(RECORDS, indent=1).encode(), "json"),
        (json.dumps({"review": TEXTS}).encode(), "json"),
        (b"[sic] a text\n{not} json", "txt"),
    ],
)
def test_standard_input_is_lines_json_or_a_table(
    content: bytes, ending: str, review_run: Path, headstart_command: Command, piped: Callable[[bytes], None]
) -> None:
    piped(content)
    ended = headstart_command("predict", review_run, "-", "--jsonl")
    assert ended.code == 0, ended.err
    rows = [json.loads(line) for line in ended.out.splitlines()]
    assert {row["origin"].partition(":")[0] for row in rows} == {f"stdin.{ending}"}
    texts = [row.get("review", row.get("text")) for row in rows]
    assert texts == (["[sic] a text", "{not} json"] if b"sic" in content else TEXTS[: len(rows)])


def test_empty_standard_input_is_refused(
    review_run: Path, headstart_command: Command, piped: Callable[[bytes], None]
) -> None:
    piped(b" \n")
    ended = headstart_command("predict", review_run, "-")
    assert ended.code == 3 and "standard input is empty" in ended.err


@pytest.mark.parametrize("out", ["p.csv", "p.jsonl", "p.parquet"])
def test_rows_carry_their_id_or_else_their_input(out: str, review_run: Path, here: Path) -> None:
    frame = pd.DataFrame({"tweet_id": ["007", "8", "9"], "review": [*TEXTS[:2], ""]})
    frame.to_csv("with.csv", index=False)
    frame[["review"]].rename(columns={"review": "prediction"}).to_csv("without.csv", index=False)
    Path("lines.txt").write_text("\n".join(TEXTS))
    readers = {"p.csv": lambda: pd.read_csv(out, dtype=str), "p.parquet": lambda: pd.read_parquet(out)}
    flags: dict[str, Any] = {"with.csv": {}, "without.csv": {"text": "prediction"}, "lines.txt": {}}
    wanted = {"with.csv": "tweet_id", "without.csv": "input prediction", "lines.txt": "text"}
    for source, column in wanted.items():
        headstart.predict(review_run, source, out=out, **flags[source])
        found = readers[out]() if out in readers else pd.read_json(out, lines=True, dtype={"tweet_id": str})
        assert list(found)[:3] == ["origin", column, "prediction"] and list(found)[-1] == "error"
        shown = {"with.csv": ["007", "8", "9"], "lines.txt": TEXTS}.get(source, TEXTS[:2])
        assert found[column].tolist()[: len(shown)] == shown
    if out == "p.jsonl":
        assert [json.loads(line)["error"] for line in Path(out).read_text().splitlines()] == [None] * 3


def test_jsonl_beside_another_kind_of_file_is_refused(review_run: Path, headstart_command: Command) -> None:
    ended = headstart_command("predict", review_run, "a text", "--jsonl", "--out", "p.csv")
    assert ended.code == 2 and "--jsonl would do nothing" in ended.err


def test_numbers_carry_their_inputs(number_run: Path, numbers_csv: Path, here: Path) -> None:
    frame = pd.read_csv(numbers_csv)
    found = headstart.predict(number_run, frame)
    assert list(found)[1:-2] == [name for name in frame if name != "target"]
    assert headstart.predict(number_run, frame.drop(columns="target").to_numpy().tolist())["prediction"].tolist() == (
        pytest.approx(found["prediction"].tolist())
    )


def test_categories_dates_and_gaps_are_carried_as_they_are(here: Path) -> None:
    days = pd.date_range("2026-01-01", periods=40)
    frame = pd.DataFrame({"age": range(40), "job": ["clerk", "smith"] * 20, "day": days, "kind": ["a", "b"] * 20})
    run = headstart.fit(frame, label="kind", tuning="probe", scratch=False, out="run")
    for out in ("p.csv", "p.jsonl", "p.parquet"):
        run.predict(frame.drop(columns="kind"), out=out)
    found = [json.loads(line) for line in Path("p.jsonl").read_text().splitlines()]
    assert [row["job"] for row in found] == ["clerk", "smith"] * 20 and found[0]["day"].startswith("2026-01-01T")
    assert list(pd.read_csv("p.csv"))[:4] == list(pd.read_parquet("p.parquet"))[:4] == ["origin", "age", "job", "day"]
    with pytest.raises(DataError, match="by their names"):
        run.predict([[31, "clerk", "2026-01-01"]])


def test_a_sheet_is_named_to_predict_and_evaluate(review_run: Path, here: Path, headstart_command: Command) -> None:
    with pd.ExcelWriter("two.xlsx") as book:
        for name in ("Jan", "Feb"):
            pd.DataFrame({"review": TEXTS * 2, "mood": ["cross", "glad"] * 3}).to_excel(
                book, sheet_name=name, index=False
            )
    labels = {row["prediction"] for _, row in headstart.predict(review_run, TEXTS).iterrows()}
    assert labels
    for verb in ("predict", "evaluate"):
        ended = headstart_command(verb, review_run, "two.xlsx")
        assert ended.code == 3 and "2 sheets: Jan, Feb. Say which with --set format.table=NAME" in ended.err
        assert headstart_command(verb, review_run, "two.xlsx", "--set", "format.table=Feb").code == 0
        assert headstart_command(verb, review_run, "two.xlsx", "--set", "task.table=Feb").code == 2
    assert headstart_command("evaluate", review_run, "--set", "format.table=Feb").code == 2


def test_inputs_of_another_kind_are_refused_in_words(
    review_run: Path, number_run: Path, piped: Callable[[bytes], None]
) -> None:
    piped(b"one line\nanother\n")
    with pytest.raises(DataError, match=r"stdin\.txt is read as a text on each line, and the model takes the columns"):
        headstart.predict(number_run, "-")
    with pytest.raises(DataError, match="the inputs are not rows that the model can read"):
        headstart.predict(number_run, [["a", "b", "c"]])
    with pytest.raises(DataError, match="does not exist"):
        headstart.predict(review_run, np.array("a text"))
