from __future__ import annotations

import io
import json
import pickle
import re
import time
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import pytest
import timm
import torch
from huggingface_hub import constants
from PIL import Image
from safetensors.torch import load_file, save_file
from timm.data import create_transform, resolve_model_data_config

from headstart.backbones._timm_source import DEFAULT, PREFERRED
from headstart.backbones.timm_images import TimmImages
from headstart.contracts.backbone import Backbone
from headstart.contracts.boundaries import failing_boundaries
from headstart.contracts.carriers import State, Tap
from headstart.kernel import registry
from headstart.kernel.errors import BackboneError, DataError
from headstart.kernel.user_settings import build


def picture(width: int, height: int, seed: int = 0) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC).save(file, "PNG")
    return file.getvalue()


PICTURES = [picture(120, 90), picture(64, 200, 1)]


@pytest.fixture(scope="module")
def resnet() -> Backbone:
    return TimmImages(reference="resnet10t", weights="random", image_size=64).load()


@pytest.fixture(scope="module")
def reference_model() -> Any:
    """timm's own model with weights other than `resnet`'s, and statistics that are not those of a fresh BatchNorm."""
    model = timm.create_model("resnet10t", num_classes=7)
    with torch.no_grad():
        model.train()(torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(3)))
    return model.eval()


def same_features(backbone: Backbone, model: Any, images: torch.Tensor) -> None:
    with torch.no_grad():
        end = len(backbone.stages)
        ours = backbone.features(backbone.segment(0, end)(State(images.clone())))
        assert torch.equal(ours.pooled, model(images))
    assert ours.pooled.shape == (len(images), backbone.width)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("resnet10t", 64),
        ("inception_v3", 80),
        ("mobilenetv2_050", 64),
        ("mobilenetv3_small_050", 64),
        ("efficientnet_b0", 64),
        ("convnext_atto", 64),
        ("vit_tiny_patch16_224", 64),
        ("swin_tiny_patch4_window7_224", 112),
        ("deit_tiny_distilled_patch16_224", 64),
    ],
)
def test_features_are_timms_own_and_all_boundaries_hold(name: str, side: int) -> None:
    backbone = TimmImages(reference=name, weights="random", image_size=side).load()
    images = torch.randn(3, 3, side, side, generator=torch.Generator().manual_seed(1))
    same_features(backbone, backbone.module, images)
    assert len(backbone.stages) >= 5, "at least four inner boundaries"
    assert failing_boundaries(backbone, State(torch.randn(2, 3, side, side))) == []


@pytest.mark.slow
def test_tokens_and_maps_have_the_promised_shapes(resnet: Backbone) -> None:
    with torch.no_grad():
        cnn = resnet.features(resnet.segment(0, 5)(State(torch.randn(2, 3, 64, 64))))
        vit = TimmImages(reference="vit_tiny_patch16_224", weights="random", image_size=64).load()
        tokens = vit.features(vit.segment(0, len(vit.stages))(State(torch.randn(2, 3, 64, 64))))
        swin = TimmImages(reference="swin_tiny_patch4_window7_224", weights="random", image_size=112).load()
        maps = swin.features(swin.segment(0, 5)(State(torch.randn(2, 3, 112, 112))))
    assert [m.shape for m in cnn.maps] == [(2, 512, 2, 2)] and cnn.tokens is None
    assert tokens.tokens is not None and tokens.tokens.shape == (2, 16, 192) and tokens.maps == ()
    assert [m.shape for m in maps.maps] == [(2, 768, 4, 4)]


@pytest.mark.parametrize("name", ["test_vit", "coat_tiny"])
def test_what_cannot_be_cut_is_one_stage_with_timms_features(name: str) -> None:
    backbone = TimmImages(reference=name, weights="random", image_size=64).load()
    assert [stage.name for stage in backbone.stages] == ["whole"]
    same_features(backbone, backbone.module, torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1)))


@pytest.mark.slow
@pytest.mark.parametrize("crop_mode", ["center", "squash", "border"])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_preparation_is_timms_evaluation_transform(tmp_path: Path, crop_mode: str, interpolation: str) -> None:
    folder = timm_folder(tmp_path, crop_mode=crop_mode, interpolation=interpolation, crop_pct=0.8, mean=[0.5, 0.4, 0.3])
    backbone = TimmImages(reference=str(folder), weights="random", decode="full").load()
    model = timm.create_model(
        "resnet10t", pretrained_cfg=json.loads((folder / "config.json").read_text())["pretrained_cfg"]
    )
    transform = create_transform(**resolve_model_data_config(model), is_training=False)
    expected = torch.stack([transform(Image.open(io.BytesIO(source)).convert("RGB")) for source in PICTURES])
    prepared = backbone.prepare(PICTURES)
    assert prepared.hidden.shape == (2, 3, 72, 72) and prepared.hidden.dtype == torch.float32
    torch.testing.assert_close(prepared.hidden, expected, rtol=0, atol=1e-6)
    stated = backbone.preparation()
    assert json.loads(json.dumps(stated)) == stated
    assert stated["crop_mode"] == crop_mode and stated["interpolation"] == interpolation and stated["decode"] == "full"


def test_an_image_that_cannot_be_read_says_why(resnet: Backbone, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"no image at all")
    with pytest.raises(DataError, match="not an image"):
        resnet.prepare([tmp_path / "a.jpg"])
    with pytest.raises(DataError, match="empty"):
        resnet.prepare([b""])
    assert resnet.length(PICTURES[0]) == resnet.length(PICTURES[1])


@pytest.mark.slow
def test_image_size_is_what_the_model_and_its_preparation_use(resnet: Backbone) -> None:
    assert resnet.prepare(PICTURES).hidden.shape == (2, 3, 64, 64)
    assert resnet.preparation()["input_size"] == [3, 64, 64]
    vit = TimmImages(reference="vit_tiny_patch16_224", weights="random", image_size=64).load()
    assert dict(vit.module.named_parameters())["pos_embed"].shape == (1, 17, 192)
    with pytest.raises(BackboneError, match="40 pixels are too small for inception_v3"):
        TimmImages(reference="inception_v3", weights="random", image_size=40).load()


@pytest.mark.slow
def test_random_weights_follow_the_seed_and_leave_the_global_generator_alone(resnet: Backbone) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    again = TimmImages(reference="resnet10t", weights="random", image_size=64).load()
    assert torch.equal(torch.rand(3), expected)
    assert again.weights_hash() == resnet.weights_hash()
    other = TimmImages(reference="resnet10t", weights="random", image_size=64, seed=1).load()
    assert other.weights_hash() != resnet.weights_hash()
    assert resnet.fresh(1).weights_hash() == other.weights_hash()
    assert resnet.fresh(1).describe() == resnet.describe() and resnet.origin == "random"


@pytest.mark.slow
def test_the_description_rebuilds_architecture_and_preprocessing(tmp_path: Path) -> None:
    folder = timm_folder(
        tmp_path, model_args={"act_layer": "gelu", "num_classes": 7}, crop_pct=0.7, std=[0.1, 0.2, 0.3]
    )
    backbone = TimmImages(reference=f"local-dir:{folder}", weights="random", seed=4).load()
    given = json.loads(json.dumps(backbone.describe()))
    for file in folder.iterdir():
        file.unlink()
    again = build(registry.plugin("backbones", given["plugin"]), given["settings"], where="backbone").rebuild(tmp_path)
    assert again.weights_hash() != backbone.weights_hash()
    again.module.load_state_dict(backbone.module.state_dict())
    assert again.weights_hash() == backbone.weights_hash()
    assert again.stages == backbone.stages and again.preparation() == backbone.preparation()
    assert again.describe() == backbone.describe() == given
    images = backbone.prepare(PICTURES)
    with torch.no_grad():
        assert torch.equal(again.segment(0, 5)(images).hidden, backbone.segment(0, 5)(images).hidden)
    assert type(again.module.act1).__name__ == "GELU"  # the argument came along


def timm_folder(parent: Path, *, model_args: dict[str, Any] | None = None, **configuration: Any) -> Path:
    folder = parent / "timm_folder"
    folder.mkdir()
    values = {"input_size": [3, 72, 72], "num_classes": 7, "classifier": "fc", "first_conv": "conv1.0", **configuration}
    content = {"architecture": "resnet10t", "num_classes": 7, "model_args": model_args or {}, "pretrained_cfg": values}
    (folder / "config.json").write_text(json.dumps(content))
    return folder


@pytest.mark.slow
def test_a_folder_gives_its_weights(tmp_path: Path, reference_model: Any) -> None:
    folder = timm_folder(tmp_path)
    save_file(reference_model.state_dict(), folder / "model.safetensors")
    backbone = TimmImages(reference=str(folder)).load()
    assert backbone.origin == f"file {folder / 'model.safetensors'}"
    body = {k: v for k, v in reference_model.state_dict().items() if not k.startswith("fc.")}
    assert all(torch.equal(value, backbone.module.state_dict()[name]) for name, value in body.items())
    assert TimmImages(reference=str(folder / "model.safetensors")).load().weights_hash() == backbone.weights_hash()


@pytest.mark.slow
@pytest.mark.parametrize("form", ["plain", "state_dict", "module", "both"])
def test_a_checkpoint_of_tensors_gives_its_weights(tmp_path: Path, reference_model: Any, form: str) -> None:
    state = dict(reference_model.state_dict())
    if form in ("module", "both"):
        state = {f"module.{name}": value for name, value in state.items()}
    path = tmp_path / "weights.pth"
    torch.save({"state_dict": state, "epoch": 3} if form in ("state_dict", "both") else state, path)
    backbone = TimmImages(reference="resnet10t", weights=str(path), image_size=64).load()
    assert backbone.origin == f"file {path}"
    loaded = backbone.module.state_dict()
    body = {k: v for k, v in reference_model.state_dict().items() if not k.startswith("fc.")}
    assert body.keys() == loaded.keys() and all(torch.equal(value, loaded[name]) for name, value in body.items())


@pytest.mark.slow
def test_the_names_of_an_architectures_authors_are_understood(tmp_path: Path) -> None:
    """The first checkpoints of DenseNet say `norm.1` for `norm1`, and training scripts leave things of their own."""
    body = timm.create_model("densenet121", num_classes=0).state_dict()
    theirs = {re.sub(r"(denselayer\d+\.)(norm|conv)(\d)", r"\1\2.\3", name): value for name, value in body.items()}
    assert theirs.keys() != body.keys()
    save_file(
        theirs | {"classifier.weight": torch.zeros(5, 1024), "ema.steps": torch.zeros(1)}, tmp_path / "w.safetensors"
    )
    backbone = TimmImages(reference="densenet121", weights=str(tmp_path / "w.safetensors"), image_size=64).load()
    assert all(torch.equal(value, body[name]) for name, value in backbone.module.state_dict().items())


def test_missing_and_misfitting_weights_are_named(tmp_path: Path, reference_model: Any) -> None:
    state = dict(reference_model.state_dict())
    del state["layer2.0.conv1.weight"]
    save_file(state, tmp_path / "hole.safetensors")
    with pytest.raises(BackboneError, match=r"hole.safetensors does not fit.*resnet10t.*layer2\.0\.conv1\.weight"):
        TimmImages(reference="resnet10t", weights=str(tmp_path / "hole.safetensors")).load()
    state["layer2.0.conv1.weight"] = torch.zeros(3, 3)
    save_file(state, tmp_path / "shape.safetensors")
    with pytest.raises(BackboneError, match=r"such as layer2\.0\.conv1\.weight"):
        TimmImages(reference="resnet10t", weights=str(tmp_path / "shape.safetensors")).load()
    save_file({"a": torch.zeros(1)}, tmp_path / "foreign.safetensors")
    with pytest.raises(BackboneError, match="lacks or misfits"):
        TimmImages(reference="resnet10t", weights=str(tmp_path / "foreign.safetensors")).load()


class Malicious:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return Path.write_text, (self.target, "executed")


@pytest.mark.parametrize("name", ["weights.pth", "weights.bin", "weights.safetensors"])
@pytest.mark.parametrize("writer", ["pickle", "torch"])
def test_a_pickle_that_would_run_code_is_refused_and_not_executed(tmp_path: Path, name: str, writer: str) -> None:
    target, path = tmp_path / "harm.txt", tmp_path / name
    content = {"conv1.weight": torch.zeros(1), "payload": Malicious(target)}
    if writer == "torch":
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content))
    with pytest.raises(BackboneError, match=r"refused, and nothing in it was run|not a safetensors file"):
        TimmImages(reference="resnet10t", weights=str(path)).load()
    assert not target.exists()
    file = io.BytesIO(path.read_bytes())
    torch.load(file, weights_only=False) if writer == "torch" else pickle.load(file)
    assert target.read_text() == "executed", "the payload would have run"


@pytest.mark.parametrize(
    ("content", "message"), [(b"", "damaged"), (b"garbage" * 50, "refused|damaged"), (None, "does not exist")]
)
def test_a_damaged_or_missing_file_is_named(tmp_path: Path, content: bytes | None, message: str) -> None:
    for name in ("w.safetensors", "w.pth"):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(BackboneError, match=rf"{name}.*({message}|no safetensors)"):
            TimmImages(reference="resnet10t", weights=str(tmp_path / name)).load()


def test_a_file_without_an_architecture_says_how_to_give_one(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "weights.safetensors")
    with pytest.raises(BackboneError, match=r"--weights .*weights\.safetensors"):
        TimmImages(reference=str(tmp_path / "weights.safetensors")).load()


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("resnet5o", "'resnet5o' is not known. Did you mean 'resnet50'"),
        ("resnet50.a1_in1", "weights tag of resnet50 'a1_in1' is not known. Did you mean 'a1_in1k'"),
        ("resnet5o.a1_in1k", "Did you mean 'resnet50.a1_in1k'"),
        ("local-dir:/nowhere/model", "/nowhere/model/config.json is missing"),
    ],
)
def test_an_unknown_reference_gets_the_nearest_names(reference: str, message: str) -> None:
    with pytest.raises(BackboneError, match=message):
        TimmImages(reference=reference).load()


@pytest.mark.parametrize("reference", ["resnet18.a1_in1k", "resnet18", "hf-hub:timm/resnet18.a1_in1k", "timm/resnet18"])
@pytest.mark.parametrize("offline", [True, False])
def test_without_a_network_it_fails_fast_and_says_what_to_do(
    reference: str, offline: bool, monkeypatch: pytest.MonkeyPatch, empty_hub_cache: Path
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
    if not offline:
        no_network(monkeypatch)
    start = time.monotonic()
    with pytest.raises(BackboneError, match=r"--weights FILE.*--weights random") as caught:
        TimmImages(reference=reference).load()
    assert time.monotonic() - start < HANGS
    assert str(caught.value).count(". ") <= 1 and "timm/resnet18" in str(caught.value)
    assert TimmImages.automatic() is None


HANGS = 20.0
"""Seconds, which the hub's client exceeds by trying again and again; without that a busy machine takes two."""


def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint on this machine at which nobody listens."""
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    real = huggingface_hub.HfApi

    def api() -> huggingface_hub.HfApi:
        return real(endpoint="http://127.0.0.1:9")

    monkeypatch.setattr(huggingface_hub, "HfApi", api)


@pytest.fixture
def empty_hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def put_in_cache(hub: Path, repository: str, files: dict[str, bytes]) -> None:
    folder = hub / f"models--{repository.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("0" * 40)
    snapshot = folder / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    for name, content in files.items():
        (snapshot / name).write_bytes(content)


@pytest.mark.slow
def test_what_lies_in_the_hub_cache_needs_no_network(
    empty_hub_cache: Path, tmp_path: Path, reference_model: Any
) -> None:
    save_file(reference_model.state_dict(), tmp_path / "w.safetensors")
    config = (timm_folder(tmp_path) / "config.json").read_bytes()
    weights = (tmp_path / "w.safetensors").read_bytes()
    put_in_cache(empty_hub_cache, "timm/resnet10t.c3_in1k", {"model.safetensors": weights})
    put_in_cache(empty_hub_cache, "someone/model", {"model.safetensors": weights, "config.json": config})
    named = TimmImages(reference="resnet10t", image_size=64).load()
    assert named.origin == "timm hub, tag c3_in1k"
    foreign = TimmImages(reference="hf-hub:someone/model").load()
    assert foreign.origin == "hub, someone/model" and foreign.preparation()["input_size"] == [3, 72, 72]
    assert named.weights_hash() == foreign.weights_hash()
    assert torch.equal(
        named.module.state_dict()["layer4.0.bn1.running_mean"], reference_model.layer4[0].bn1.running_mean
    )


def test_auto_takes_the_best_model_of_the_cache(empty_hub_cache: Path) -> None:
    assert TimmImages.automatic() is None
    put_in_cache(empty_hub_cache, f"timm/{PREFERRED[-1]}", {"model.safetensors": b"-"})
    assert TimmImages.automatic() == (PREFERRED[-1], "it lies in the Hugging Face cache")
    put_in_cache(empty_hub_cache, f"timm/{PREFERRED[0]}", {"model.safetensors": b"-"})
    chosen = TimmImages.automatic()
    assert chosen is not None and chosen[0] == PREFERRED[0]


def test_the_models_that_auto_prefers_exist() -> None:
    assert {DEFAULT, *PREFERRED} <= set(timm.list_pretrained())


def test_it_suits_what_timm_knows(tmp_path: Path) -> None:
    folder = timm_folder(tmp_path)
    for reference in (
        "resnet50",
        "resnet50.a1_in1k",
        "vit_base_patch16_224",
        "hf-hub:a/b",
        str(folder),
        f"local-dir:{folder}",
    ):
        assert TimmImages.suits(reference), reference
    (folder / "config.json").write_text('{"model_type": "bert"}')
    for reference in ("resnet5o", "bert-base-uncased", str(folder), str(tmp_path)):
        assert not TimmImages.suits(reference), reference
    assert TimmImages.modality == "image" and "resnet50" in TimmImages.known()


@pytest.mark.slow
def test_a_second_load_does_not_verify_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path))
    first = TimmImages(reference="resnet50", weights="random").load()
    kept = list((tmp_path / "boundaries").iterdir())
    assert len(kept) == 1 and len(first.stages) == 5
    kept[0].write_text("[2]")  # an answer that could only come from the cache
    assert len(TimmImages(reference="resnet50", weights="random", seed=1).load().stages) == 4


@pytest.mark.slow
def test_real_weights_give_timms_features(test_data: Path) -> None:
    folder = test_data / "weights" / "mobilenetv2_100_imagenet"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    backbone = TimmImages(reference=str(folder)).load()
    images = backbone.prepare([picture(224, 224, seed) for seed in range(3)])
    model = timm.create_model(f"local-dir:{folder}", pretrained=True, num_classes=0).eval()
    same_features(backbone, model, images.hidden)
    assert backbone.preparation()["crop_pct"] == 1.0 and backbone.preparation()["mean"] == [0.5, 0.5, 0.5]
    state = load_file(folder / "model.safetensors")
    with torch.no_grad():
        pooled = backbone.features(backbone.segment(0, 7)(images)).pooled
        logits = pooled @ state["classifier.weight"].T + state["classifier.bias"]
        theirs = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()(images.hidden)
    torch.testing.assert_close(logits, theirs, rtol=1e-4, atol=1e-4)
    assert backbone.segment(0, 7, (Tap("blocks.2"),))(images).taps["blocks.2.pooled"].shape == (3, 32)


@pytest.mark.slow
@pytest.mark.parametrize("multi", [False, True], ids=["last", "several"])
@pytest.mark.parametrize("strides", [(8, 32), (8, 16), (16, 128)])
def test_maps_of_some_strides_are_those_of_all_and_the_others_are_not_tapped(
    resnet: Backbone, strides: tuple[int, ...], multi: bool
) -> None:
    everything = resnet.several() if multi else resnet
    some = everything.of_strides(strides)
    wanted = {*strides, everything.maps()[-1].stride}
    assert some.maps() == tuple(shape for shape in everything.maps() if shape.stride in wanted)
    assert len(some.map_taps()) < len(everything.map_taps())
    state = everything.prepare([PICTURES[0]])
    whole, part = (one.features(one.segment(0, len(one.stages), one.map_taps())(state)) for one in (everything, some))
    shapes = zip(everything.maps(), whole.maps)
    for mine, theirs in zip(part.maps, [level for shape, level in shapes if shape.stride in wanted], strict=True):
        assert torch.equal(mine, theirs)
