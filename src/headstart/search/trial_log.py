"""Decisions of a search, kept in the work folder: one that was killed reads them back and is the same search.

Times differ from one measurement to the next, and decisions follow from them; so each is made once and written down.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from headstart.kernel.errors import HeadstartError
from headstart.kernel.files import read_json, write_json
from headstart.pipeline.budget import Budget


class TrialLog:
    """Decisions by name, as JSON values."""

    def __init__(self, path: Path | None, identity: str, time_budget: Budget) -> None:
        """Read what is in `path`, unless it is of a search with another `identity`; None keeps nothing.

        The time that the interrupted search had used is charged to `time_budget`: up to its last decision, and from
        there to when the newest file beside the journal, such as a checkpoint, was written.
        """
        self.path, self.identity, self.time_budget = path, identity, time_budget
        self._decided = self._read()
        if self._decided:
            self._write()  # from here on the time of this session counts, and not that between the two

    def once(self, name: str, decide: Callable[[], Any]) -> Any:
        """Return the decision kept under this name, or keep and return that of `decide`: a JSON value."""
        if name not in self._decided:
            self._decided[name] = decide()
            self._write()
        return self._decided[name]

    def _write(self) -> None:
        if self.path is not None:
            used = self.time_budget.used()
            write_json(self.path, {"identity": self.identity, "used": used, "decided": self._decided})

    def _read(self) -> dict[str, Any]:
        if self.path is None:
            return {}
        try:
            found = read_json(self.path)
        except HeadstartError:  # there is none, or it is damaged
            return {}
        if found.get("identity") != self.identity:
            return {}
        written = [path.stat().st_mtime for path in self.path.parent.iterdir()]
        self.time_budget.earlier += found["used"] + max(written) - self.path.stat().st_mtime
        return dict(found["decided"])
