"""The plain objective: the task's own loss on labelled examples, nothing beside it."""

from __future__ import annotations

from headstart.contracts.objective import Objective


class Supervised(Objective):
    """The task loss."""
