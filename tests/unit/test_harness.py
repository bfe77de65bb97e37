"""The shared machinery of the benchmarks: what holds, what is written, what is shown."""

from __future__ import annotations

import json
import math
import platform
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from benchmarks import _cells as cells
from benchmarks import _harness as harness
from benchmarks.__main__ import main


@pytest.mark.parametrize(
    ("asked", "value", "expected"),
    [
        (">= 91", 91.0, True),
        (">= 91", 90.999, False),
        ("<= 0.05", 0.05, True),
        ("<= 0.05", 0.051, False),
        ("< 0.3", 0.3, False),
        ("< 0.3", 0.29, True),
        ("> 0", 0.0, False),
        ("> 0", 0.1, True),
        ("== 1", 1, True),
        ("== 0", 3, False),
        (">= -2.5", -2.5, True),
        ("92..98", 92, True),
        ("92..98", 98, True),
        ("92..98", 91.9, False),
        ("92..98", 98.1, False),
    ],
)
def test_holds(asked: str, value: float, expected: bool) -> None:
    assert harness.holds(asked, value) is expected


@pytest.mark.parametrize("asked", [">= 0", "<= 5", "== 0", "< 9", "92..98"])
@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf])
def test_what_is_missing_or_undefined_never_holds(asked: str, value: float | None) -> None:
    assert harness.holds(asked, value) is False


@pytest.mark.parametrize("asked", ["", "91", "=> 91", ">= many", "92..", "92-98", ">= 91 %"])
def test_an_unreadable_wish_is_an_error(asked: str) -> None:
    with pytest.raises(ValueError, match="asked = "):
        harness.holds(asked, 95.0)


def test_every_asked_figure_is_readable_and_named_once() -> None:
    asked = harness.asked_figures()
    names = [figure.name for figure in asked]
    assert len(names) == len(set(names)) >= 16
    for figure in asked:
        harness.holds(figure.asked, 0.0)
        assert figure.meaning


def test_a_missing_figure_is_listed_and_fails() -> None:
    asked = [harness.Asked("a.x", 1, "%", ">= 0", ""), harness.Asked("a.y", 1, "%", ">= 0", "")]
    figures = harness.judge(asked, {"a.x": 1.0})
    assert [(figure.value, figure.holds) for figure in figures] == [(1.0, True), (None, False)]


def test_a_misspelt_figure_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"not asked in figures\.toml: a\.z"):
        harness.judge([harness.Asked("a.x", 1, "%", ">= 0", "")], {"a.z": 1.0})


def measured_startup(monkeypatch: pytest.MonkeyPatch, folder: Path, **values: float) -> dict[str, Any]:
    """The result file after a run of a stand-in for benchmarks/startup.py."""
    module = ModuleType("benchmarks.startup")
    figures = {f"startup.{name}": value for name, value in values.items()}
    module.run = lambda quick, full: (figures, {"quick": quick, "full": full})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "benchmarks.startup", module)
    harness.measure("startup", quick=True, results=folder)
    return json.loads((folder / "startup.json").read_text())


def test_the_result_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    content = measured_startup(monkeypatch, tmp_path, help=0.1, no_torch=math.nan)
    assert list(content) == ["figures", "details", "versions", "machine"]
    assert content["figures"] == [
        {"name": "startup.help", "value": 0.1, "unit": "s", "asked": "< 0.3", "holds": True},
        {"name": "startup.import", "value": None, "unit": "s", "asked": "< 0.15", "holds": False},
        {"name": "startup.no_torch", "value": None, "unit": "(1 = yes)", "asked": "== 1", "holds": False},
    ]
    assert content["details"] == {"extent": "quick", "quick": True, "full": False}
    assert content["versions"]["python"] == platform.python_version()


def test_the_versions_of_the_code_are_those_of_the_cells(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(harness, "CELLS", tmp_path / "cells")
    assert measured_startup(monkeypatch, tmp_path, help=0.1)["versions"]["code"] == harness.code_version()
    (tmp_path / "cells").mkdir()
    made = {"a": {"code": "222"}, "b": {"code": "111 with changes"}, "c": {"code": "222"}, "d": {}}
    (tmp_path / "cells" / "startup.json").write_text(json.dumps(made))
    assert measured_startup(monkeypatch, tmp_path, help=0.1)["versions"]["code"] == "111 with changes, 222, unknown"


def test_a_cell_is_made_once_and_keeps_the_version_of_the_code_that_made_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "counting.py").write_text("import json, random\nprint(json.dumps({'drawn': random.random()}))")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(cells, "CELLS", tmp_path)
    monkeypatch.setattr(cells, "code_version", lambda: "111")
    first = cells.cell("counted", "counting", ["a", "b"])
    monkeypatch.setattr(cells, "code_version", lambda: "222")
    assert cells.cell("counted", "counting", ["a", "b"]) == first
    assert (first["code"], cells.cell("counted", "counting", ["a", "c"])["code"]) == ("111", "222")


def test_the_machine_has_neither_host_name_nor_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    content = measured_startup(monkeypatch, tmp_path, help=0.1)
    text = json.dumps([content["machine"], content["versions"]])
    assert platform.node() not in text
    assert str(Path.home()) not in text
    assert content["machine"]["cores"] >= 1


def test_the_table_shows_what_was_measured_and_what_was_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    measured_startup(monkeypatch, tmp_path, help=0.1234567)
    rows = harness.table(harness.written_figures(tmp_path)).splitlines()
    assert len(rows) == 2 + len(harness.asked_figures())
    (row,) = [row for row in rows if "`startup.help`" in row]
    assert row.endswith("| 0.1235 s | < 0.3 | yes |")
    (row,) = [row for row in rows if "`startup.import`" in row]
    assert row.endswith("| not measured | < 0.15 | **no** |")


def test_an_unknown_benchmark_lists_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nosuch"]) == 2
    assert "make bench NAME=" in capsys.readouterr().err
