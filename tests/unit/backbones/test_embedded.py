from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file

from headstart.backbones.embedded import WEIGHTS, Embedded
from headstart.contracts.carriers import State
from headstart.kernel.errors import BackboneError
from recipes.formula.pictures import picture

MOST_BYTES = 6_000_000


def test_its_weights_ship_in_16_bits_and_are_small() -> None:
    assert WEIGHTS.stat().st_size <= MOST_BYTES
    kinds = {value.dtype for value in load_file(WEIGHTS).values() if value.is_floating_point()}
    assert kinds == {torch.float16}


def test_it_loads_without_hub_or_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    backbone = Embedded().load()
    assert backbone.name == "embedded" and backbone.modality == "image"
    kept = load_file(WEIGHTS)
    for name, value in backbone.module.state_dict().items():
        assert torch.equal(value, kept[name].to(value.dtype)), name


def test_it_is_cut_into_stages_with_maps_of_several_strides() -> None:
    backbone = Embedded(weights="random").load()
    assert len(backbone.stages) >= 5
    assert [level.stride for level in backbone.maps()] == sorted({level.stride for level in backbone.maps()})
    assert len(backbone.maps()) >= 4


@pytest.mark.slow
def test_random_weights_are_the_same_architecture_and_another_start() -> None:
    learnt, random = Embedded().load(), Embedded(weights="random", seed=3).load()
    assert learnt.boundary_names() == random.boundary_names() and learnt.width == random.width
    assert learnt.preparation() == random.preparation()
    assert random.weights_hash() == Embedded(weights="random", seed=3).load().weights_hash()
    assert random.weights_hash() not in (learnt.weights_hash(), Embedded(weights="random").load().weights_hash())


def test_another_size_is_taken_and_too_small_a_one_refused() -> None:
    assert Embedded(weights="random", image_size=96).load().preparation()["input_size"] == [3, 96, 96]
    with pytest.raises(ValueError, match="greater than or equal to 32"):
        Embedded(image_size=8)


def test_a_file_of_another_training_is_read_and_a_foreign_one_refused(tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match="does not exist"):
        Embedded(weights=str(tmp_path / "missing.safetensors")).load()
    assert Embedded(weights=str(WEIGHTS)).load().weights_hash() == Embedded().load().weights_hash()


@pytest.mark.slow
def test_it_knows_formula_classes_that_it_was_not_trained_on_better_than_random_weights_do() -> None:
    numbers = range(100_000, 100_020)

    def right(weights: str) -> float:
        backbone = Embedded(weights=weights).load()
        pixels = np.stack([picture(1, number, index, 64) for index in range(6) for number in numbers])
        with torch.no_grad():
            state = backbone.segment(0, len(backbone.stages)).eval()(backbone.entry(State(torch.from_numpy(pixels))))
            pooled = backbone.features(state).pooled
        pooled = torch.nn.functional.normalize((pooled - pooled.mean(0)) / (pooled.std(0) + 1e-6), dim=1)
        known, asked = pooled[:80].view(4, 20, -1).mean(0), pooled[80:]
        return float(((asked @ known.T).argmax(1) == torch.arange(20).repeat(2)).float().mean())

    assert right("pretrained") > right("random") + 0.15
