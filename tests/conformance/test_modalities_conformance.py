"""Every modality: inputs that can be sent to worker processes, keys that only equal inputs share, words for flaws."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from plugins import every, sample_for

from headstart.contracts.examples import Examples, Schema
from headstart.contracts.format import Columns
from headstart.contracts.modality import (
    PREVIEW,
    HasNumbers,
    HasPicture,
    HasSound,
    HasTexts,
    InFiles,
    Modality,
    files_of,
    modality_named,
    raws_of,
)
from headstart.engine.frozen.content_keys import content_keys
from headstart.evidence.duplicates import find_duplicates
from headstart.kernel.errors import SettingsError
from headstart.pipeline.memory_data import examples_of, modality_of
from headstart.pipeline.unusable import unusable
from small_sounds import save_tone


@dataclass(frozen=True)
class Sample:
    """Inputs of a modality."""

    columns: dict[str, Any]
    """Input columns of four rows: the third has the input of the first, the second and the fourth have their own."""
    flawed: dict[str, Any]
    """Input columns of one row of no use; empty where there is no such input."""
    in_memory: Any
    """Some inputs as a user has them in memory; None where a format alone reads them."""


def _image(folder: Path) -> Sample:
    for number, name in enumerate(("a", "b", "d")):
        pixels = np.random.default_rng(number).integers(0, 256, (9, 12, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}.png")
    (folder / "c.png").write_bytes((folder / "a.png").read_bytes())
    return Sample({"path": [str(folder / f"{name}.png") for name in "abcd"]}, {}, np.zeros((2, 8, 8, 3), np.uint8))


def _text(folder: Path) -> Sample:
    return Sample({"text": ["one", "two", "one", "four"]}, {"text": [" \n"]}, ["a text", "another"])


def _audio(folder: Path) -> Sample:
    for name, pitch in (("a", 220), ("b", 330), ("d", 550)):
        save_tone(folder / f"{name}.wav", pitch)
    (folder / "c.wav").write_bytes((folder / "a.wav").read_bytes())
    paths = [str(folder / f"{name}.wav") for name in "abcd"]
    return Sample({"path": paths}, {}, [{"array": np.ones(800, np.float32), "sampling_rate": 8000}, paths[0]])


def _table(folder: Path) -> Sample:
    columns = {"x": [1.0, 2.0, 1.0, 4.0], "y": [0.0, 0.5, -0.0, 0.0]}
    return Sample(columns, {"x": [1.0], "y": [float("inf")]}, np.eye(3))


def _text_table(folder: Path) -> Sample:
    columns = {"text": ["one", "two", "one", "two"], "x": [1.0, 2.0, 1.0, 4.0], "town": ["Ulm", "Bonn", "Ulm", None]}
    return Sample(columns, {"text": [" "], "x": [None], "town": [None]}, None)


def _interactions(folder: Path) -> Sample:
    users, items = ["a", "b", "a", "a"], [["x", "y"], ["x", "y"], ["x", "y"], ["x"]]
    return Sample({"user": users, "items": items, "source items": [["z"], [], ["z"], ["z"]]}, {}, None)


SAMPLES: dict[str, Callable[[Path], Sample]] = {
    "audio": _audio,
    "image": _image,
    "interactions": _interactions,
    "text": _text,
    "table": _table,
    "text_table": _text_table,
}


def sample_of(name: str, folder: Path) -> Sample:
    needs = "four rows, a row that is of no use, and inputs in memory"
    return sample_for("modalities", name, folder, SAMPLES, Sample, needs=needs)


def examples_from(name: str, columns: dict[str, Any]) -> Examples:
    rows = len(next(iter(columns.values())))
    table = pa.table({**columns, "origin": [f"row {row}" for row in range(rows)]})
    return Examples(table, Schema(modality=name, inputs=tuple(columns), origin="origin"))


@every("modalities")
def test_its_attributes_say_what_they_should(name: str) -> None:
    kind: Modality = modality_named(name)
    assert kind.unit.endswith("s") and "\n" not in kind.no_backbone
    assert kind.role == "" or kind.role in Columns.model_fields


@every("modalities")
def test_inputs_can_be_sent_to_a_worker(name: str, tmp_path: Path) -> None:
    examples = examples_from(name, sample_of(name, tmp_path).columns)
    raws = raws_of(examples)
    assert len(raws) == len(examples) == 4
    assert repr(pickle.loads(pickle.dumps(raws))) == repr(raws)
    assert repr(raws_of(examples, [3, 0])) == repr([raws[3], raws[0]])
    assert raws_of(examples.take([])) == []
    kind = pickle.loads(pickle.dumps(modality_named(name)))
    assert kind == modality_named(name)


@every("modalities")
def test_equal_inputs_alone_share_a_key(name: str, tmp_path: Path) -> None:
    found = content_keys(examples_from(name, sample_of(name, tmp_path).columns))
    one, two, again, four = found.keys
    assert not found.failures and all(len(key or "") == 32 and int(key or "", 16) for key in found.keys)
    assert one == again and len({one, two, four}) == 3


def test_no_two_modalities_share_a_key(tmp_path: Path) -> None:
    keys: list[str | None] = []
    for name in SAMPLES:
        keys += content_keys(examples_from(name, sample_of(name, tmp_path).columns)).keys
    assert len(set(keys)) == 3 * len(SAMPLES)


@every("modalities")
def test_copies_are_found(name: str, tmp_path: Path) -> None:
    examples = examples_from(name, sample_of(name, tmp_path).columns)
    found = find_duplicates(examples, content_keys(examples).keys)
    assert (0, 2) in found.exact and not found.failures


@every("modalities")
def test_what_nothing_can_be_learnt_from_is_named(name: str, tmp_path: Path) -> None:
    sample = sample_of(name, tmp_path)
    assert unusable(examples_from(name, sample.columns)) == {}
    if sample.flawed:
        (reason,) = unusable(examples_from(name, sample.flawed)).values()
        assert reason.partition(" ")[0] in ("is", "has", "holds", "cannot") and not reason.endswith(".")


@every("modalities")
def test_sizes_and_previews(name: str, tmp_path: Path) -> None:
    examples, kind = examples_from(name, sample_of(name, tmp_path).columns), modality_named(name)
    sizes = kind.sizes(raws_of(examples), examples.schema.inputs)
    assert all(len(values) <= len(examples) and np.isfinite(values).all() for values in sizes.values.values())
    assert all(0 < len(kind.preview(raw)) <= PREVIEW for raw in raws_of(examples))
    assert all(len(values) == 0 for values in kind.sizes([], examples.schema.inputs).values.values())


@every("modalities")
def test_inputs_in_memory_are_recognised(name: str, tmp_path: Path) -> None:
    inputs = sample_of(name, tmp_path).in_memory
    if inputs is None:
        assert modality_named(name).recognises([object()]) == 0
        return
    assert modality_of(inputs) == name
    examples = examples_of(inputs, name, None)
    assert len(raws_of(examples)) == len(inputs) == len(set(examples.origins()))
    assert 0 <= modality_named(name).recognises([object()]) < 0.5


@every("modalities")
def test_what_it_has_beside_it_gives(name: str, tmp_path: Path) -> None:
    examples, kind = examples_from(name, sample_of(name, tmp_path).columns), modality_named(name)
    for raw in raws_of(examples):
        if isinstance(kind, InFiles):
            assert isinstance(kind.source(raw), (Path, bytes))
        if isinstance(kind, HasPicture):
            picture = kind.picture(raw)
            assert picture.mode == "RGB" and picture.size == kind.size(raw)
        if isinstance(kind, HasSound):
            assert len(kind.wave(raw, 16000)) == 2 * len(kind.wave(raw, 8000)) and kind.heard(raw)
        if isinstance(kind, HasTexts):
            assert kind.texts(raw) and all(isinstance(text, str) for text in kind.texts(raw))
        if isinstance(kind, HasNumbers):
            assert kind.numbers(raw).dtype == np.float64 and kind.numbers(raw).ndim == 1
    assert all((file is not None) == isinstance(kind, InFiles) for file in files_of(examples))


def test_an_unknown_modality_is_refused_by_name() -> None:
    with pytest.raises(SettingsError, match="Did you mean 'image'"):
        modality_named("imge")
