"""The folder of a finished pretraining: a backbone, its record and its report."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from headstart.kernel.errors import RunError
from headstart.kernel.files import write_json
from headstart.pipeline.finished_run import FinishedRun
from headstart.pipeline.pretraining.plan import PretrainPlan, read_plan
from headstart.pipeline.pretraining.record import PretrainRecord
from headstart.pipeline.read_record import read_any
from headstart.pipeline.record import FILE_NAME


class PretrainedRun(FinishedRun):
    """What `headstart.pretrain` returns: give its folder to `fit` as the backbone."""

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
        return read_plan(self.folder / "plan.toml")

    @property
    def metrics(self) -> dict[str, Any]:
        """What RUN/metrics.json says: figures of the probe on a labelled sample, and the last monitors."""
        return metrics_of(self.record)


def metrics_of(record: PretrainRecord) -> dict[str, Any]:
    """{"test": {metric: figure}, "start": ..., "comparisons": [...], "monitors": {...}}; no figures without labels."""
    last = record.history[-1]
    found: dict[str, Any] = {"monitors": {"loss": last.val_loss, **last.monitors}}
    if record.gain is not None:
        arms = {"test" if key == "model" else key: arm.figures for key, arm in record.gain.arms.items()}
        found |= {key: {name: row.model_dump() for name, row in rows.items()} for key, rows in arms.items()}
        found["comparisons"] = [comparison.model_dump() for comparison in record.gain.comparisons]
    return found


def write_record(folder: Path, record: PretrainRecord) -> None:
    """Write RUN/record.json and RUN/metrics.json."""
    write_json(folder / "metrics.json", metrics_of(record))
    write_json(folder / FILE_NAME, record.model_dump(mode="json"))
