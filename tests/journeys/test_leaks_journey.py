"""Copies across a given split are told of where the figures are: on the terminal, by number and name."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from small_data import OFFLINE, picture

from conftest import Command


@pytest.fixture
def leaking(tmp_path: Path) -> Path:
    """A given split whose test part of 12 has four copies of training pictures."""
    root, draws = tmp_path / "leaking", np.random.default_rng(0)
    for part, count in {"train": 12, "test": 4}.items():
        for brightness, name in ((70, "dark"), (170, "light")):
            (root / part / name).mkdir(parents=True)
            for number in range(count):
                picture(brightness, draws).save(root / part / name / f"{number}.png")
    for number in range(4):
        shutil.copy(root / "train" / "dark" / f"{number}.png", root / "test" / "dark" / f"copy-{number}.png")
    return root


def test_a_fit_says_how_many_test_examples_have_copies_in_train(headstart_command: Command, leaking: Path) -> None:
    flags = (*OFFLINE, "--runner", "eager", "--no-scratch")
    ended = headstart_command("fit", leaking, "--out", "run", *flags)
    words = " ".join(ended.out.split())
    assert "Warning: 4 of 12 test examples have copies in the train part: figures on them are too good." in words
    assert "- test/dark/copy-0.png is a copy of train/dark/0.png" in words
    assert "and 1 more" in words


def test_inspect_names_them_too(headstart_command: Command, leaking: Path) -> None:
    words = " ".join(headstart_command("inspect", leaking).out.split())
    assert "4 examples outside the train part with a copy in it" in words
    assert all(f"test/dark/copy-{number}.png of train/dark/{number}.png" in words for number in range(4))
