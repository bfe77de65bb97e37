"""Modality: one kind of input, such as images or texts, and all that is asked of an input before a backbone reads it.

A raw input is whatever the modality's `raws` takes from a row: a file, a text, numbers. Only the modality and the
backbones that read it know its type; everything else asks the modality. What not every modality can do is a protocol
of its own: `InFiles`, `HasPicture`, `HasSound`, `HasTexts`, `HasNumbers`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol, Self, runtime_checkable

import numpy as np
import pyarrow as pa
from PIL import Image

from headstart.contracts.examples import Examples, Raw, Schema
from headstart.kernel import registry
from headstart.kernel.contract import contract
from headstart.kernel.errors import DataError
from headstart.kernel.settings import Settings
from headstart.numerics.table_encoding import Row

PREVIEW = 600
"""Characters of an input in words, at most."""


class Sizes(NamedTuple):
    """Sizes of inputs, as `inspect` shows them."""

    values: Mapping[str, Sequence[float] | np.ndarray]
    """Measure, such as 'words' -> its values; inputs that have none are left out."""
    notes: tuple[str, ...] = ()
    """Sentences on what the sizes mean for a training."""
    unit: str = ""
    """Of the values, such as 'px'."""


@contract("modalities")
class Modality(Protocol):
    """A kind of input; a file in `modalities/` defines one."""

    unit: ClassVar[str]
    """Plural noun for inputs, such as 'images'."""
    like_lengths: ClassVar[bool]
    """True where lengths differ so much that a batch is better made of inputs of similar length."""
    no_backbone: ClassVar[str]
    """Advice for users where no pretrained backbone can be had; '' for none."""

    def named(self, table: pa.Table, schema: Schema) -> Mapping[str, Any]:
        """Fields of `Columns` that name the input columns of a table, so that prediction finds them again."""
        ...

    def raws(self, table: pa.Table, schema: Schema) -> list[Raw]:
        """The input of each row of a table, not decoded. Each can be pickled."""
        ...

    def key(self, raw: Raw, digest: str) -> str:
        """The content key: 32 hexadecimal digits that only equal inputs share.

        Args:
            raw: an input.
            digest: of its file, where the modality is `InFiles`; else ''.
        """
        ...

    def flaw(self, raw: Raw) -> str:
        """Return why an input that is not a file is of no use, in words that follow its origin; '' for one of use."""
        ...

    def sizes(self, raws: Sequence[Raw], names: Sequence[str]) -> Sizes:
        """Measure inputs without decoding them; `names` are those of the input columns."""
        ...

    def remarks(self, raws: Sequence[Raw], origins: Sequence[str]) -> tuple[str, ...]:
        """Sentences, with counts, on inputs of which not all is read, or not as it stands; nothing is decoded."""
        ...

    def decoding(self, raws: Sequence[Raw]) -> tuple[str, ...]:
        """Sentences on what a backbone's `learn_decoding` takes from training inputs."""
        ...

    def preview(self, raw: Raw) -> str:
        """An input in words, for reports."""
        ...

    def recognises(self, inputs: Any) -> float:
        """Return how certain it is, in [0, 1], that inputs in memory are of this modality; the highest wins.

        Args:
            inputs: an array with two or more axes, or a sequence with at least one input.
        """
        ...

    def columns(self, inputs: Any) -> Mapping[str, Any]:
        """Inputs in memory as the columns that `raws` reads, by name. Raises DataError where one is of another kind."""
        ...


@runtime_checkable
class InFiles(Modality, Protocol):
    """A modality whose inputs are files: content keys go by what is in the file, which is hashed once."""

    def source(self, raw: Raw) -> Path | bytes:
        """The file that an input is read from, or the bytes of one; empty bytes where there is none."""
        ...


@runtime_checkable
class HasPicture(Modality, Protocol):
    """A modality whose inputs can be seen: near duplicates, previews and simple codes are made from their pictures."""

    def alike(self, raws: Sequence[Raw]) -> HasPicture:
        """The modality with one scale of grey values for all pictures, learnt from those of the training."""
        ...

    def picture(self, raw: Raw, at_least: int | None = None) -> Image.Image:
        """The input as 8-bit RGB, if given at a reduced size with `at_least` pixels on its shorter side.

        Raises:
            DataError: it cannot be read, with the reason in words that follow its name.
        """
        ...

    def size(self, raw: Raw) -> tuple[int, int]:
        """Width and height of the picture in pixels. Raises DataError."""
        ...


@runtime_checkable
class HasSound(Modality, Protocol):
    """A modality whose inputs can be heard: near duplicates and simple codes are made from their waveforms."""

    def wave(self, raw: Raw, rate: int, seconds: float = math.inf) -> np.ndarray:
        """Return the waveform (samples,) float32 with `rate` samples per second, one channel, of at most so many
        seconds. Raises DataError where it cannot be read, with the reason in words that follow its name."""
        ...

    def heard(self, raw: Raw) -> bytes:
        """Return its beginning as a small MP3 file, for reports. Raises DataError."""
        ...


@runtime_checkable
class HasTexts(Modality, Protocol):
    """A modality whose inputs can be read as text: near duplicates and simple codes are made from their words."""

    def texts(self, raw: Raw) -> tuple[str, ...]:
        """The texts of an input: one, or two of a pair."""
        ...


@runtime_checkable
class HasNumbers(Modality, Protocol):
    """A modality whose inputs are rows of a table, all of one length."""

    def rows(self, raws: Sequence[Raw]) -> Sequence[Row]:
        """The rows, from which an encoding is learnt."""
        ...

    def numbers(self, raw: Raw) -> np.ndarray:
        """(columns,) float64, NaN where a column has no number."""
        ...


class PlainModality(Settings):
    """Defaults for all but `raws` and `key`."""

    unit: ClassVar[str] = "examples"
    role: ClassVar[str] = ""
    """The field of `Columns` that names the input columns; '' for none."""
    like_lengths: ClassVar[bool] = False
    no_backbone: ClassVar[str] = ""

    def named(self, table: pa.Table, schema: Schema) -> Mapping[str, Any]:  # noqa: ARG002
        """The columns by their `role`."""
        return {self.role: schema.inputs} if self.role else {}

    def flaw(self, raw: Raw) -> str:  # noqa: ARG002
        """Every input that can be read is of use."""
        return ""

    def sizes(self, raws: Sequence[Raw], names: Sequence[str]) -> Sizes:  # noqa: ARG002
        """Nothing is measured."""
        return Sizes({})

    def remarks(self, raws: Sequence[Raw], origins: Sequence[str]) -> tuple[str, ...]:  # noqa: ARG002
        """All is read as it stands."""
        return ()

    def decoding(self, raws: Sequence[Raw]) -> tuple[str, ...]:  # noqa: ARG002
        """Nothing is taken."""
        return ()

    def alike(self, raws: Sequence[Raw]) -> Self:  # noqa: ARG002
        """Itself: inputs are alike."""
        return self

    def preview(self, raw: Raw) -> str:
        """The name of a file, or the beginning of the input's `str`."""
        return str(raw.name if isinstance(raw, Path) else raw)[:PREVIEW]

    def recognises(self, inputs: Any) -> float:  # noqa: ARG002
        """Never."""
        return 0.0

    def columns(self, inputs: Any) -> Mapping[str, Any]:
        """Refuse: such inputs are read by a format. Raises DataError."""
        raise DataError(f"{self.unit} cannot be handed over in memory: X is of type {type(inputs).__name__}")


@cache
def modality_named(name: str) -> Modality:
    """The modality of that name. Raises SettingsError with the nearest names where there is none."""
    found: Modality = registry.plugin("modalities", name)()
    return found


def raws_of(examples: Examples, rows: Sequence[int] | np.ndarray | None = None) -> list[Raw]:
    """The inputs of the given rows (all without `rows`), not yet decoded."""
    some = examples if rows is None else examples.take(rows)
    return modality_named(examples.schema.modality).raws(some.table, examples.schema)


def are_pairs(schema: Schema) -> bool:
    """Return whether each input is two texts."""
    modality = modality_named(schema.modality)
    return len(schema.inputs) == 2 and isinstance(modality, HasTexts) and not isinstance(modality, HasNumbers)


def files_of(examples: Examples) -> list[Path | None]:
    """The file that each example is read from; None where its input lies in the data themselves."""
    kind = modality_named(examples.schema.modality)
    if not isinstance(kind, InFiles):
        return [None] * len(examples)
    sources = map(kind.source, raws_of(examples))
    return [source if isinstance(source, Path) else None for source in sources]
