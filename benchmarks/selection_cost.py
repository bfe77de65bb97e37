"""What ranking eight backbones costs beside their frozen passes, and how true the time is that is told beforehand.

Pictures of four domains; five real networks, the embedded one and two with random weights. Passes alone are what eight
fits would make: loaded, the runner chosen, embedded. A selection does the same and cross-validates the probes, computes
the scores and draws the resamples. Each is measured once, in a process of its own that begins with an empty cache.
Halving is measured apart: what it saves, and how much worse its choice is by the ranking without it.
"""

from __future__ import annotations

from typing import Any

from benchmarks._cells import cell

PICTURES = 2000
MODULE = "benchmarks._selection_cell"


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:  # noqa: ARG001
    """2000 pictures (`quick`: 300)."""
    count = str(300 if quick else PICTURES)
    alone, whole, halved = (cell("selection_cost", MODULE, [which, count]) for which in ("passes", "select", "halving"))
    ratio = whole["estimate"] / whole["after_estimate"]
    measured: dict[str, float | None] = {
        "selection_cost.beside_passes": whole["seconds"] / alone["seconds"],
        "selection_cost.estimate": max(ratio, 1 / ratio),
    }
    figures = {name: value for name, (_, value, _) in whole["ranking"].items()}
    best, chosen = next(iter(whole["ranking"])), next(iter(halved["ranking"]))
    halving = {
        "seconds": round(halved["seconds"], 1),
        "saved": round(1 - halved["seconds"] / whole["seconds"], 3),
        "chosen": chosen,
        "regret": round(100 * (figures[best] - figures[chosen]), 2),
        "left out early": sorted(name for name, (seen, *_) in halved["ranking"].items() if seen < int(count)),
    }
    return measured, {"passes": alone, "selection": whole, "halving": halving, "pictures": int(count)}
