from __future__ import annotations

import json
from pathlib import Path

import pytest

from headstart.kernel.documents import parse_json, parse_toml
from headstart.kernel.errors import HeadstartError, SettingsError
from headstart.kernel.files import read_json
from headstart.kernel.settings import Settings
from headstart.kernel.user_settings import build, parse_assignments

DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize("text", [DEEP, "[" * 500 + "]" * 500, '{"a":' * 500 + "1" + "}" * 500])
def test_deep_nesting_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="nested more than 100 deep"):
        parse_json(text)


def test_deep_toml_is_refused() -> None:
    with pytest.raises(ValueError, match="nested more than 100 deep"):
        parse_toml(f"a = {DEEP}")
    assert parse_toml("a = [[1]]") == {"a": [[1]]}


def test_integers_of_thousands_of_digits_are_refused() -> None:
    with pytest.raises(ValueError, match="integer of thousands of digits"):
        parse_json("9" * 5000)
    with pytest.raises(ValueError, match="integer of thousands of digits"):
        parse_toml("a = " + "9" * 5000)
    assert parse_json("9" * 30) == 10**30 - 1


def test_halves_of_surrogate_pairs_are_refused_with_their_place() -> None:
    with pytest.raises(ValueError, match=r"rows\[1\]\.name holds '\\ud800'"):
        parse_json('{"rows": [1, {"name": "a\\ud800b"}]}')
    with pytest.raises(ValueError, match="a key holds"):
        parse_json('{"\\uDC00": 1}')
    assert parse_json('"\\ud83d\\ude00"') == "\U0001f600"
    assert parse_json('"\\\\ud800"') == "\\ud800"


def test_bytes_may_begin_with_a_mark() -> None:
    assert parse_json(b"\xef\xbb\xbf[1]") == [1]


@pytest.mark.parametrize("text", [DEEP, "9" * 5000, '"\\ud800"', "{"])
def test_a_file_of_such_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "record.json"
    path.write_text(text)
    with pytest.raises(HeadstartError, match=r"record\.json is damaged"):
        read_json(path)


def test_assignments_of_such_are_texts() -> None:
    assert parse_assignments([f"a.b={DEEP}"]) == {"a": {"b": DEEP}}


class _Rate(Settings):
    rate: float = 1.0


@pytest.mark.parametrize("value", [float("inf"), float("nan"), int("9" * 400)])
def test_numbers_without_end_are_no_settings(value: float) -> None:
    with pytest.raises(SettingsError, match=r"tuning\.rate = .*"):
        build(_Rate, {"rate": value}, where="tuning")


def test_long_values_are_cut_in_messages() -> None:
    with pytest.raises(SettingsError) as fault:
        build(_Rate, {"rate": json.dumps(["x"] * 5000)}, where="tuning")
    assert len(str(fault.value)) < 400
