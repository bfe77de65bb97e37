"""The reporter that shows nothing."""

from __future__ import annotations

import pytest

from headstart.kernel.progress import Quiet


def test_quiet_counts_and_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    reporter = Quiet()
    with reporter.counter("reading", 3, "files") as advance:
        advance(2)
        advance(1, "a note")
        reporter.say("a sentence")
    assert capsys.readouterr() == ("", "")
