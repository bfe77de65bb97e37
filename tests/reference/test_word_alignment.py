"""Words and their first tokens against `word_ids()` of tokenizers that were given the words one by one.

One thing differs: a token that is the space before a word and nothing else (byte-level, where the vocabulary lacks the
word with it) is not the word's first token here, for it says nothing of the word.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoConfig, AutoModel, AutoTokenizer, PreTrainedTokenizerFast

from headstart.backbones.hf_text import HfText
from headstart.contracts.backbone import Backbone
from headstart.tasks.tagging.words import first_tokens
from tiny_text_models import CLASSIC, SENTENCES, SPECIAL, save_tiny

SENTENCES_OF_WORDS = [
    ["The", "cat", "sat", "on", "the", "mat", "."],
    ["Zürich", "'s", "naïve", "🙂🙂", "@user_name", "#rain", "pretrained", "learning"],
    ["Why", "?"],
    ["a"],
    ["the", "\u200b", "\ufe0f", "evidence", "日本語", "…", "e\u0301t\u0301"],
]


def save_wordpiece(folder: Path, family: str, **changes: Any) -> Path:
    """A model with a lower-casing WordPiece tokenizer, as BERT and DistilBERT have it."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator(SENTENCES, trainers.WordPieceTrainer(vocab_size=150, special_tokens=SPECIAL))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B:1 </s>:1", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    names = {"unk_token": "<unk>", "cls_token": "<s>", "sep_token": "</s>", "pad_token": "<pad>"}
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)
    wrapped.save_pretrained(folder)
    config = AutoConfig.for_model(family, **{**CLASSIC, **changes, "vocab_size": len(wrapped)})
    AutoModel.from_config(config).save_pretrained(folder)
    return folder


def byte_level(folder: Path, family: str) -> Path:
    """RoBERTa's and GPT-2's kind of tokenizer, places trimmed as RoBERTa has them."""
    save_tiny(folder, family)
    if family == "roberta":
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
        tokenizer.save(str(folder / "tokenizer.json"))
    return folder


SMALL = {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64, "max_position_embeddings": 64}
FAMILIES = {
    "bert": lambda folder: save_wordpiece(folder, "bert"),
    "distilbert": lambda folder: save_wordpiece(folder, "distilbert", **SMALL),
    "roberta": lambda folder: byte_level(folder, "roberta"),
    "gpt2": lambda folder: byte_level(folder, "gpt2"),
}


@pytest.fixture(params=FAMILIES)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return FAMILIES[request.param](tmp_path / request.param)


def given_word_by_word(folder: Path, words: list[str], most: int) -> tuple[list[int], list[int]]:
    """Token numbers, and the first token of each word, -1 for none, as run_ner of transformers has them."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    pre = tokenizer.backend_tokenizer.pre_tokenizer
    if isinstance(pre, pre_tokenizers.ByteLevel):
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    encoded = tokenizer(words, is_split_into_words=True, truncation=True, max_length=most)
    blank = tokenizer.get_vocab().get("Ġ")
    ids = [None if token == blank else word for token, word in zip(encoded["input_ids"], encoded.word_ids())]
    return encoded["input_ids"], [ids.index(word) if word in ids else -1 for word in range(len(words))]


def of_text(backbone: Backbone, words: list[str]) -> tuple[list[int], list[int]]:
    """The same from the words joined by spaces."""
    text = " ".join(words)
    starts = [len(" ".join(words[:at])) + (at > 0) for at in range(len(words))]
    places = torch.tensor([[[start, start + len(word)] for start, word in zip(starts, words)]])
    state = backbone.prepare([text])
    return state.hidden[0].tolist(), first_tokens(places, state.context["places"])[0].tolist()


@pytest.mark.parametrize("number", range(len(SENTENCES_OF_WORDS)))
def test_tokens_and_first_tokens_are_those_of_the_words_themselves(folder: Path, number: int) -> None:
    backbone = HfText(reference=str(folder)).load().placed()
    words = SENTENCES_OF_WORDS[number]
    assert of_text(backbone, words) == given_word_by_word(folder, words, 64)


def test_a_word_is_read_alike_wherever_it_stands(folder: Path) -> None:
    backbone = HfText(reference=str(folder)).load().placed()
    tokens, first = of_text(backbone, ["cat", "cat"])
    assert tokens[first[0]] == tokens[first[1]]


def test_words_behind_the_cut_have_no_token_and_shift_nothing(folder: Path) -> None:
    backbone = HfText(reference=str(folder), max_length=12).load().placed()
    words = SENTENCES_OF_WORDS[0] * 3
    tokens, first = of_text(backbone, words)
    assert (tokens, first) == given_word_by_word(folder, words, 12)
    assert first[-1] == -1 and first[0] >= 0
