"""Edited image models: what is adapted, new or left out, everything else bit for bit; saved and rebuilt."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from headstart.augmentations.colour import Colour
from headstart.backbones._pooled_places import PooledPlaces
from headstart.backbones.timm_images import TimmImages
from headstart.contracts.backbone import Backbone
from headstart.contracts.boundaries import failing_boundaries
from headstart.contracts.carriers import State
from headstart.kernel.errors import BackboneError, DataError, SettingsError
from headstart.kernel.user_settings import build


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of weights, by the name of the architecture."""
    folder = tmp_path_factory.mktemp("weights")
    for name in ("test_resnet", "test_vit", "test_convnext"):
        module = TimmImages(reference=name, weights="random").load().module
        save_file(module.state_dict(), folder / f"{name}.safetensors")
    return folder


def loaded(weights: Path, name: str, **edits: Any) -> Any:
    return TimmImages(reference=name, weights=str(weights / f"{name}.safetensors"), **edits).load()


def pooled(backbone: Backbone, pixels: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        found = backbone.features(backbone.segment(0, len(backbone.stages))(State(pixels))).pooled
    return found


CASES: list[tuple[str, dict[str, Any], dict[str, str]]] = [
    ("test_resnet", {"channels": 1}, {"conv1.0.weight": "adapted"}),
    ("test_resnet", {"channels": 5}, {"conv1.0.weight": "adapted"}),
    ("test_resnet", {"drop_stages": 1}, {"layer4.0": "dropped"}),
    ("test_resnet", {"activation": "silu"}, {"activations": "none"}),
    ("test_resnet", {"pool": "gem"}, {"global_pool.power": "new", "global_pool": "none"}),
    ("test_convnext", {"drop_stages": 2, "channels": 1, "pool": "attention"},
     {"stem.0.weight": "adapted", "own_pool.query": "new", "stages.2": "dropped", "stages.3": "dropped",
      "head.norm": "dropped"}),
    ("test_vit", {"image_size": 96}, {"pos_embed": "adapted"}),
    ("test_vit", {"pool": "max", "channels": 1}, {"patch_embed.proj.weight": "adapted"}),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("name", "edits", "expected"), CASES)
def test_untouched_weights_are_bit_identical_and_the_table_tells_the_others(
    weights: Path, name: str, edits: dict[str, Any], expected: dict[str, str]
) -> None:
    before, edited = loaded(weights, name).module.state_dict(), loaded(weights, name, **edits)
    *rows, kept = edited.edits
    assert {row.layer: row.weights for row in rows} == expected
    state = edited.module.state_dict()
    same = [key for key, value in state.items() if key in before and torch.equal(before[key], value)]
    assert kept.layer == f"{len(same)} other tensors"
    changed = {row.layer for row in rows if row.weights in ("adapted", "new")}
    assert set(state) - set(same) == changed
    assert {name for stage in edited.stages for name in stage.parameters} == {
        n for n, _ in edited.module.named_parameters()
    }
    assert not failing_boundaries(edited, State(edited._example()))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "edits"), [(name, edits) for name, edits, _ in CASES])
def test_a_saved_description_rebuilds_it_and_no_other_one_has_its_name(
    weights: Path, name: str, edits: dict[str, Any]
) -> None:
    edited, plain = loaded(weights, name, **edits), loaded(weights, name)
    again = TimmImages.model_validate(edited.describe()["settings"]).rebuild(weights)
    again.module.load_state_dict(edited.module.state_dict(), strict=True)
    pixels = edited._example()
    assert torch.equal(pooled(again, pixels), pooled(edited, pixels))
    assert again.describe() == edited.describe() != plain.describe()
    assert "pool" not in plain.describe()["settings"]["architecture"]
    fresh = edited.fresh(3)
    assert fresh.width == edited.width and [one.name for one in fresh.stages] == [one.name for one in edited.stages]


def test_one_channel_answers_as_three_equal_ones_do(weights: Path) -> None:
    grey, colours = (loaded(weights, "test_vit", **edits) for edits in ({"channels": 1}, {}))
    value = torch.rand(2, 1, 160, 160)
    one, three = (
        (value - torch.tensor(kind.mean).view(-1, 1, 1)) / torch.tensor(kind.std).view(-1, 1, 1)
        for kind in (grey.input_kind(), colours.input_kind())
    )
    assert one.shape[1] == 1 and three.shape[1] == 3  # all three means of this model are the same
    assert torch.allclose(pooled(grey, one), pooled(colours, three), atol=1e-4)


def test_channels_take_the_weights_of_colours_in_turn(weights: Path) -> None:
    plain, five = (loaded(weights, "test_resnet", **edits).module.conv1[0].weight for edits in ({}, {"channels": 5}))
    assert all(torch.equal(five[:, k], plain[:, k % 3] * (3 / 5)) for k in range(5))


def pages(*bands: np.ndarray) -> bytes:
    file = io.BytesIO()
    first, *others = map(Image.fromarray, bands)
    first.save(file, "TIFF", save_all=True, append_images=others)
    return file.getvalue()


def test_pictures_are_read_band_by_band(weights: Path) -> None:
    draws = np.random.default_rng(0)
    bands = [draws.integers(0, 256, (40, 40), dtype=np.uint8) for _ in range(5)]
    edited = loaded(weights, "test_resnet", channels=5, image_size=40)
    reader = edited.reader()
    framed = reader(pages(*bands))
    assert framed.shape == (40, 40, 5) and reader.nbytes == framed.nbytes
    assert edited.prepare([pages(*bands)]).hidden.shape == (1, 5, 40, 40)
    with pytest.raises(DataError, match=r"has 3 channels, and backbone.channels = 5 are read"):
        reader(pages(*bands[:3]))
    four = loaded(weights, "test_resnet", channels=4, image_size=40).reader()
    colours = pages(np.dstack(bands[:3]))
    assert four(colours)[..., 3].min() == 255
    grey = loaded(weights, "test_resnet", channels=1, image_size=40).reader()
    expected = np.asarray(Image.open(io.BytesIO(colours)).convert("L"))
    one = loaded(weights, "test_resnet", channels=1, image_size=40, decode="full").reader()
    crop = grey(colours)
    assert crop.shape == one(colours).shape == (40, 40, 1) and abs(int(crop.mean()) - int(expected.mean())) <= 2


def test_pooling_against_its_formulas() -> None:
    hidden = torch.rand(2, 3, 4, 5)
    places = hidden.flatten(2).transpose(1, 2)
    gem, attention = PooledPlaces("gem", 3), PooledPlaces("attention", 3)
    assert torch.allclose(gem(hidden), (places**3).mean(1) ** (1 / 3), atol=1e-6)
    assert torch.allclose(attention(hidden), places.mean(1), atol=1e-6)
    with torch.no_grad():
        attention.query.copy_(torch.tensor([1.0, -2.0, 0.5]))
    shares = torch.exp(places @ attention.query / 3**0.5)
    expected = (shares[..., None] * places).sum(1) / shares.sum(1, keepdim=True)
    assert torch.allclose(attention(hidden), expected, atol=1e-6)
    last = PooledPlaces("max", 3, last=True, flat=False)(hidden.permute(0, 2, 3, 1))
    assert torch.equal(last[:, 0, 0], places.amax(1))


@pytest.mark.parametrize(
    ("edits", "fault"),
    [
        ({"drop_stages": 5}, "drop_stages = 5 leaves nothing of test_resnet, whose stages are stem, layer1"),
        ({"activation": "relu"}, "activation = relu: test_resnet has no activation that is another one"),
        ({"channels": 4, "decode": "full"}, "channels = 4 needs decode = fast"),
    ],
)
def test_what_cannot_be_edited_is_refused(weights: Path, edits: dict[str, Any], fault: str) -> None:
    with pytest.raises(BackboneError, match=fault):
        loaded(weights, "test_resnet", **edits)


def test_an_activation_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(SettingsError, match=r"backbone.activation = .glu..*'gelu'"):
        build(TimmImages, {"reference": "test_resnet", "activation": "glu"}, where="backbone")


def test_whole_pictures_are_read_by_an_edited_backbone_too(weights: Path) -> None:
    edited = loaded(weights, "test_resnet", channels=1, drop_stages=1).whole(64)
    grey = pages(np.full((20, 40), 200, np.uint8))
    state = edited.prepare([grey])
    features = edited.features(edited.segment(0, len(edited.stages), edited.map_taps())(state))
    assert state.hidden.shape == (1, 1, 64, 64) and edited.width == features.pooled.shape[1] == 192
    shapes = [(one.shape[1], 64 // one.shape[2]) for one in features.maps]
    assert shapes == [(one.channels, one.stride) for one in edited.maps()] and len(shapes) > 1
    again = TimmImages.model_validate(edited.describe()["settings"]).rebuild(weights)
    assert torch.equal(again.prepare([grey]).hidden, state.hidden)


def test_an_augmentation_of_colours_is_refused_for_other_channels(weights: Path) -> None:
    with pytest.raises(SettingsError, match="the backbone reads 1 channels, not three"):
        Colour().bind(loaded(weights, "test_resnet", channels=1).input_kind(), 9)
