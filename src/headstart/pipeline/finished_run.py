"""The folder of a finished run, of whichever verb."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

from headstart.pipeline.pretraining.record import PretrainRecord
from headstart.pipeline.record import REPORT, RunRecord


class FinishedRun(ABC):
    """Where a run's answer is found. Nothing is read before it is asked for."""

    def __init__(self, folder: Path) -> None:
        """Open the folder."""
        self.folder = folder

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
