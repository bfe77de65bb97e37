"""Whatever `fit` refuses, leaves out, cuts or doubts, `inspect` says too, in the same words."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from transformers import AutoTokenizer

import headstart
from headstart.cli.printing import print_inspection
from headstart.kernel.errors import HeadstartError
from headstart.kernel.progress import Quiet
from masked_pictures import save_pairs
from tiny_text_models import save_tiny

N = 60
DRAWS = np.random.default_rng(0)
WORDS = [f"{first} {second} {third}" for first in "abcd" for second in "efgh" for third in "ijkl"]


class Fault(NamedTuple):
    """Faulty data, how they are given, and the words that both verbs have for them."""

    make: Callable[[Path], Any]
    words: str
    options: dict[str, Any] = {}


def numbers(**columns: Any) -> pd.DataFrame:
    """Sound numbers of two classes, with some columns as given."""
    label = np.array(["cat", "dog"])[np.arange(N) % 2]
    sound = {"x": DRAWS.normal(size=N) + (label == "dog"), "y": DRAWS.normal(size=N), "label": label}
    return pd.DataFrame({**sound, **columns})


def texts(**columns: Any) -> pd.DataFrame:
    """Sound texts of two classes."""
    return pd.DataFrame({"text": WORDS, "label": ["good", "bad"] * 32, **columns})


def pictures(folder: Path, size: Callable[[int], tuple[int, int]] = lambda k: (40, 30), count: int = 20) -> Path:
    """Pictures of noise in two class folders."""
    for k in range(count):
        path = folder / ("cat", "dog")[k % 2] / f"{k}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(k).integers(0, 255, (5, 5, 3), dtype=np.uint8)
        Image.fromarray(noise).resize(size(k)).save(path)
    return folder


def with_file(folder: Path, name: str, content: bytes) -> Path:
    """Pictures, and one file beside them."""
    (pictures(folder) / name).write_bytes(content)
    return folder


def with_plain(folder: Path) -> Path:
    """Pictures, one of which has a single colour."""
    Image.new("RGB", (40, 30), "blue").save(pictures(folder) / "dog/plain.png")
    return folder


def latin(folder: Path) -> Path:
    """A table of texts that is not UTF-8."""
    texts(text=[f"{text} café" for text in WORDS]).to_csv(folder / "t.csv", index=False, encoding="latin-1")
    return folder / "t.csv"


def wrong_mask(folder: Path) -> Path:
    """Pictures with masks, one of another size."""
    save_pairs(folder, range(12))
    mask = next(iter(sorted((folder / "masks").iterdir())))
    Image.open(mask).resize((8, 8)).save(mask)
    return folder


def every(value: Any, row: int, other: Any, count: int = N) -> list[Any]:
    """One value for every row but one."""
    return [other if k == row else value for k in range(count)]


ALTERNATING = ["cat", "dog"] * (N // 2)
PARTS = (["train"] * 6 + ["val", "test", "test", "test"]) * (N // 10)

FAULTS = {
    "a constant column": Fault(lambda _: numbers(z=5.0), r"column 'z' is 5 in every row"),
    "row numbers": Fault(lambda _: numbers(visit=np.arange(N) + 7), r"column 'visit' numbers the rows"),
    "ids": Fault(lambda _: numbers(customer_id=np.arange(N) * 37 % 9973), r"left out.*customer_id"),
    "the label as a column": Fault(
        lambda _: numbers(code=(np.arange(N) % 2) * 3.0), r"column 'code' says the label in other numbers"
    ),
    "the target as a column": Fault(
        lambda _: numbers(label=(y := DRAWS.normal(size=N)), twice=2 * y + 1), r"column 'twice' says the label"
    ),
    "missing numbers": Fault(lambda _: numbers(y=every(1.5, 3, np.nan)), r"training rows without a value.* y \(1\)"),
    "infinite numbers": Fault(lambda _: numbers(y=every(1.5, 3, np.inf)), r"has an infinite number"),
    "a column of nothing": Fault(lambda _: numbers(y=np.nan), r"left out as they hold no value: y"),
    "missing labels": Fault(lambda _: numbers(label=[None, *ALTERNATING[1:]]), r"1 of 60 examples have no label"),
    "one class": Fault(lambda _: numbers(label="cat"), r"classification needs at least two classes"),
    "labels of several kinds": Fault(lambda _: numbers(label=[1, *ALTERNATING[1:]]), r"mixe[sd]"),
    "too few examples": Fault(lambda _: numbers()[:2], r"too few to split"),
    "a rare class": Fault(lambda _: numbers(label=every("cat", 0, "dog")), r"'dog'"),
    "spellings": Fault(lambda _: numbers(label=["cat", "Cat", "dog"] * (N // 3)), r"differ only in case or spaces"),
    "unequal classes": Fault(lambda _: numbers(label=["cat"] * 55 + ["dog"] * 5), r"11 times the smallest"),
    "conflicting labels": Fault(
        lambda _: numbers(x=every(0.5, 0, 1.5), y=0.25 + np.arange(N) // 2), r"copies that have different labels"
    ),
    "columns of words": Fault(lambda _: numbers(city=["Rome", "Oslo"] * (N // 2)), r"as categories: city \(2 values\)"),
    "a quantity without a range": Fault(lambda _: numbers(label=1.5), r"1\.5", {"task": "regression"}),
    "copies across parts": Fault(
        lambda _: numbers(x=0.25 * (np.arange(N) // 20), y=1.0 * (np.arange(N) % 2), part=PARTS),
        r"copy",
    ),
    "no training part": Fault(lambda _: numbers(part="test"), r"train", {"part": "part"}),
    "a class that train lacks": Fault(
        lambda _: numbers(label=[*ALTERNATING[:9], "eel"] * 6, part=PARTS),
        r"eel",
    ),
    "an unknown column": Fault(lambda _: numbers(), r"lable", {"label": "lable"}),
    "an unknown task": Fault(lambda _: numbers(), r"", {"task": "segmentation"}),
    "blank texts": Fault(lambda _: texts(text=["  ", *WORDS[1:]]), r"is empty"),
    "long texts": Fault(
        lambda _: texts(text=[*WORDS[:48], *(f"{k} " + "word " * 3000 for k in range(16))]),
        r"16 of 64 texts \(25\.0 %\) are longer than the 64 tokens .* over 99 % of each",
    ),
    "another encoding": Fault(latin, r"is not UTF-8"),
    "a file that is not a picture": Fault(lambda folder: with_file(folder, "cat/x.png", b"no"), r"cat/x\.png"),
    "files beside the pictures": Fault(lambda folder: with_file(folder, "cat/x.pdf", b"no"), r"left out.*pdf"),
    "a plain picture": Fault(with_plain, r"single colour: dog/plain\.png"),
    "small pictures": Fault(lambda folder: pictures(folder, lambda k: (8, 9)), r"the pictures are small \(8 x 9 px"),
    "sizes far apart": Fault(
        lambda folder: pictures(folder, lambda k: (30, 30) if k else (700, 30)), r"from 30 to 700 px wide"
    ),
    "columns for a folder": Fault(pictures, r"--text", {"text": "review"}),
    "a group that is not there": Fault(pictures, r"patient", {"group": r"(patient\d+)"}),
    "a label column for masks": Fault(
        lambda folder: save_pairs(folder, range(12)), r"--label shape would do nothing", {"label": "shape"}
    ),
    "masks of another size": Fault(wrong_mask, r"8"),
}


@pytest.fixture(scope="session")
def text_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_tiny(tmp_path_factory.mktemp("models") / "bert", "bert"))


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_inspect_and_fit_say_the_same(
    name: str, tmp_path: Path, text_model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    fault = FAULTS[name]
    DRAWS.bit_generator.state = np.random.default_rng(0).bit_generator.state  # whichever tests ran before
    data = fault.make(tmp_path)
    frame = isinstance(data, pd.DataFrame)
    kind = "text" if name in ("blank texts", "long texts", "another encoding") else "table" if frame else "image"
    models: dict[str, dict[str, Any]] = {"text": {"backbone": text_model}, "table": {}}
    options = {**models.get(kind, {"backbone": "test_resnet", "weights": "random"}), **fault.options}
    found = headstart.inspect(data, **options)
    said = [finding.text for finding in found.findings]
    assert re.search(fault.words, "\n".join(said)), said
    print_inspection(found)
    assert "No problems" not in capsys.readouterr().out
    errors = {finding.text for finding in found.findings if finding.severity == "error"}
    try:
        record = headstart.fit(data, out=tmp_path / "runs" / "run", scratch=False, label_curve=False, **options).record
    except HeadstartError as error:
        assert str(error) in errors and re.search(fault.words, str(error)), (str(error), errors)
        return
    assert not errors
    issues = [f"{issue.origin} {issue.reason}" for issue in (*record.data.unreadable, *record.data.leaks)]
    assert re.search(fault.words, "\n".join((*record.data.notes, *issues))), record.data.notes


@pytest.mark.slow
def test_predict_and_evaluate_say_what_they_cut_and_leave_out(tmp_path: Path, text_model: str) -> None:
    data = texts(text=[*WORDS[:48], *(f"{k:02} " + "word " * 50 for k in range(16))])
    tokenizer = AutoTokenizer.from_pretrained(text_model)
    shares = [1 - 62 / (len(tokenizer(text).input_ids) - 2) for text in data["text"][48:]]  # two tokens are special
    assert min(shares) > 0
    cut = rf"texts \(\S+ %\) are longer than the 64 tokens that .* reads: .* {100 * np.mean(shares):.0f} % of each on"
    run = headstart.fit(data, out=tmp_path / "run", scratch=False, label_curve=False, backbone=text_model)
    assert re.search(cut, "\n".join(run.record.data.notes)), run.record.data.notes
    heard = Heard()
    new = pd.DataFrame({"text": ["", *data["text"][40:]]})
    headstart.predict(run.folder, new, reporter=heard)
    assert re.search(r"16 of 25 " + cut, heard.text)
    assert "1 of 25 rows could not be predicted, first: row 0 is empty" in heard.text
    judged = headstart.evaluate(run.folder, data.assign(text=["", *data["text"][1:]]))
    assert re.search(r"16 of 64 " + cut, "\n".join(judged.notes)) and judged.unreadable[0].reason == "is empty"


class Heard(Quiet):
    """Keeps what is said."""

    text = ""

    def say(self, text: str) -> None:
        self.text += text + "\n"
