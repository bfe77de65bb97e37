"""The streams of a fit: named sets of training rows, from which an objective draws its batches."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from headstart.contracts.backbone import Backbone
from headstart.contracts.examples import Examples
from headstart.contracts.objective import DOMAIN, KEPT, SOURCE, TARGET
from headstart.engine.streams import selected
from headstart.kernel.errors import SettingsError
from headstart.pipeline.prepare import Prepared

UNNAMED = "(empty)"
"""The domain of an example whose domain is not given, as for an empty value of a slice column."""


def stream_rows(data: Prepared) -> dict[str, np.ndarray]:
    """Return the training rows (examples,) of every stream: `SOURCE` has all, that of a domain its own."""
    train = data.split.train
    domains = domains_of(data.examples)
    found = {f"{DOMAIN}{name}": train[domains[train] == name] for name in sorted(set(domains.tolist()))}
    return {SOURCE: train, **found}


def require_streams(
    data: Prepared, objective: Any, name: str, backbone: Backbone | None = None, *, target: bool = False
) -> None:
    """Refuse an objective, called `name`, that draws from a stream which is missing or empty, or that needs what the
    backbone was trained on before. Raises SettingsError.

    `target` says that there is an unlabelled target.
    """
    if backbone is not None:
        try:
            with torch.random.fork_rng(devices=[]):
                objective.additions(backbone)
        except SettingsError as error:
            raise SettingsError(f"objective '{name}': {error}") from error
    run = "" if backbone is None else backbone.source_run
    if KEPT in objective.streams and not run:
        raise SettingsError(f"objective '{name}' needs what the backbone was trained on: give a run as --backbone")
    try:
        there = {name: np.zeros(1, np.int64) for name, is_there in ((TARGET, target), (KEPT, run)) if is_there}
        selected(objective.streams, {**stream_rows(data), **there})
    except SettingsError as error:
        raise SettingsError(f"objective '{name}': {error}") from error


def domains_of(examples: Examples) -> np.ndarray:
    """Return the name of each example's domain, (examples,); none without a column of domains."""
    column = examples.schema.domain
    if column is None:
        return np.array([], dtype=object)
    values = [UNNAMED if value in (None, "") else str(value) for value in examples.column(column)]
    return np.array(values, dtype=object)
