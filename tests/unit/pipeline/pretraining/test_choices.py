"""What is chosen for a pretraining, and which objectives, views and settings are refused for which data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from headstart.contracts.examples import Examples, Schema
from headstart.contracts.format import Columns
from headstart.kernel.errors import DataError, SettingsError
from headstart.objectives.masked_tokens import MaskedTokens
from headstart.pipeline.plan_file import write_plan
from headstart.pipeline.pretraining.choices import MOST_STEPS, Choices, choose, initial_backbone
from headstart.pipeline.pretraining.plan import PretrainPlan, read_plan
from headstart.pipeline.pretraining.unlabelled import ROWS_AT_ONCE, Unlabelled, read_unlabelled
from headstart.pipeline.record import Decision
from tiny_backbone import TinyBackbone, numeric_examples


def data(modality: str = "table", number: int = 1000) -> Unlabelled:
    table = pa.table({"x": np.zeros(number), "origin": [f"row {row}" for row in range(number)]})
    examples = Examples(table, Schema(modality=modality, inputs=("x",), origin="origin"))
    return Unlabelled(examples, np.arange(number - 50), np.arange(number - 50, number), "it", "it", ())


class Rows(TinyBackbone):
    """Says how many columns it reads."""

    def preparation(self) -> dict[str, Any]:
        return {"columns": 4}


def chosen(plan: PretrainPlan, of: Unlabelled | None = None) -> Choices:
    return choose(plan, of or data(), Rows(), None)


def test_auto_takes_what_claims_the_data_and_says_why() -> None:
    found = chosen(PretrainPlan(data="it", weights="random"))
    named = {decision.what: decision for decision in found.decisions}
    assert found.plan.objective == named["objective"].value
    assert "table" in found.objective.modalities and named["objective"].reason
    assert found.plan.augmentation == named["augmentation"].value == found.objective.advice.augmentation


def test_auto_passes_over_what_the_backbone_cannot_do() -> None:
    texts = data("text")
    with pytest.raises(SettingsError, match="needs a mask token"):
        MaskedTokens().check(Rows())
    assert chosen(PretrainPlan(data="it"), texts).plan.objective == "simcse"


def test_numbers_begin_with_a_network_that_has_something_to_train() -> None:
    begun = initial_backbone(PretrainPlan(data="it"), numeric_examples(np.zeros((5, 3)), [0] * 5))
    assert any(True for _ in begun.backbone.module.parameters()) and begun.plan.weights == "random"
    assert begun.decision is not None and "nothing to train" in begun.decision.reason
    named = initial_backbone(
        PretrainPlan(data="it", backbone="table_features"), numeric_examples(np.zeros((5, 3)), [0] * 5)
    )
    assert named.decision is None and named.plan.backbone == "table_features"


def test_pretrained_weights_go_on_more_slowly_unless_a_rate_is_named() -> None:
    assert chosen(PretrainPlan(data="it", weights="random")).recipe.learning_rate == 1e-3
    gentle = chosen(PretrainPlan(data="it"))
    assert gentle.recipe.learning_rate == pytest.approx(3e-4)
    assert any(decision.what == "learning rate" for decision in gentle.decisions)
    named = chosen(PretrainPlan(data="it", settings={"training": {"learning_rate": 0.01}}))
    assert named.recipe.learning_rate == 0.01


def test_fewer_inputs_than_a_batch_are_said_or_refused() -> None:
    small = chosen(PretrainPlan(data="it"), data(number=150))
    assert small.recipe.batch_size == 100
    assert any(d.what == "batch size" and "100 inputs to train on" in d.reason for d in small.decisions)
    with pytest.raises(SettingsError, match=r"training\.batch_size = 256: there are 100 inputs"):
        chosen(PretrainPlan(data="it", settings={"training": {"batch_size": 256}}), data(number=150))


def test_a_long_pass_has_several_epochs() -> None:
    few = chosen(PretrainPlan(data="it", settings={"training": {"batch_size": 2}}), data(number=7050))
    assert few.rounds == 7 and 3500 / few.rounds <= MOST_STEPS + 1


def test_an_objective_of_other_data_is_refused_with_those_that_suit() -> None:
    with pytest.raises(SettingsError, match=r"'simclr' learns from image data, these are table\. For table data: "):
        chosen(PretrainPlan(data="it", objective="simclr"))


def test_faults_of_a_plan_come_at_once() -> None:
    settings: dict[str, dict[str, Any]] = {"tunning": {}, "training": {"epochs": 0}, "objective": {"width": 3}}
    plan = PretrainPlan(data="it", augmentation="sharpen", settings=settings)
    with pytest.raises(SettingsError) as raised:
        plan.check()
    told = str(raised.value)
    for fault in ("'tunning' is not known", "training.epochs = 0", "needs an objective: name one", "'sharpen'"):
        assert fault in told


def test_a_plan_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    plan = PretrainPlan(data="it", labelled="sample", budget=3.0, settings={"training": {"epochs": 2}})
    write_plan(tmp_path / "plan.toml", plan, (Decision(what="objective", value="simclr", reason="because"),))
    assert read_plan(tmp_path / "plan.toml") == plan
    (tmp_path / "fit.toml").write_text('data = "photos"\n')
    with pytest.raises(SettingsError, match="is the plan of a fit: repeat it with headstart fit"):
        read_plan(tmp_path / "fit.toml")


def test_inputs_are_listed_without_being_opened_and_some_are_held_out(tmp_path: Path) -> None:
    for number in range(200):
        folder = tmp_path / f"folder{number % 3}"
        folder.mkdir(exist_ok=True)
        (folder / f"{number}.png").write_bytes(b"never opened")
    (tmp_path / "more.zip").write_bytes(b"")
    found = read_unlabelled(tmp_path, Columns(), None, 0)
    assert len(found.train) + len(found.held_out) == 200 and not np.intersect1d(found.train, found.held_out).size
    assert len(found.held_out) == 16 and found.seen == "200 images"
    assert found.notes[0].startswith("The files are in 3 folders: folder0 (67), folder1 (67) and folder2 (66).")
    assert "1 file other than images left out (1 .zip)" in found.notes[1]
    again = read_unlabelled(tmp_path, Columns(), None, 0)
    assert (again.held_out == found.held_out).all()
    assert (read_unlabelled(tmp_path, Columns(), None, 1).held_out != found.held_out).any()


def test_labels_of_a_table_are_not_asked_for(tmp_path: Path) -> None:
    rows = "".join(f"a text of number {row},{row % 2}\n" for row in range(40))
    (tmp_path / "texts.csv").write_text("text,label\n" + rows)
    found = read_unlabelled(tmp_path / "texts.csv", Columns(text=("text",), label="label"), None, 0)
    assert found.examples.schema.modality == "text" and not found.examples.schema.targets


def test_a_named_label_is_no_number_to_learn_from_and_the_others_are_named(tmp_path: Path) -> None:
    table = pd.DataFrame({"age": np.arange(40.0), "hours": np.arange(40.0) / 7, "income": np.arange(40) % 2})
    for labels in ("income", ("income", "absent")):
        found = read_unlabelled(table, Columns(label=labels), None, 0)
        assert found.examples.schema.inputs == ("age", "hours")
        assert "Trained on the columns age, hours." in found.notes


def test_rows_that_hold_nothing_and_copies_of_texts_are_neither_learnt_from_nor_held_out() -> None:
    numbers = pd.DataFrame(
        {"a": [float("nan")] * 3 + [*range(37)], "b": [*[float("nan")] * 2, float("inf"), *range(37)]}, dtype=float
    )
    found = read_unlabelled(numbers, Columns(numeric=("a", "b")), None, 0)
    assert sorted([*found.train, *found.held_out]) == list(range(3, 40))
    assert any("Skipped 2 inputs, such as " in note and "has no value in any column" in note for note in found.notes)
    assert any("Skipped 1 input, such as " in note and "it has an infinite number." in note for note in found.notes)
    texts = pd.DataFrame({"text": ["ok, thanks"] * 20 + [" "] + [f"a text of number {row}" for row in range(40)]})
    found = read_unlabelled(texts, Columns(text=("text",)), None, 0)
    assert sorted([*found.train, *found.held_out]) == [0, *range(21, 61)]
    with pytest.raises(DataError, match="has 1 inputs of use; learning without labels needs 32"):
        read_unlabelled(texts[:21], Columns(text=("text",)), None, 0)


def test_too_few_inputs_are_refused(tmp_path: Path) -> None:
    (tmp_path / "one.png").write_bytes(b"x")
    with pytest.raises(DataError, match="has 1 inputs; learning without labels needs 32 at least"):
        read_unlabelled(tmp_path, Columns(), None, 0)


def test_a_folder_of_very_many_pictures_is_taken_for_one_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(60):
        (tmp_path / f"{number}.png").write_bytes(b"x")
    monkeypatch.setattr("headstart.pipeline.pretraining.unlabelled.ROWS_AT_ONCE", 50)
    monkeypatch.setattr("headstart.pipeline.pretraining.unlabelled.reader_of", None)
    assert len(read_unlabelled(tmp_path, Columns(), None, 0).examples) == 60
    assert ROWS_AT_ONCE > 50
