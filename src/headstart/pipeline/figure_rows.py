"""Figures as records hold them."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import BeforeValidator

from headstart.kernel.settings import Settings

Number = Annotated[float, BeforeValidator(lambda given: math.nan if given is None else given)]
"""A float that may be undefined: NaN here, null in JSON."""


class FigureRow(Settings):
    """A figure with its 95 % interval."""

    value: Number
    low: Number
    high: Number
    n: int
    reason: str = ""
    """Why there is no interval, in a few words; empty where there is one or records do not say."""
