"""Data as a backbone reads them: whole examples, or overlapping pieces of those that are longer than it reads at once.

Training and the frozen pass see pieces, judging sees whole examples. The split is made before, so that all pieces of an
example lie on one side.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from headstart.contracts.backbone import Backbone
from headstart.engine.frozen.content_keys import content_keys
from headstart.evidence.splits import Split
from headstart.pipeline.prepare import Prepared


def in_windows(prepared: Prepared, backbone: Backbone) -> Prepared:
    """The same data where every row is read whole; themselves where nothing is longer."""
    windows = prepared.task.cut(prepared.examples, backbone)
    if windows is None:
        return prepared
    parts = {name: np.flatnonzero(np.isin(windows.owner, rows)) for name, rows in prepared.parts().items()}
    return replace(
        prepared,
        examples=windows.examples,
        keys=[str(key) for key in content_keys(windows.examples).keys],
        targets=windows.targets(prepared.targets),
        groups=windows.owner if prepared.groups is None else prepared.groups[windows.owner],
        split=Split(parts["train"], parts["val"], parts["test"]),
    )
