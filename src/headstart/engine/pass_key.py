"""What names a frozen pass: everything but the input, the runner and the machine that decides a feature."""

from __future__ import annotations

from typing import Any

from headstart.contracts.backbone import Backbone
from headstart.engine.kept import Wish
from headstart.engine.views import View


def pass_key(backbone: Backbone, wish: Wish, view: View | None = None) -> dict[str, Any]:
    """As JSON values; of the inputs as they are without a view."""
    return {
        "weights": backbone.weights_hash(),
        "architecture": backbone.describe(),
        "preparation": dict(backbone.preparation()),
        "stop": backbone.boundary_names()[wish.boundary(backbone)],
        "taps": [tap.key for tap in wish.taps],
        "keep": wish.keep,
        "view_seed": None if view is None else view.number,
        **({} if view is None else {"view": view.name()}),
    }
