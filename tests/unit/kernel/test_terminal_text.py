from __future__ import annotations

import os

import pytest
from rich.console import Console

from headstart.cli.exits import Answer, guarded
from headstart.cli.terminal import RichReporter
from headstart.kernel.errors import DataError
from headstart.kernel.terminal_text import as_list, is_text, on_one_line, printable


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain é 漢字 🐝 \u00a0 [bold]", "plain é 漢字 🐝 \u00a0 [bold]"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("\x1b[31mred\x07\r\x7f", r"\x1b[31mred\x07\x0d\x7f"),
        ("a\u202egnp.exe", r"a\u202egnp.exe"),
        ("\x9b2J", r"\x9b2J"),
        (os.fsdecode(b"caf\xe9"), r"caf\xe9"),
        ("\ud800", r"\ud800"),
    ],
)
def test_what_would_steer_a_terminal_is_spelt_out(text: str, expected: str) -> None:
    assert printable(text) == expected
    printable(text).encode()


def test_a_name_in_a_list_stays_on_its_line() -> None:
    assert on_one_line("a\nb\tc\x1b") == r"a\nb\tc\x1b"
    assert as_list("2 faults:\n  a\nb\n  c") == "2 faults:\n  a\\nb\n  c"


def test_names_of_bytes_that_are_no_characters_are_no_text() -> None:
    assert is_text("é 漢字 🐝.png")
    assert not is_text(os.fsdecode(b"caf\xe9.png"))


def test_errors_and_progress_do_not_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    def fail(**_: object) -> Answer:
        raise DataError("photos/\x1b[2J.png\nis missing")

    with pytest.raises(SystemExit):
        guarded(fail)()
    assert capsys.readouterr().err == "Error: photos/\\x1b[2J.png\nis missing\n"
    console = Console(force_terminal=False, highlight=False, record=True)
    RichReporter(console).say("stored in /tmp/\x1b[2J")
    assert console.export_text() == "stored in /tmp/\\x1b[2J\n"
