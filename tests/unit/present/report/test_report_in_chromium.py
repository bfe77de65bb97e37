"""The report in a real browser: as wide as the screen, legible in both schemes, reached by keyboard, alone."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import odd_records as odd
import pretrained_records as without_labels
import pytest
import sample_records as samples
import searched_records as found

from headless_chromium import BINARY, Tab, headless_chromium
from headstart.pipeline.pretraining.record import PretrainRecord
from headstart.pipeline.record import RunRecord
from headstart.present.report.write import render

pytestmark = [pytest.mark.slow, pytest.mark.skipif(BINARY is None, reason="no chromium is installed")]

Make = Callable[[], RunRecord | PretrainRecord]
RECORDS: list[Make] = [
    samples.classification,
    found.searched,
    found.continued,
    odd.negative_transfer,
    odd.regression,
    found.deep,
    found.continued,
    odd.hostile,
    without_labels.pretrained,
    without_labels.unjudged,
]

POOR_TEXTS = """
(() => {
  const parsed = text => { const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number); return {rgb: [r, g, b], a}; };
  const over = (top, below) => top.rgb.map((c, i) => top.a * c + (1 - top.a) * below[i]);
  const ground = element => {
    if (!element) return [255, 255, 255];
    const own = parsed(getComputedStyle(element).backgroundColor);
    return own.a === 1 ? own.rgb : over(own, ground(element.parentElement));
  };
  const luminance = rgb => rgb.map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const poor = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let seen = 0;
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement, style = getComputedStyle(element);
    const inSvg = element instanceof SVGElement;
    const drawn = element.getClientRects().length && !["title", "desc"].includes(element.tagName);
    if (!drawn || !texts.currentNode.data.trim()) continue;
    const below = ground(inSvg ? element.closest("figure, div, section") : element);
    const ink = over(parsed(inSvg ? style.fill : style.color), below);
    const [high, low] = [luminance(ink), luminance(below)].sort((a, b) => b - a);
    const ratio = (high + 0.05) / (low + 0.05), size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    seen += 1;
    if (ratio < (large ? 3 : 4.5)) poor.push([texts.currentNode.data.trim().slice(0, 40), ratio, element.className]);
  }
  return {seen, poor};
})()
"""
"""Every text that is drawn, held against what lies behind it: WCAG 2.2, success criterion 1.4.3 (AA)."""

FOCUS = """
(() => {
  const element = document.activeElement, style = getComputedStyle(element);
  const box = element.getBoundingClientRect();
  return {name: element.tagName, outline: style.outlineStyle, width: parseFloat(style.outlineWidth),
          seen: box.bottom > 0 && box.top < innerHeight, unlike: style.outlineColor !== style.backgroundColor};
})()
"""

LABELS = """
[...document.querySelectorAll('.stages text')].map(text => text.getBoundingClientRect())
  .filter(box => box.width).map(box => [box.left, box.right, box.top])
"""
"""Where the labels lie that are seen."""

OPEN_ALL = "document.querySelectorAll('details').forEach(part => part.open = true)"


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    """One browser for all tests; where there is one that does not start, they are skipped."""
    browser = headless_chromium(tmp_path_factory.mktemp("profile"))
    try:
        opened = browser.__enter__()
    except (OSError, RuntimeError) as error:
        pytest.skip(f"chromium does not start here: {error}")
    yield opened
    browser.__exit__(None, None, None)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Make], Path]:
    """Writes the report of a record, once."""
    folder = tmp_path_factory.mktemp("reports")

    def write(make: Make) -> Path:
        path = folder / f"{make.__name__}.html"
        if not path.exists():
            path.write_text(render(make()), encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize("width", [320, 375, 1280])
@pytest.mark.parametrize("make", RECORDS)
def test_page_is_no_wider_than_the_screen(tab: Tab, written: Callable[[Make], Path], make: Make, width: int) -> None:
    tab.open(written(make), width=width)
    tab.run(OPEN_ALL)
    assert tab.run("innerWidth") == width
    assert tab.run("document.scrollingElement.scrollWidth") <= width


def test_the_measure_of_width_sees_a_page_that_is_too_wide(tab: Tab, tmp_path: Path) -> None:
    page = tmp_path / "wide.html"
    page.write_text('<meta name="viewport" content="width=device-width"><p style="width:500px">wide</p>')
    tab.open(page, width=375)
    assert tab.run("document.scrollingElement.scrollWidth") > 375


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("make", RECORDS)
def test_every_text_has_contrast(tab: Tab, written: Callable[[Make], Path], make: Make, dark: bool) -> None:
    for width in (375, 1280):
        tab.open(written(make), width=width, dark=dark)
        tab.run(OPEN_ALL)
        texts: dict[str, Any] = tab.run(POOR_TEXTS)
        assert texts["seen"] > 100
        assert texts["poor"] == []


def test_the_schemes_differ_and_the_measure_of_contrast_sees_a_grey_text(tab: Tab, tmp_path: Path) -> None:
    page = tmp_path / "grey.html"
    page.write_text('<body style="background:#fff"><p style="color:#888">grey</p><p style="color:#666">darker</p>')
    tab.open(page, width=375)
    assert [text for text, *_ in tab.run(POOR_TEXTS)["poor"]] == ["grey"]


def test_dark_is_dark(tab: Tab, written: Callable[[Make], Path]) -> None:
    grounds = []
    for dark in (False, True):
        tab.open(written(samples.classification), width=1280, dark=dark)
        grounds.append(tab.run("getComputedStyle(document.body).backgroundColor"))
    assert grounds == ["rgb(246, 246, 243)", "rgb(18, 20, 23)"]


def test_page_asks_the_network_for_nothing(tab: Tab, written: Callable[[Make], Path], tmp_path: Path) -> None:
    tab.requests.clear()
    for make in RECORDS:
        tab.open(written(make), width=375)
    assert tab.requests == []
    page = tmp_path / "asks.html"
    page.write_text('<img src="http://pictures.example/x.png">')
    tab.open(page, width=375)
    assert tab.requests == ["http://pictures.example/x.png"]


def test_the_keyboard_reaches_links_and_wide_tables_and_the_focus_is_seen(
    tab: Tab, written: Callable[[Make], Path]
) -> None:
    tab.open(written(found.searched), width=375)
    reached = []
    for _ in range(40):
        tab.press_tab()
        focus = tab.run(FOCUS)
        reached.append(focus["name"])
        if focus["name"] == "BODY":
            break
        assert focus["outline"] == "solid" and focus["width"] >= 2 and focus["seen"] and focus["unlike"], focus
    assert {"A", "DIV", "SUMMARY", "PRE"} <= set(reached)


def test_a_table_becomes_cards_on_a_phone_and_stays_a_table_elsewhere(
    tab: Tab, written: Callable[[Make], Path]
) -> None:
    shown = "getComputedStyle(document.querySelector('#decisions tr')).display"
    wider = (
        "[...document.querySelectorAll('.scroll:has(.fold)')].filter(box => box.scrollWidth > box.clientWidth).length"
    )
    tab.open(written(found.searched), width=375)
    assert tab.run(shown) == "block" and tab.run(wider) == 0
    tab.open(written(found.searched), width=1280)
    assert tab.run(shown) == "table-row"


@pytest.mark.parametrize("width", [320, 375, 800, 1280])
@pytest.mark.parametrize("make", [samples.classification, found.searched, found.deep])
def test_labels_of_the_stages_stand_apart(tab: Tab, written: Callable[[Make], Path], make: Make, width: int) -> None:
    tab.open(written(make), width=width)
    lines: dict[float, list[tuple[float, float]]] = {}
    for left, right, top in tab.run(LABELS):
        lines.setdefault(top, []).append((left, right))
    assert lines
    for line in lines.values():
        spans = sorted(line)
        assert spans[0][0] >= 0 and spans[-1][1] <= width
        assert all(right < left for (_, right), (left, _) in itertools.pairwise(spans))
