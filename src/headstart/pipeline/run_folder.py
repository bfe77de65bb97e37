"""Run folders: a finished run of whichever verb with its record, plan and model, and the record read and written.

A record that is missing, foreign, damaged or newer than this Headstart is refused with a reason.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import ValidationError

from headstart.contracts.backbone_alone import predicts_nothing
from headstart.contracts.model import Model, load_model
from headstart.kernel import registry
from headstart.kernel.errors import HeadstartError, RunError
from headstart.kernel.files import read_json, write_json
from headstart.kernel.regular import require_regular
from headstart.kernel.replacement import recover
from headstart.pipeline.hub_run import HUB, fetched
from headstart.pipeline.plan import Plan, read_plan
from headstart.pipeline.pretraining.plan import PretrainPlan
from headstart.pipeline.pretraining.plan import read_plan as read_pretrain_plan
from headstart.pipeline.pretraining.record import KIND, PretrainRecord
from headstart.pipeline.record import FILE_NAME, FORMAT_NUMBER, REPORT, FigureRow, RunRecord


class FinishedRun(ABC):
    """A finished run. Nothing is read before it is asked for."""

    def __init__(self, folder: Path) -> None:
        """Open the folder. Raises RunError where there is no finished run in it."""
        recover(folder)
        self.folder = folder
        if not folder.is_dir():
            raise RunError(
                f"{folder} is not a folder. A run is the folder that `headstart fit` wrote, such as runs/photos."
            )
        if not (folder / FILE_NAME).exists():
            begun = (folder / "plan.toml").exists()
            unfinished = "the run was not finished: give the same fit again to resume it"
            raise RunError(f"{folder} has no {FILE_NAME}: {unfinished if begun else 'it is not a run folder'}")

    @property
    @abstractmethod
    def record(self) -> RunRecord | PretrainRecord:
        """Everything the run found out."""

    @property
    def verdict(self) -> str:
        """The answer in a sentence or two."""
        return self.record.verdict

    @property
    def report(self) -> Path:
        """The report's file."""
        return self.folder / REPORT

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.folder)!r})"


class RunFolder(FinishedRun):
    """The folder of a fit."""

    @cached_property
    def record(self) -> RunRecord:
        """Everything the run found out. Raises RunError when it is damaged or newer than this Headstart."""
        return read_record(self.folder)

    @cached_property
    def model(self) -> Model:
        """The model, in evaluation mode. Raises RunError as `read_model`."""
        return self.read_model()

    def read_model(self) -> Model:
        """Read the model anew. Raises RunError when it is damaged, or when this sums up several runs."""
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
    def tuned(self) -> Path | None:
        """The run folder of the fine-tuning that was asked for, where this run predicts with the probe."""
        return self.folder / self.record.tuned if self.record.tuned else None

    @property
    def metrics(self) -> dict[str, dict[str, dict[str, float]]]:
        """{"test": {"accuracy": {"value", "low", "high", "n"}, ...}}, with a "reason" where a figure has no interval.
        For a run that went on from another also
        "old_test_before" and "old_test_after", on that one's test part."""
        found = {"test": self.record.arms["model"].figures}
        if self.record.forgetting is not None:
            found |= {"old_test_before": self.record.forgetting.before, "old_test_after": self.record.forgetting.after}
        return _dumped(found)


class PretrainedRun(FinishedRun):
    """The folder of a pretraining, as `headstart.pretrain` returns it: give it to `fit` as the backbone."""

    @cached_property
    def record(self) -> PretrainRecord:
        """Everything the run found out. Raises RunError when it is none, damaged, or newer than this Headstart."""
        record = read_any(self.folder)
        if not isinstance(record, PretrainRecord):
            raise RunError(f"{self.folder} is the run of a fit: open it with headstart.load")
        return record

    @cached_property
    def plan(self) -> PretrainPlan:
        """The plan that repeats the run."""
        return read_pretrain_plan(self.folder / "plan.toml")

    @property
    def metrics(self) -> dict[str, Any]:
        """The content of RUN/metrics.json: figures of the probe on a labelled sample, and the last monitors."""
        return metrics_of(self.record)


def open_run(run: Path | str | RunFolder) -> RunFolder:
    """The run in a folder, or the run itself. Raises RunError when the folder is missing, foreign or unfinished."""
    return run if isinstance(run, RunFolder) else RunFolder(place_of(run))


def place_of(run: Path | str) -> Path:
    """The folder of a run; one on a hub, such as 'hf://user/name', is fetched first. Raises RunError."""
    return fetched(run) if isinstance(run, str) and run.startswith(HUB) else Path(run)


def read_record(run: Path) -> RunRecord:
    """The record of a fit's run folder.

    Raises:
        RunError: the folder is missing, is not a run or that of a pretraining, its record is damaged, or a newer
            Headstart wrote it.
    """
    record = read_any(run)
    if isinstance(record, PretrainRecord):
        raise predicts_nothing(run)
    return record


def is_pretraining(run: Path) -> bool:
    """True for the folder of a pretraining, whole or not."""
    try:
        content = read_json(run / FILE_NAME)
    except (HeadstartError, OSError):
        return False
    return isinstance(content, dict) and content.get("kind") == KIND


def read_any(run: Path) -> RunRecord | PretrainRecord:
    """The record of a fit or of a pretraining. Raises RunError as `read_record`."""
    recover(run)
    path = run / FILE_NAME
    if not run.is_dir():
        raise RunError(
            f"{run} is {'a file, not a run folder' if run.exists() else 'missing: there is no such run folder'}"
        )
    if not path.exists():
        raise RunError(f"{run} has no {FILE_NAME}: it is not a run folder, or its run was not finished")
    try:
        content = read_json(path)
    except (HeadstartError, OSError) as error:
        raise RunError(f"{path} cannot be read: {error}. Repeat the run to have it written again.") from error
    if not (isinstance(content, dict) and {"format", "headstart"} <= content.keys()):
        raise RunError(f"{path} is not a record of a Headstart run: it lacks the fields 'format' and 'headstart'")
    return _validated(path, content)


def _validated(path: Path, content: dict[str, Any]) -> RunRecord | PretrainRecord:
    number = content["format"]
    if isinstance(number, int) and number > FORMAT_NUMBER:
        raise RunError(
            f"{path} was written by Headstart {content['headstart']} in format {number}; this one reads formats up to"
            f" {FORMAT_NUMBER}. Install Headstart {content['headstart']} or newer."
        )
    try:
        kind = PretrainRecord if content.get("kind") == KIND else RunRecord
        return kind.model_validate(content)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()[:3]]
        more = f" and {error.error_count() - 3} more" if error.error_count() > 3 else ""
        raise RunError(
            f"{path} is damaged: {'; '.join(faults)}{more}. Repeat the run to have it written again."
        ) from error


def write_record(folder: Path, record: RunRecord | PretrainRecord) -> None:
    """Write RUN/record.json and RUN/metrics.json."""
    write_json(folder / "metrics.json", metrics_of(record))
    write_json(folder / FILE_NAME, record.model_dump(mode="json"))


def metrics_of(record: RunRecord | PretrainRecord) -> dict[str, Any]:
    """The content of RUN/metrics.json.

    Of a fit {"test": {metric: figure}, "comparisons": [...], "forgetting": {...}, "label_curve": {...}, "layers":
    {...}}; of a pretraining that has a labelled sample the figures of each probe, and of every pretraining {"monitors":
    {...}}.
    """
    if isinstance(record, RunRecord):
        figures, comparisons = {"test": record.arms["model"].figures}, record.comparisons
        parts = {"forgetting": record.forgetting, "label_curve": record.label_curve, "layers": record.layers}
        more = {name: part.model_dump(mode="json") for name, part in parts.items() if part is not None}
        return {**_dumped(figures), "comparisons": [one.model_dump() for one in comparisons], **more}
    found: dict[str, Any] = {"monitors": {"loss": record.history[-1].val_loss, **record.history[-1].monitors}}
    if record.gain is not None:
        found |= _dumped({"test" if key == "model" else key: arm.figures for key, arm in record.gain.arms.items()})
        found["comparisons"] = [comparison.model_dump() for comparison in record.gain.comparisons]
    return found


def _dumped(parts: Mapping[str, Mapping[str, FigureRow]]) -> dict[str, dict[str, Any]]:
    def dumped(row: FigureRow) -> dict[str, Any]:
        return row.model_dump(exclude=None if row.reason else {"reason"})

    return {part: {name: dumped(row) for name, row in figures.items()} for part, figures in parts.items()}
