"""Key of a frozen pass: everything that decides a feature but the input, the runner and the machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headstart.contracts.backbone import Backbone
from headstart.engine.frozen.feature_spec import FeatureSpec
from headstart.engine.frozen.views import View


def pass_key(backbone: Backbone, spec: FeatureSpec) -> dict[str, Any]:
    """As JSON values, of a pass over the inputs as they are. It takes a look at every weight."""
    return {
        "weights": backbone.weights_hash(),
        "architecture": backbone.describe(),
        "preparation": dict(backbone.preparation()),
        "stop": backbone.boundary_names()[spec.boundary(backbone)],
        "taps": [tap.key for tap in spec.taps],
        "keep": spec.keep,
        "view_seed": None,
    }


def with_view(key: Mapping[str, Any], view: View | None) -> dict[str, Any]:
    """Return the key of the same pass over views of the inputs; itself without a view."""
    return dict(key) if view is None else {**key, "view_seed": view.number, "view": view.name()}
