"""Exports of models that write texts: encoder and decoder graphs, on which a search finds what the model writes."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import headstart
from conftest import Command
from headstart.pipeline.exporting.artefact import read_exported, read_golden

LETTERS = {"a": "one", "b": "two", "c": "three", "d": "four", "e": "five"}


def translations(path: Path, count: int) -> Path:
    """Letters and their numbers in words."""
    draws = np.random.default_rng(0)
    rows = [draws.choice([*LETTERS], draws.integers(2, 6)).tolist() for _ in range(count)]
    lines = (f"{' '.join(row)}\t{' '.join(LETTERS[letter] for letter in row)}\n" for row in rows)
    path.write_text("source\ttarget\n" + "".join(lines))
    return path


@pytest.fixture(scope="module")
def translator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("translator")
    settings: dict[str, Any] = {
        "backbone": {"width": 32, "layers": 1, "heads": 2, "vocabulary": 300},
        "tuning": {"epochs": 12, "batch_size": 16},
        "task": {"beams": 1},
    }
    return headstart.fit(
        translations(folder / "pairs.tsv", 160),
        text="source",
        label="target",
        task="generation",
        backbone="seq2seq_small",
        tuning="full",
        runner="eager",
        scratch=False,
        settings=settings,
        out=folder / "run",
    ).folder


def written_by(folder: Path, inputs: dict[str, np.ndarray]) -> np.ndarray:
    """Tokens (batch, tokens) that the likeliest-token search finds on the graphs of an export, as its guide has it."""
    exported = read_exported(folder)
    encoder, decoder = (read_exported(folder / part).open(folder / part) for part in exported.parts)
    rules, encoded = exported.writes, encoder(inputs)
    assert rules is not None
    tokens = np.tile(np.array(rules.begins, np.int64), (len(encoded["states"]), 1))
    ended = np.zeros(len(tokens), bool)
    while not ended.all() and tokens.shape[1] < len(rules.begins) + rules.longest:
        scores = decoder({**encoded, "written": tokens})["logits"][:, -1]
        scores[:, list(rules.never.anywhere)] = -np.inf
        if tokens.shape[1] == len(rules.begins):
            scores[:, list(rules.never.first)] = -np.inf
        best = np.where(ended, rules.pad, scores.argmax(axis=1))
        tokens, ended = np.concatenate([tokens, best[:, None]], axis=1), ended | (best == rules.end)
    return tokens[:, len(rules.begins) :]


@pytest.mark.slow
@pytest.mark.parametrize("to", ["onnx", "openvino", "torch"])
def test_a_search_on_the_graphs_writes_what_the_model_writes(
    to: str, translator: Path, headstart_command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = headstart_command("export", translator, "--to", to, "--out", "out", "--json")
    assert not ended.code, ended.err
    told = json.loads(ended.out)
    assert told["parts"] == ["encoder", "decoder"] and told["gate"]["difference"] <= 1e-3 and told["writes"]["begins"]
    runpy.run_path("out/check.py")
    assert capsys.readouterr().out.count("give their outputs") == 2
    again = headstart_command("evaluate", "out")
    assert not again.code and "8 golden inputs" in again.out
    golden = read_golden(Path("out/encoder"))
    texts = [golden["raw"][str(row)].tobytes().decode() for row in range(8)]
    model = headstart.load(translator).model
    found = model.backbone.decoder().decode([*written_by(Path("out"), dict(golden["input"]))])
    assert found == headstart.predict(translator, texts)["prediction"].tolist()
    assert len(set(found)) > 3


def test_a_changed_decoder_is_named(translator: Path, headstart_command: Command) -> None:
    assert not headstart_command("export", translator, "--to", "torch", "--out", "out").code
    with open("out/decoder/model.pt2", "ab") as file:
        file.write(b" ")
    ended = headstart_command("evaluate", "out")
    assert ended.code == 5 and "out/decoder/model.pt2 was changed" in ended.err
