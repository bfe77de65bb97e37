"""The geometry of the charts: what is larger lies farther right or higher, and everything lies inside."""

from __future__ import annotations

import itertools
import math
import re

import pytest
from searched_records import layer_view

from headstart.contracts.panels import Bin, Matrix, Reliability, Scatter
from headstart.pipeline.record import Arm, Epoch, FigureRow
from headstart.present.report import svg
from headstart.present.report.curves import loss_chart, metric_chart
from headstart.present.report.intervals import Reference, Whisker, interval_plot
from headstart.present.report.layers import plot
from headstart.present.report.panels import Confusion, confusions, matrix_cells, reliability_chart, scatter_chart
from metric_infos import metric_infos


def whisker(name: str, value: float, half: float) -> Whisker:
    return Whisker(name, FigureRow(value=value, low=value - half, high=value + half, n=9), "text", "series-1")


def numbers_of(pattern: str, drawing: str) -> list[float]:
    return [float(found) for found in re.findall(pattern, drawing)]


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (0.61, 0.99), (-3, 17), (1e-7, 3e-6), (12_000, 90_000), (0.5, 0.5001)]
)
def test_ticks_are_round_few_and_inside(low: float, high: float) -> None:
    values = svg.ticks(low, high)
    assert 2 <= len(values) <= 8
    assert all(low - 1e-9 <= value <= high + 1e-9 for value in values)
    steps = {f"{b - a:.3e}" for a, b in itertools.pairwise(values)}
    assert len(steps) == 1 and steps.pop()[0] in "125"
    labels = svg.tick_labels(values)
    assert len(set(labels)) == len(values)


def test_tick_labels_have_like_decimals_and_units() -> None:
    assert svg.tick_labels([0.6, 0.8, 1.0], share=True) == ["60 %", "80 %", "100 %"]
    assert svg.tick_labels([-0.05, 0.0, 0.05], share=True, signed=True) == ["−5", "0", "+5"]
    assert svg.tick_labels([0.0, 0.05, 0.1]) == ["0.00", "0.05", "0.10"]


def test_whole_ticks_stay_whole() -> None:
    assert svg.ticks(1, 3, 5, whole=True) == [1, 2, 3]


def test_shares_keep_to_their_range() -> None:
    assert svg.span([0.9, 1.0], share=True)[1] == 1.0
    assert svg.span([0.9, 1.0])[1] > 1.0
    low, high = svg.span([math.nan])
    assert low < high


ODD = (0.0, 5e-324, 1e-17, 0.3, 0.1 + 0.2, 1 - 1e-16, 1.0, 2024.0, 1e16, 1e16 + 2, 1.7e308, -5e-324, -1e308, math.inf)


@pytest.mark.parametrize("share", [False, True])
@pytest.mark.parametrize("value", [*ODD, math.nan])
def test_intervals_of_any_width_are_drawn_with_ticks_that_can_be_told_apart(value: float, share: bool) -> None:
    for low, high in itertools.product((*ODD, math.nan), repeat=2):
        ends = svg.span([value, low, high], share=share)
        values = svg.ticks(*ends)
        labels = svg.tick_labels(values, share=share)
        assert ends[0] < ends[1] and values and len(set(labels)) == len(labels), (low, high, labels)
        row = Whisker("a", FigureRow(value=value, low=low, high=high, n=9), "text", "series-1")
        drawing = str(interval_plot("t", [row], share=share, reference=Reference(0.0, "none")))
        assert not re.search(r'="-?(nan|inf)', drawing), (low, high)


@pytest.mark.parametrize("loss", [0.0, 5e-324, 0.1 + 0.2, 1.7e308, math.inf, math.nan])
def test_curves_and_points_that_hardly_move_are_drawn(loss: float) -> None:
    epochs = [(0.3, 0.3), (loss, 0.3)]
    history = tuple(
        Epoch(epoch=n, train_loss=a, val_loss=b, val_metric=a, learning_rate=1, seconds=1)
        for n, (a, b) in enumerate(epochs, start=1)
    )
    assert loss_chart(Arm(title="a", figures={}, history=history, seconds=1), "series-1")
    points = Scatter(title="s", x_label="x", y_label="y", x=(0.3, loss), y=(0.3, 0.3))
    assert "nan" not in str(scatter_chart(points))


def test_whiskers_lie_in_order_and_inside() -> None:
    drawing = str(interval_plot("t", [whisker("a", 0.9, 0.05), whisker("b", 0.7, 0.1)], share=True))
    left, right = numbers_of(r'<circle class="mark" cx="([\d.]+)"', drawing)
    assert right < left
    ends = re.findall(r'class="whisker" x1="([\d.]+)" y1="[\d.]+" x2="([\d.]+)"', drawing)
    wide = [(float(a), float(b)) for a, b in ends if a != b]
    assert len(wide) == 2
    assert all(0 <= a < b <= svg.WIDTH for a, b in wide)
    assert wide[0][0] < left < wide[0][1]


def test_line_of_no_difference_is_always_in_view() -> None:
    drawing = str(
        interval_plot(
            "t", [whisker("a", 0.3, 0.1)], share=False, signed=True, reference=Reference(0.0, "no difference")
        )
    )
    zero = numbers_of(r'class="reference" x1="([\d.]+)"', drawing)
    mark = numbers_of(r'class="mark" cx="([\d.]+)"', drawing)
    assert len(zero) == 1 and 0 <= zero[0] < mark[0]
    assert "no difference" in drawing


def test_names_in_charts_are_escaped_and_clipped() -> None:
    drawing = str(interval_plot("<b>", [whisker("<script>" + "x" * 400, 1, 0.1)], share=False))
    assert "<script>" not in drawing and "<b>" not in drawing
    assert "&lt;script&gt;" in drawing
    assert "x" * 60 not in drawing.split("</desc>")[1]


def arm(losses: list[float]) -> Arm:
    history = tuple(
        Epoch(epoch=i, train_loss=loss, val_loss=loss + 0.1, val_metric=1 - loss, learning_rate=0.1, seconds=1)
        for i, loss in enumerate(losses)
    )
    return Arm(title="arm", figures={}, history=history, seconds=1, chosen={"best_epoch": 1})


def test_falling_loss_falls_on_the_page_and_gaps_stay_gaps() -> None:
    drawing = str(loss_chart(arm([0.9, 0.5, math.nan, 0.2]), "series-1"))
    path = re.search(r'class="curve training" d="([^"]+)"', drawing)
    assert path is not None
    assert [command[0] for command in path[1].split() if command[0] in "ML"] == ["M", "L", "M"]
    heights = numbers_of(r'class="dot training" cx="[\d.]+" cy="([\d.]+)"', drawing)
    assert heights == sorted(heights) and len(heights) == 3
    assert 'class="kept"' in drawing


def test_metric_axis_fits_all_arms() -> None:
    one, other = arm([0.9, 0.8]), arm([0.2, 0.1])
    values = [epoch.val_metric for a in (one, other) for epoch in a.history]
    accuracy = metric_infos("accuracy")["accuracy"]
    ticks = [re.findall(r">(\d+) %<", str(metric_chart(a, accuracy, values, "series-1"))) for a in (one, other)]
    assert ticks[0] == ticks[1] and len(ticks[0]) >= 3


def test_reliability_places_bins_and_writes_counts() -> None:
    bins = (
        Bin(confidence=0.9, accuracy=0.8, n=1234),
        Bin(confidence=0.6, accuracy=0.7, n=5),
        Bin(confidence=0.1, accuracy=0, n=0),
    )
    drawing = str(reliability_chart(Reliability(title="r", bins=bins)))
    x = numbers_of(r'class="mark" cx="([\d.]+)"', drawing)
    y = numbers_of(r'class="mark" cx="[\d.]+" cy="([\d.]+)"', drawing)
    assert x == sorted(x) and len(x) == 2 and y[1] < y[0]
    assert ">1,234<" in drawing and ">5<" in drawing
    assert "confidence 90%: 80% right, 1234 examples" in drawing


def test_scatter_draws_the_diagonal_only_where_axes_are_alike() -> None:
    alike = Scatter(title="s", x_label="true", y_label="predicted", x=(1.0, 2.0, 3.0), y=(1.1, 2.2, 2.9))
    unlike = alike.model_copy(update={"y": (100.0, 300.0, 200.0)})
    assert 'class="reference"' in scatter_chart(alike)
    assert 'class="reference"' not in scatter_chart(unlike)
    assert str(scatter_chart(alike)).count("h0") == 3


def test_scatter_of_many_points_is_thinned_over_its_whole_range() -> None:
    values = tuple(float(i) for i in range(9000))
    points = re.search(
        r'class="points" d="([^"]+)"',
        str(scatter_chart(Scatter(title="s", x_label="", y_label="", x=values, y=values))),
    )
    assert points is not None and points[1].count("h0") == 3000


def test_matrix_rows_know_their_shares() -> None:
    matrix = Matrix(title="m", names=("a", "b"), counts=((8, 2), (0, 0)))
    rows = matrix_cells(matrix)
    assert [(name, total) for name, total, _ in rows] == [("a", 10), ("b", 0)]
    assert [cell.share for cell in rows[0][2]] == [0.8, 0.2]
    assert [cell.right for cell in rows[1][2]] == [False, True]
    assert confusions(matrix, 5) == [Confusion("a", "b", 2, 0.2)]


def test_clip_keeps_both_ends() -> None:
    assert svg.clip("short", 10) == "short"
    assert svg.clip("abcdefghij", 5) == "ab…ij"
    assert len(svg.clip("x" * 99, 8)) == 8


def test_the_layer_view_rises_where_the_probes_do_and_marks_where_knowledge_ends() -> None:
    layers = layer_view()
    drawing = str(plot(layers))
    across = numbers_of(r'class="mark" cx="([\d.]+)"', drawing)
    down = numbers_of(r'class="mark" cx="[\d.]+" cy="([\d.]+)"', drawing)
    assert len(across) == 14 and across == sorted(across)
    assert down[:10] == sorted(down[:10], reverse=True) and down[10] > down[9] > min(down)
    (kept,) = numbers_of(r'class="kept" x1="([\d.]+)"', drawing)
    assert kept == across[layers.ends] and drawing.count('class="whisker"') == 13
    assert "blocks.12: 79.0 %" in drawing and "Several at once: 87.0 %" in drawing
