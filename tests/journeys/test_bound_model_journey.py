"""A run predicts with its own model: one from elsewhere in its folder is noticed, in records of any age."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from conftest import Command


@pytest.mark.parametrize("bound", [True, False])
def test_another_runs_model_is_not_taken(
    headstart_command: Command, number_run: Path, review_run: Path, numbers_csv: Path, here: Path, bound: bool
) -> None:
    run = here / "mixed"
    shutil.copytree(number_run, run)
    if not bound:
        record = json.loads((run / "record.json").read_text())
        assert record.pop("model_hash")
        (run / "record.json").write_text(json.dumps(record))
        assert headstart_command("predict", run, numbers_csv, "--out", "own.csv").code == 0
    shutil.rmtree(run / "model")
    shutil.copytree(review_run / "model", run / "model")
    ended = headstart_command("predict", run, numbers_csv, "--out", "mixed.csv")
    assert ended.code == 5 and not Path("mixed.csv").exists()
    reason = "is not the model that its run has saved" if bound else "belongs to another run"
    assert reason in ended.err
