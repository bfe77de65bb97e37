"""Training from scratch counts only where it trained, and what is claimed over it says so everywhere."""

from __future__ import annotations

import re
from pathlib import Path

from small_data import OFFLINE

import headstart
from conftest import Command


def test_a_scratch_that_was_cut_off_is_never_beaten_without_a_word(
    headstart_command: Command, photos: Path, here: Path
) -> None:
    ended = headstart_command("fit", photos, *OFFLINE, "--set", "scratch.epochs=1", "--seeds", 2, "--out", "run")
    assert ended.code == 0, ended.err
    said = " ".join(ended.out.split())
    assert re.search(r"(s|S)cratch was cut off after 1 of \d+ epochs in 2 of 2 runs", said), said
    for folder in ("run", "run/seed-0", "run/seed-1"):
        run = headstart.load(folder)
        report = run.report.read_text(encoding="utf-8")
        assert "cut off after 1 of" in run.verdict and "cut off after 1 of" in report
        assert "Transfer helps" not in said + run.verdict + report
        (scratch,) = (one for one in run.record.comparisons if one.against == "scratch")
        assert scratch.verdict != "better" and {"classical", "constant"} < run.record.arms.keys()
        assert {one.against for one in run.record.comparisons} == {"scratch", "classical", "constant"}
    arm = headstart.load("run/seed-0").record.arms["scratch"]
    assert arm.chosen["epochs"] == 1 and int(arm.chosen["epochs_planned"]) > 1 and "all 1" not in arm.stopped
