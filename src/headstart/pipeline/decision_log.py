"""DecisionLog: everything that was chosen for the user in one fit, in the order in which it was chosen."""

from __future__ import annotations

from headstart.kernel.progress import Quiet, Reporter
from headstart.pipeline.record import Decision


class DecisionLog:
    """Decisions that the steps of a fit append to; the plan, the record and the report show all of them."""

    def __init__(self, reporter: Reporter | None = None) -> None:
        """Start an empty log; `reporter` says what the user should know at once."""
        self.made: list[Decision] = []
        self._reporter = reporter or Quiet()

    def add(self, *decisions: Decision | None) -> None:
        """Append decisions; None is nothing."""
        self.made += [decision for decision in decisions if decision is not None]

    def tell(self, sentence: str, decision: Decision) -> None:
        """Append a decision and say it."""
        self._reporter.say(sentence)
        self.add(decision)
