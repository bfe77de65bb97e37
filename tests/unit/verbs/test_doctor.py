"""headstart doctor: the installation as it is, and what of it will not work."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import headstart
from headstart.cli.app import app
from headstart.verbs.doctor import doctor


def test_it_tells_versions_runners_and_where_the_cache_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    found = doctor()
    assert found.headstart
    assert found.runners["eager"] == "float32"
    assert found.licences["scikit-learn"] == "BSD-3-Clause"
    assert (found.cache, found.cached, found.offline, found.faults) == (str(tmp_path), 0, True, ())


def test_a_device_and_a_cache_that_cannot_be_used_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "file"))
    monkeypatch.setenv("HEADSTART_DEVICE", "quantum")
    found = doctor()
    assert found.device == ""
    assert any("quantum" in fault for fault in found.faults)
    assert any("cannot be read" in fault for fault in found.faults)


@pytest.mark.slow
def test_the_command_prints_for_people_and_as_json() -> None:
    shown = CliRunner().invoke(app, ["doctor"])
    assert shown.exit_code == 0
    assert "there is no telemetry" in shown.output
    document = json.loads(CliRunner().invoke(app, ["doctor", "--json"]).output)
    assert document["versions"]["headstart"] and headstart.__version__
