"""Transcripts as the data have them: read, split by their length, and counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from headstart.contracts.examples import Examples
from headstart.contracts.task import SplitPolicy
from headstart.kernel.errors import DataError
from headstart.tasks.transcription.metrics import TRANSCRIPT


def transcripts_of(examples: Examples) -> Sequence[str]:
    """Return the transcripts. Raises DataError where one is missing."""
    found = examples.target(TRANSCRIPT)
    missing = [row for row, text in enumerate(found) if text is None]
    if missing:
        raise DataError(
            f"{len(missing)} clips have no transcript: {examples.named(missing)}. Leave them out, or put an empty text "
            "in quotes where nothing is said"
        )
    return found


def by_length(transcripts: Sequence[str]) -> SplitPolicy:
    """Return short and long ones, split at the median number of words."""
    words = np.array([len(text.split()) for text in transcripts])
    return SplitPolicy((words > np.median(words)).astype(np.int64), ("short transcripts", "long transcripts"))


def counted_words(transcripts: Sequence[str]) -> Counter[str]:
    """Count the words."""
    return Counter(word for text in transcripts for word in text.split())
