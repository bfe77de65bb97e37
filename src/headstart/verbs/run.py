"""Run: a run folder with the verbs that can follow a fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from headstart.pipeline.run_folder import PretrainedRun, RunFolder, is_pretraining, place_of
from headstart.verbs.evaluate import Evaluation, evaluate
from headstart.verbs.predict import predict


class Run(RunFolder):
    """A finished run, as `headstart.fit` and `headstart.load` return it."""

    def predict(
        self,
        data: Any,
        *,
        out: Path | str | None = None,
        test_time: str | None = None,
        coverage: float | None = None,
    ) -> Any:
        """As `headstart.predict`."""
        return predict(self, data, out=out, test_time=test_time, coverage=coverage)

    def evaluate(self, data: Any = None, *, test_time: str | None = None) -> Evaluation:
        """As `headstart.evaluate`."""
        return evaluate(self, data, test_time=test_time)


def load(path: Path | str) -> Run | PretrainedRun:
    """Open the run folder of a fit or of a pretraining; one of a fit on a hub is 'hf://user/name'.

    Raises:
        RunError: the folder is missing, foreign or unfinished.
    """
    run = Run(place_of(path))
    return PretrainedRun(run.folder) if is_pretraining(run.folder) else run
