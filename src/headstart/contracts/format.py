"""Format: one way in which data lie on disk or in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from pydantic import field_validator, model_validator

from headstart.contracts.examples import Examples, LabelRoles
from headstart.kernel.contract import contract
from headstart.kernel.settings import Settings
from headstart.kernel.spelling import nfc


class Columns(Settings):
    """Which columns the user named; what is None is recognised."""

    text: tuple[str, ...] = ()
    """Text columns: one, or two for pairs."""
    image: str | None = None
    """Column of image paths or encoded images."""
    numeric: tuple[str, ...] = ()
    """Input columns of numbers, in the order a backbone takes them. Where some are named, no others are inputs."""
    categorical: tuple[str, ...] = ()
    """Input columns whose values are categories, whatever they look like."""
    date: tuple[str, ...] = ()
    """Input columns of dates."""
    leave_out: tuple[str, ...] = ()
    """Columns that are not inputs."""
    only: bool = False
    """Whether the inputs are those that are named and no others, as in a run; else kinds of columns alone are named."""
    label: str | None = None
    """Column of the target."""
    labels: tuple[str, ...] = ()
    """Columns of 0 and 1, one for each label that an example may have, or columns that are a task each; in place of
    `label`. Several names given as `label` are these."""
    each_label: dict[str, LabelRoles] = {}
    """What the cells of several label columns were taken for in training, and are again."""
    label_form: str | None = None
    """What the cells of labels were taken for in training, and are again."""
    decimal: str | None = None
    """The decimal sign that was found in the labels of training."""
    group: str | None = None
    """Column of what must stay on one side of the split; for image folders a regular expression over the path."""
    domain: str | None = None
    """Column that names the domain."""
    slices: tuple[str, ...] = ()
    """Columns whose every value gets figures of its own."""
    part: str | None = None
    """Column that says train, val or test."""
    target: str | None = None
    """Name of the target that a task reads, where data have several, such as 'boxes' beside 'mask'."""

    def named(self) -> tuple[str, ...]:
        """The input columns that are named."""
        return (*self.text, *((self.image,) if self.image else ()), *self.numeric, *self.categorical, *self.date)

    @model_validator(mode="before")
    @classmethod
    def _several_labels_are_columns_of_their_own(cls, given: Any) -> Any:
        label = given.get("label") if isinstance(given, dict) else None
        if label is None or isinstance(label, str):
            return given
        names = tuple(label)
        return {**given, "label": names[0] if len(names) == 1 else None, "labels": names if len(names) > 1 else ()}

    @field_validator("*")
    @classmethod
    def _accents_are_composed(cls, given: Any) -> Any:
        """As in the names of a table's columns, so that they compare."""
        if isinstance(given, str):
            return nfc(given)
        return tuple(map(nfc, given)) if isinstance(given, tuple) else given

    @field_validator("text", "numeric", "categorical", "date", "leave_out", "slices", mode="before")
    @classmethod
    def _one_name_is_a_list_of_one(cls, given: Any) -> Any:
        return (given,) if isinstance(given, str) else tuple(given)


@contract("formats")
class Format(Protocol):
    """Contract of a file in `formats/`."""

    @classmethod
    def recognises(cls, source: Any) -> str | None:
        """Describe `source` in words ('12 class folders with 800 images'); None when it is in another format."""
        ...

    def read(self, source: Any, columns: Columns, *, labelled: bool = True) -> Examples:
        """Everything, one row per example, in an order that depends on the data alone.

        With `labelled=False` targets are optional, as for prediction. Whatever may be meant as an input and is none of
        the rows is counted: a `LeftOut` among the notes of the examples says how many, why, and names one.

        Raises:
            DataError: what was found and what was expected.
        """
        ...

    def stream(self, source: Any, columns: Columns, rows: int) -> Iterator[Examples]:
        """The same without targets, some `rows` at a time, holding no more than that in memory.

        The notes of the last examples tell of all that was left out.
        """
        ...


@runtime_checkable
class Gathers(Protocol):
    """A format whose files hold several examples each, as a scan holds slices."""

    def gathered(self, source: Any, files: Mapping[str, Path], folder: Path) -> list[Path]:
        """Put predicted masks together as the source has them, below `folder`; `files` are those of the examples by
        their origins. Raises DataError where one of a file's is missing."""
        ...


@runtime_checkable
class Follows(Protocol):
    """A format whose examples follow one another in time, as the frames of a video do."""

    def followed(self, source: Any, folder: Path) -> list[Path]:
        """Follow the objects of which `folder` holds predicted boxes, and return the files that were written there;
        none where it holds no boxes. Raises DataError where the source can no longer be read."""
        ...


def in_pieces(examples: Examples, rows: int) -> Iterator[Examples]:
    """The examples in their order, at most `rows` at a time."""
    for start in range(0, len(examples), rows):
        yield examples.take(range(start, min(start + rows, len(examples))))


def streamed(reader: Format, source: Any, columns: Columns, rows: int) -> Iterator[Examples]:
    """`Format.stream` of a format whose rows are small, such as paths: all are read, and given in pieces."""
    yield from in_pieces(reader.read(source, columns.model_copy(update={"group": None}), labelled=False), rows)
