"""What the files of a model say is data: they decide sizes and names, open nothing, and take no more than they hold."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from headstart.backbones.hf_text import HfText
from headstart.backbones.timm_images import TimmImages
from headstart.kernel.errors import BackboneError
from tiny_text_models import SENTENCES, save_tiny

NAN, INFINITY = float("nan"), float("inf")


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("exploded"),)


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = timm.create_model("test_resnet", num_classes=0).state_dict()
    return state


@pytest.fixture
def described(tmp_path: Path, weights: dict[str, torch.Tensor]) -> Any:
    """Makes a timm folder with what its config.json says, and perhaps other weights."""

    def make(
        arguments: Any = None, architecture: Any = "test_resnet", state: Any = None, **configuration: Any
    ) -> TimmImages:
        said = {"input_size": [3, 64, 64], "num_classes": 0, "classifier": "fc", "first_conv": "conv1", **configuration}
        content = {"architecture": architecture, "model_args": arguments or {}, "pretrained_cfg": said}
        (tmp_path / "config.json").write_text(json.dumps(content))
        save_file(weights if state is None else state, tmp_path / "model.safetensors")
        return TimmImages(reference=str(tmp_path))

    return make


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("models") / "bert", "bert", num_hidden_layers=1)


def changed(bert: Path, folder: Path, file: str, **entries: Any) -> HfText:
    """A copy of the text model whose file says something else."""
    shutil.copytree(bert, folder)
    content = json.loads((folder / file).read_text()) if (folder / file).exists() else {}
    (folder / file).write_text(json.dumps({**content, **entries}))
    return HfText(reference=str(folder))


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"checkpoint_path": "bomb.pth"}, "'checkpoint_path' is not allowed"),
        ({"pretrained": True}, "'pretrained' is not allowed"),
        ({"pretrained_cfg": {"file": "bomb.pth"}}, "'pretrained_cfg' is not allowed"),
        ({"pretrained_cfg_overlay": {"file": "bomb.pth", "custom_load": True}}, "'pretrained_cfg_overlay' is not"),
        ({"cache_dir": "."}, "'cache_dir' is not allowed"),
        ({"stem_widht": 8}, "Did you mean 'stem_width'"),
        ({"act_layer": "../bomb"}, "a name has at most 64 letters"),
        ({"layers": [-1, 1, 1, 1]}, "whole numbers from 0 to 1024"),
        ({"layers": [2**40, 1, 1, 1]}, "whole numbers from 0 to 1024"),
        ({"channels": [10**30] * 4}, "whole numbers from 0 to 65536"),
        ({"drop_rate": NAN}, "numbers from 0 to 1e"),
        ({"stem_width": {"file": "bomb.pth"}}, "numbers, true or false, names"),
        ({"stem_width": "wide"}, "does not fit"),
        ({"layers": True}, "does not fit"),
        ({"act_layer": "nope"}, "does not fit"),
        ({"embed_dim": 8}, "unexpected keyword argument"),
        ("a text", "does not describe a timm model"),
    ],
)
def test_arguments_are_an_allow_list_of_plain_values(
    described: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: Any, reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(Bomb(), "bomb.pth")
    with pytest.raises(BackboneError, match=reason):
        described(arguments).load()
    assert not Path("exploded").exists()


@pytest.mark.parametrize(
    ("configuration", "reason"),
    [
        ({"mean": "grey"}, r"configuration\.mean"),
        ({"std": [0, 0, 0]}, r"configuration\.std"),
        ({"input_size": "large"}, "is not .channels, height, width."),
        ({"input_size": [3, 10**6, 10**6]}, r"configuration\.input_size"),
        ({"interpolation": "nope"}, r"configuration\.interpolation"),
        ({"crop_pct": 0}, r"configuration\.crop_pct"),
    ],
)
def test_odd_preprocessing_is_named(described: Any, configuration: dict[str, Any], reason: str) -> None:
    with pytest.raises(BackboneError, match=reason):
        described(**configuration).load()


def test_paths_and_addresses_of_a_configuration_are_not_followed(described: Any, tmp_path: Path) -> None:
    backbone = described(file=str(tmp_path / "x.pth"), url="http://localhost/x", hf_hub_id="a/b", custom_load=True)
    kept = backbone.load().describe()["settings"]["architecture"]["configuration"]
    assert not {"file", "url", "hf_hub_id", "custom_load"} & kept.keys()


@pytest.mark.parametrize("name", ["local-dir:elsewhere", "hf-hub:timm/resnet18", ["resnet18"], "resnet18/../x"])
def test_an_architecture_is_a_name_that_timm_knows(described: Any, name: Any) -> None:
    with pytest.raises(BackboneError, match=r"timm architecture|valid string"):
        described(architecture=name).load()


@pytest.mark.parametrize(
    ("architecture", "arguments"),
    [
        ("vit_giant_patch14_224", {}),
        ("vit_tiny_patch16_224", {"embed_dim": 65_536}),
        ("resnet18", {"layers": [1024] * 4}),
    ],
)
def test_more_weights_than_the_file_holds_are_not_made(described: Any, architecture: str, arguments: Any) -> None:
    with pytest.raises(BackboneError, match=r"it declares [\d,]+ weights and more, .* but only [\d,]+ are stored"):
        described(arguments, architecture).load()


@pytest.mark.parametrize(
    ("name", "factor", "reason"),
    [
        ("conv1.weight", NAN, "'conv1.weight' holds NaN"),
        ("conv1.weight", INFINITY, "'conv1.weight' holds"),
        ("bn1.running_var", INFINITY, "'bn1.running_var' holds infinite"),
        ("bn1.running_var", -1.0, "'bn1.running_var' holds negative variances"),
    ],
)
def test_weights_that_are_no_numbers_are_refused(
    described: Any, weights: dict[str, torch.Tensor], name: str, factor: float, reason: str
) -> None:
    prefix = next(key for key in weights if key.endswith(name.partition(".")[2]) and name.partition(".")[0] in key)
    spoilt = {**weights, prefix: weights[prefix] * factor}
    with pytest.raises(BackboneError, match=reason.replace(name, prefix)):
        described(state=spoilt).load()


@pytest.mark.parametrize("kind", ["expanded", "sparse", "meta", "packed"])
@pytest.mark.filterwarnings("ignore:.*[Ss]parse")
def test_a_checkpoint_declares_no_more_than_it_stores(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "weights.pth"
    made = {
        "expanded": lambda: torch.zeros(1).expand(10**10),
        "sparse": lambda: torch.sparse_coo_tensor(torch.zeros(1, 1, dtype=torch.long), torch.ones(1), (10**10,)),
        "meta": lambda: torch.empty(10**10, device="meta"),
        "packed": lambda: torch.zeros(10**5),
    }
    torch.save({"a": made[kind]()}, path)
    if kind == "packed":
        with zipfile.ZipFile(path) as plain:
            content = {entry.filename: plain.read(entry) for entry in plain.infolist()}
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
            for name, value in content.items():
                packed.writestr(name, value)
    with pytest.raises(BackboneError, match="more than the file contains" if kind == "packed" else "are not stored"):
        TimmImages(reference="test_resnet", weights=str(path)).load()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ({"quantization_config": {"quant_method": "fp8"}}, "quantised weights"),
        ({"transformers_weights": "../other/model.safetensors"}, "not a file in its folder"),
        ({"_attn_implementation": "someone/kernels"}, "external code"),
        ({"text_config": {"attn_implementation": "someone/kernels"}}, "external code"),
        ({"tokenizer_class": "pipeline"}, "not a tokenizer of transformers"),
        ({"vocab_size": 10**9}, "it declares .* but only"),
        ({"num_hidden_layers": 10**6}, "it declares .* but only"),
        ({"num_hidden_layers": -1}, "num_hidden_layers = -1"),
        ({"hidden_size": -32}, "cannot be used"),
        ({"hidden_size": "wide"}, "cannot be used"),
        ({"num_attention_heads": 5}, "cannot be used"),
    ],
)
def test_a_text_models_configuration_leads_nowhere(
    bert: Path, tmp_path: Path, entries: dict[str, Any], reason: str
) -> None:
    with pytest.raises(BackboneError, match=reason):
        changed(bert, tmp_path / "model", "config.json", **entries).load()


@pytest.mark.parametrize(
    "entries",
    [
        {"num_attention_heads": 5},
        pytest.param({"num_hidden_layers": 10**6}, marks=pytest.mark.slow),
        {"vocab_size": 10**14},
    ],
)
def test_odd_sizes_are_refused_without_weights_too(bert: Path, tmp_path: Path, entries: dict[str, Any]) -> None:
    source = changed(bert, tmp_path / "model", "config.json", **entries)
    with pytest.raises(BackboneError, match="transformers cannot build a 'bert'"):
        source.model_copy(update={"weights": "random"}).load()


@pytest.mark.parametrize(
    ("file", "entries", "reason"),
    [
        ("adapter_config.json", {"base_model_name_or_path": "/elsewhere"}, "an adapter to another model"),
        ("model.safetensors.index.json", {"weight_map": {"a": "../other.safetensors"}}, "not a file in its folder"),
        ("tokenizer_config.json", {"tokenizer_class": "AutoModel"}, "not a tokenizer of transformers"),
        ("tokenizer_config.json", {"model_max_length": -5}, "model_max_length = -5"),
        ("tokenizer_config.json", {"model_max_length": "long"}, "model_max_length = 'long'"),
    ],
)
def test_a_text_models_other_files_lead_nowhere(
    bert: Path, tmp_path: Path, file: str, entries: dict[str, Any], reason: str
) -> None:
    with pytest.raises(BackboneError, match=reason):
        changed(bert, tmp_path / "model", file, **entries).load()


def test_a_tokenizers_paths_and_code_are_left_out(bert: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("cat\nmat\n")
    elsewhere = {"vocab_file": str(tmp_path / "secret.txt"), "tokenizer_file": str(tmp_path / "secret.txt")}
    code = {"auto_map": {"AutoTokenizer": ["code.Tokenizer", None]}}
    backbone = changed(bert, tmp_path / "model", "tokenizer_config.json", **elsewhere, **code).load()
    assert torch.equal(backbone.prepare(SENTENCES).hidden, HfText(reference=str(bert)).load().prepare(SENTENCES).hidden)
    assert not any(b"secret.txt" in content or b"auto_map" in content for content in backbone.assets().values())


def test_a_text_model_with_nan_is_refused(bert: Path, tmp_path: Path) -> None:
    source = changed(bert, tmp_path / "model", "config.json")
    state = load_file(tmp_path / "model" / "model.safetensors")
    name = next(name for name in state if "query.weight" in name)
    save_file({**state, name: state[name] * NAN}, tmp_path / "model" / "model.safetensors", {"format": "pt"})
    with pytest.raises(BackboneError, match=r"query\.weight' holds NaN"):
        source.load()
