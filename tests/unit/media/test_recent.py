"""What was decoded last is kept, up to a number of bytes and as long as its file is the same."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from headstart.media.recent import Recent


def test_what_was_asked_for_last_is_kept_up_to_a_number_of_bytes() -> None:
    kept, decoded = Recent(most=250), []

    def ask(source: bytes) -> None:
        kept(source, "pixels", lambda: decoded.append(source) or np.zeros(100, np.uint8))  # type: ignore[func-returns-value]

    for source in (b"a", b"b", b"a", b"c", b"a", b"b"):
        ask(source)
    assert decoded == [b"a", b"b", b"c", b"b"]


def test_one_that_is_too_large_is_kept_alone() -> None:
    kept = Recent(most=50)
    first = kept(b"a", "pixels", lambda: np.zeros(100, np.uint8))
    assert kept(b"a", "pixels", lambda: np.ones(100, np.uint8)) is first


def test_a_file_that_has_changed_is_decoded_again_and_other_forms_are_others(tmp_path: Path) -> None:
    kept, path = Recent(most=1000), tmp_path / "a"
    path.write_bytes(b"1")

    def ask(form: str) -> str:
        return kept(path, form, lambda: np.array(path.read_text() + form)).item()

    assert ask("x") == "1x" and ask("y") == "1y"
    path.write_bytes(b"2")
    os.utime(path, ns=(1, 1))
    assert ask("x") == "2x"
