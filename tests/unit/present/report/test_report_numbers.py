"""Numbers as the report writes them."""

from __future__ import annotations

import math

import pytest

from headstart.contracts.metric import SHARE
from headstart.pipeline import numbers
from headstart.pipeline.record import FigureRow


def row(value: float, low: float, high: float) -> FigureRow:
    return FigureRow(value=value, low=low, high=high, n=10)


@pytest.mark.parametrize(
    ("unit", "figure", "text"),
    [
        (SHARE, row(0.915, 0.87, 0.951), "91.5 % (87.0–95.1)"),
        (SHARE, row(1.0, 1.0, 1.0), "100.0 % (100.0–100.0)"),
        ("", row(0.9712, 0.95, 1.0), "0.971 (0.950–1.000)"),
        ("", row(0.2214, 0.1, 0.3), "0.221 (0.100–0.300)"),
        ("", row(0.1, -0.12, 0.31), "0.100 (−0.120 to 0.310)"),
        ("mm", row(12345.6, 12000, 13000), "12,346 mm (12,000–13,000)"),
        (SHARE, row(0.5, math.nan, math.nan), "50.0 %"),
        (SHARE, row(math.nan, math.nan, math.nan), "not defined"),
    ],
)
def test_figures(unit: str, figure: FigureRow, text: str) -> None:
    assert numbers.figure_text(unit, figure) == text


@pytest.mark.parametrize(
    ("unit", "figure", "text"),
    [
        (SHARE, row(0.021, 0.003, 0.04), "+2.1 points (+0.3 to +4.0)"),
        (SHARE, row(0.0, -0.02, 0.02), "0.0 points (−2.0 to +2.0)"),
        ("", row(-0.0401, -0.1, -0.001), "−0.040 (−0.100 to −0.001)"),
        ("mm", row(-0.5, -1.0, 0.25), "−0.500 mm (−1.000 to +0.250)"),
    ],
)
def test_differences_are_signed(unit: str, figure: FigureRow, text: str) -> None:
    assert numbers.difference_text(unit, figure) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0.000"), (-1.5, "−1.500"), (0.00004, "4.0e−5"), (99.996, "99.996"), (123.456, "123.5"), (-math.inf, "−∞")],
)
def test_plain_numbers(value: float, text: str) -> None:
    assert numbers.number_text(value) == text.replace("99.996", "100.00")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0454, "45 ms"),
        (12.34, "12.3 s"),
        (59.97, "1 min"),
        (200, "3 min 20 s"),
        (3900, "1 h 5 min"),
        (7201, "2 h"),
        (math.nan, "not known"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert numbers.seconds_text(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(640, "640"), (12_345, "12.3 k"), (11_176_512, "11.2 M"), (1_300_000_000, "1.30 G")]
)
def test_parameter_counts(count: int, text: str) -> None:
    assert numbers.parameters_text(count) == text


def test_a_column_has_like_decimals() -> None:
    assert numbers.column_texts("", (72.15, -6.5, 114.0, None, math.nan)) == [
        "72.2",
        "−6.5",
        "114.0",
        "–",
        "not defined",
    ]
    assert numbers.column_texts(SHARE, (0.5, 1)) == ["50.0 %", "100.0 %"]
    assert numbers.column_texts("", ("a", 3)) == ["a", "3"]


def test_settings() -> None:
    assert [numbers.setting_text(value) for value in (13, 0.0003, 1e-5, "cosine")] == [
        "13",
        "3e-4",
        "1e-5",
        "cosine",
    ]


def test_cells_of_tables_follow_their_column() -> None:
    assert numbers.cell_text(SHARE, 0.5) == "50.0 %"
    assert numbers.cell_text("", 12345) == "12,345"
    assert numbers.cell_text("px", 3) == "3 px"
    assert numbers.cell_text("", None) == "–"
