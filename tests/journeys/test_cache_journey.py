"""The cache, from a fit that fills it to the fit after it was cleared."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_data import OFFLINE

import headstart

Command = Callable[..., Any]


def test_a_cleared_cache_costs_another_pass_and_nothing_else(
    here: Path, photos: Path, headstart_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(here / "cache"))
    for out in ("first", "second"):
        assert headstart_command("fit", photos, *OFFLINE, "--no-scratch", "--out", out).code == 0
    shown = headstart_command("cache")
    assert shown.code == 0, shown.err
    assert "test_resnet" in shown.out and "pooled features at" in shown.out
    cleared = json.loads(headstart_command("cache", "--clear", "--json").out)
    assert cleared["freed"] > 0 and cleared["bytes"] == 0
    assert list((here / "cache").iterdir()) == []
    assert headstart_command("fit", photos, *OFFLINE, "--no-scratch", "--out", "third").code == 0
    passes = [headstart.load(out).record.frozen_pass for out in ("first", "second", "third")]
    assert [(found.computed, found.reused) for found in passes] == [(40, 0), (0, 40), (40, 0)]
    assert headstart.load("third").metrics["test"] == headstart.load("first").metrics["test"]
