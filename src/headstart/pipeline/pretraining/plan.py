"""The plan of a pretraining: what the user said and what was chosen; `headstart pretrain RUN/plan.toml` repeats it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from headstart.contracts.composed_augmentation import Composed, composed
from headstart.contracts.objective import learns_alone
from headstart.contracts.tuning import Recipe
from headstart.kernel import registry
from headstart.kernel.errors import SettingsError, unknown
from headstart.kernel.user_settings import build
from headstart.pipeline import plan_file
from headstart.pipeline.plan import Plan
from headstart.pipeline.plan_file import AUTO, AnyPlan

PARTS = ("objective", "augmentation", "training", "backbone", "task")
"""Parts that `--set` can set."""


IDLE = ("rates_tried", "patience", "soup", "interpolate")
"""Settings that choose by the validation loss: without labels it does not say which weights are the best."""


class TrainingSettings(Recipe):
    """The settings of a pretraining: the recipe of any training, with what fits the absence of labels.

    The weights of the last epoch are kept.
    """

    epochs: int = Field(default=100, ge=1)
    """Passes over the data; with a budget as many of them as it allows; >= 1."""
    batch_size: int = Field(default=256, ge=2)
    """Examples per optimiser step, each in all its views; >= 2."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """Peak rate of the backbone's last stage; > 0."""
    head_learning_rate: float = Field(default=1e-3, gt=0)
    """Peak rate of what the objective trains beside the backbone; > 0."""
    weight_decay: float = Field(default=0.01, ge=0)
    """AdamW's decoupled decay; biases and normalisation weights have none; >= 0."""
    renew_statistics: bool = True
    """BatchNorm normalises by the batch and renews its statistics; False keeps those that it has."""

    @model_validator(mode="after")
    def _nothing_idle(self) -> Self:
        idle = [name for name in IDLE if getattr(self, name) != TrainingSettings.model_fields[name].default]
        if idle:
            raise ValueError(f"{idle[0]} chooses by a loss on labels, and pretraining has none. Leave it out")
        return self


class PretrainPlan(AnyPlan):
    """One pretraining. A field that was left to 'auto' holds what was chosen once the run has begun."""

    PATHS = (*AnyPlan.PATHS, "labelled")
    from_run: ClassVar[str | None] = None
    """A pretraining goes on from a run as its backbone."""

    verb: Literal["pretrain"] = "pretrain"
    """The verb that the plan is of."""
    objective: str = AUTO
    """The objective, which learns from inputs alone."""
    augmentation: str = AUTO
    """Random views of the inputs: a plug-in, or several joined by '+'; 'auto' for those that the objective asks for."""
    labelled: str | None = None
    """Path of a labelled sample by which the result is judged, and never trained."""

    def objective_plugin(self) -> Any:
        """The objective. Raises SettingsError with all faults at once, also where it needs labels."""
        kind = registry.plugin("objectives", self.objective)
        if not learns_alone(kind):
            names = registry.names("objectives")
            able = [name for name in names if learns_alone(registry.plugin("objectives", name))]
            raise SettingsError(
                f"objective '{self.objective}' needs labels: it is for fit. For pretrain: {', '.join(able)}."
            )
        return build(kind, self.settings.get("objective", {}), where="objective")

    def augmentation_plugin(self) -> Composed:
        """The views, before they are bound to inputs. Raises SettingsError."""
        return composed(self.augmentation, self.settings.get("augmentation", {}))

    def check(self) -> None:
        """Look at every name and setting that does not need data yet. Raises SettingsError with all faults at once."""
        faults = [unknown("--set part", key, PARTS) for key in self.settings if key not in PARTS]
        looks: list[Callable[[], Any]] = [
            partial(build, TrainingSettings, self.settings.get("training", {}), where="training")
        ]
        if self.objective != AUTO:
            looks.append(self.objective_plugin)
        if self.augmentation != AUTO:
            looks.append(self.augmentation_plugin)
        if self.format is not None:
            looks.append(partial(registry.plugin, "formats", self.format))
        faults += plan_file.faults_in(looks)
        if self.objective == AUTO and self.settings.get("objective"):
            faults.append("--set objective... needs an objective: name one with --objective")
        if self.settings.get("task") and self.labelled is None:
            faults.append("--set task... is of the labelled sample: give one with --labelled")
        if faults:
            raise SettingsError("\n".join(faults))

    def as_fit(self) -> Plan:
        """The plan of a fit on the labelled sample by the same backbone: for what both share."""
        chosen = {name: values for name, values in self.settings.items() if name in ("backbone", "task")}
        return Plan(
            data=self.labelled or self.data,
            columns=self.columns,
            backbone=self.backbone,
            weights=self.weights,
            seed=self.seed,
            settings=chosen,
        )


def read_plan(path: Path) -> PretrainPlan:
    """Read a plan file.

    Raises:
        SettingsError: no TOML, of a fit, a newer format, or faults in it, all at once.
    """
    content = plan_file.read_content(path)
    if "verb" not in content:
        raise SettingsError(f"{path} is the plan of a fit: repeat it with headstart fit {path}")
    return plan_file.plan_of(PretrainPlan, content, path)
