"""Settings of a search for the best tuning: which tunings it tries, and settings of theirs, which are then fixed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headstart.contracts.tuning import Recipe
from headstart.kernel import registry
from headstart.kernel.errors import SettingsError, unknown
from headstart.kernel.user_settings import build

TUNINGS = "tunings"
"""The setting that names the tunings to try; by default those that suit the data."""

RATES = "rates_tried"
"""The setting of a tuning that a search has no use for: it finds rates itself."""


class SearchSettings:
    """Stands where a plan's tuning is, while it is not yet known."""

    start = "pretrained"
    solved = False

    def __init__(self, given: Mapping[str, Any]) -> None:
        """Look at everything that was given.

        Raises:
            SettingsError: a tuning or a setting is not known, or a value is not allowed; all faults at once.
        """
        self.given = {key: value for key, value in given.items() if key != TUNINGS}
        self.named: tuple[str, ...] | None = None
        kinds = _searchable(registry.names("tuning"))
        faults: list[str] = []
        if TUNINGS in given:
            self.named = _names(given[TUNINGS])
            faults += [unknown("tuning", name, sorted(kinds)) for name in self.named if name not in kinds]
            kinds = {name: kind for name, kind in kinds.items() if name in self.named}
        if RATES in given:
            faults.append(
                f"tuning.{RATES}: a search finds the rates itself. Leave it out, give the one rate as "
                "tuning.learning_rate, or name a tuning with --tuning."
            )
        known = {key for kind in kinds.values() for key in kind.model_fields}
        faults += [unknown("tuning setting", key, {*known, TUNINGS}) for key in self.given if key not in known]
        for kind in kinds.values():
            try:
                build(kind, self.of(kind), where="tuning")
            except SettingsError as error:
                faults += [line for line in str(error).splitlines() if line not in faults]
        if faults:
            raise SettingsError("\n".join(faults))

    def of(self, kind: type[Recipe]) -> dict[str, Any]:
        """The given settings that a tuning has; the rest is of others."""
        return {key: value for key, value in self.given.items() if key in kind.model_fields}

    @property
    def cut_by_layers(self) -> bool:
        """Return whether one of the tunings waits for the layer view."""
        return any(build(kind, self.of(kind), where="tuning").cut_by_layers for kind in self.kinds().values())

    def kinds(self) -> dict[str, type[Recipe]]:
        """The tunings that may be tried, by name."""
        return _searchable(registry.names("tuning") if self.named is None else self.named)

    def check(self, backbone: Any) -> None:
        """Nothing to refuse: what cannot work on a backbone is not tried."""


def _searchable(names: Sequence[str]) -> dict[str, type[Recipe]]:
    """Those that train by steps from pretrained weights."""
    kinds = {name: registry.plugin("tuning", name) for name in names}
    return {name: kind for name, kind in kinds.items() if issubclass(kind, Recipe) and kind.start == "pretrained"}


def _names(given: Any) -> tuple[str, ...]:
    if isinstance(given, str) or not isinstance(given, Sequence) or not given:
        raise SettingsError(f'tuning.{TUNINGS} = {given!r}: give a list of tunings, such as ["full", "partial"]')
    return tuple(str(name) for name in given)
