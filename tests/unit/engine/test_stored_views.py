"""Views that went through the frozen stages once are what views through them each time would be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from headstart.contracts.backbone import Backbone
from headstart.contracts.carriers import LENGTH_MASK, State
from headstart.contracts.composed_augmentation import composed
from headstart.contracts.examples import Examples, Schema
from headstart.contracts.modality import raws_of
from headstart.contracts.placed_targets import Boxes, ClassMaps
from headstart.contracts.target_kinds import CLASS_IDS
from headstart.engine.frozen.content_keys import content_keys
from headstart.engine.frozen.extract import extract
from headstart.engine.frozen.feature_spec import FeatureSpec
from headstart.engine.frozen.views import View, ViewStates
from headstart.engine.store.feature_store import FeatureStore
from headstart.engine.streams import Stream
from headstart.kernel import registry
from headstart.kernel.user_settings import build
from headstart.runners.eager import Eager
from masked_pictures import png
from tiny_text_models import SENTENCES, save_tiny

STOP = 2


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    settings = {"reference": "test_resnet", "weights": "random", "image_size": 32}
    loaded: Backbone = build(registry.plugin("backbones", "timm_images"), settings, where="backbone").load()
    return loaded


def pictures(count: int = 6) -> Examples:
    draws = np.random.default_rng(0)
    table = pa.table(
        {
            "picture": [png(draws.integers(0, 255, (32, 32, 3), dtype=np.uint8)) for _ in range(count)],
            "label": list(range(count)),
            "origin": [f"picture {k}" for k in range(count)],
        }
    )
    return Examples(table, Schema(modality="image", inputs=("picture",), targets={"label": "label"}, origin="origin"))


def view_of(backbone: Backbone, number: int = 0, seed: int = 0) -> View:
    return View(composed("crop+trivial", {}).bind(backbone.input_kind(), 6), seed, number)


def states(backbone: Backbone, examples: Examples, view: View | None, store: FeatureStore | None = None) -> State:
    keys = content_keys(examples).keys
    found = extract(backbone, examples, keys, FeatureSpec("state", STOP), runner=Eager(), store=store, view=view)
    return found.batch_state(np.arange(len(examples)))


def test_a_stored_view_is_the_frozen_stages_on_the_view(backbone: Backbone) -> None:
    examples, view = pictures(), view_of(backbone)
    keys = [str(key) for key in content_keys(examples).keys]
    with torch.no_grad():
        expected = backbone.segment(0, STOP)(view(backbone.prepare(raws_of(examples)), keys))
    torch.testing.assert_close(states(backbone, examples, view).hidden, expected.hidden, atol=1e-5, rtol=1e-4)
    plain = states(backbone, examples, None)
    assert not torch.allclose(plain.hidden, expected.hidden, atol=1e-2)


def test_a_view_depends_on_seed_number_and_content_alone(backbone: Backbone) -> None:
    examples = pictures()
    all_of_them = states(backbone, examples, view_of(backbone)).hidden
    some = states(backbone, examples.take([4, 1]), view_of(backbone)).hidden
    torch.testing.assert_close(some, all_of_them[[4, 1]], atol=1e-5, rtol=1e-4)
    assert not torch.allclose(all_of_them, states(backbone, examples, view_of(backbone, number=1)).hidden)
    assert not torch.allclose(all_of_them, states(backbone, examples, view_of(backbone, seed=1)).hidden)


def test_views_lie_in_the_store_side_by_side_and_are_used_again(backbone: Backbone, tmp_path: Path) -> None:
    examples, store = pictures(), FeatureStore(tmp_path)
    keys = content_keys(examples).keys

    def computed(view: View | None) -> int:
        return extract(
            backbone, examples, keys, FeatureSpec("state", STOP), runner=Eager(), store=store, view=view
        ).computed

    weaker = View(composed("crop", {"scale": (0.9, 1.0)}), 0, 0)
    everything = (None, view_of(backbone), view_of(backbone, 1), view_of(backbone, 0, seed=1), weaker)
    assert [computed(view) for view in everything] == [6] * 5
    assert [computed(view) for view in everything] == [0] * 5


@pytest.mark.parametrize("how", ["mask", "hide"])
def test_stored_views_of_texts_of_many_lengths_are_the_views(how: str, tmp_path: Path) -> None:
    settings = {"reference": str(save_tiny(tmp_path / "bert", "bert"))}
    texts: Backbone = build(registry.plugin("backbones", "hf_text"), settings, where="backbone").load()
    table = pa.table({"text": SENTENCES, "origin": SENTENCES})
    examples = Examples(table, Schema(modality="text", inputs=("text",), origin="origin"))
    view = View(composed("token_dropout", {"rate": 0.5, "how": how}).bind(texts.input_kind(), 4), 0, 0)
    found = states(texts, examples, view)
    with torch.no_grad():
        at_input = view(texts.prepare(raws_of(examples)), [str(key) for key in content_keys(examples).keys])
        expected = texts.segment(0, STOP)(at_input)
    real = at_input.context[LENGTH_MASK] != 0
    assert torch.equal(found.context[LENGTH_MASK] != 0, real)
    torch.testing.assert_close(found.hidden[real], expected.hidden[real], atol=1e-5, rtol=1e-4)


def test_an_epoch_draws_from_its_view_and_validation_from_none() -> None:
    def source(value: float) -> ViewStates:
        view = View(composed("none", {}), 0, 0)
        return ViewStates(view, lambda rows: State(torch.full((len(rows), 2), value)), dict.fromkeys(range(4), "ab"))

    plain = source(-1.0)
    stream = Stream(
        "source",
        np.arange(4),
        {"label": np.arange(4)},
        plain,
        4,
        0,
        views=(source(0.0), source(1.0)),
        target_kinds={"label": CLASS_IDS},
    )
    rows = np.array([2, 0])
    seen = [float(stream.batch(rows, epoch).state.hidden[0, 0]) for epoch in range(5)]
    assert seen == [0.0, 1.0, 0.0, 1.0, 0.0]
    assert float(stream.batch(rows).state.hidden[0, 0]) == -1.0


def test_targets_lie_over_their_stored_view() -> None:
    maps = torch.arange(2 * 64).reshape(2, 8, 8)
    view = View(composed("crop+flip", {}), 3, 1)
    keys = {5: "0a", 7: "ff"}
    found = ViewStates(view, lambda rows: State(torch.zeros(len(rows), 4)), keys, (8, 8))
    boxes = torch.tensor([[[0.0, 0.0, 4.0, 8.0]], [[2.0, 2.0, 7.0, 5.0]]])
    targets = {"mask": maps, "boxes": boxes, "label": torch.tensor([1, 2])}
    kinds = {"mask": ClassMaps(), "boxes": Boxes(), "label": CLASS_IDS}
    moved = found.moved(targets, np.array([7, 5]), kinds)
    assert torch.equal(moved["boxes"], view.augmentation.move(Boxes(), boxes, view.seeds(["ff", "0a"]), (8, 8)))
    assert not torch.equal(moved["boxes"], boxes)
    assert torch.equal(moved["mask"], view.augmentation.move(ClassMaps(), maps, view.seeds(["ff", "0a"]), (8, 8)))
    assert not torch.equal(moved["mask"], maps)
    assert moved["label"].tolist() == [1, 2]
