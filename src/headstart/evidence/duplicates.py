"""Duplicates: examples whose inputs are the same or nearly so, which must not lie on two sides of a split.

Exact: the same content key. Near: of inputs that have pictures see `image_likeness` and `image_crops`, of those that
have texts `text_likeness`, of sounds `sound_likeness`; all others have exact duplicates only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headstart.contracts.examples import Examples
from headstart.contracts.modality import HasPicture, HasSound, HasTexts, modality_named, raws_of
from headstart.engine.frozen.disk_cache import DiskCache
from headstart.evidence.clusters import Clusters
from headstart.evidence.image_crops import cropped_images
from headstart.evidence.image_fingerprints import Fingerprints, fingerprint_images
from headstart.evidence.image_likeness import near_images
from headstart.evidence.sound_likeness import near_sounds
from headstart.evidence.text_likeness import near_texts
from headstart.kernel.files import hash_bytes
from headstart.kernel.progress import Reporter

Pair = tuple[int, int]

MEMO = "near-pictures-1"
"""Changes with what counts as nearly the same picture."""


@dataclass(frozen=True)
class Duplicates:
    """Examples that repeat others."""

    cluster: np.ndarray
    """(examples,) int64: the first row of the cluster that each example belongs to; itself where it is unique."""
    exact: tuple[Pair, ...]
    """(first row, later row) with the same input."""
    near: tuple[Pair, ...]
    """Pairs of rows with nearly the same input, enough of them to connect each cluster."""
    failures: dict[int, str]
    """Row -> why its picture or sound cannot be decoded. Rows without a content key are not repeated here."""
    fingerprints: Fingerprints | None = None
    """Sizes and thumbnails of pictures; None for a modality without any."""


def find_duplicates(examples: Examples, keys: Sequence[str | None], reporter: Reporter | None = None) -> Duplicates:
    """Find exact and near duplicates. Decodes each picture once in its life; see `image_fingerprints`.

    Args:
        examples: of any modality.
        keys: their content keys, None where an input cannot be read. Empty texts are like nothing.
        reporter: is told the progress.
    """
    kind = modality_named(examples.schema.modality)
    texts = _joined_texts(kind, examples) if isinstance(kind, HasTexts) else None
    comparable = [key if texts is None or texts[row].strip() else None for row, key in enumerate(keys)]
    first: dict[str, int] = {}
    exact: list[Pair] = []
    for row, key in enumerate(comparable):
        if key is not None and first.setdefault(key, row) != row:
            exact.append((first[key], row))
    distinct = sorted(first.values())
    near: list[Pair] = []
    fingerprints = None
    if texts is not None:
        near = [(distinct[a], distinct[b]) for a, b in near_texts([texts[row] for row in distinct])]
    elif isinstance(kind, HasPicture):
        fingerprints = fingerprint_images(examples, keys, reporter)
        firsts = np.unique(fingerprints.record_of, return_index=True)[1]
        rows = fingerprints.rows[firsts].tolist()
        near = [(rows[a], rows[b]) for a, b in _near_pictures(fingerprints.records)]
    failures = fingerprints.failures if fingerprints else {}
    if isinstance(kind, HasSound):
        near, failures = near_sounds(kind, examples, keys, distinct)
    clusters = Clusters(len(examples))
    clusters.join_all([*exact, *near])
    return Duplicates(clusters.labels(), tuple(exact), tuple(near), failures, fingerprints)


def _near_pictures(records: np.ndarray) -> list[Pair]:
    """Sorted pairs of indices of records that are nearly the same picture; kept, as thousands take seconds."""
    memo, key = DiskCache(MEMO), hash_bytes(records.tobytes()).encode()
    if (kept := memo.get([key]).get(key)) is not None:
        return [(a, b) for a, b in np.frombuffer(kept, np.int64).reshape(-1, 2).tolist()]
    pairs = sorted({*near_images(records), *cropped_images(records["pixels"])})
    memo.put({key: np.array(pairs, np.int64).tobytes()})
    return pairs


def _joined_texts(kind: HasTexts, examples: Examples) -> list[str]:
    """One string per example; the halves of a pair are kept apart by a character that no normalisation removes."""
    parts = [kind.texts(raw) for raw in raws_of(examples)]
    return [" ¦ ".join(some) if any(text.strip() for text in some) else "" for some in parts]
