"""A package outside that breaks its contract ends the command by one line that names the plug-in and the fault."""

from __future__ import annotations

import importlib
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_external_plugin import engines

from headstart.cli.app import app
from outside_packages import EXTERNAL, found_anew

FIT = "fit engines.ts --out run --no-scratch --runner eager"
SHIFT = '''"""Shift."""
from typing import ClassVar

from headstart.contracts.augmentation import InputViews


class Shift(InputViews):
    """Shifts series."""

    modalities: ClassVar[tuple[str, ...]] = ("series",)
    """What it can change."""

    def view(self, state, seeds):
        """The same."""
        return state
'''
BROKEN = {
    "no title": ("metrics.py", '"Concordance", True', '"", True', "The metric 'concordance' has no title"),
    "a title left out": (
        "metrics.py",
        '"concordance", "Concordance", True',
        '"concordance"',
        "task 'lifetimes' breaks",
    ),
    "no metric": ("lifetimes.py", "lifetime_metrics(self.settings.unit),", "(),", "'lifetimes' has no metric"),
    "no losses": ("lifetimes.py", "def losses(", "def loss(", "BoundLifetimes must define losses"),
    "no predict": ("lifetimes.py", "def predict(", "def decode(", "BoundLifetimes must define predict"),
    "no kinds": (
        "lifetimes.py",
        "target_kinds: ClassVar[TargetKinds]",
        "kinds: ClassVar[Any]",
        "breaks its",
    ),
    "a kind that is none": (
        "lifetimes.py",
        "{TARGET: CensoredTimes()}",
        "{TARGET: 3}",
        "'lifetime', 3, is not a TargetKind",
    ),
    "learnt settings": (
        "lifetimes.py",
        "BoundLifetimes(settings=self,",
        "BoundLifetimes(settings=self.model_copy(update={'unit': 'd'}),",
        "task 'lifetimes' changed its settings when it was bound",
    ),
    "no content key": (
        "series.py",
        "def key(",
        "def content_key(",
        "modality 'series' of headstart-series 1.0 cannot be",
    ),
    "wide features": (
        "spectrum.py",
        "return Features(state.hidden)",
        "return Features(state.hidden[:, :-1])",
        "backbone 'spectrum' gives features of shape (",
    ),
    "features without a batch": (
        "spectrum.py",
        "return Features(state.hidden)",
        "return Features(state.hidden.mean(0))",
        "backbone 'spectrum' gives features of shape (32,)",
    ),
    "no preparation": ("spectrum.py", "def preparation(", "def prepared(", "_SpectrumNet must define preparation"),
    "a file that does not import": (
        "ts_file.py",
        "import math",
        "import no_such_library",
        "format 'ts_file' of headst",
    ),
    "a kind that cannot move": ("shift.py", "", SHIFT, "cannot move targets of kind 'censored times' ('lifetime')"),
}


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with engines, and `headstart_series` installed beside it, for this test alone."""
    package = Path(shutil.copytree(EXTERNAL / "src" / "headstart_series", tmp_path / "site" / "headstart_series"))
    project = tomllib.loads((EXTERNAL / "pyproject.toml").read_text())["project"]
    points = {**project["entry-points"], "headstart.augmentations": {"shift": "headstart_series.shift:Shift"}}
    information = package.parent / "headstart_series-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: headstart-series\nVersion: 1.0\n")
    lines = [f"[{group}]\n" + "\n".join(f"{k} = {v}" for k, v in found.items()) for group, found in points.items()]
    (information / "entry_points.txt").write_text("\n".join(lines))
    (package / "shift.py").write_text("")
    (tmp_path / "engines.ts").write_text(engines("engines", 60, labelled=True))
    monkeypatch.syspath_prepend(str(package.parent))
    monkeypatch.chdir(tmp_path)
    with found_anew("headstart_series*"):
        yield package


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_plugin_is_refused_by_name(work: Path, capsys: pytest.CaptureFixture[str], fault: str) -> None:
    file, old, new, reason = BROKEN[fault]
    text = (work / file).read_text()
    assert old in text
    (work / file).write_text(text.replace(old, new) if old else new)
    importlib.invalidate_caches()
    with pytest.raises(SystemExit) as ended:
        app([*FIT.split(), *("--augmentation shift --tuning full".split() if file == "shift.py" else ())])
    said = capsys.readouterr().err.strip().splitlines()
    assert ended.value.code == 2 and said[-1].startswith("Error: ") and reason in said[-1]
