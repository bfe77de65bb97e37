"""The runner that a plan names, or the fastest right one, with the reason."""

from __future__ import annotations

from collections.abc import Sequence

from headstart.contracts.backbone import Backbone
from headstart.contracts.examples import Examples
from headstart.contracts.runner import Runner
from headstart.engine.device import pick_device
from headstart.engine.frozen.choose_runner import choose_runner
from headstart.engine.frozen.execution import described
from headstart.engine.frozen.feature_spec import FeatureSpec
from headstart.kernel import registry
from headstart.kernel.progress import Quiet, Reporter
from headstart.pipeline.plan import AUTO, Plan
from headstart.pipeline.record import Decision


def pick_runner(
    backbone: Backbone,
    examples: Examples,
    keys: Sequence[str | None],
    spec: FeatureSpec,
    plan: Plan,
    reporter: Reporter | None = None,
) -> tuple[Runner, Decision | None]:
    """The runner for a frozen pass, and why, where the plan leaves it to 'auto'. Raises SettingsError."""
    if plan.runner != AUTO:
        return plan.plugin("runner"), None
    choice = choose_runner(backbone, examples, keys, spec, pick_device())
    value = f"{registry.name_of(choice.runner)}, {choice.runner.precision}"
    (reporter or Quiet()).say(f"Runner {value}: {choice.reason}")
    return choice.runner, Decision(what="runner", value=value, reason=choice.reason)


def with_runner(plan: Plan, runner: Runner) -> Plan:
    """The plan with that runner in place of 'auto'."""
    found = described(runner)
    settings = {**plan.settings, **({"runner": found["settings"]} if found["settings"] else {})}
    return plan.model_copy(update={"runner": found["plugin"], "settings": settings})
