"""Retrieval on frozen decoder states (kNN-MT): the mixture, what is chosen on validation, and what a run keeps."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_generation import SMALL, batch_of, examples, pairs, states, write

import headstart
from headstart.contracts.model import load_model
from headstart.contracts.retrieval import Memory, MemoryHead, nearest
from headstart.kernel.errors import SettingsError
from headstart.tasks.generation.metrics import TEXT
from headstart.tasks.generation.task import Generation
from tiny_translators import translator

MEMORY = Memory(entries=5, width=3, neighbours=2, temperature=0.7, weight=0.4)


TASK = {"beams": 1, "longest": 40}


class Nothing:
    """A decoder that is not asked."""


def longhand(h: np.ndarray, scores: np.ndarray, known: np.ndarray, tokens: list[int]) -> np.ndarray:
    """The formula, token by token."""
    found = np.zeros_like(scores)
    for row, state in enumerate(h):
        distances = [float(((state - other) ** 2).sum()) for other in known]
        order = sorted(range(len(known)), key=lambda at: distances[at])[: MEMORY.neighbours]
        weights = [np.exp(-distances[at] / MEMORY.temperature) for at in order]
        model = np.exp(scores[row]) / np.exp(scores[row]).sum()
        for y in range(scores.shape[1]):
            memory = sum(w for w, at in zip(weights, order) if tokens[at] == y) / sum(weights)
            found[row, y] = np.log((1 - MEMORY.weight) * model[y] + MEMORY.weight * memory)
    return found


def test_the_mixture_is_that_of_the_paper() -> None:
    draws = np.random.default_rng(0)
    known = draws.normal(size=(5, 3)).astype(np.float16).astype(np.float64)
    h, scores, tokens = draws.normal(size=(4, 3)), draws.normal(size=(4, 6)), [1, 1, 4, 0, 5]
    head = MemoryHead(Nothing(), MEMORY).fill(torch.from_numpy(known), torch.tensor(tokens))  # type: ignore[arg-type]
    mixed = head.mixed(torch.from_numpy(h), torch.from_numpy(scores)).numpy()
    np.testing.assert_allclose(mixed, longhand(h, scores, known, tokens), rtol=1e-5)
    np.testing.assert_allclose(np.exp(mixed).sum(axis=1), 1.0, rtol=1e-6)
    twin = copy.deepcopy(head)
    assert torch.equal(twin.get_buffer("states"), head.get_buffer("states")) and twin.decoder is head.decoder
    distances, found = nearest(torch.from_numpy(h), torch.from_numpy(known), torch.tensor(tokens), 9)
    assert distances.shape == (4, 5) and bool((distances.diff(dim=1) >= 0).all()) and found.dtype == torch.int64


def test_a_memory_of_the_right_texts_writes_them_and_weight_0_is_the_model_as_it_is() -> None:
    backbone, some = translator(), examples(4)
    task = Generation(beams=2, longest=40).bind(examples(), backbone)
    batch, features = batch_of(task, some), states(backbone, some)
    with torch.no_grad():
        found, tokens, log_p = task.entries(task.head(backbone), features, batch.head_inputs)
    assert tokens.tolist() == np.concatenate([row.tokens for row in task.targets(some)[TEXT]]).tolist()
    logits = task.forward(task.head(backbone), features, batch.head_inputs)["logits"]
    assert float(log_p[0]) == pytest.approx(float(logits[0, 0].log_softmax(dim=0)[tokens[0]].detach()), rel=1e-5)
    sure = Memory(entries=len(tokens), width=backbone.width, neighbours=1, temperature=1e-3, weight=0.999)
    texts = {}
    for name, memory in (("memory", sure), ("none", sure.model_copy(update={"weight": 0.0}))):
        with_memory = task.with_memory(memory)
        head = with_memory.head(backbone).fill(found, tokens)  # type: ignore[attr-defined]
        texts[name] = with_memory.predict(head, features, {}).columns[TEXT].tolist()
    assert texts["memory"] == [text for _, text in pairs(4)]
    assert texts["none"] == task.predict(task.head(backbone), features, {}).columns[TEXT].tolist()
    assert task.with_memory(sure).with_memory(None) == task


@pytest.mark.slow
def test_a_memory_is_kept_where_it_helps_saved_and_weighed_against_another_domain(tmp_path: Path) -> None:
    data = write(tmp_path / "pairs.tsv", 96)
    common: dict[str, Any] = {"text": "en", "label": "fr", "scratch": False, "label_curve": False}
    tuning = {"epochs": 4, "batch_size": 16, "learning_rate": 1e-2}
    settings = {**SMALL, "tuning": tuning, "task": TASK}
    parent = headstart.fit(
        data, backbone="seq2seq_small", tuning="full", out=tmp_path / "one", settings=settings, **common
    )
    german = tmp_path / "new.tsv"
    german.write_text(data.read_text(encoding="utf-8").replace("Le ", "Der ").replace("et le", "und der"), "utf-8")
    common |= {"backbone": str(parent.folder), "tuning": "nearest_tokens", "out": tmp_path / "two"}
    retrieved = headstart.fit(german, settings={"task": TASK}, **common)
    arms = retrieved.record.arms
    assert arms["model"].chosen["weight"] > 0
    assert arms["model"].figures["chrf"].value > arms["probe"].figures["chrf"].value + 1
    assert isinstance(load_model(retrieved.folder / "model").heads["head"], MemoryHead)
    judged = headstart.evaluate(retrieved.folder, german)
    assert judged.figures["chrf"].value > arms["probe"].figures["chrf"].value
    common["out"] = tmp_path / "three"
    careful = headstart.fit(german, keep=data, settings={"task": TASK, "tuning": {"most_lost": 0.0}}, **common)
    kept = careful.record.forgetting
    assert kept is None if careful.record.arms["model"].chosen["weight"] == 0 else kept is not None and kept.kept
    said = [one for one in careful.record.decisions if one.what.startswith(("memory weight", "kept domain"))]
    lost = [one.reason for one in said if "on the kept domain" in one.reason]
    assert lost and (
        careful.record.arms["model"].chosen["weight"] == 0 or any(one.what == "kept domain" for one in said)
    )


def test_other_tasks_have_no_decoder_to_remember(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("x,label\n" + "\n".join(f"{row},{'ab'[row % 2]}" for row in range(40)), encoding="utf-8")
    with pytest.raises(SettingsError, match="the task must write texts"):
        headstart.fit(table, tuning="nearest_tokens", out=tmp_path / "run", scratch=False)


@pytest.mark.slow
def test_a_training_tells_what_the_kept_domain_lost_and_one_from_nothing_refuses_it(tmp_path: Path) -> None:
    data = write(tmp_path / "pairs.tsv", 60)
    common: dict[str, Any] = {"text": "en", "label": "fr", "scratch": False, "label_curve": False, "tuning": "full"}
    settings = {**SMALL, "tuning": {"epochs": 2, "batch_size": 16, "learning_rate": 1e-2}, "task": TASK}
    parent = headstart.fit(data, backbone="seq2seq_small", out=tmp_path / "one", settings=settings, **common)
    german = tmp_path / "new.tsv"
    german.write_text(data.read_text(encoding="utf-8").replace("Le ", "Der ").replace("et le", "und der"), "utf-8")
    settings.pop("backbone")
    common |= {"backbone": str(parent.folder), "settings": settings}
    child = headstart.fit(german, keep=data, out=tmp_path / "two", **common)
    lost = child.record.forgetting
    assert lost is not None and lost.kept and lost.examples == 60 and lost.metric == "chrf"
    assert lost.difference is not None and lost.after["chrf"].value == pytest.approx(
        lost.before["chrf"].value + lost.difference.value
    )
    assert f"on 60 examples of the kept domain {data}" in child.verdict
    assert "which it was to keep" in child.report.read_text(encoding="utf-8")
    with pytest.raises(SettingsError, match="does not know the task before it is trained"):
        headstart.fit(data, keep=german, out=tmp_path / "x", **{**common, "backbone": "seq2seq_small"})
