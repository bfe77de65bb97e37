from __future__ import annotations

from headstart.engine.frozen.bottleneck import shares


def test_the_part_that_holds_the_pass_up_comes_first() -> None:
    assert shares({"prepare": 35.0, "runner": 62.0, "store": 3.0}) == "network 62 %, reading 35 %, storing 3 %"
    assert shares({"prepare": 3.0, "runner": 0.5, "store": 0.5}) == "reading 75 %, network 12 %, storing 12 %"


def test_without_work_nothing_is_said() -> None:
    assert shares({}) == shares({"prepare": 0.0, "runner": 0.0, "store": 0.0}) == ""
