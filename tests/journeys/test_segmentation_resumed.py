"""A training of segmentation that is stopped between two steps goes on to the very same weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import headstart
from headstart.engine.training import loop as loop_module
from headstart.kernel.files import hash_bytes
from masked_pictures import save_pairs

SHORT = {"epochs": 2, "batch_size": 8, "learning_rate": 0.01}


def fit(data: Path, out: Path, tuning: str, augmentation: str) -> str:
    """A hash of the weights that it came to."""
    run = headstart.fit(
        data,
        out=out,
        backbone="test_resnet",
        weights="random",
        tuning=tuning,
        augmentation=augmentation,
        scratch=False,
        settings={"tuning": SHORT, "backbone": {"image_size": 64}},
        runner="eager",
        label_curve=False,
    )
    return hash_bytes(b"".join(path.read_bytes() for path in sorted((run.folder / "model").rglob("*.safetensors"))))


@pytest.mark.parametrize(("tuning", "augmentation"), [("full", "affine"), ("head_only", "none")])
def test_what_was_stopped_at_a_step_ends_as_what_was_not(
    tuning: str, augmentation: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(loop_module, "CHECKPOINT_SECONDS", 0.0)
    data = save_pairs(tmp_path / "cells", range(20))
    whole = fit(data, tmp_path / "whole", tuning, augmentation)

    step, left = loop_module.Loop.step, [3]

    def stopped(*arguments: Any) -> None:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        step(*arguments)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(loop_module.Loop, "step", stopped)
        fit(data, tmp_path / "run", tuning, augmentation)
    assert list((tmp_path / "run" / "work").glob("*.checkpoint"))
    assert fit(data, tmp_path / "run", tuning, augmentation) == whole
