from __future__ import annotations

import pytest

from headstart.engine.launch import local_rank, rank, world_size
from headstart.kernel.errors import SettingsError

VARIABLES = ("RANK", "LOCAL_RANK", "WORLD_SIZE")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, (0, 0, 1)),
        ({"RANK": "3", "LOCAL_RANK": "1", "WORLD_SIZE": "4"}, (3, 1, 4)),
        ({"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1"}, (0, 0, 1)),
        ({"RANK": "3"}, (0, 0, 1)),
        ({"RANK": "", "WORLD_SIZE": ""}, (0, 0, 1)),
    ],
)
def test_the_launcher_says_which_process_this_is(
    environment: dict[str, str], expected: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert (rank(), local_rank(), world_size()) == expected


def test_what_is_no_number_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "two")
    with pytest.raises(SettingsError, match="WORLD_SIZE=two"):
        rank()
