"""Encoder-decoders of transformers: what training shows the decoder is what it will see when it writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import AutoConfig, AutoModelForSeq2SeqLM, GenerationConfig, NllbTokenizer

from headstart.backbones.hf_seq2seq import HfSeq2Seq
from headstart.backbones.seq2seq_small import Seq2SeqSmall
from headstart.contracts.features import Features
from headstart.contracts.generation import Decoding
from headstart.contracts.targets import PADDED_TARGET
from headstart.contracts.written_targets import TEXTS, written
from headstart.kernel.errors import BackboneError
from headstart.kernel.files import read_json, write_json
from tiny_text_models import SENTENCES
from tiny_translators import FAMILIES, PLAIN, save_translator, translator

TEXTS_TO_WRITE = ["Eine Katze.", "Zwei Hunde bellen laut.", "Ja."]


def features(backbone: Any) -> Features:
    with torch.no_grad():
        state = backbone.prepare(list(SENTENCES[:3]))
        found: Features = backbone.features(backbone.segment(0, len(backbone.stages))(state))
    return found


def labels(backbone: Any) -> torch.Tensor:
    return TEXTS.collated(written(TEXTS_TO_WRITE, backbone.decoder().encode(TEXTS_TO_WRITE)))


def own_loss(backbone: Any, tokens: torch.Tensor) -> float:
    """The library's loss, from the input."""
    state = backbone.prepare(list(SENTENCES[:3]))
    with torch.no_grad():
        mask = state.context["attention_mask"]
        return float(backbone.module(input_ids=state.hidden, attention_mask=mask, labels=tokens).loss)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_teacher_forcing_and_generation_are_the_librarys(family: str) -> None:
    backbone = translator(family)
    tokens, decoder, kept = labels(backbone), backbone.decoder(), features(backbone)
    scored = decoder.scored(kept, tokens)
    loss = torch.nn.functional.cross_entropy(scored.logits.flatten(0, 1), tokens.flatten(), ignore_index=PADDED_TARGET)
    assert float(loss.detach()) == pytest.approx(own_loss(backbone, tokens), rel=1e-5)
    made = backbone.module.get_output_embeddings()(scored.states)
    bias = getattr(backbone.module, "final_logits_bias", torch.zeros(1))
    assert torch.allclose(made + bias, scored.logits, atol=1e-5)
    assert tokens[tokens == PADDED_TARGET].numel(), "texts of different lengths are padded"
    state = backbone.prepare(list(SENTENCES[:3]))
    own = backbone.module.generate(
        input_ids=state.hidden, attention_mask=state.context["attention_mask"], num_beams=2, max_new_tokens=9,
        max_length=None, early_stopping=True,
    )  # fmt: skip
    assert torch.equal(decoder.generate(kept, Decoding(beams=2, longest=9)), own[:, 1:])
    alone = decoder.scored(kept.map(lambda value: value[:1]), tokens[:1]).logits
    assert torch.allclose(alone, scored.logits[:1], atol=1e-4), "a batch of one is shifted as others are"


def test_the_encoder_of_a_t5_stays_whole_and_others_are_cut_at_their_layers() -> None:
    assert [stage.name for stage in translator("t5").stages] == ["encoder.whole", "decoder.whole"]
    names = [stage.name for stage in translator("mbart").stages]
    assert names == [f"encoder.{part}" for part in ("embeddings", "layer.0", "layer.1")] + [
        "decoder.layer.0",
        "decoder.layer.1",
    ]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"decoder_start_token_id": 7}, "begins texts with token 7 and would be trained to begin them with 0"),
        ({"forced_bos_token_id": 9}, "writes token 9 first"),
    ],
)
def test_a_decoder_that_would_be_trained_otherwise_than_it_writes_is_refused(
    changes: dict[str, int], words: str, tmp_path: Path
) -> None:
    folder = save_translator(tmp_path, "marian")
    rules = read_json(folder / "generation_config.json")
    write_json(folder / "generation_config.json", {**rules, **changes})
    with pytest.raises(BackboneError, match=words):
        HfSeq2Seq(reference=str(folder)).load()


def test_a_model_without_padding_and_one_that_does_not_write_are_refused(tmp_path: Path) -> None:
    folder = save_translator(tmp_path, "bart")
    config = read_json(folder / "config.json")
    write_json(folder / "config.json", {**config, "vocab_size": 100})
    with pytest.raises(BackboneError):
        HfSeq2Seq(reference=str(folder), weights="random").load()
    assert HfSeq2Seq.suits(str(folder)) and not HfSeq2Seq.suits(str(tmp_path / "nowhere"))
    assert HfSeq2Seq.suits("Helsinki-NLP/opus-mt-en-de") and not HfSeq2Seq.suits("bert-base-uncased")


def save_nllb(folder: Path) -> Path:
    """A model of several languages, whose tokenizer begins targets with the code of theirs."""
    words = Tokenizer(models.BPE(unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    words.train_from_iterator(
        [*SENTENCES, *TEXTS_TO_WRITE], trainers.BpeTrainer(vocab_size=200, special_tokens=special)
    )
    model = read_json(_saved(words, folder))["model"]
    merges = [tuple(pair) for pair in model["merges"]]
    tokenizer = NllbTokenizer(vocab=model["vocab"], merges=merges, src_lang="eng_Latn", tgt_lang="deu_Latn")
    tokenizer.save_pretrained(folder)
    ids = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": 2, "bos_token_id": 0, "decoder_start_token_id": 2}
    config = AutoConfig.for_model("m2m_100", **PLAIN, vocab_size=len(tokenizer) + 1, **ids)
    built = AutoModelForSeq2SeqLM.from_config(config)
    built.generation_config = GenerationConfig(**ids)
    built.save_pretrained(folder)
    return folder


def _saved(words: Tokenizer, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    words.save(str(folder / "bare.json"))
    return folder / "bare.json"


def test_a_model_of_several_languages_learns_and_writes_the_one_that_is_asked_for(tmp_path: Path) -> None:
    folder = save_nllb(tmp_path / "nllb")
    with pytest.raises(BackboneError, match=r"target_language: .*deu_Latn"):
        HfSeq2Seq(reference=str(folder), source_language="eng_Latn", target_language="deu_Latm").load()
    backbone: Any = HfSeq2Seq(reference=str(folder), source_language="eng_Latn", target_language="fra_Latn").load()
    decoder = backbone.decoder()
    french = decoder.language_token()
    assert {int(row[0]) for row in decoder.encode(TEXTS_TO_WRITE)} == {french}
    shown = decoder.shifted(labels(backbone))
    assert shown[:, :2].tolist() == [[2, french]] * 3
    made = decoder.generate(features(backbone), Decoding(beams=2, longest=6))
    assert made[:, 0].tolist() == [french] * 3
    folder_of_run = tmp_path / "assets"
    folder_of_run.mkdir()
    for name, content in backbone.assets().items():
        (folder_of_run / name).write_bytes(content)
    again: Any = HfSeq2Seq(**backbone.describe()["settings"]).rebuild(folder_of_run)
    again.module.load_state_dict(backbone.module.state_dict())
    assert torch.equal(again.decoder().generate(features(again), Decoding(beams=2, longest=6)), made)


def test_a_small_ones_vocabulary_comes_from_both_sides_and_from_further_files(tmp_path: Path) -> None:
    more = tmp_path / "more.txt"
    more.write_text("Schifffahrt\n\nSchifffahrt und Schifffahrt\n", encoding="utf-8")
    small: Any = Seq2SeqSmall(width=16, layers=1, heads=2, vocabulary=320, also=(str(more),)).load()
    said = small.learn_vocabulary(["a cat sat", "a cat ran"] * 4)
    assert "from 8 texts and 2 lines of 1 other files" in said and small.learn_vocabulary(["z"]) == ""
    assert len(small.decoder().encode(["Schifffahrt"])[0]) < 6 and len(small.decoder().encode(["a cat"])[0]) == 3
    odd = "Ünïcödé 文字 👍"
    assert small.decoder().decode(small.decoder().encode([odd])) == [odd], "no character is unknown"
    with pytest.raises(BackboneError, match="no multiple"):
        Seq2SeqSmall(width=18, heads=4).load()
    with pytest.raises(BackboneError, match="cannot be read"):
        Seq2SeqSmall(width=16, heads=2, also=("nowhere.txt",)).load().learn_vocabulary(["a"])  # type: ignore[attr-defined]
    with pytest.raises(BackboneError, match="give a run"):
        Seq2SeqSmall(weights="other").load()
