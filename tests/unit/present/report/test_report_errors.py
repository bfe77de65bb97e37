"""What the report says of a run folder that is none, is damaged, or cannot be written to."""

from __future__ import annotations

import json
from pathlib import Path

import odd_records as odd
import pytest
from sample_records import write_record

from headstart.kernel.errors import HeadstartError, RunError
from headstart.present.report.write import report


def test_report_of_an_unwritable_place_says_so(tmp_path: Path) -> None:
    write_record(tmp_path, odd.regression())
    (tmp_path / "taken").mkdir()
    with pytest.raises(HeadstartError, match="cannot be written to"):
        report(tmp_path, out=tmp_path / "taken")


def damage(run: Path, **changes: object) -> None:
    write_record(run, odd.regression())
    content = json.loads((run / "record.json").read_text(encoding="utf-8"))
    (run / "record.json").write_text(json.dumps({**content, **changes}), encoding="utf-8")


def test_missing_run_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="there is no such run folder"):
        report(tmp_path / "nowhere")


def test_folder_that_is_no_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"has no record\.json"):
        report(tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunError, match="is a file, not a run folder"):
        report(tmp_path / "file")


@pytest.mark.parametrize("content", [b"", b'{"format": 1, "headst', b"\xff\xfe\x00"])
def test_record_that_is_no_json_is_damaged(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "record.json").write_bytes(content)
    with pytest.raises(RunError, match="damaged"):
        report(tmp_path)


@pytest.mark.parametrize("content", ["[]", "{}", '{"format": 3}', '"record"'])
def test_record_of_something_else_is_foreign(tmp_path: Path, content: str) -> None:
    (tmp_path / "record.json").write_text(content)
    with pytest.raises(RunError, match="not a record of a Headstart run"):
        report(tmp_path)


def test_damaged_field_is_named(tmp_path: Path) -> None:
    damage(tmp_path, seed="seven")
    with pytest.raises(RunError, match=r"is damaged: seed: .*integer"):
        report(tmp_path)


def test_newer_record_asks_for_a_newer_headstart(tmp_path: Path) -> None:
    damage(tmp_path, format=99, headstart="7.2.0", a_new_field=1)
    with pytest.raises(RunError, match=r"in format 99.*Install Headstart 7\.2\.0"):
        report(tmp_path)
