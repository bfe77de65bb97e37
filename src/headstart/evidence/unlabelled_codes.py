"""Simple codes of data without labels: principal components, and distances to centroids of k-means.

They take seconds, and a backbone that learnt for hours without labels is worth something only where it beats them.
Of pictures: their pixels at 32 x 32, and the patches of these (Coates, Ng & Lee 2011); of texts: TF-IDF, whose
principal components are latent semantic analysis (Deerwester et al. 1990); of sounds: standardised statistics of their
log-mel bands; of tables: standardised columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from sklearn.cluster import MiniBatchKMeans
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.utils.extmath import randomized_svd
from torch import Tensor, nn

from headstart.contracts.backbone import Backbone
from headstart.contracts.examples import Examples, Raw
from headstart.contracts.modality import HasNumbers, HasPicture, HasSound, HasTexts, Modality, modality_named, raws_of
from headstart.evidence.code_backbone import CodeBackbone
from headstart.evidence.code_modules import PatchCodes, Projection, Triangle, patches
from headstart.kernel.errors import DataError
from headstart.kernel.files import hash_json
from headstart.kernel.randomness import draw_seed
from headstart.media.framing import Framing
from headstart.numerics.mel import GLANCE_RATE, GLANCE_SECONDS, mel_statistics
from headstart.numerics.standardisation import standardise
from headstart.numerics.table_encoding import learn

MOST_INPUTS = 10_000
"""Inputs that the codes are fitted on, at most."""

COMPONENTS, CENTROIDS = 128, 256
"""At most."""

SIDE = 32
"""Pixels of a picture."""

PATCHES = 50_000
"""Patches that the centroids are fitted on, at most."""

WHITENING = 0.1
"""Added to the variances of the patches, of which the least are noise."""

WORDS = 5_000
"""The most frequent ones."""


@dataclass(frozen=True)
class _Data:
    """Some inputs as numbers, and how to read others alike."""

    inputs: Any
    """(examples, ...); a sparse matrix of texts."""
    read: Callable[[Sequence[Raw]], Tensor]
    preparation: dict[str, Any]


def fit_codes(examples: Examples, rows: np.ndarray, seed: int) -> dict[str, Backbone]:
    """Codes fitted on inputs without labels, each a backbone: {"pca": ..., "k_means": ...}.

    Args:
        examples: of a modality that has pictures, sounds, texts or numbers.
        rows: (some,) those that may be looked at; 10,000 of them are, and of these those that can be read.
        seed: decides what is drawn.

    Returns:
        Nothing for a modality whose inputs are neither pictures, sounds, texts nor numbers.

    Raises:
        DataError: fewer than two can be read.
    """
    kind = modality_named(examples.schema.modality)
    draws = np.random.default_rng(draw_seed(seed, "codes"))
    some = rows if len(rows) <= MOST_INPUTS else np.sort(draws.choice(rows, MOST_INPUTS, replace=False))
    data = _data(kind, raws_of(examples, some))
    if data is None:
        return {}
    if data.inputs.shape[0] < 2:
        raise DataError(f"codes need at least two readable inputs; found {data.inputs.shape[0]}")
    number = int(draws.integers(1 << 31))
    projection, vectors = _components(kind, data.inputs, number)
    if isinstance(kind, HasPicture):
        of_patches = _patch_codes(torch.from_numpy(data.inputs), draws, number)
        k_means, width = cast(nn.Module, of_patches), 4 * len(of_patches.triangle.centroids)
    else:
        triangle = Triangle(_centroids(vectors, number))
        k_means, width = nn.Sequential(projection, triangle), len(triangle.centroids)
    found = {"pca": (projection, projection.directions.shape[1]), "k_means": (k_means, width)}
    return {
        name: CodeBackbone(name, examples.schema.modality, data.read, module, width, data.preparation)
        for name, (module, width) in found.items()
    }


def _data(kind: Modality, raws: Sequence[Raw]) -> _Data | None:
    """Return the inputs as codes are fitted on them; None for inputs without pictures, sounds, texts and numbers."""
    if isinstance(kind, HasPicture):
        return _pictures(kind, raws)
    if isinstance(kind, HasSound):
        return _sounds(kind, raws)
    if isinstance(kind, HasTexts):
        return _texts(kind, raws)
    return _rows(kind, raws) if isinstance(kind, HasNumbers) else None


def _pictures(kind: HasPicture, raws: Sequence[Raw]) -> _Data:
    framing = Framing(SIDE, SIDE, SIDE, "bilinear")

    def read(some: Sequence[Raw]) -> Tensor:
        framed = [framing(np.asarray(kind.picture(raw, at_least=SIDE))) for raw in some]
        return torch.from_numpy(np.stack(framed))

    kept = _readable(read, raws)
    inputs = np.concatenate(kept) if kept else np.empty((0, SIDE, SIDE, 3), np.uint8)
    return _Data(inputs, read, {"pixels": SIDE})


def _sounds(kind: HasSound, raws: Sequence[Raw]) -> _Data:
    def read(some: Sequence[Raw]) -> Tensor:
        waves = [kind.wave(raw, GLANCE_RATE, GLANCE_SECONDS) for raw in some]
        return torch.from_numpy(np.stack([mel_statistics(wave, GLANCE_RATE) for wave in waves]))

    kept = _readable(read, raws)
    return _Data(np.concatenate(kept) if kept else np.empty((0, 1)), read, {"statistics": "log-mel"})


def _readable(read: Callable[[Sequence[Raw]], Tensor], raws: Sequence[Raw]) -> list[np.ndarray]:
    """Those that can be read, each (1, ...)."""
    kept = []
    for raw in raws:
        try:
            kept.append(read([raw]).numpy())
        except DataError:  # it is told of by what trains on it
            continue
    return kept


def _texts(kind: HasTexts, raws: Sequence[Raw]) -> _Data:
    vectoriser = TfidfVectorizer(max_features=WORDS, sublinear_tf=True, token_pattern=r"\w+", dtype=np.float32)

    def joined(some: Sequence[Raw]) -> list[str]:
        return [" ".join(kind.texts(raw)) for raw in some]

    try:
        inputs = vectoriser.fit_transform(joined(raws))
    except ValueError as error:
        raise DataError(f"the texts contain no words: {error}") from error
    known = {word: [int(place), float(vectoriser.idf_[place])] for word, place in vectoriser.vocabulary_.items()}

    def read(some: Sequence[Raw]) -> Tensor:
        return torch.from_numpy(vectoriser.transform(joined(some)).toarray())

    return _Data(inputs, read, {"tf_idf": hash_json(known)})


def _rows(kind: HasNumbers, raws: Sequence[Raw]) -> _Data:
    encoding = learn(kind.rows(raws))

    def read(some: Sequence[Raw]) -> Tensor:
        table = encoding.encoded(kind.rows(some))
        if not np.isfinite(table).all():
            raise DataError("contains an infinite number")
        return torch.from_numpy(table)

    table = encoding.encoded(kind.rows(raws))
    return _Data(table[np.isfinite(table).all(axis=1)], read, {"encoding": encoding.model_dump(mode="json")})


def _components(kind: Modality, inputs: Any, seed: int) -> tuple[Projection, np.ndarray]:
    """Principal components, and the inputs by them (examples, width); of texts without a mean, as words are rare."""
    flat = inputs.reshape(inputs.shape[0], -1)
    mean, scale = np.zeros(flat.shape[1]), np.ones(flat.shape[1])
    if isinstance(kind, (HasNumbers, HasSound)):
        flat, (mean, scale) = standardise(flat)
    elif isinstance(kind, HasPicture):
        mean = flat.mean(axis=0, dtype=np.float64)
        flat = (flat - mean).astype(np.float32)
    directions = randomized_svd(flat, min(COMPONENTS, *flat.shape), random_state=seed)[2].T
    return Projection(torch.from_numpy(mean), torch.from_numpy(directions / scale[:, None])), flat @ directions


def _patch_codes(pictures: Tensor, draws: np.random.Generator, seed: int) -> PatchCodes:
    """Centroids of whitened patches."""
    parts = []
    for some in pictures.split(500):
        flat = patches(some).flatten(0, 2).numpy()
        wanted = min(len(flat), -(-PATCHES * len(some) // len(pictures)))
        parts.append(flat[draws.choice(len(flat), wanted, replace=False)])
    drawn = np.concatenate(parts).astype(np.float64)
    mean = drawn.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(drawn - mean, rowvar=False))
    white = Projection(torch.from_numpy(mean), torch.from_numpy(vectors / np.sqrt(values + WHITENING) @ vectors.T))
    return PatchCodes(white, Triangle(_centroids(white(torch.from_numpy(drawn)).numpy(), seed)))


def _centroids(vectors: np.ndarray, seed: int) -> Tensor:
    """(number, width): of at least five vectors each on average."""
    number = min(CENTROIDS, max(2, len(vectors) // 5))
    found = MiniBatchKMeans(number, batch_size=4096, n_init=1, random_state=seed).fit(vectors)
    return torch.from_numpy(found.cluster_centers_)
