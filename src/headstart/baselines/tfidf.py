"""TF-IDF: a linear model on weighted counts of words, pairs of words and runs of 2 to 5 characters.

The weight of a term in a text is (1 + log tf) * idf (Salton and Buckley 1988), scaled to unit length for words and
characters apart. With two texts per example their terms stand side by side, with the products and the absolute
differences of both and the cosines of their words and of their characters, which are weighted so that they count.
Columns of a table beside a text stand beside its terms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import FeatureUnion

from headstart.baselines._linear import fit_linear
from headstart.baselines._scores import takes
from headstart.contracts.baseline import Baseline, Labelled, Scores
from headstart.contracts.examples import Examples
from headstart.contracts.modality import HasNumbers, HasTexts, Modality, modality_named, raws_of
from headstart.contracts.task import BoundTask, Targets
from headstart.numerics.table_encoding import learn

MOST_CHARACTERS = 2000
"""Of a text whose runs of characters are counted."""
COSINES = 4.0
"""Weight of the two cosines beside terms, each of which moves far less."""
MOST_TERMS = 100_000
"""Of words and of characters each; the most frequent."""


class TfIdf(Baseline):
    """Linear model on TF-IDF of words and characters."""

    title: ClassVar[str] = "TF-IDF with a linear model"
    strengths: ClassVar[Sequence[float]] = (4.0, 16.0, 1.0)

    @classmethod
    def suits(cls, modality: Modality, task: BoundTask) -> bool:
        """Texts with one class, value or set of labels each."""
        return isinstance(modality, HasTexts) and takes(task)

    def fit(self, data: Labelled, strengths: Sequence[float], seed: int) -> Mapping[float, Scores]:
        """Count the terms once, then solve for every strength."""
        columns = _columns(data.examples)
        terms = FeatureUnion([("words", _words()), ("characters", _characters())])
        counted = sparse.csr_matrix(terms.fit_transform([text for column in columns for text in column]))
        size = len(data.examples)
        beside = _beside(data.examples)
        texts = [counted[at : at + size] for at in range(0, counted.shape[0], size)]
        features = _features(terms, texts, beside(data.examples))
        models = {strength: fit_linear(features, data, strength, seed) for strength in strengths}
        return {strength: _scores(terms, beside, model) for strength, model in models.items()}


def _scores(
    terms: FeatureUnion,
    beside: Callable[[Examples], np.ndarray],
    model: Callable[[sparse.csr_matrix], np.ndarray],
) -> Scores:
    def scores(examples: Examples, _: Targets) -> np.ndarray:
        texts = [sparse.csr_matrix(terms.transform(one)) for one in _columns(examples)]
        found: np.ndarray = model(_features(terms, texts, beside(examples)))
        return found

    return scores


def _beside(train: Examples) -> Callable[[Examples], np.ndarray]:
    """Examples -> columns of a table that stand beside their texts (examples, numbers), as `train` teaches them."""
    kind = modality_named(train.schema.modality)
    if not isinstance(kind, HasNumbers):
        return lambda examples: np.empty((len(examples), 0))
    rows, encoding = kind.rows, learn(kind.rows(raws_of(train)), alone=False)
    return lambda examples: encoding.encoded(rows(raws_of(examples)))


def _words() -> TfidfVectorizer:
    return TfidfVectorizer(
        ngram_range=(1, 2),
        token_pattern=r"\w+|[^\w\s]",
        strip_accents="unicode",
        sublinear_tf=True,
        max_features=MOST_TERMS,
        dtype=np.float32,
    )


def _characters() -> TfidfVectorizer:
    return TfidfVectorizer(
        analyzer="char_wb",
        ngram_range=(2, 5),
        preprocessor=_beginning,
        sublinear_tf=True,
        max_features=MOST_TERMS,
        dtype=np.float32,
    )


def _beginning(text: str) -> str:
    return text[:MOST_CHARACTERS].lower()


def _columns(examples: Examples) -> list[tuple[str, ...]]:
    """The first text of every example, then the second of every one."""
    kind = modality_named(examples.schema.modality)
    if not isinstance(kind, HasTexts):
        raise TypeError(f"{examples.schema.modality} inputs are not texts")
    return list(zip(*(kind.texts(raw) for raw in raws_of(examples))))


def _features(terms: FeatureUnion, counted: Sequence[sparse.csr_matrix], beside: np.ndarray) -> sparse.csr_matrix:
    """(examples, terms, what compares two texts, columns beside them), from the terms of each column of texts."""
    found = [*counted]
    if len(found) == 2:
        one, other = found
        shared = one.multiply(other).tocsr()
        words = len(terms.transformer_list[0][1].vocabulary_)
        cosines = [part.sum(axis=1) for part in (shared[:, :words], shared[:, words:])]
        found += [shared, abs(one - other), COSINES * sparse.csr_matrix(np.hstack(cosines))]
    return sparse.hstack([*found, sparse.csr_matrix(beside, dtype=np.float32)], format="csr")
