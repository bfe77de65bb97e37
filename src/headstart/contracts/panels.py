"""Panels: a task's view of its predictions, in plain forms that a report draws without knowing the task.

The report draws `Table`, `Matrix`, `Reliability` and `Scatter`; anything else a task draws itself, as a `Picture`.
"""

from __future__ import annotations

import base64
from typing import Annotated, Literal, Self

from pydantic import Field

from headstart.kernel.settings import Settings


class Table(Settings):
    """Rows under a header."""

    kind: Literal["table"] = "table"
    title: str
    note: str = ""
    header: tuple[str, ...]
    rows: tuple[tuple[str | float | int | None, ...], ...]
    units: tuple[str, ...] = ()
    """Unit of each column, as in `MetricInfo.unit`; columns without one hold plain numbers or words."""


class Matrix(Settings):
    """Counts of true (rows) against predicted (columns) names."""

    kind: Literal["matrix"] = "matrix"
    title: str
    note: str = ""
    names: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


class Bin(Settings):
    """One bin of a reliability diagram."""

    confidence: float
    """Mean confidence in the bin, in [0, 1]."""
    accuracy: float
    """Share of right answers in the bin, in [0, 1]."""
    n: int
    """Examples in the bin."""


class Reliability(Settings):
    """Confidence against accuracy."""

    kind: Literal["reliability"] = "reliability"
    title: str
    note: str = ""
    bins: tuple[Bin, ...]


class Scatter(Settings):
    """Points, such as true against predicted numbers; at most a few thousand."""

    kind: Literal["scatter"] = "scatter"
    title: str
    note: str = ""
    x_label: str
    y_label: str
    x: tuple[float, ...]
    y: tuple[float, ...]


class Picture(Settings):
    """A picture that the task drew itself.

    A report shows it as an image only, in which no script runs and nothing is loaded.
    """

    kind: Literal["picture"] = "picture"
    title: str
    note: str = ""
    image: str = Field(pattern=r"^data:image/(svg\+xml|png|jpeg);base64,[A-Za-z0-9+/]+=*$", max_length=400_000)
    """Data URI."""
    alternative: str
    """What it shows, in words, for readers who cannot see it."""

    @classmethod
    def of(cls, title: str, content: str | bytes, alternative: str, note: str = "") -> Self:
        """Return the panel of a drawing: SVG as text, or the bytes of a PNG or JPEG file.

        Raises:
            ValueError: it is larger than 300 kB.
        """
        data = content.encode() if isinstance(content, str) else content
        kind = "svg+xml" if isinstance(content, str) else "png" if data.startswith(b"\x89PNG") else "jpeg"
        image = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
        return cls(title=title, note=note, image=image, alternative=alternative)


Panel = Annotated[Table | Matrix | Reliability | Scatter | Picture, Field(discriminator="kind")]


class Mark(Settings):
    """A labelled place in a text."""

    start: int
    end: int
    """One past the last character."""
    label: str


class Outline(Settings):
    """A box drawn over a picture, its edges as shares of the picture's sides."""

    left: float
    top: float
    right: float
    bottom: float
    colour: str = Field(pattern="^#[0-9a-f]{6}$")


class Mistake(Settings):
    """One prediction that went wrong, worst first in a list of them."""

    row: int
    """Row in the examples that were predicted."""
    truth: str
    predicted: str
    weight: float
    """How bad: the confidence of a wrong class in [0, 1], or an error's size."""
    weight_text: str
    """The same for people: '97 % sure', 'off by 3.2'."""
    true_marks: tuple[Mark, ...] = ()
    """What is true of places in the example's text, in order; where there are marks, they are shown in the text."""
    predicted_marks: tuple[Mark, ...] = ()
    """What was predicted of them."""
    in_answers: bool = False
    """Whether the marks are places in `truth` and `predicted`, such as words in which they differ, and not in the text.
    """
    masks: tuple[str, ...] = ()
    """True and predicted class map of a picture, each an indexed PNG of the picture's size in base64."""
    boxes: tuple[Outline, ...] = ()
    """Drawn over the example's picture, the last on top."""
