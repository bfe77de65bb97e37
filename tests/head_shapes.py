"""Shapes of features that tests give to heads in place of a backbone."""

from __future__ import annotations

from typing import NamedTuple

from headstart.contracts.features import MapShape


class Shapes(NamedTuple):
    """A backbone as tasks see it."""

    width: int = 8
    levels: tuple[MapShape, ...] = ()

    def maps(self) -> tuple[MapShape, ...]:
        return self.levels


SHAPES = Shapes()
