"""Texts of a pair that are read apart: what is compared, what passes once, and that every cut gives the same."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import torch

from headstart.backbones.hf_text import HfText
from headstart.contracts.backbone import Backbone
from headstart.contracts.composed_augmentation import composed
from headstart.contracts.examples import Examples, Schema
from headstart.contracts.features import Features
from headstart.engine.frozen.content_keys import content_keys
from headstart.engine.frozen.feature_spec import FeatureSpec
from headstart.engine.frozen.views import View
from headstart.engine.store.feature_store import FeatureStore
from headstart.kernel.errors import DataError
from headstart.pipeline.embed import embed
from headstart.runners.eager import Eager
from tiny_text_models import SENTENCES, save_tiny

PAIRS = [*zip(SENTENCES, reversed(SENTENCES)), (SENTENCES[0], ""), (SENTENCES[1], SENTENCES[1])]


@pytest.fixture(scope="module", params=["bert", "gpt2"])
def joint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    return HfText(reference=str(save_tiny(tmp_path_factory.mktemp(request.param), request.param))).load()


def run(backbone: Backbone, raws: list[object], cut: int = 0) -> Features:
    state, end = backbone.prepare(raws), len(backbone.stages)
    with torch.no_grad():
        for start, stop in ((0, cut), (cut, end)) if cut else ((0, end),):
            state = backbone.segment(start, stop)(state)
        return backbone.features(state)


def examples(pairs: list[tuple[str, str]]) -> Examples:
    one, other = zip(*pairs)
    table = pa.table({"one": one, "other": other, "origin": [str(row) for row in range(len(pairs))]})
    return Examples(table, Schema(modality="text", inputs=("one", "other"), origin="origin"))


def apart_of(joint: Backbone) -> Backbone:
    found = joint.apart()
    assert found is not None
    return found


@pytest.mark.slow
def test_the_features_of_a_pair_are_those_of_its_texts_and_how_they_differ(joint: Backbone) -> None:
    backbone = apart_of(joint)
    first, second = (run(joint, [pair[k] for pair in PAIRS]).pooled for k in (0, 1))
    u, v = (one / one.square().mean(dim=1, keepdim=True).sqrt() for one in (first, second))
    cosine = torch.cosine_similarity(first, second)[:, None] * 4 * 32**0.5
    expected = torch.cat([u, v, (u - v).abs(), u * v, cosine], dim=1)
    assert backbone.width == expected.shape[1]
    for cut in range(len(backbone.stages)):
        torch.testing.assert_close(run(backbone, PAIRS, cut).pooled, expected, atol=2e-5, rtol=1e-4)


def test_each_text_passes_once_and_is_shared_with_passes_over_single_texts(joint: Backbone) -> None:
    backbone, store = apart_of(joint), FeatureStore()
    pairs = [(one, other) for one in SENTENCES[:4] for other in SENTENCES[:4]]
    found = embed(backbone, examples(pairs), runner=Eager(), store=store)
    assert found.computed == 4
    texts = pa.table({"text": SENTENCES[:4], "origin": SENTENCES[:4]})
    alone = Examples(texts, Schema(modality="text", inputs=("text",), origin="origin"))
    assert embed(joint, alone, runner=Eager(), store=store).computed == 0
    np.testing.assert_allclose(found.pooled([7, 2]), run(backbone, [pairs[7], pairs[2]]).pooled, atol=2e-5)
    assert found.pooled([]).shape == (0, backbone.width)


@pytest.mark.parametrize("stored", [False, True], ids=["by hand", "as a pass"])
def test_states_at_an_inner_boundary_go_on_to_the_same_features(joint: Backbone, stored: bool) -> None:
    backbone, data = apart_of(joint), examples(PAIRS)
    spec, end = FeatureSpec("state", 1), len(backbone.stages)
    if stored:
        state = embed(backbone, data, spec, runner=Eager()).batch_state([4, 0])
    else:
        state = backbone.segment(0, 1)(backbone.prepare([PAIRS[4], PAIRS[0]]))
    with torch.no_grad():
        found = backbone.features(backbone.segment(1, end)(state)).pooled
    torch.testing.assert_close(found, run(backbone, [PAIRS[4], PAIRS[0]]).pooled, atol=2e-5, rtol=1e-4)


def test_taps_are_features_of_pairs_at_every_stage(joint: Backbone) -> None:
    backbone, data = apart_of(joint), examples(PAIRS)
    found = embed(backbone, data, FeatureSpec.all_stages(backbone), runner=Eager())
    for boundary in backbone.boundary_names()[1:]:
        assert found.tap(boundary, [0, 1]).shape == (2, backbone.width)


@pytest.mark.parametrize("name", ["token_dropout", "span_mask"])
def test_each_text_of_a_pair_has_its_own_view(joint: Backbone, name: str) -> None:
    backbone = apart_of(joint)
    bound = composed(name, {"rate": 0.5, "how": "hide"}).bind(backbone.input_kind(), 8)
    state = backbone.prepare([(SENTENCES[0], SENTENCES[0])])
    seen = bound.view(state, [3])
    kept = seen.context["each_mask"][0].sum(dim=0)
    assert (kept < state.context["each_mask"][0].sum(dim=0)).all()
    assert torch.equal(seen.hidden, state.hidden)
    assert torch.equal(bound.view(state, [3]).context["each_mask"], seen.context["each_mask"])


def test_what_is_no_pair_is_refused(joint: Backbone) -> None:
    with pytest.raises(DataError, match="is not a pair of texts: str 'ab'"):
        apart_of(joint).prepare(["ab"])


def test_single_texts_and_pairs_keep_the_keys_of_their_passes(joint: Backbone) -> None:
    assert "pairs" not in joint.describe()["settings"]
    assert apart_of(joint).describe()["settings"]["pairs"] == "apart"
    assert len(set(content_keys(examples(PAIRS)).keys)) == len(PAIRS)


def test_random_and_small_networks_read_pairs_apart_too(joint: Backbone) -> None:
    backbone = apart_of(joint)
    for network in (backbone.fresh(1), backbone.small(1)):
        assert network is not None
        assert network.alone() is not None
        assert run(network, PAIRS).pooled.shape == (len(PAIRS), network.width)


def test_kept_views_of_pairs_are_those_of_their_texts(joint: Backbone) -> None:
    backbone, data = apart_of(joint), examples(PAIRS)
    view = View(composed("token_dropout", {"rate": 0.5, "how": "hide"}).bind(backbone.input_kind(), 8), 5, 1)
    kept = embed(backbone, data, FeatureSpec("state", 1), runner=Eager(), view=view).batch_state([2, 0])
    keys = [str(content_keys(data).keys[row]) for row in (2, 0)]
    with torch.no_grad():
        state = backbone.segment(0, 1)(view(backbone.prepare([PAIRS[2], PAIRS[0]]), keys))
        end = backbone.segment(1, len(backbone.stages))
        found, expected = (backbone.features(end(one)).pooled for one in (kept, state))
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-4)
