"""The folder of a finished run: its record, its plan and its model."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from headstart.contracts.model import Model, load_model
from headstart.kernel import registry
from headstart.kernel.errors import RunError
from headstart.kernel.files import write_json
from headstart.kernel.regular import require_regular
from headstart.kernel.replacement import recover
from headstart.pipeline.finished_run import FinishedRun
from headstart.pipeline.plan import Plan, read_plan
from headstart.pipeline.read_record import read_record
from headstart.pipeline.record import FILE_NAME, RunRecord


class RunFolder(FinishedRun):
    """A run folder. Nothing is read before it is asked for."""

    def __init__(self, folder: Path) -> None:
        """Open the folder.

        Raises:
            RunError: there is no finished run in it.
        """
        super().__init__(folder)
        recover(folder)
        if not folder.is_dir():
            raise RunError(
                f"{folder} is no folder. A run is the folder that `headstart fit` wrote, such as runs/photos."
            )
        if not (folder / FILE_NAME).exists():
            begun = (folder / "plan.toml").exists()
            reason = (
                "the run was not finished: give the same fit again to resume it" if begun else "it is no run folder"
            )
            raise RunError(f"{folder} has no record.json: {reason}")

    @cached_property
    def record(self) -> RunRecord:
        """Everything the run found out. Raises RunError when it is damaged or newer than this Headstart."""
        return read_record(self.folder)

    @cached_property
    def model(self) -> Model:
        """The model, in evaluation mode. Raises RunError when it is damaged, or when this sums up several runs."""
        if self.record.runs:
            runs = ", ".join(str(self.folder / name) for name in self.record.runs)
            raise RunError(f"{self.folder} sums up several runs and has no model of its own. Take one of {runs}.")
        model = load_model(self.folder / "model")
        found = registry.name_of(model.task), model.backbone.name
        if found != (self.record.task, self.record.backbone):  # records of before their models' hash say as much
            raise RunError(
                f"{self.folder / 'model'} is {found[0]} on {found[1]}, but its run trained {self.record.task} on"
                f" {self.record.backbone}: it belongs to another run. Restore the folder, or repeat the run."
            )
        return model

    @cached_property
    def plan(self) -> Plan:
        """The plan that repeats the run."""
        return read_plan(self.folder / "plan.toml")

    @cached_property
    def parts(self) -> dict[str, str]:
        """Content key -> 'train', 'val' or 'test', for every example of the fit. Raises RunError when it is missing."""
        try:
            require_regular(self.folder / "split.csv")
            split = pd.read_csv(self.folder / "split.csv", dtype=str, keep_default_na=False)
            return dict(zip(split["key"], split["part"]))
        except (OSError, ValueError, KeyError) as error:
            raise RunError(f"{self.folder}/split.csv is missing or damaged: {error}") from error

    @property
    def metrics(self) -> dict[str, dict[str, dict[str, float]]]:
        """{"test": {"accuracy": {"value", "low", "high", "n"}, ...}}; for a run that went on from another also
        "old_test_before" and "old_test_after", on that one's test part."""
        found = {"test": self.record.arms["model"].figures}
        if self.record.forgetting is not None:
            found |= {"old_test_before": self.record.forgetting.before, "old_test_after": self.record.forgetting.after}
        return {part: {name: row.model_dump() for name, row in figures.items()} for part, figures in found.items()}


def open_run(run: Path | str | RunFolder) -> RunFolder:
    """The run in a folder, or the run itself. Raises RunError when the folder is missing, foreign or unfinished."""
    return run if isinstance(run, RunFolder) else RunFolder(Path(run))


def write_record(folder: Path, record: RunRecord) -> None:
    """Write RUN/record.json and RUN/metrics.json."""
    metrics: dict[str, Any] = {
        "test": {name: figure.model_dump() for name, figure in record.arms["model"].figures.items()},
        "comparisons": [comparison.model_dump() for comparison in record.comparisons],
    }
    if record.forgetting is not None:
        metrics["forgetting"] = record.forgetting.model_dump()
    write_json(folder / "metrics.json", metrics)
    write_json(folder / FILE_NAME, record.model_dump(mode="json"))
