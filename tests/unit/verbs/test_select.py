"""`select` ranks pretrained models, says what each costs and skips with a reason; the test part is not looked at."""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file, save_file

import headstart
from headstart.__main__ import main
from headstart.kernel.errors import BackboneError, DataError, HeadstartError, SettingsError
from headstart.kernel.progress import Quiet
from headstart.pipeline.plan import Plan
from headstart.pipeline.record import FigureRow
from headstart.pipeline.selection.record import BackboneRow
from headstart.pipeline.selection.select_run import run_selection, standing
from headstart.tasks.classification.metrics import classification_metrics
from masked_pictures import save_pairs
from tiny_text_models import save_tiny

WORDS = [f"{first} {second} {third}" for first in "abcd" for second in "efgh" for third in "ijkl"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return [
        str(save_tiny(tmp_path_factory.mktemp(kind) / kind, kind, num_hidden_layers=2)) for kind in ("bert", "roberta")
    ]


def texts(rows: int = 64, **columns: object) -> pd.DataFrame:
    words = (WORDS * 8)[:rows]
    given = [f"{text} {number // len(WORDS)}" for number, text in enumerate(words)]
    part = ["test" if number % 4 == 3 else "train" for number in range(rows)]
    label = ["good" if text[0] in "ab" else "bad" for text in given]
    return pd.DataFrame({"text": given, "label": label, "part": part, **columns})


@pytest.mark.slow
def test_models_are_ranked_by_their_probe_with_what_each_costs(models: list[str]) -> None:
    found = headstart.select(texts(), candidates=models, text="text", label="label", part="part")
    assert found.examples == 48 and {row.reference for row in found.backbones} == set(models)
    first, second = found.backbones
    assert first.figure.value > 0.6
    assert first.scores["size"] > second.scores["size"] or first.figure.value > second.figure.value
    assert sum(row.best for row in found.backbones) == pytest.approx(1.0)
    assert set(found.score_titles) == {"knn", "logme", "h_score", "size"} == set(found.backbones[0].scores)
    for row in found.backbones:
        assert row.figure.low <= row.figure.value <= row.figure.high and row.parameters > 0 and row.width > 0
        assert row.scores["size"] == pytest.approx(np.log10([row.parameters, row.operations]).mean())
    assert found.backbones[0].reference in found.verdict


def test_a_larger_model_stands_before_one_whose_probe_is_a_little_better() -> None:
    rows = [
        BackboneRow.model_construct(reference=name, best=best, figure=FigureRow(value=value, low=0, high=1, n=30))
        for name, value, best in (("large", 0.9, 0.3), ("small", 0.95, 0.7))
    ]
    accuracy = classification_metrics()[0]
    said = "not significantly below the smaller small (95.0 %), the best of 2 here with probability 70%"
    assert standing(rows, accuracy, " here") == said
    assert standing(rows[:1], accuracy) == "the best of 1 with probability 30%"


@pytest.mark.slow
def test_test_examples_change_nothing(models: list[str]) -> None:
    plain = texts()
    other = plain.assign(
        text=np.where(plain.part == "test", "z z z " + plain.text, plain.text),
        label=np.where(plain.part == "test", plain.label[::-1], plain.label),
    )
    given = {"candidates": models, "text": "text", "label": "label", "part": "part"}
    first, second = (headstart.select(frame, **given) for frame in (plain, other))  # type: ignore[arg-type]
    assert [row.figure for row in first.backbones] == [row.figure for row in second.backbones]
    assert [row.scores for row in first.backbones] == [row.scores for row in second.backbones]


def test_a_candidate_that_cannot_be_had_is_skipped_with_the_reason(models: list[str]) -> None:
    found = headstart.select(texts(), candidates=f"{models[0]},bert-base-uncasd", text="text", label="label")
    assert [row.reference for row in found.backbones] == models[:1]
    assert found.skipped[0].reference == "bert-base-uncasd" and "bert-base-uncased" in found.skipped[0].reason
    assert "nothing else was measured" in found.verdict


def test_nothing_to_rank_is_an_error_with_every_reason() -> None:
    with pytest.raises(BackboneError, match=r"none of the 2 candidates can be measured.*nix.*nada"):
        headstart.select(texts(), candidates=["nix", "nada"], text="text", label="label")


def test_features_of_nan_alone_leave_nothing_to_rank(tmp_path: Path) -> None:
    bert = save_tiny(tmp_path / "bert", "bert")
    weights = load_file(bert / "model.safetensors")
    (name,) = [name for name in weights if name.endswith("word_embeddings.weight")]
    save_file({**weights, name: weights[name] * 0 + 3e38}, bert / "model.safetensors", {"format": "pt"})
    with pytest.raises(BackboneError, match=r"none of the 1 candidates can be measured.*NaN or infinite"):
        headstart.select(texts(), candidates=str(bert), text="text", label="label")


@pytest.mark.slow
def test_a_licence_that_nobody_states_is_no_commercial_one(models: list[str], tmp_path: Path) -> None:
    free = save_tiny(tmp_path / "free", "bert")
    (free / "README.md").write_text("---\nlicense: mit\n---\n")
    restricted = save_tiny(tmp_path / "restricted", "bert")
    (restricted / "README.md").write_text("---\nlicense: cc-by-nc-4.0\n---\n")
    names = [str(free), str(restricted), models[0]]
    found = headstart.select(texts(), candidates=names, licence="commercial", text="text", label="label")
    assert [(row.reference, row.licence) for row in found.backbones] == [(str(free), "mit")]
    assert [one.reference for one in found.skipped] == names[1:] and "cc-by-nc-4.0" in found.skipped[0].reason


@pytest.mark.slow
def test_hopeless_candidates_are_left_out_after_a_round(
    models: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headstart.pipeline.selection.select_run.FEWEST", 40)
    names = [*models, *(str(save_tiny(tmp_path / kind, kind)) for kind in ("distilbert", "electra"))]
    found = headstart.select(texts(400), candidates=names, text="text", label="label", part="part")
    assert {row.reference for row in found.backbones} == set(names)
    assert max(row.examples for row in found.backbones) == 300
    early = [row for row in found.backbones if row.examples < 300]
    assert all(row.best < 0.01 for row in early) and list(found.backbones[len(names) - len(early) :]) == early


def tagged(rows: int = 48) -> pd.DataFrame:
    words = [text.split() * (1 + number % 3) for number, text in enumerate(WORDS[:rows])]
    words[0] = words[0] * 20  # more than these models read at once
    tags = [["B-X" if word in "abef" else "O" for word in row] for row in words]
    return pd.DataFrame({"tokens": words, "tags": tags, "part": ["test", *["train"] * 5] * (rows // 6)})


@pytest.mark.slow
def test_models_are_ranked_by_the_tags_of_held_out_texts(models: list[str]) -> None:
    first, second = tagged(), tagged()
    second["tags"] = [["O"] * len(row) if part == "test" else row for row, part in zip(first.tags, first.part)]
    one, other = (headstart.select(frame, candidates=models, part="part") for frame in (first, second))
    assert [(row.figure, row.scores) for row in one.backbones] == [(row.figure, row.scores) for row in other.backbones]
    assert one.primary_metric == "f1" and one.examples == 40
    assert set(one.backbones[0].scores) == {"knn", "logme", "h_score", "size"}
    best = one.backbones[0]
    assert 0.6 < best.figure.low < best.figure.value < best.figure.high and best.scores["knn"] > 0.6
    assert best.milliseconds > 0 and sum(row.best for row in one.backbones) == pytest.approx(1.0)


@pytest.mark.slow
def test_models_are_ranked_by_the_masks_of_held_out_pictures(tmp_path: Path) -> None:
    data = save_pairs(tmp_path / "cells", range(12))
    names = ["test_resnet", "test_vit", "test_efficientnet"]
    plan = Plan(data=str(data), weights="random", settings={"backbone": {"image_size": 96}})
    found = run_selection(str(data), plan, names, Quiet())
    assert {row.reference for row in found.backbones} == {names[0], names[2]} and found.primary_metric == "dice"
    assert all(0.3 < row.figure.low < row.figure.value < 1 for row in found.backbones)
    assert [one.reference for one in found.skipped] == names[1:2] and "needs maps" in found.skipped[0].reason


def test_other_questions_are_refused_by_name(models: list[str]) -> None:
    with pytest.raises(SettingsError, match="licence is 'any' or 'commercial'"):
        headstart.select(texts(), candidates=models, licence="free", text="text", label="label")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="classification needs at least two classes"):
        headstart.select(texts(label="good"), candidates=models, text="text", label="label")


@pytest.mark.slow
def test_the_command_prints_the_ranking_and_the_same_as_json(
    models: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    texts().to_csv(tmp_path / "t.csv", index=False)
    command = [
        "select",
        str(tmp_path / "t.csv"),
        "--candidates",
        ",".join(models),
        "--text",
        "text",
        "--label",
        "label",
    ]
    for more in (["--out", str(tmp_path / "ranking.html")], ["--json"]):
        monkeypatch.setattr("sys.argv", ["headstart", *command, *more])
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
    printed = capsys.readouterr().out
    table, document = printed[: printed.index("{")], json.loads(printed[printed.index("{") :])
    for said in (
        "95 % interval",
        "k-NN",
        "LogME",
        "H-score",
        "Size prior",
        "GFLOPs",
        "Best: ",
        "The test part was not looked at",
    ):
        assert said in table
    assert len(document["backbones"]) == 2 and document["primary_metric"] == "accuracy"
    page = (tmp_path / "ranking.html").read_text()
    assert "<script" not in page and "milliseconds per example" in page
    for said in ("1 · ", "2 · ", "LogME", "The test part was not looked at"):
        assert said in page
    with pytest.raises(SettingsError, match=r"a ranking is written to \.html; got t\.txt"):
        headstart.select(texts(), candidates=models, out=tmp_path / "t.txt", text="text", label="label")
    (tmp_path / "mine.html").write_text("<p>mine</p>")
    with pytest.raises(SettingsError, match="will not be replaced"):
        headstart.select(texts(), candidates=models, out=tmp_path / "mine.html", text="text", label="label")


def test_weights_of_nan_are_skipped_and_the_rest_is_ranked(models: list[str], tmp_path: Path) -> None:
    broken = save_tiny(tmp_path / "broken", "bert")
    weights = load_file(broken / "model.safetensors")
    save_file(
        {name: torch.full_like(values, torch.nan) for name, values in weights.items()}, broken / "model.safetensors"
    )
    found = headstart.select(texts(), candidates=[models[0], str(broken)], text="text", label="label")
    assert [row.reference for row in found.backbones] == models[:1]
    assert found.skipped[0].reference == str(broken) and "NaN" in found.skipped[0].reason


@pytest.mark.parametrize(("labels", "error"), [("abcab", "no two of a class"), ("aabca", "same class")])
def test_too_few_examples_to_hold_out_are_refused_with_the_reason(models: list[str], labels: str, error: str) -> None:
    few = texts(5).assign(label=[*labels], part=["train", "train", "train", "test", "test"])
    with pytest.raises(HeadstartError, match=error):
        headstart.select(few, candidates=models[:1], text="text", label="label", part="part")


def test_columns_of_a_table_are_named_as_in_a_fit() -> None:
    draws = np.random.default_rng(0)
    frame = pd.DataFrame({"a": draws.normal(size=80), "code": draws.integers(0, 3, 80), "leak": np.arange(80) % 2})
    frame["label"] = np.where(frame.a + draws.normal(size=80) > 0, "yes", "no")
    one = headstart.select(frame, label="label", leave_out="leak", categorical="code")
    other = headstart.select(frame, label="label", numeric=["a"])
    assert one.backbones[0].width > other.backbones[0].width >= 1


@pytest.fixture
def hub(models: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both models on this machine under names of the catalogue."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    for name, folder in zip(("all-MiniLM-L12-v2", "all-mpnet-base-v2"), models):
        kept = tmp_path / "hub" / f"models--sentence-transformers--{name}"
        shutil.copytree(folder, kept / "snapshots" / "0")
        (kept / "refs").mkdir()
        (kept / "refs" / "main").write_text("0")


@pytest.mark.slow
@pytest.mark.usefixtures("hub")
def test_auto_with_a_budget_ranks_models_for_tags_too(tmp_path: Path) -> None:
    run = headstart.fit(
        tagged(), out=tmp_path / "run", budget=60, part="part", tuning="probe", scratch=False, label_curve=False
    )
    (why,) = [one.reason for one in run.record.decisions if one.what == "backbone"]
    assert re.match(r"F1 \d.*on 32 training examples; the best of [23] on this machine", why)


@pytest.mark.slow
@pytest.mark.usefixtures("hub")
def test_each_seed_ranks_models_on_its_own_training_part(tmp_path: Path) -> None:
    texts(48).drop(columns="part").to_csv(tmp_path / "t.csv", index=False)
    given: dict[str, Any] = {"text": "text", "label": "label", "tuning": "probe", "scratch": False, "budget": 60}
    run = headstart.fit(tmp_path / "t.csv", out=tmp_path / "run", seeds=2, label_curve=False, **given)
    for one in run.record.runs:
        plan = tomllib.loads((tmp_path / "run" / one / "plan.toml").read_text())
        assert any("ranked in" in said["reason"] for said in plan["decisions"] if said["what"] == "backbone")


@pytest.mark.slow
@pytest.mark.usefixtures("hub")
def test_auto_with_a_budget_takes_the_model_that_ranks_best_on_the_training_part(tmp_path: Path) -> None:
    given: dict[str, Any] = {"text": "text", "label": "label", "part": "part", "tuning": "probe"}
    given |= {"scratch": False, "label_curve": False}
    frame = texts(160)
    frame.loc[frame.index % 4 == 2, "part"] = "val"
    held = frame.part != "train"
    other = frame.assign(
        text=np.where(held, "z z z " + frame.text, frame.text),
        label=np.where(held, frame.label[::-1], frame.label),
    )
    reasons = []
    for name, data in (("one", frame), ("other", other)):
        data.to_csv(tmp_path / f"{name}.csv", index=False)
        run = headstart.fit(tmp_path / f"{name}.csv", out=tmp_path / name, budget=600, **given)
        plan = tomllib.loads((tmp_path / name / "plan.toml").read_text())
        reasons += [one["reason"].split(", ranked in")[0] for one in plan["decisions"] if one["what"] == "backbone"]
        assert run.record.times["choosing the backbone"] > 0
    assert re.search(r"on 80 training examples; the best of [23] on this machine with probability", reasons[0])
    assert reasons[0] == reasons[1]
    again = headstart.fit(tmp_path / "one" / "plan.toml", out=tmp_path / "again")
    assert again.record.backbone == headstart.load(tmp_path / "one").record.backbone
    assert "choosing the backbone" not in again.record.times
    headstart.fit(tmp_path / "one.csv", out=tmp_path / "plain", **given)
    plan = tomllib.loads((tmp_path / "plain" / "plan.toml").read_text())
    assert not any("with probability" in one["reason"] for one in plan["decisions"])
