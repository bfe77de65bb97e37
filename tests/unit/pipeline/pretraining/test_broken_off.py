from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import headstart
from headstart.kernel.errors import TrainingError


def test_a_pretraining_that_diverges_after_an_epoch_keeps_its_last_sound_weights_as_a_run(tmp_path: Path) -> None:
    path, run = tmp_path / "rows.csv", tmp_path / "run"
    pd.DataFrame(np.random.default_rng(0).normal(size=(48, 3)), columns=list("abc")).to_csv(path, index=False)
    wild = {"training": {"epochs": 4, "learning_rate": 1e30, "head_learning_rate": 1e30}}  # its first step has rate 0
    with pytest.raises(TrainingError, match=r"in epoch 2.*of epoch 1, are kept: .*run is a run\."):
        headstart.pretrain(path, numeric=["a", "b", "c"], out=run, settings=wild)
    record = headstart.load(run).record
    assert len(record.history) == 1 and "in epoch 2" in record.stopped
    assert "STOPPED EARLY" in record.verdict
