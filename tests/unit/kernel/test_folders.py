"""Where the cache lies."""

from __future__ import annotations

from pathlib import Path

import pytest

from headstart.kernel.folders import cache_folder


def test_the_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", "/elsewhere")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_folder() == Path("/elsewhere")
    monkeypatch.delenv("HEADSTART_CACHE")
    assert cache_folder() == Path("/xdg/headstart")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert cache_folder() == Path.home() / ".cache" / "headstart"
