"""Codes of pictures, texts and tables: what they are by their formulas, and that they go where a backbone goes."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import torch
from sklearn.decomposition import PCA

from headstart.contracts.backbone import Backbone
from headstart.contracts.examples import Examples, Schema
from headstart.contracts.modality import raws_of
from headstart.evidence.code_modules import Projection, Triangle, patches
from headstart.evidence.unlabelled_codes import fit_codes
from headstart.kernel.errors import BackboneError, DataError
from headstart.media.audio import as_file
from masked_pictures import png
from small_sounds import tone
from tiny_backbone import numeric_examples

ALL = np.arange(60)


def features(backbone: Backbone, examples: Examples) -> np.ndarray:
    state = backbone.segment(0, 1)(backbone.prepare(raws_of(examples)))
    return backbone.features(state).pooled.numpy()


def pictures(spoilt: int = 0) -> Examples:
    """Half of stripes, half of squares, of random colours."""
    draws, made = np.random.default_rng(0), []
    for row in ALL:
        pixels = np.zeros((40, 40, 3), np.uint8)
        pixels[::4] = draws.integers(100, 256, 3)
        made.append(png(pixels if row % 2 else pixels.transpose(1, 0, 2).copy()))
    made[:spoilt] = [b"none"] * spoilt
    table = pa.table({"picture": made, "origin": [str(row) for row in ALL]})
    return Examples(table, Schema(modality="image", inputs=("picture",), origin="origin"))


def texts() -> Examples:
    words = [f"it rains and pours {row}" if row % 2 else f"the sun shines {row}" for row in ALL]
    table = pa.table({"text": words, "origin": [str(row) for row in ALL]})
    return Examples(table, Schema(modality="text", inputs=("text",), origin="origin"))


def sounds() -> Examples:
    pytest.importorskip("soundfile", reason="audio needs the extra 'audio'")
    files = [as_file(tone(300 + 900 * (row % 2) + row, 0.1, 16_000, seed=row), 16_000) for row in ALL]
    table = pa.table({"sound": files, "origin": [str(row) for row in ALL]})
    return Examples(table, Schema(modality="audio", inputs=("sound",), origin="origin"))


def columns() -> Examples:
    numbers = np.random.default_rng(0).normal(size=(60, 3)) @ np.diag([1.0, 1e4, 5.0]) + 7
    return numeric_examples(numbers, [0] * 60)


def test_components_of_a_table_are_those_of_its_standardised_columns() -> None:
    examples = columns()
    found = features(fit_codes(examples, ALL, 0)["pca"], examples)
    rows = np.stack(raws_of(examples))
    expected = PCA().fit_transform((rows - rows.mean(axis=0)) / rows.std(axis=0))
    np.testing.assert_allclose(np.abs(found), np.abs(expected), rtol=1e-3, atol=1e-4)


def test_a_triangle_is_how_much_nearer_than_the_mean_a_centroid_is() -> None:
    centroids = torch.tensor([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]])
    codes = Triangle(centroids)(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    torch.testing.assert_close(codes, torch.tensor([[0.0, 10 / 3, 0.0], [5.0, 0.0, 0.0]]))


def test_patches_have_equal_contrast_and_lie_where_they_were() -> None:
    pictures = torch.zeros(1, 12, 12, 3, dtype=torch.uint8)
    pictures[0, 6:, 6:] = torch.arange(108, dtype=torch.uint8).reshape(6, 6, 3)
    cut = patches(pictures)
    assert cut.shape == (1, 4, 4, 108)
    assert bool((cut[0, 0, 0] == 0).all()) and abs(cut[0, 3, 3].var().item() - 1) < 0.02
    rows_and_colours = cut[0, 3, 3].reshape(3, 6, 6).permute(1, 2, 0).flatten()
    assert bool((rows_and_colours.diff() > 0).all())


@pytest.mark.slow
@pytest.mark.parametrize("make", [pictures, texts, sounds])
@pytest.mark.parametrize("method", ["pca", "k_means"])
def test_what_differs_has_different_codes(make: object, method: str) -> None:
    examples = make()  # type: ignore[operator]
    backbone = fit_codes(examples, ALL, 0)[method]
    found = features(backbone, examples)
    assert found.shape == (60, backbone.width) and np.isfinite(found).all()
    centres = np.stack([found[1::2].mean(axis=0), found[::2].mean(axis=0)])
    nearest = np.linalg.norm(found[:, None] - centres, axis=2).argmin(axis=1)
    assert np.array_equal(nearest, 1 - ALL % 2)


@pytest.mark.slow
def test_the_whitening_of_patches_leaves_them_uncorrelated() -> None:
    examples = pictures()
    whitening = fit_codes(examples, ALL, 0)["k_means"].module.get_submodule("whitening")
    assert isinstance(whitening, Projection)
    torch.testing.assert_close(whitening.directions, whitening.directions.T, rtol=1e-3, atol=1e-4)


def test_the_same_seed_gives_the_same_codes_and_the_inputs_decide_them() -> None:
    examples = texts()
    one, again, other = (fit_codes(examples, rows, 0)["k_means"] for rows in (ALL, ALL, ALL[:30]))
    assert one.weights_hash() == again.weights_hash() != other.weights_hash()
    assert one.preparation() == again.preparation() != other.preparation()


@pytest.mark.slow
def test_what_cannot_be_read_is_left_out_and_nothing_at_all_is_refused() -> None:
    fit_codes(pictures(spoilt=3), ALL, 0)
    with pytest.raises(DataError, match="at least two readable inputs; found 0"):
        fit_codes(pictures(spoilt=60), ALL, 0)


def test_codes_cannot_be_drawn_at_random() -> None:
    with pytest.raises(BackboneError, match="fitted, not trained"):
        fit_codes(columns(), ALL, 0)["pca"].fresh(1)
