"""A package outside brings a task, a modality, a format and a backbone, and goes the whole way without an edit here."""

from __future__ import annotations

import csv
import html
import json
from pathlib import Path

import numpy as np
import pytest

from outside_packages import EXTERNAL, install, python

pytestmark = pytest.mark.slow

METRIC, ERROR = "Concordance", "Mean absolute error of ended lifetimes"
PANEL = "Lifetimes within their predicted range"
COMMANDS = {
    "help": "help",
    "help tasks": "help task",
    "help lifetimes": "help task lifetimes",
    "inspect": "inspect engines.ts",
    "fit": "fit engines.ts --out first --set task.unit=days --no-scratch --no-label-curve",
    "predict": "predict first new.ts --out new.csv",
    "evaluate": "evaluate first later.ts",
    "report": "report first",
    "fine-tune": "fit engines.ts --backbone first --tuning full --set tuning.epochs=1 --no-scratch --out second",
}
PROGRAM = """
import contextlib, io, json, sys
import headstart
from headstart.cli.app import app

said = {}
for name, line in json.loads(sys.argv[1]).items():
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
        app(line.split(), prog_name="headstart")
    said[name] = " ".join(out.getvalue().split())
said["loaded again"] = headstart.load("first").predict("new.ts")["prediction"].tolist()
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, installed."""
    return install(EXTERNAL, tmp_path_factory.mktemp("outside"))


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Engines with their lifetimes, later ones, and new ones of which nothing is known."""
    folder = tmp_path_factory.mktemp("engines")
    for name, rows, labelled in (("engines", 90, True), ("later", 30, True), ("new", 8, False)):
        (folder / f"{name}.ts").write_text(engines(name, rows, labelled=labelled))
    return folder


@pytest.fixture(scope="module")
def said(site: Path, work: Path) -> dict[str, str]:
    """What each command printed, on one line."""
    done = python(site, work, "-c", PROGRAM, json.dumps(COMMANDS))
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found


def engines(name: str, rows: int, *, labelled: bool) -> str:
    """A .ts file: the faster an engine swings, the sooner it ends, if that was seen."""
    draws = np.random.default_rng(len(name))
    lines = [f"@problemName {name}", f"@targetLabel {str(labelled).lower()}", "@data"]
    for _ in range(rows):
        speed, steps = draws.uniform(0.1, 1.5), np.arange(draws.integers(30, 90))
        swing = (1 + speed) * np.sin(speed * steps) + draws.normal(0, 0.1, len(steps))
        life, seen = 500 * np.exp(-speed + draws.normal(0, 0.1)), draws.uniform(100, 900)
        label = f":{life:.1f}" if life < seen else f":{seen:.1f}+"
        lines.append(",".join(f"{value:.4f}" for value in swing) + label * labelled)
    return "\n".join(lines) + "\n"


def predictions(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_help_lists_what_came_from_outside(said: dict[str, str]) -> None:
    assert all(name in said["help"] for name in ("lifetimes", "series", "ts_file", "spectrum"))
    assert "Lifetimes: how long a machine will last" in said["help tasks"]
    assert "task.unit" in said["help lifetimes"]


def test_inspect_tells_of_the_inputs(said: dict[str, str]) -> None:
    assert "a .ts file of series" in said["inspect"] and "measurements" in said["inspect"]


def test_the_fit_prints_the_metrics_with_their_titles_and_units(said: dict[str, str], work: Path) -> None:
    assert f"{METRIC} " in said["fit"] and " %" in said["fit"]
    assert ERROR in said["fit"] and " days" in said["fit"]
    found = json.loads((work / "first" / "metrics.json").read_text())["test"]["concordance"]
    assert 0.5 < found["low"] <= found["value"] <= found["high"] <= 1


@pytest.mark.usefixtures("said")
def test_the_report_shows_metrics_unit_and_panel(work: Path) -> None:
    page = html.unescape((work / "first" / "report.html").read_text())
    assert all(words in page for words in (METRIC, ERROR, PANEL, "days"))


def test_predictions_have_the_columns_of_the_task_in_a_run_that_is_loaded_again(
    said: dict[str, str], work: Path
) -> None:
    rows = predictions(work / "new.csv")
    assert len(rows) == 8 and {"origin", "prediction", "low", "high"} <= rows[0].keys()
    assert all(float(row["low"]) < float(row["prediction"]) < float(row["high"]) for row in rows)
    assert [float(row["prediction"]) for row in rows] == pytest.approx(said["loaded again"])


def test_evaluate_prints_the_figures_of_later_data(said: dict[str, str]) -> None:
    assert all(words in said["evaluate"] for words in (METRIC, ERROR, "30 examples", "days"))


def test_the_run_is_a_backbone_that_can_be_fine_tuned(said: dict[str, str], work: Path) -> None:
    assert METRIC in said["fine-tune"] and "second/report.html" in said["fine-tune"]
    assert f'backbone = "{work}/first"' in (work / "second" / "plan.toml").read_text()


@pytest.mark.usefixtures("said")
def test_without_the_package_the_run_says_what_is_missing(work: Path, tmp_path: Path) -> None:
    done = python(tmp_path, work, "-m", "headstart", "predict", "first", "new.ts")
    assert done.returncode == 5 and "lifetimes" in done.stderr, done.stderr


def test_the_conformance_suite_holds_for_it(site: Path, tmp_path: Path) -> None:
    families = ("settings", "tasks", "backbones", "modalities", "formats")
    files = [EXTERNAL.parent / "conformance" / f"test_{name}_conformance.py" for name in families]
    line = ("-m", "pytest", "-p", "no:cacheprovider", "-x", *files)
    samples = EXTERNAL / "samples.py"
    done = python(site, tmp_path, *line, "-k", "lifetimes or series or ts_file or spectrum", HEADSTART_SAMPLES=samples)
    assert done.returncode == 0, done.stdout
