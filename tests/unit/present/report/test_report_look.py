"""The colours of the page: contrast by computation, in both schemes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from headstart.present.report import write

CSS = Path(write.__file__).with_name("report.css").read_text(encoding="utf-8")
TEXT_ON = [
    *[(ink, ground) for ink in ("ink", "muted", "link") for ground in ("page", "surface", "sunken")],
    *[(f"series-{i}", "surface") for i in (1, 2, 3, 4)],
    ("surface", "series-1"),
    ("bad", "surface"),
    *[(kind, f"{kind}-tint") for kind in ("good", "bad", "warn")],
    *[(ink, f"{kind}-tint") for ink in ("ink", "link") for kind in ("bad", "warn")],
]

Colour = tuple[float, float, float]


def palette(dark: bool) -> dict[str, Colour]:
    """The colours of the page in one of its two schemes."""
    blocks = re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)
    assert len(blocks) == 2
    colours: dict[str, Colour] = {}
    for block in blocks if dark else blocks[:1]:
        for name, value in re.findall(r"--([\w-]+): ([^;]+);", block):
            parts = re.findall(r"[0-9a-f]{2}", value) if value.startswith("#") else value.split()
            red, green, blue = (int(part, 16 if value.startswith("#") else 10) / 255 for part in parts)
            colours[name] = (red, green, blue)
    return colours


def contrast(one: Colour, other: Colour) -> float:
    """The ratio of WCAG 2: (lighter + 0.05) / (darker + 0.05)."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def luminance(colour: Colour) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_contrast_is_computed_rightly() -> None:
    assert contrast((0, 0, 0), (1, 1, 1)) == pytest.approx(21)
    assert contrast((0x77 / 255,) * 3, (1, 1, 1)) == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("dark", [False, True])
def test_text_has_contrast_in_both_schemes(dark: bool) -> None:
    colours = palette(dark)
    poor = {pair: contrast(colours[pair[0]], colours[pair[1]]) for pair in TEXT_ON}
    assert {pair: round(ratio, 2) for pair, ratio in poor.items() if ratio < 4.5} == {}


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("fill", ["right", "wrong"])
def test_cells_of_the_matrix_have_contrast_at_every_shade(dark: bool, fill: str) -> None:
    colours = palette(dark)
    for step in range(11):
        mixed = tuple(step / 10 * a + (1 - step / 10) * b for a, b in zip(colours[fill], colours["surface"]))
        assert contrast(colours["ink"], mixed) >= 4.5  # type: ignore[arg-type]


def test_both_schemes_name_the_same_colours() -> None:
    light, dark = (set(re.findall(r"--([\w-]+):", block)) for block in re.findall(r":root \{(.*?)\}", CSS, re.DOTALL))
    assert light == dark
