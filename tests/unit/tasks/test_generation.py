"""Texts to write: targets, losses, decoding, figures by sacrebleu, and whole fits with a small translator."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import sacrebleu
import torch
from pydantic import TypeAdapter

import headstart
from headstart.contracts.examples import Examples, Schema
from headstart.contracts.features import Features
from headstart.contracts.format import Columns
from headstart.contracts.modality import raws_of
from headstart.contracts.model import Model, load_model
from headstart.contracts.panels import Panel
from headstart.contracts.prediction import Prediction
from headstart.contracts.presentation import presentation_of, review_of
from headstart.contracts.task_capabilities import learnt_of
from headstart.contracts.written_targets import texts_of
from headstart.engine.streams import Stream
from headstart.engine.training.forward import Forward
from headstart.kernel.errors import BackboneError, DataError, SettingsError
from headstart.pipeline.data import Given
from headstart.pipeline.plan import Plan
from headstart.pipeline.sequence import start
from headstart.tasks.generation.metrics import TEXT
from headstart.tasks.generation.task import BoundGeneration, Generation
from tiny_translators import translator

NOUNS, VERBS = ("cat", "dog", "man", "girl", "bird"), ("runs", "sleeps", "sings", "waits")
FRENCH = {"cat": "chat", "dog": "chien", "man": "homme", "girl": "fille", "bird": "oiseau"}
FRENCH |= {"runs": "court", "sleeps": "dort", "sings": "chante", "waits": "attend", "The": "Le", "and the": "et le"}


def pairs(n: int) -> list[tuple[str, str]]:
    """Different sentences and their word by word translations."""
    drawn = np.random.default_rng(0)
    found: dict[str, str] = {}
    while len(found) < n:
        words = [str(drawn.choice(part)) for part in (NOUNS, VERBS, NOUNS, VERBS)]
        source = "The {} {} and the {} {}.".format(*words)
        found[source] = "Le {} {} et le {} {}.".format(*(FRENCH[word] for word in words))
    return list(found.items())


def examples(n: int = 12) -> Examples:
    sources, texts = zip(*pairs(n))
    table = pa.table({"en": sources, "fr": texts, "origin": [f"row {row}" for row in range(n)]})
    return Examples(table, Schema(modality="text", inputs=("en",), targets={"label": "fr"}, origin="origin"))


def states(backbone: Any, some: Examples) -> Features:
    with torch.no_grad():
        prepared = backbone.prepare(raws_of(some))
        found: Features = backbone.features(backbone.segment(0, len(backbone.stages))(prepared))
    return found


@pytest.fixture(scope="module")
def backbone() -> Any:
    return translator()


@pytest.fixture(scope="module")
def bound(backbone: Any) -> BoundGeneration:
    return Generation(longest=40).bind(examples(), backbone)


def batch_of(task: BoundGeneration, some: Examples) -> Any:
    rows = np.arange(len(some))
    kinds, inputs = task.target_kinds, task.inputs(some)
    source = lambda _: None  # noqa: E731
    stream = Stream("source", rows, task.targets(some), source, len(some), 0, head_inputs=inputs, target_kinds=kinds)
    return stream.batch(rows)


def test_the_loss_is_the_smoothed_cross_entropy_of_each_token_given_those_before(
    backbone: Any, bound: BoundGeneration
) -> None:
    some = examples(3)
    head, batch = bound.head(backbone), batch_of(bound, some)
    found = bound.losses(bound.forward(head, states(backbone, some), batch.head_inputs), batch.targets)
    expected, tokens = 0.0, 0
    for row, target in enumerate(bound.targets(some)[TEXT]):
        one = backbone.prepare(raws_of(some.take([row])))
        before = torch.tensor([[backbone.module.config.decoder_start_token_id, *target.tokens[:-1]]])
        with torch.no_grad():
            logits = backbone.module(
                input_ids=one.hidden, attention_mask=one.context["attention_mask"], decoder_input_ids=before
            ).logits[0]
        log_p = logits.double().log_softmax(dim=1)
        right = log_p[torch.arange(len(target.tokens)), torch.from_numpy(target.tokens)]
        expected -= float((0.9 * right + 0.1 * log_p.mean(dim=1)).sum())
        tokens += len(target.tokens)
    assert found["cross_entropy"].item() == pytest.approx(expected / tokens, rel=1e-5)


def test_the_loss_reaches_every_weight_of_the_decoder_and_no_head_has_any(
    backbone: Any, bound: BoundGeneration
) -> None:
    head, batch = bound.head(backbone), batch_of(bound, examples(4))
    assert not list(head.parameters()) and copy.deepcopy(head).decoder is head.decoder
    backbone.module.requires_grad_(True).zero_grad()
    found = bound.forward(head, states(backbone, examples(4)), batch.head_inputs)
    sum(bound.losses(found, batch.targets).values()).backward()
    named = dict(backbone.module.named_parameters())
    for stage in backbone.stages[-backbone.decoder_stages :]:
        assert all(named[name].grad is not None for name in stage.parameters), stage.name


@pytest.mark.parametrize("beams", [1, 3])
def test_generation_from_kept_states_equals_generation_from_the_input(backbone: Any, beams: int) -> None:
    task = Generation(beams=beams, longest=12).bind(examples(), backbone)
    some = examples(4)
    found = task.predict(task.head(backbone), states(backbone, some), {})
    prepared = backbone.prepare(raws_of(some))
    tokens = backbone.module.generate(
        input_ids=prepared.hidden,
        attention_mask=prepared.context["attention_mask"],
        num_beams=beams,
        early_stopping=beams > 1,
        max_length=None,
        max_new_tokens=12,
    )
    decoder = backbone.decoder()
    assert found.columns[TEXT].tolist() == decoder.decode([*tokens[:, 1:].numpy()])
    kept = decoder.generate(states(backbone, some), task.settings)
    assert torch.equal(kept, tokens[:, 1:])


def test_only_the_epochs_of_a_training_are_watched_by_drafts(backbone: Any) -> None:
    task = Generation(beams=4, longest=12).bind(examples(), backbone)
    model = Model(backbone, task, torch.nn.ModuleDict({"head": task.head(backbone)}), Columns(), {})
    forward = Forward(model, 0, torch.device("cpu"), "float32")
    batch = replace(batch_of(task, examples(4)), state=backbone.prepare(raws_of(examples(4))))
    found = {}
    for drafts in (False, True):
        forward.drafts = drafts
        with torch.no_grad():
            found[drafts] = forward.predict(forward.features(batch), batch).columns[TEXT].tolist()
    kept = states(backbone, examples(4))
    assert found[False] == task.predict(task.head(backbone), kept, {}).columns[TEXT].tolist()
    greedy = Generation(beams=1, longest=12).bind(examples(), backbone)
    assert found[True] == greedy.predict(greedy.head(backbone), kept, {}).columns[TEXT].tolist() != found[False]


def test_predicting_never_sees_a_target(backbone: Any, bound: BoundGeneration) -> None:
    some = examples(4)
    batch, head = batch_of(bound, some), bound.head(backbone)
    blind = bound.predict(head, states(backbone, some), {})
    assert bound.predict(head, states(backbone, some), batch.head_inputs).columns[TEXT].tolist() == (
        blind.columns[TEXT].tolist()
    )
    assert bound.inputs(Examples(some.table, some.schema.model_copy(update={"targets": {}}))) == {}


def test_texts_longer_than_may_be_written_are_cut_before_their_end_and_counted(backbone: Any) -> None:
    task = Generation(longest=5).bind(examples(), backbone)
    assert all(len(target.tokens) == 5 for target in task.targets(examples())[TEXT])
    end = backbone.decoder().end
    assert {int(target.tokens[-1]) for target in task.targets(examples())[TEXT]} == {end}
    assert texts_of(task.targets(examples())[TEXT]) == [text for _, text in pairs(12)]
    assert "12 of 12 are longer" in task.choices()[0].reason
    assert not Generation(longest=60).bind(examples(), backbone).choices()


def test_what_was_learnt_survives_json_and_needs_the_backbone_again(backbone: Any, bound: BoundGeneration) -> None:
    settings, learnt = json.loads(json.dumps(learnt_of(bound)))
    again = Generation(**settings).restore(learnt)
    assert again == bound
    with pytest.raises(SettingsError, match="before it is given its backbone"):
        again.targets(examples())
    given = again.with_backbone(backbone)
    assert given == bound and len(given.targets(examples())[TEXT]) == 12


def noisy(texts: list[str]) -> Prediction:
    """Predictions of which every second one has a word too many and every third is half of it."""
    found = [text + " oui" * (row % 2) if row % 3 else text[: len(text) // 2] for row, text in enumerate(texts)]
    return Prediction({TEXT: np.array(found, object), "unfinished": np.zeros(len(found), bool)})


def test_figures_are_sacrebleus_and_weights_are_repetitions(bound: BoundGeneration) -> None:
    targets, texts = bound.targets(examples()), [text for _, text in pairs(12)]
    prediction = noisy(texts)
    found = prediction.columns[TEXT].tolist()
    expected = {
        "chrf": sacrebleu.corpus_chrf(found, [texts]).score,
        "bleu": sacrebleu.corpus_bleu(found, [texts]).score,
        "ter": sacrebleu.corpus_ter(found, [texts]).score,
    }
    weights = np.random.default_rng(1).integers(0, 3, (3, 12)).astype(float)
    for metric in bound.evaluation.metrics:
        assert metric.score(targets, prediction) == pytest.approx(expected[metric.name], abs=1e-9)
        replicates = metric.replicates(targets, prediction)
        assert replicates(np.ones((1, 12)))[0] == pytest.approx(expected[metric.name], abs=1e-9)
        for row, counts in zip(replicates(weights), weights):
            rows = np.repeat(np.arange(12), counts.astype(int))
            again = metric.score({TEXT: targets[TEXT][rows]}, prediction.take(rows))
            assert row == pytest.approx(again, rel=1e-9)


def test_reports_show_signatures_figures_by_length_and_the_worst_texts(bound: BoundGeneration) -> None:
    targets, texts = bound.targets(examples()), [text for _, text in pairs(12)]
    shown = presentation_of(bound)
    panels = shown.panels(noisy(texts), targets)
    adapter = TypeAdapter(tuple[Panel, ...])
    assert adapter.validate_json(adapter.dump_json(panels)) == panels
    signatures = {row[0]: row[1] for row in panels[0].rows}
    assert signatures["bleu"] == "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:" + sacrebleu.__version__
    assert sum(row[1] for row in panels[1].rows) == 12
    mistakes = shown.mistakes(noisy(texts), targets, 3)
    assert [mistake.weight for mistake in mistakes] == sorted((m.weight for m in mistakes), reverse=True)
    assert all(mistake.row % 3 == 0 and mistake.truth == texts[mistake.row] for mistake in mistakes)
    columns = shown.columns(noisy(texts))
    assert columns["prediction"].tolist() == noisy(texts).columns[TEXT].tolist()
    assert "12 texts to write, 7 words" in review_of(Generation, examples()).notes[0]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("labels", "suits"),
    [
        ([text for _, text in pairs(12)], True),
        (["a cat sits here", "a dog sits here", "a cat sits here"] * 4, False),
        ([f"name {row}" for row in range(12)], False),
        (list(range(12)), False),
    ],
)
def test_labels_that_differ_and_have_words_are_texts_to_write(labels: list[Any], suits: bool) -> None:
    table = examples().table.set_column(1, "fr", pa.array(labels))
    assert (Generation.suits(Examples(table, examples().schema)) is not None) is suits


def test_missing_texts_other_labels_and_models_that_do_not_write_are_refused(backbone: Any) -> None:
    texts: list[Any] = [text for _, text in pairs(12)]
    holes = Examples(examples().table.set_column(1, "fr", pa.array([*texts[:10], None, " "])), examples().schema)
    with pytest.raises(DataError, match=r"2 of 12 examples have no text to write, first row 10"):
        Generation().bind(holes, backbone)
    numbers = Examples(examples().table.set_column(1, "fr", pa.array(range(12))), examples().schema)
    with pytest.raises(DataError, match="labels=names"):
        Generation().bind(numbers, backbone)

    class Plain:
        name, width = "bert", 4

    with pytest.raises(BackboneError, match="bert has no decoder"):
        Generation().bind(examples(), Plain())  # type: ignore[arg-type]


def write(path: Path, n: int) -> Path:
    parts = ["train"] * (n - n // 4) + ["val"] * (n // 8) + ["test"] * (n // 4 - n // 8)
    lines = [f"{one}\t{other}\t{part}" for (one, other), part in zip(pairs(n), parts)]
    path.write_text("\n".join(["en\tfr\tsplit", *lines]) + "\n", encoding="utf-8")
    return path


SMALL = {"backbone": {"width": 32, "layers": 1, "heads": 2, "vocabulary": 320, "dropout": 0.0}}


@pytest.mark.slow
def test_a_small_translator_learns_and_its_run_is_the_backbone_of_another(tmp_path: Path) -> None:
    data = write(tmp_path / "pairs.tsv", 160)
    common: dict[str, Any] = {"text": "en", "label": "fr", "tuning": "full", "scratch": False, "label_curve": False}
    tuning = {"epochs": 12, "batch_size": 8, "learning_rate": 1e-2, "patience": 12}
    settings = {**SMALL, "tuning": tuning, "task": {"label_smoothing": 0.0, "beams": 2}}
    run = headstart.fit(data, backbone="seq2seq_small", out=tmp_path / "one", settings=settings, **common)
    model = run.record.arms["model"].figures["chrf"].value
    assert model > 90 and {*run.record.arms} == {"model"}, "from random weights there is nothing to compare it with"
    assert any("a vocabulary of" in note and "240 texts" in note for note in run.record.data.notes)
    some = pairs(160)[-20:]
    found = headstart.predict(run.folder, [source for source, _ in some])["prediction"].tolist()
    assert sum(text == truth for text, (_, truth) in zip(found, some)) > 10
    judged = headstart.evaluate(run.folder, data)
    assert judged.figures["bleu"].value > 80
    named = [choice for choice in run.record.decisions if choice.what == "tuning"]
    assert not named, "the tuning was given"
    child = headstart.fit(
        data, backbone=str(run.folder), out=tmp_path / "two", settings={"tuning": {"epochs": 1}}, **common
    )
    arms = child.record.arms
    started = arms["model" if "tuned" in arms else "probe"]  # it stays where nothing is better on validation
    assert started.figures["chrf"].value == pytest.approx(model, abs=5)
    kept = {"tuning": {"depth": "decoder", "epochs": 1}}
    common["tuning"] = "partial"
    decoder = headstart.fit(data, backbone=str(run.folder), out=tmp_path / "three", settings=kept, **common)
    decoder = decoder if decoder.tuned is None else headstart.load(decoder.tuned)
    moved = {row.name: row.trained > 0 for row in decoder.record.stages}
    assert moved == {"encoder.embeddings": False, "encoder.layer.0": False, "decoder.layer.0": True}
    before, after = (load_model(one.folder / "model").backbone.module.state_dict() for one in (run, decoder))
    assert all(torch.equal(before[name], after[name]) for name in before if ".encoder." in name)
    assert not torch.equal(before["model.decoder.layers.0.fc1.weight"], after["model.decoder.layers.0.fc1.weight"])
    words = [load_model(one.folder / "model").backbone.assets()["tokenizer.json"] for one in (run, child)]
    assert words[0] == words[1], "a child keeps the vocabulary of its parent"


@pytest.mark.parametrize(
    ("said", "tuning"), [({}, "full"), ({"tuning": "probe"}, "probe"), ({"tuning": "auto"}, "full")]
)
def test_without_a_tuning_a_model_that_writes_trains(said: dict[str, Any], tuning: str, tmp_path: Path) -> None:
    plan = Plan(data="<pairs>", settings=SMALL, **said)
    begun = start(Given(str(write(tmp_path / "pairs.tsv", 40))), plan)
    assert begun.plan.tuning == tuning and begun.plan.backbone == "seq2seq_small"
    assert [one.value for one in begun.log.made if one.what == "tuning"] == ([] if tuning == "probe" else ["full"])
