"""What names a frozen pass: everything but the input, the runner and the machine that decides a feature."""

from __future__ import annotations

from typing import Any

from headstart.contracts.backbone import Backbone
from headstart.engine.kept import Wish


def pass_key(backbone: Backbone, wish: Wish) -> dict[str, Any]:
    """As JSON values."""
    return {
        "weights": backbone.weights_hash(),
        "architecture": backbone.describe(),
        "preparation": dict(backbone.preparation()),
        "stop": backbone.boundary_names()[wish.boundary(backbone)],
        "taps": [tap.key for tap in wish.taps],
        "keep": wish.keep,
        "view_seed": None,
    }
