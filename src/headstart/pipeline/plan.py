"""Plan: what the user said and what was chosen for them; `headstart fit RUN/plan.toml` repeats the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Self

from pydantic import Field, TypeAdapter

from headstart.contracts.composed_augmentation import composed
from headstart.contracts.head_shape import HeadShape
from headstart.contracts.objective import learns_alone
from headstart.contracts.runner import Runner
from headstart.engine.frozen.execution import described
from headstart.kernel import registry
from headstart.kernel.errors import SettingsError, unknown
from headstart.kernel.user_settings import build
from headstart.pipeline import plan_file
from headstart.pipeline.blend_settings import BlendSettings
from headstart.pipeline.data import EachATask, Given, Several
from headstart.pipeline.plan_file import AUTO, AnyPlan
from headstart.pipeline.search_settings import SearchSettings

FAMILY_OF = {
    "format": "formats",
    "task": "tasks",
    "backbone": "backbones",
    "tuning": "tuning",
    "objective": "objectives",
    "augmentation": "augmentations",
    "runner": "runners",
}
"""The key of `--set KEY.field=value` -> the family of the plug-in that it sets."""

HEAD_BY_STEPS = "head_only"
"""The tuning of a head on frozen features that cannot be solved for."""

TRAINING = "full"
"""The tuning of a model that writes, where nobody named one."""


class Plan(AnyPlan):
    """One fit. A field that was left to 'auto' holds what was chosen once the run has begun."""

    PATHS = (*AnyPlan.PATHS, "from_run", "target", "target_labels", "source_data", "items_data", "keep")

    task: str = AUTO
    """The task: what is predicted."""
    tuning: str = "probe"
    """The tuning: which weights move; 'auto' searches for what is best in the time that there is."""
    objective: str = "supervised"
    """The objective beside the task loss; 'auto' where a search chooses."""
    augmentation: str = "none"
    """Random views of the training inputs: a plug-in, or several joined by '+'; 'auto' where a search chooses."""
    runner: str = AUTO
    """The runner of the frozen pass."""
    from_run: str | None = None
    """The run folder whose backbone and head go on, on these data."""
    more_data: tuple[str, ...] = ()
    """Further data sets, each of which is a domain as `data` is."""
    joint: bool = False
    """Each of several data sets is a task of its own, rather than a domain."""
    target: str | None = None
    """Inputs of another domain that the model is adapted to; none of their labels is read."""
    target_labels: str | None = None
    """A few labelled examples of the target."""
    source_data: str | None = None
    """Interactions of another domain, which the model may learn from."""
    items_data: str | None = None
    """A table of contents of the items."""
    keep: str | None = None
    """Labelled examples of a domain that the model knows and is to keep."""
    seeds: int = Field(default=1, ge=1)
    """Number of fits, with seeds that count up from `seed`; >= 1."""
    scratch: bool = True
    """Compare the model with training from scratch."""
    label_curve: bool = True
    """Forecast what the probe would reach with more labels."""
    layers: bool = False
    """Probe every stage: the layer view."""

    @cached_property
    def built(self) -> dict[str, Any]:
        """Plug-in objects by their key, as `plugin` has built them."""
        return {}

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Copy the fields, and none of the plug-ins that were built from them."""
        found = super().model_copy(update=update, deep=deep)
        for made in ("built", "head", "blend"):
            found.__dict__.pop(made, None)
        return found

    def plugin(self, key: str) -> Any:
        """The plug-in object for `key` (an entry of FAMILY_OF), built once from its settings.

        Raises:
            SettingsError: the name or a setting is not known; all faults at once.
        """
        if key not in self.built:
            self.built[key] = self._build(key)
        return self.built[key]

    def _build(self, key: str) -> Any:
        if key == "augmentation":
            return composed("none" if self.augmentation == AUTO else self.augmentation, self.settings.get(key, {}))
        if key == "tuning" and self.tuning == AUTO:
            return SearchSettings(self.settings.get(key, {}))
        kind = registry.plugin(FAMILY_OF[key], getattr(self.settled() if key == "objective" else self, key))
        if key == "objective" and learns_alone(kind):
            raise SettingsError(f"objective '{self.objective}' learns without labels: it is for headstart pretrain")
        return build(kind, self.settings.get(key, {}), where=key)

    @cached_property
    def head(self) -> HeadShape:
        """The shape of the head that is trained. Raises SettingsError with all faults at once."""
        return build(HeadShape, self.settings.get("head", {}), where="head")

    @cached_property
    def blend(self) -> BlendSettings:
        """The blending of probe and fine-tuning. Raises SettingsError with all faults at once."""
        return build(BlendSettings, self.settings.get("blend", {}), where="blend")

    def named_runner(self) -> Runner | None:
        """The runner that is named, or the only one with the settings given; None for 'auto'.

        Raises:
            SettingsError: as `plugin` does, or several runners have such settings.
        """
        given = self.settings.get("runner")
        if self.runner != AUTO or not given:
            return None if self.runner == AUTO else self.plugin("runner")
        found = []
        for name in registry.names("runners"):
            with suppress(SettingsError):
                found.append(build(registry.plugin("runners", name), given, where="runner"))
        if len(found) != 1:
            raise SettingsError("--set runner... needs a runner: name one with --runner")
        only: Runner = found[0]
        return only

    def with_runner(self, runner: Runner) -> Plan:
        """The same plan with that runner in place of 'auto'."""
        found = described(runner)
        settings = {**self.settings, **({"runner": found["settings"]} if found["settings"] else {})}
        return self.model_copy(update={"runner": found["plugin"], "settings": settings})

    @property
    def refits(self) -> bool:
        """Return whether solved heads are fit on training and validation part: unless `tuning.refit` is given as false.

        Of trainings by steps the setting itself says whether they train once more.
        """
        return TypeAdapter(bool).validate_python(self.settings.get("tuning", {}).get("refit", True))

    def given(self) -> Given:
        """Return the paths of its data."""
        return Given(self.source(), self.target, self.target_labels, self.source_data, self.items_data)

    def inputs(self) -> tuple[str, ...]:
        """As of every plan."""
        beside = (self.target, self.target_labels, self.source_data, self.items_data, self.keep)
        return (self.data, *self.more_data, *filter(None, beside))

    def source(self) -> str | Several:
        """Return the path of its labelled data, or those of several data sets."""
        kind = EachATask if self.joint else Several
        return kind((self.data, *self.more_data)) if self.more_data else self.data

    def anchored(self) -> Self:
        """As of every plan."""
        paths = [Path(name).expanduser() for name in self.more_data]
        more = (str(path.resolve()) if path.exists() else given for path, given in zip(paths, self.more_data))
        return super().anchored().model_copy(update={"more_data": tuple(more)})

    def scratch_recipe(self) -> Any:
        """The recipe of the baseline from scratch. Raises SettingsError with all faults at once."""
        return build(registry.plugin("tuning", "scratch"), self.settings.get("scratch", {}), where="scratch")

    def settled(self) -> Plan:
        """The same plan with the plain objective where a search may choose another."""
        plain = Plan.model_fields["objective"].default
        return self.model_copy(update={"objective": plain}) if self.objective == AUTO else self

    def suit(self, modality: str) -> None:
        """Look at what must suit the data. Raises SettingsError."""
        self.plugin("augmentation").suit(modality)

    def check(self) -> None:
        """Look at every name and setting that does not need data yet.

        Raises:
            SettingsError: with all faults at once.
        """
        known = sorted({*FAMILY_OF, "blend", "head", "recommender", "scratch"})
        faults = [unknown("--set part", key, known) for key in self.settings if key not in known]
        looks: list[Callable[[], Any]] = [partial(self.plugin, key) for key in ("tuning", "objective", "augmentation")]
        looks += [self.scratch_recipe, lambda: self.head, lambda: self.blend]
        looks += [self.named_runner, *([partial(self.plugin, "task")] if self.task != AUTO else [])]
        if self.format is not None:
            looks.append(partial(self.plugin, "format"))
        faults += plan_file.faults_in(looks)
        if self.augmentation == AUTO and self.settings.get("augmentation"):
            faults.append("--set augmentation... needs an augmentation: name one with --augmentation")
        if self.objective == AUTO and self.settings.get("objective"):
            faults.append("--set objective... needs an objective: name one with --objective")
        if self.tuning == AUTO and self.from_run is not None:
            faults.append("--tuning auto begins with a new head and cannot go on from a run: name another tuning")
        if self.tuning == "scratch" and "scratch" in self.settings:
            faults.append("--set scratch... is of the baseline, and --tuning scratch has none: write --set tuning...")
        if not faults and not self.head.plain:
            faults += self._contradicting_head()
        if not faults and "blend" in self.settings:
            faults += self._contradicting_blend()
        if self.joint and self.target is not None:
            faults.append("--joint and --target exclude each other: tasks are no domains")
        if self.keep is not None and self.from_run is not None:
            faults.append("--keep and --from exclude each other: --from tells what the run's own test part loses")
        if self.target is None and self.target_labels is not None:
            faults.append("--target-labels are a few labels beside an unlabelled target: give that one with --target")
        if not faults and self.plugin("augmentation").acts and self.plugin("tuning").solved and not self.scratch:
            faults.append(
                f"augmentation '{self.augmentation}' would do nothing: the probe is solved on features of the inputs "
                "as they are, and --no-scratch leaves nothing to train. Use --tuning full, or --augmentation none."
            )
        if not faults and self.plugin("tuning").solved and self.plugin("objective").first_stage(1) == 0:
            faults.append(
                f"objective '{self.objective}' would do nothing: the probe is solved on features of a frozen backbone. "
                "Use --tuning full, or leave --objective out."
            )
        if faults:
            raise SettingsError("\n".join(faults))

    def _contradicting_head(self) -> list[str]:
        said = ", ".join(f"head.{name} = {value}" for name, value in self.settings["head"].items())
        if self.target is not None:
            return [f"{said} and --target exclude one another: adapting to a target chooses the head's shape by itself"]
        if self.tuning != AUTO and self.plugin("tuning").solved:
            return [
                f"{said} and --tuning {self.tuning} exclude one another: that one solves for a linear head. Use "
                f"--tuning {HEAD_BY_STEPS}, which trains the head by steps on a frozen backbone, or --tuning full."
            ]
        return []

    def _contradicting_blend(self) -> list[str]:
        said = ", ".join(f"blend.{name} = {value}" for name, value in self.settings["blend"].items())
        if self.tuning == AUTO:
            both = f"{said} and --tuning {AUTO} exclude one another: a search finds the weights. Name a tuning."
            return [both] if self.blend.weights else []
        if self.blend.weights and not self.plugin("tuning").solved and self.plugin("tuning").start == "pretrained":
            return []
        needs = "a fine-tuning beside the probe" if self.blend.weights else f"a search, --tuning {AUTO}"
        return [f"{said} would do nothing with --tuning {self.tuning}: it needs {needs}"]


def read_plan(path: Path) -> Plan:
    """Read a plan file.

    Raises:
        SettingsError: no TOML, a newer format, or faults in it, all at once.
    """
    content = plan_file.read_content(path)
    settings = content.get("settings", {})
    if content.get("format_number") == 1 and isinstance(settings, dict):  # heads were solved on the training part alone
        tuning = {"refit": False, **settings.get("tuning", {})}
        content |= {"format_number": plan_file.FORMAT_NUMBER, "settings": {**settings, "tuning": tuning}}
    return plan_file.plan_of(Plan, content, path)
