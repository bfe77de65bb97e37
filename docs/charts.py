"""Draw the front page's chart of speeds from `benchmarks/results`: `python docs/charts.py` writes `docs/speed.svg`."""

from __future__ import annotations

import json
import math
from pathlib import Path

HERE = Path(__file__).resolve().parent
RESULTS = HERE.parent / "benchmarks" / "results"

BARS = (
    ("fine_tuning_speed.head", "train a head, 10 epochs, against the fastest of a plain loop, Trainer and fastai"),
    ("fine_tuning_speed.vit_small", "fine-tune the last block of a ViT-S, likewise"),
    ("fine_tuning_speed.resnet18", "fine-tune the last stage of a ResNet-18, likewise"),
    ("fine_tuning_speed.full", "fine-tune all of a ResNet-18, against a plain float32 loop"),
    ("frozen_pass.resnet50.500x375", "features of a ResNet-50 from JPEG files, against the usual way"),
    ("frozen_pass.vit_small.500x375", "features of a ViT-S from JPEG files, likewise"),
    ("text_features.speed", "features of texts by MiniLM, against sentence-transformers"),
)
"""Figure -> what the bar says."""

WIDTH, LEFT, ROW, TOP, MOST = 860, 520, 30, 34, 50.0


def write(path: Path) -> None:
    """Write the chart, where it is not there as it should be already."""
    text = drawing()
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def drawing() -> str:
    """The chart as SVG; it is read on light and on dark pages."""
    values = _values()
    rows = [(meaning, values[name]) for name, meaning in BARS if values.get(name) is not None]
    height = TOP + ROW * len(rows) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
        ' font-family="system-ui, sans-serif" font-size="13" role="img">',
        "<title>Times as fast as the usual way, two cores</title>",
        "<style>text{fill:#1f2937}.axis{stroke:#9ca3af}@media(prefers-color-scheme:dark){text{fill:#e5e7eb}}</style>",
    ]
    for tick in (1, 2, 5, 10, 20, 50):
        x = _x(tick)
        parts.append(
            f'<line class="axis" x1="{x:.1f}" y1="{TOP - 6}" x2="{x:.1f}" y2="{height - 8}" stroke-width=".5"/>'
        )
        parts.append(f'<text x="{x:.1f}" y="{TOP - 14}" text-anchor="middle" font-size="11">{tick}x</text>')
    for at, (meaning, value) in enumerate(rows):
        y = TOP + ROW * at
        parts.append(f'<text x="{LEFT - 10}" y="{y + 15}" text-anchor="end">{meaning}</text>')
        width = _x(value) - _x(1)
        parts.append(f'<rect x="{_x(1):.1f}" y="{y + 2}" width="{width:.1f}" height="18" rx="2" fill="#2f6f9f"/>')
        parts.append(f'<text x="{_x(value) + 6:.1f}" y="{y + 15}" font-weight="600">{value:.1f}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _values() -> dict[str, float | None]:
    figures = (json.loads(path.read_text(encoding="utf-8"))["figures"] for path in sorted(RESULTS.glob("*.json")))
    return {figure["name"]: figure["value"] for some in figures for figure in some}


def _x(value: float) -> float:
    """Position of a value on the logarithmic axis, which begins at 1."""
    return LEFT + (WIDTH - LEFT - 60) * math.log(max(value, 1.0)) / math.log(MOST)


if __name__ == "__main__":
    write(HERE / "speed.svg")
