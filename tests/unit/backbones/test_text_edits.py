"""Edited text models: longer windows, fewer layers, other activations; what stays is bit for bit as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from headstart.backbones.hf_text import HfText
from headstart.contracts.backbone import Backbone
from headstart.kernel.errors import BackboneError
from tiny_text_models import LAYERS, SENTENCES, save_tiny

SHORT = ["A dog barked.", "Why?"]
LONG = "rain and evidence " * 5000


def features(backbone: Backbone, texts: list[str]) -> torch.Tensor:
    with torch.no_grad():
        return backbone.features(backbone.segment(0, len(backbone.stages))(backbone.prepare(texts))).pooled


def saved_again(backbone: Backbone, folder: Path) -> Backbone:
    """As a run has it: configuration and tokenizer in its assets, settings in its description."""
    folder.mkdir()
    for name, content in backbone.assets().items():
        (folder / name).write_bytes(content)
    again = HfText.model_validate(backbone.describe()["settings"]).rebuild(folder)
    again.module.load_state_dict(backbone.module.state_dict(), strict=True)
    return again


@pytest.mark.slow
@pytest.mark.parametrize(("family", "first"), [("bert", 0), ("roberta", 2), ("gpt2", 0), ("deberta-v2", None)])
def test_a_longer_window_leaves_short_texts_as_they_were(tmp_path: Path, family: str, first: int | None) -> None:
    source = save_tiny(tmp_path / "source", family)
    plain, longer = (HfText(reference=str(source), max_length=length).load() for length in (62, 100))
    assert longer.prepare([LONG]).hidden.shape == (1, 100) and longer.reads == "100 tokens"
    assert torch.equal(features(plain, SHORT), features(longer, SHORT))
    assert features(longer, [LONG]).isfinite().all()
    adapted = [row.layer for row in longer.edits if row.weights == "adapted"]
    assert len(adapted) == (0 if first is None else 1)
    if first is not None:
        rows = longer.module.state_dict()[adapted[0]]
        before = plain.module.state_dict()[adapted[0]]
        expected = torch.cat([before, before[first : first + len(rows) - 64]])
        assert len(rows) == 100 + first and torch.equal(rows, expected)
    again = saved_again(longer, tmp_path / "assets")
    assert torch.equal(features(again, [LONG, "Why?"]), features(longer, [LONG, "Why?"]))


@pytest.mark.slow
@pytest.mark.parametrize("family", ["bert", "distilbert", "gpt2", "modernbert"])
def test_last_layers_are_left_out_and_the_others_stay(tmp_path: Path, family: str) -> None:
    source = save_tiny(tmp_path / "source", family)
    plain, short = (HfText(reference=str(source), drop_stages=gone).load() for gone in (0, 2))
    assert len(short.stages) == len(plain.stages) - 2 and not plain.edits
    before, state = plain.module.state_dict(), short.module.state_dict()
    assert all(torch.equal(before[name], value) for name, value in state.items())
    with torch.no_grad():
        at = len(short.stages)
        hidden = plain.segment(0, at)(plain.prepare(SENTENCES)).hidden
        own = short.segment(0, at)(short.prepare(SENTENCES)).hidden
    normed = family in ("gpt2", "modernbert")  # with a norm behind the last layer
    assert normed or torch.equal(hidden, own)
    again = saved_again(short, tmp_path / "assets")
    assert torch.equal(features(again, SENTENCES), features(short, SENTENCES))


def test_another_activation_changes_no_weight_but_the_key_of_features(tmp_path: Path) -> None:
    source = save_tiny(tmp_path / "source", "bert")
    plain, edited = (HfText(reference=str(source), activation=name).load() for name in (None, "silu"))
    assert plain.weights_hash() == edited.weights_hash() and plain.describe() != edited.describe()
    assert not torch.allclose(features(plain, SENTENCES), features(edited, SENTENCES))
    assert (edited.edits[0].before, edited.edits[0].after) == ("gelu", "silu") and edited.unedited is not None
    assert torch.equal(features(edited.unedited(), SENTENCES), features(plain, SENTENCES))


@pytest.mark.parametrize(
    ("edits", "fault"),
    [
        ({"drop_stages": LAYERS}, "drop_stages = 6 leaves nothing of its 6 layers"),
        ({"activation": "gelu"}, "activation = gelu: a 'bert' has no activation that is another one"),
        ({"max_length": 1025}, "max_length 1025 is more than 16 times the 64 positions"),
    ],
)
def test_what_cannot_be_edited_is_refused(tmp_path: Path, edits: dict[str, Any], fault: str) -> None:
    source = save_tiny(tmp_path / "source", "bert")
    with pytest.raises(BackboneError, match=fault):
        HfText(reference=str(source), **edits).load()
