"""What every benchmark shares: the figures asked, whether a value holds, the result files and their table.

A benchmark is a file `benchmarks/NAME.py` with `run(quick, full)`, which returns the figures it measured by name and
whatever details are worth keeping. Results are written to `benchmarks/results/NAME.json`, also where they fall short.
"""

from __future__ import annotations

import importlib
import json
import math
import operator
import os
import platform
import re
import subprocess
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
RESULTS = FOLDER / "results"
CELLS = RESULTS / "cells"
"""Of benchmarks that are not finished."""
CODE = "code"
"""Of what is written down: the version of this repository that was measured."""
LIBRARIES = ("headstart", "numpy", "pandas", "pyarrow", "scikit-learn", "timm", "torch", "transformers")
NUMBER = r"(-?\d+(?:\.\d+)?)"
COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
}


@dataclass(frozen=True)
class Asked:
    """One figure that an issue asks for."""

    name: str
    issue: int
    unit: str
    asked: str
    meaning: str

    @property
    def benchmark(self) -> str:
        """The file in benchmarks/ that measures it."""
        return self.name.partition(".")[0]


@dataclass(frozen=True)
class Figure:
    """One figure as it is written down."""

    name: str
    value: float | None
    unit: str
    asked: str
    holds: bool


def asked_figures(path: Path = FOLDER / "figures.toml") -> list[Asked]:
    """Every asked figure, in the order of the file."""
    return [Asked(**figure) for figure in tomllib.loads(path.read_text(encoding="utf-8"))["figure"]]


def holds(asked: str, value: float | None) -> bool:
    """Whether a value is what was asked; a missing or undefined one never is.

    Raises:
        ValueError: `asked` is none of ">= N", "<= N", "> N", "< N", "== N", "LOW..HIGH".
    """
    number = math.nan if value is None or not math.isfinite(value) else value
    if within := re.fullmatch(rf"{NUMBER}\.\.{NUMBER}", asked):
        return float(within[1]) <= number <= float(within[2])
    if bound := re.fullmatch(rf"(>=|<=|==|>|<) {NUMBER}", asked):
        return COMPARISONS[bound[1]](number, float(bound[2]))
    raise ValueError(f"asked = {asked!r}: write '>= 91', '< 0.3', '== 0' or '92..98'")


def judge(asked: Sequence[Asked], measured: Mapping[str, float | None]) -> list[Figure]:
    """Each asked figure with its value and whether it holds.

    Raises:
        ValueError: a measured figure is not among those asked, so that a misspelt name cannot hide a missing one.
    """
    strange = sorted(set(measured) - {figure.name for figure in asked})
    if strange:
        raise ValueError(f"measured but not asked in figures.toml: {', '.join(strange)}")
    figures = []
    for figure in asked:
        value = measured.get(figure.name)
        if value is not None and not math.isfinite(value):
            value = None
        figures.append(Figure(figure.name, value, figure.unit, figure.asked, holds(figure.asked, value)))
    return figures


def measure(name: str, *, quick: bool = False, full: bool = False, results: Path = RESULTS) -> list[Figure]:
    """Run one benchmark, write its result file and return its figures.

    Raises:
        ValueError: it measured a figure that was not asked.
    """
    code = code_version()
    measured, details = importlib.import_module(f"benchmarks.{name}").run(quick=quick, full=full)
    figures = judge([figure for figure in asked_figures() if figure.benchmark == name], measured)
    extent = "quick" if quick else "full" if full else "normal"
    content = {
        "figures": [asdict(figure) for figure in figures],
        "details": {"extent": extent, **details},
        "versions": {**versions(), CODE: ", ".join(_made_by(CELLS / f"{name}.json") or [code])},
        "machine": machine(),
    }
    results.mkdir(exist_ok=True)
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    (results / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    (CELLS / f"{name}.json").unlink(missing_ok=True)
    return figures


def benchmark_names() -> list[str]:
    """The benchmarks that exist."""
    return sorted(path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_"))


def written_figures(results: Path = RESULTS) -> list[Figure]:
    """Every asked figure with the value in the result files; None where there is none."""
    measured: dict[str, float | None] = {}
    for path in sorted(results.glob("*.json")):
        figures = json.loads(path.read_text(encoding="utf-8"))["figures"]
        measured |= {figure["name"]: figure["value"] for figure in figures}
    asked = asked_figures()
    known = {figure.name for figure in asked}
    return judge(asked, {name: value for name, value in measured.items() if name in known})


def table(figures: Sequence[Figure]) -> str:
    """The figures as a Markdown table."""
    meaning = {figure.name: figure.meaning for figure in asked_figures()}
    rows = ["| figure | what it is | value | asked | holds |", "|---|---|---|---|---|"]
    for figure in figures:
        value = "not measured" if figure.value is None else f"{figure.value:.4g} {figure.unit}"
        answer = "yes" if figure.holds else "**no**"
        rows.append(f"| `{figure.name}` | {meaning[figure.name]} | {value} | {figure.asked} | {answer} |")
    return "\n".join(rows)


def versions() -> dict[str, str]:
    """Python and the libraries that the figures depend on."""
    found = {"python": platform.python_version()}
    for library in LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found


def code_version() -> str:
    """The last commit that changed the package or a benchmark, and whether files were changed since."""
    try:
        commit = _git("log", "-1", "--format=%h")
        return commit + (" with changes" if _git("status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*arguments: str) -> str:
    """What git says of the files that decide what is measured."""
    command = ["git", *arguments, "--", "src", "benchmarks/*.py"]
    return subprocess.run(command, cwd=FOLDER.parent, capture_output=True, text=True, check=True).stdout.strip()


def _made_by(cells: Path) -> list[str]:
    """The versions of the code that made the cells of a benchmark; none where it has no cells."""
    known = json.loads(cells.read_text(encoding="utf-8")) if cells.exists() else {}
    return sorted({str(one.get(CODE, "unknown")) for one in known.values()})


def machine() -> dict[str, Any]:
    """What the figures were measured on; neither host names nor paths."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "accelerator": _accelerator(),
    }


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor()
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1] if found else platform.processor()


def _accelerator() -> str:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
