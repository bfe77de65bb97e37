"""The decision on a target: diagnose the shift, make candidates, and choose one of them or the source model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headstart.contracts.domains import LinearHead, Solve
from headstart.contracts.task import BoundTask
from headstart.evidence.agreement import Candidate
from headstart.evidence.class_spread import class_spread
from headstart.evidence.safe_choice import Decision, choose
from headstart.evidence.shift_kind import Diagnosis
from headstart.pipeline.adaptation.candidates import Adapted, Skipped, candidates
from headstart.pipeline.adaptation.labelled import right_on_labelled
from headstart.pipeline.adaptation.outcomes import Sides, outcome, outcome_of
from headstart.pipeline.record import SOURCE_MODEL


@dataclass(frozen=True)
class Decided:
    """The choice, and all that it was made from."""

    source: LinearHead
    """The head of the source model."""
    made: tuple[Adapted | Skipped, ...]
    judged: tuple[Candidate, ...]
    """The source model, then each of the `there`."""
    decision: Decision

    @property
    def there(self) -> list[Adapted]:
        """The candidates that could be made."""
        return [one for one in self.made if isinstance(one, Adapted)]

    @property
    def winner(self) -> Adapted | None:
        """The candidate that was chosen; None for the source model."""
        return self.there[self.decision.place - 1] if self.decision.place else None


def decide(
    sides: Sides,
    found: Diagnosis,
    task: BoundTask,
    solve: Solve,
    seed: int,
    experts: Sequence[Adapted | Skipped] = (),
) -> Decided:
    """Make the candidates that may be tried under a diagnosed shift, and choose as `choose` does.

    The spread of the classes is that of the whole training part.

    Args:
        experts: further candidates, of single source domains.
    """
    domains = sides.domains
    source = solve(domains.source, domains.labels, None)
    made = (*candidates(domains, found, task, solve, seed), *experts)
    there = [one for one in made if isinstance(one, Adapted)]
    plain = Candidate(SOURCE_MODEL, SOURCE_MODEL, outcome(sides, source.logits, source.logits))
    others = [Candidate(one.name, one.family, outcome_of(sides, one)) for one in there]
    checked = right_on_labelled(domains, source, there, task, solve, seed)
    spread = class_spread(domains.source, domains.labels, domains.target)
    decision = choose(plain, others, found, seed, sides.names, checked, spread)
    return Decided(source, made, (plain, *others), decision)
