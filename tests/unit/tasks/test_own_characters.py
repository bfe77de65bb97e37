"""A model that was trained by CTC keeps its characters and its last layer: their order, case, and what they lack."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
import transformers

import headstart
from headstart.backbones.hf_audio import HfAudio
from headstart.contracts.backbone import Backbone
from headstart.contracts.model import load_model
from headstart.kernel.errors import BackboneError
from headstart.media.audio import as_file
from headstart.tasks.transcription.frame_head import CharacterLayer
from headstart.tasks.transcription.task import BoundTranscription, Transcription
from spoken_letters import spoken_letters
from tiny_sound_models import save_sound_model, save_speller

pytest.importorskip("jiwer", reason="transcripts are judged by the extra 'audio'")

WORDS = ["no", "yes no", "yes"]


def speller(folder: Path, **settings: Any) -> Backbone:
    return HfAudio(reference=str(save_speller(folder)), **settings).load()


def bound(backbone: Backbone, words: list[str], **settings: Any) -> BoundTranscription:
    examples = spoken_letters(len(words))
    table = examples.table.set_column(1, "transcript", pa.array(words, pa.string()))
    task = Transcription(**settings).bind(type(examples)(table, examples.schema), backbone)
    assert isinstance(task, BoundTranscription)
    return task


def test_its_own_layer_gives_what_the_library_gives_and_writes_as_the_transcripts_do(tmp_path: Path) -> None:
    backbone = speller(tmp_path)
    task = bound(backbone, WORDS)
    assert task.own and task.join == 1 and task.begins_learnt
    assert task.alphabet == (" ", *"abnoesy"), "written as the transcripts are"
    raw = as_file(np.random.default_rng(0).normal(0, 0.1, 8000).astype(np.float32), 16000)
    state = backbone.prepare([raw])
    with torch.no_grad():
        features = backbone.features(backbone.segment(0, len(backbone.stages)).eval()(state))
        found = task.forward(task.head(backbone).eval(), features, {})["log_probs"][0]
        theirs = transformers.Wav2Vec2ForCTC.from_pretrained(tmp_path).eval()(state.hidden).logits[0]
    vocabulary = json.loads((tmp_path / "vocab.json").read_text())
    rows = [vocabulary[token] for token in ("<pad>", "<unk>", "|", *"ABNOESY")]
    expected = torch.log_softmax(theirs[:, rows], dim=-1)
    assert torch.allclose(found, expected, atol=1e-5)


def test_characters_that_it_lacks_are_counted_and_too_many_of_them_leave_it_out(tmp_path: Path) -> None:
    backbone = speller(tmp_path)
    few = bound(backbone, ["yes no " * 30, "yes é"])
    assert few.own and "of the transcripts' it lacks 'é' 1" in few.choices()[0].reason
    many = bound(backbone, ["grün", "yes", "no"])
    assert not many.own and set(many.alphabet) == set("grünyeso")
    assert "not the model's own; of the transcripts' it lacks" in many.choices()[0].reason and "'ü' 1" in many.why
    assert bound(backbone, ["grün", "yes"], vocabulary="own").own
    assert not bound(backbone, WORDS, vocabulary="data").own
    assert bound(backbone, ["YES", "NO"]).alphabet == (" ", *"ABNOESY")


def test_a_random_start_and_models_without_such_a_layer_have_none(tmp_path: Path) -> None:
    backbone = speller(tmp_path / "one")
    task = bound(backbone, WORDS)
    head, fresh = task.head(backbone), task.head(backbone.fresh(1))
    assert isinstance(head, CharacterLayer) and isinstance(fresh, CharacterLayer)
    assert fresh.out.weight.shape == head.out.weight.shape and not torch.equal(fresh.out.weight, head.out.weight)
    plain = HfAudio(reference=str(save_sound_model(tmp_path / "two", "wav2vec2"))).load()
    assert not bound(plain, WORDS).own
    with pytest.raises(BackboneError, match=r"task\.vocabulary = own: the backbone has no characters of its own"):
        bound(plain, WORDS, vocabulary="own")
    (tmp_path / "one" / "vocab.json").write_text('{"<pad>": 0, "sub": 1, "word": 2}')
    assert not bound(HfAudio(reference=str(tmp_path / "one")).load(), WORDS).own, "subwords are no characters"


def test_a_fit_begins_with_it_stays_with_it_where_nothing_is_better_and_saves_it(tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    folder, draws = tmp_path / "clips", np.random.default_rng(0)
    folder.mkdir()
    lines = ["file,transcript"]
    for row in range(24):
        soundfile.write(folder / f"{row}.wav", draws.normal(0, 0.1, 4800), 16000)
        lines.append(f"{row}.wav,{WORDS[row % 3]}")
    (folder / "transcripts.csv").write_text("\n".join(lines))
    backbone = str(save_speller(tmp_path / "model"))
    tuning = {"epochs": 2, "head_learning_rate": 1e-9}
    common = {"backbone": backbone, "scratch": False, "runner": "eager", "label_curve": False}
    run = headstart.fit(folder, out=tmp_path / "run", tuning="head_only", settings={"tuning": tuning}, **common)
    assert run.record.arms["model"].title.endswith("as it is") and "tuned" in run.record.arms
    assert "no epoch was better than" in run.verdict
    head = load_model(run.folder / "model").heads["head"]
    own = HfAudio(reference=backbone).load().characters()  # type: ignore[attr-defined]
    assert isinstance(head, CharacterLayer) and torch.equal(head.out.weight, own.weight)
