"""The command that repeats a run is the one that was given, or one that can be."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from headstart.pipeline.summary import command

RUN = Path("runs/my photos")


@pytest.mark.parametrize("verb", ["fit", "pretrain"])
def test_a_call_from_python_is_repeated_by_its_plan_where_its_data_lie_somewhere(verb: str) -> None:
    assert command(verb, RUN, "photos") == f"headstart {verb} 'runs/my photos/plan.toml'"
    assert command(verb, RUN, "<DataFrame>") == f"headstart.{verb}(<DataFrame>, ...)"


def test_a_command_line_stays_as_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/bin/headstart", "pretrain", "my photos", "--seed", "3"])
    assert command("pretrain", RUN, "my photos") == "headstart pretrain 'my photos' --seed 3"
