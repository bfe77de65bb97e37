"""Settings: all faults at once, help from the fields, assignments from the command line."""

from __future__ import annotations

import pytest
from pydantic import Field, ValidationError

from headstart.kernel.errors import SettingsError
from headstart.kernel.settings import Settings
from headstart.kernel.user_settings import build, field_help, parse_assignments


class Oven(Settings):
    """An oven."""

    degrees: float = Field(default=180.0, ge=0)
    """Heat in degrees; >= 0."""
    fan: bool = False
    """Whether air moves."""
    dish: str
    """What is baked."""
    shelves: tuple[int, ...] = (1, 3)
    """Which shelves are used; >= 1."""


def test_settings_are_frozen() -> None:
    oven = Oven(dish="bread")
    with pytest.raises(ValidationError):
        oven.dish = "cake"  # type: ignore[misc]


def test_all_faults_come_at_once_each_with_its_value() -> None:
    with pytest.raises(SettingsError) as caught:
        build(Oven, {"degrees": -5, "fann": True, "shelves": "top"}, where="oven")
    lines = str(caught.value).splitlines()
    assert len(lines) == 4
    assert "oven.fann is not a setting. Did you mean 'fan'?" in lines
    assert "oven.dish is missing" in lines
    assert any(line.startswith("oven.degrees = -5: ") for line in lines)
    assert any(line.startswith("oven.shelves = 'top': ") for line in lines)


def test_an_unknown_key_like_none_lists_the_known_ones() -> None:
    with pytest.raises(SettingsError, match="Known: degrees, fan, dish, shelves"):
        build(Oven, {"zzz": 1, "dish": "bread"}, where="oven")


def test_help_has_a_row_per_field() -> None:
    rows = {row.name: row for row in field_help(Oven)}
    assert list(rows) == ["degrees", "fan", "dish", "shelves"]
    assert rows["degrees"][1:] == ("float", "180.0", "Heat in degrees; >= 0.")
    assert rows["dish"].default == "required"
    assert rows["shelves"].type == "tuple[int, ...]"


def test_assignments_are_toml_and_bare_words_are_strings() -> None:
    parsed = parse_assignments(
        ["tuning.epochs=3", "tuning.clip = 0.5", "task.name=soft", "tuning.tried=[0.1, 1]", "task.on=true", "task.a==b"]
    )
    assert parsed == {
        "tuning": {"epochs": 3, "clip": 0.5, "tried": [0.1, 1]},
        "task": {"name": "soft", "on": True, "a": "=b"},
    }


@pytest.mark.parametrize("text", ["epochs=3", "tuning.epochs", ".epochs=3", "tuning.=3", ""])
def test_an_assignment_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"expected FAMILY\.KEY=VALUE"):
        parse_assignments([text])
