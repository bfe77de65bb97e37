"""Retrieval in place of training: what the decoder saw before each token of the training texts is kept and asked.

kNN-MT (Khandelwal et al. 2021), see `contracts/retrieval.py`. One teacher-forced pass over the training part makes the
memory; neighbours, temperature and weight are those with the most probable validation texts, and the weight counts only
where generation on the validation part is better with it and texts of another domain (`--keep`) lose little: published
gains came with a ruined general domain (37.2 -> 12.0 BLEU). Else it is 0, which is the model as it was. Temperatures
are multiples of the mean squared distance to the nearest state, so that they suit states of any scale; the paper's are
absolute.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from headstart.contracts.tuning import Tuning


class NearestTokens(Tuning):
    """A memory of decoder states beside a model that writes; no weight moves."""

    solved: ClassVar[bool] = True
    retrieves: ClassVar[bool] = True

    neighbours: tuple[int, ...] = Field(default=(4, 8, 16), min_length=1)
    """Numbers of nearest states that are tried; each >= 1."""
    temperatures: tuple[float, ...] = Field(default=(0.1, 0.3, 1.0, 3.0), min_length=1)
    """Temperatures that are tried, as multiples of the mean squared distance to the nearest state; each > 0."""
    weights: tuple[float, ...] = Field(default=(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7), min_length=1)
    """Weights of the memory that are tried beside 0; each in (0, 1)."""
    entries: int = Field(default=200_000, ge=1)
    """States kept at most; of more, so many are drawn; >= 1."""
    most_lost: float = Field(default=0.3, ge=0)
    """Loss of the primary metric on half of the texts of `--keep` up to which a weight is taken; >= 0."""

    def first_stage(self, stages: int) -> int:
        """No stage moves."""
        return stages
