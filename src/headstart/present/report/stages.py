"""Frozen and trained stages as a picture: the stages from input to head, each as wide as it is large.

A block that was trained stands taller, the taller the faster it moved; a frozen one lies low behind a dashed edge.
Widths are in percent of the page, so that the picture fills any screen while its letters keep their size; a label that
fits its block only on a wide screen is left to it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby
from typing import Literal, NamedTuple

from markupsafe import Markup

from headstart.pipeline.numbers import parameters_text, setting_text
from headstart.pipeline.pretraining.record import PretrainRecord
from headstart.pipeline.record import RunRecord, StageRow
from headstart.present.report import svg

MOST_STAGES = 200
"""More stages than this are not listed."""

NARROW, WIDE = 300, 940
"""Pixels across the picture on a phone and on a desk, at the least."""

LOW, TALL, TALLEST = 14, 28, 70
"""Pixels: the heights of a frozen, the slowest and the fastest block."""

BELOW = 42
"""Pixels under the blocks, for their names."""

HEAD = 5.0
"""Percent of the width that the head takes, whatever its size."""

GAP = 0.25
"""Percent between two blocks."""

Kind = Literal["frozen", "partly", "trained"]

STATES: dict[Kind, str] = {"frozen": "frozen", "partly": "trained in part", "trained": "trained"}
"""Kind of a stage -> the word for it."""


class Block(NamedTuple):
    """A stage, or the head, in the picture."""

    row: StageRow
    left: float
    """Percent."""
    width: float
    """Percent."""


def kind(row: StageRow) -> Kind:
    """Return whether nothing, some or all of it moved; a record of before adapters says only whether."""
    if row.state == "frozen":
        return "frozen"
    return "partly" if 0 < row.trained < row.parameters else "trained"


def moved(row: StageRow) -> int:
    """Return how many of its parameters moved."""
    if row.state == "frozen":
        return 0
    return row.trained or row.parameters


def rows(record: RunRecord | PretrainRecord) -> list[StageRow]:
    """The stages that are shown, from input to head."""
    return [*record.stages[:MOST_STAGES], *([record.head] if record.head else [])]


def kinds(record: RunRecord | PretrainRecord) -> list[Kind]:
    """Those that the picture shows, for its legend."""
    found = {kind(row) for row in rows(record)}
    return [known for known in STATES if known in found]


def rate_text(row: StageRow) -> str:
    """'1e-4', 'solved' where no rate was needed, a dash where nothing moved."""
    if row.state == "frozen":
        return "–"
    return _digits(row.learning_rate) if row.learning_rate > 0 else "solved"


def start_text(row: StageRow) -> str:
    """'after 40 %' of the training, 'at once', or a dash for what never moved."""
    if row.state == "frozen":
        return "–"
    return f"after {100 * row.start:.0f} %" if row.start > 0 else "at once"


def in_words(record: RunRecord | PretrainRecord) -> str:
    """'Frozen: stem to layer3 (2.8 M). Trained: layer4 (8.4 M) at 1e-4, head (1.0 k) at 0.001.'"""
    runs = [list(run) for _, run in groupby(record.stages[:MOST_STAGES], key=lambda row: row.state == "frozen")]
    if record.head:
        runs.append([record.head])
    parts = []
    for title, frozen in (("Frozen", True), ("Trained", False)):
        told = [_run_in_words(run) for run in runs if (run[0].state == "frozen") == frozen]
        if told:
            parts.append(f"{title}: {', '.join([*told[:6], *(['…'] if len(told) > 6 else [])])}.")
    return " ".join(parts)


def picture(record: RunRecord | PretrainRecord) -> Markup:
    """The row of blocks; its text alternative is `in_words`."""
    blocks = _blocks(record)
    rates = [block.row.learning_rate for block in blocks if kind(block.row) != "frozen"]
    fastest = max([rate for rate in rates if rate > 0], default=1.0)
    heights = [_height(block.row, fastest) for block in blocks]
    base = max(heights) + 2
    parts = [_block(block, height, base) for block, height in zip(blocks, heights)]
    parts += [_label(block.left, block.width, base + 15, block.row.name, "name") for block in blocks]
    alike = groupby(blocks, key=lambda block: (_bracket_label(block.row), block.row is record.head))
    parts += [_bracket(list(run), base) for _, run in alike]
    shape = Markup('<svg class="stages" role="img" width="100%" height="{}"><title>{}</title><desc>{}</desc>{}</svg>')
    return shape.format(f"{base + BELOW:.0f}", "Frozen and trained stages", in_words(record), svg.join(parts))


def _blocks(record: RunRecord | PretrainRecord) -> list[Block]:
    """Stages as wide as they have parameters, above a width at which each can be seen; the head at the right."""
    stages = record.stages[:MOST_STAGES]
    room = 100.0 - (HEAD + 4 * GAP if record.head else 0.0)
    least = room / max(len(stages), 1) / 4
    total = sum(stage.parameters for stage in stages)
    blocks, left = [], 0.0
    for stage in stages:
        share = stage.parameters / total if total else 1 / len(stages)
        width = least + (room - least * len(stages)) * share
        blocks.append(Block(stage, left, width - GAP))
        left += width
    if record.head:
        blocks.append(Block(record.head, 100.0 - HEAD, HEAD))
    return blocks


def _block(block: Block, height: float, base: float) -> Markup:
    shape = Markup(
        '<rect class="block {}" x="{:.2f}%" y="{:.1f}" width="{:.2f}%" height="{:.1f}" rx="2"><title>{}</title></rect>'
    )
    told = (
        f"{svg.clip(block.row.name, 80)}: {STATES[kind(block.row)]}, {parameters_text(block.row.parameters)} parameters"
    )
    return shape.format(kind(block.row), block.left, base - height, max(block.width, 0.05), height, told)


def _height(row: StageRow, fastest: float) -> float:
    """By the logarithm of the rate, over two decades; a head that was solved had none and is as tall as the fastest."""
    if kind(row) == "frozen":
        return LOW
    share = row.learning_rate / fastest if row.learning_rate > 0 else 1.0  # 0 where the quotient underflows
    decades = math.log10(share) if share > 0 else -math.inf
    return TALL + (TALLEST - TALL) * max(0.0, 1 + decades / 2)


def _bracket_label(row: StageRow) -> tuple[Kind, str]:
    late = f", {start_text(row)}" if row.start > 0 else ""
    return kind(row), f"{rate_text(row)}{late}"


def _bracket(run: Sequence[Block], base: float) -> Markup:
    """The line under blocks of one state, rate and start, and the words for them."""
    left, right = run[0].left, run[-1].left + run[-1].width
    state, label = _bracket_label(run[0].row)
    shape = Markup('<line class="bracket {}" x1="{:.2f}%" x2="{:.2f}%" y1="{:.1f}" y2="{:.1f}"/>')
    line = shape.format(state, left, right, base + 22, base + 22)
    return line + _label(left, right - left, base + 38, "frozen" if state == "frozen" else label, state)


def _label(left: float, width: float, y: float, text: str, css: str) -> Markup:
    """A text in the middle of its place, where it fits: everywhere, on wide screens only, or up to its comma."""
    needs = svg.LETTER * len(text) + 2
    if needs > width / 100 * WIDE:
        shorter = text.partition(",")[0]
        return _label(left, width, y, shorter, css) if shorter != text else Markup("")
    where = "" if needs <= width / 100 * NARROW else " wide-screen"
    shape = Markup('<text class="{}{}" x="{:.2f}%" y="{:.0f}" text-anchor="middle">{}</text>')
    return shape.format(css, where, left + width / 2, y, text)


def _run_in_words(run: Sequence[StageRow]) -> str:
    first, last = run[0], run[-1]
    names = svg.clip(first.name, 60) if first is last else f"{svg.clip(first.name, 60)} to {svg.clip(last.name, 60)}"
    count = sum(moved(row) if row.state != "frozen" else row.parameters for row in run)
    rates = sorted({row.learning_rate for row in run if row.state != "frozen" and row.learning_rate > 0})
    speed = f" at {' to '.join(_digits(rate) for rate in dict.fromkeys((rates[0], rates[-1])))}" if rates else ""
    if first.state != "frozen" and not rates:
        speed = ", solved"
    return f"{names} ({parameters_text(count)}){speed}"


def _digits(rate: float) -> str:
    """A rate that comes of a factor per stage has no use for more digits than three."""
    return setting_text(float(f"{rate:.3g}"))
