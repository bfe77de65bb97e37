"""Rows of a table as backbones take them: one tensor, by an encoding that training rows teach.

It lies in the settings, so that a saved model, a run that goes on and one whose backbone serves again read rows alike.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from headstart.backbones._own_name import OwnName
from headstart.contracts.backbone import NO_LICENCE, Backbone
from headstart.contracts.carriers import State
from headstart.contracts.examples import Raw
from headstart.kernel.errors import DataError
from headstart.numerics.table_encoding import Encoding, gaps_in, learn


class TableFamily(OwnName):
    """Base of the families that read tables."""

    modality: ClassVar[str] = "table"

    columns: int = Field(ge=1)
    """How many input columns there are; >= 1."""
    names: tuple[str, ...] = ()
    """Of the columns, for messages."""
    encoding: Encoding | None = None
    """What training rows taught; None before, and in runs of earlier versions, which take complete numbers alone."""

    @property
    def inputs(self) -> int:
        """Numbers that a row becomes."""
        return self.columns if self.encoding is None else self.encoding.width

    def numbers(self, raws: Sequence[Raw]) -> Tensor:
        """(rows, numbers) float32; infinite where 32 bits do not do. Raises DataError on rows of other columns."""
        return torch.from_numpy(
            _plain(raws, self.columns) if self.encoding is None else self.encoding.encoded(raws)
        ).float()


class TableBackbone(Backbone):
    """Base of the backbones that read tables."""

    modality = "table"
    licence = NO_LICENCE
    settings: Any
    """Of the family."""
    learns: bool = True
    """False once an encoding stays, learnt or not: weights were trained on it."""

    def learn_decoding(self, raws: Sequence[Raw]) -> tuple[str, ...]:
        """Learn the encoding, unless a run has left its own."""
        if self.learns:
            encoding = learn(raws)
            self.build(self.settings.model_copy(update={"encoding": encoding}))
            return gaps_in(raws, self.settings.names)
        return ()

    @abstractmethod
    def build(self, settings: Any) -> None:
        """Build it by these settings."""

    def doubts(self, raws: Sequence[Raw]) -> tuple[str, ...]:
        """Gaps and categories that training rows did not have."""
        encoding, names = self.settings.encoding, self.settings.names
        return () if encoding is None or not names or not raws else tuple(encoding.surprises(raws, names))

    def prepare(self, raws: Sequence[Raw]) -> State:
        """(batch, numbers) float32.

        Raises:
            DataError: a row has other columns, or an infinite number, also one that 32 bits cannot hold; or has a gap
                where nothing was learnt.
        """
        found = self.settings.numbers(raws)
        if not torch.isfinite(found).all():
            raise DataError("contains a missing (NaN) or infinite number")
        return State(found)

    def length(self, raw: Raw) -> int:  # noqa: ARG002
        """1: all rows cost the same."""
        return 1

    def preparation(self) -> Mapping[str, Any]:
        """The number of columns and their encoding."""
        return {
            "family": self.name,
            **self.settings.model_dump(mode="json", include={"columns", "encoding"}, exclude_none=True),
        }


def _plain(raws: Sequence[Raw], columns: int) -> np.ndarray:
    for raw in raws:
        if len(raw) != columns:
            raise DataError(f"has {len(raw)} numbers; expected {columns}")
        if not isinstance(raw, np.ndarray):
            raise DataError("holds a category or a date, and the backbone learnt from numbers alone")
    return np.stack([np.asarray(raw, np.float64) for raw in raws])
