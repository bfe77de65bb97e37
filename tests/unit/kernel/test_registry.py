"""Plug-ins are found by file name, and from packages outside through entry points."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from headstart.kernel import registry
from headstart.kernel.errors import SettingsError


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installed package that brings the tuning `frugal`."""
    (tmp_path / "frugal_package.py").write_text(
        '"""A frugal tuning."""\n'
        "from headstart.kernel.settings import Settings\n\n"
        "class Frugal(Settings):\n    coins: int = 3\n    '''How many; >= 0.'''\n"
    )
    information = tmp_path / "frugal-1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: frugal\nVersion: 1\n")
    (information / "entry_points.txt").write_text("[headstart.tuning]\nfrugal = frugal_package:Frugal\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    caches = (registry._outside, registry.plugin)
    for cached in caches:
        cached.cache_clear()
    yield
    for cached in caches:
        cached.cache_clear()


def test_names_are_the_files_without_parts_and_init() -> None:
    files = {path.stem for path in (registry.PACKAGE / "backbones").glob("*.py")}
    assert any(stem.startswith("_") and stem != "__init__" for stem in files)
    assert registry.names("backbones") == sorted(stem for stem in files if not stem.startswith("_"))


def test_a_plugin_is_the_one_settings_class_of_its_file() -> None:
    full = registry.plugin("tuning", "full")
    assert full.__module__ == "headstart.tuning.full"
    assert registry.name_of(full()) == "full"


def test_an_unknown_plugin_has_its_nearest_name() -> None:
    with pytest.raises(SettingsError, match=r"tuning 'ful' is not known\. Did you mean 'full'\?"):
        registry.plugin("tuning", "ful")


def test_listing_names_imports_no_plugin() -> None:
    program = (
        "import sys\nfrom headstart.kernel import registry\nregistry.names('tuning')\n"
        "print([m for m in sys.modules if m.startswith('headstart.tuning.') or m == 'torch'])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.usefixtures("outside")
def test_a_package_outside_joins_through_an_entry_point() -> None:
    assert "frugal" in registry.names("tuning")
    assert registry.module_name("tuning", "frugal") == "frugal_package"
    assert registry.plugin("tuning", "frugal")().coins == 3


def test_every_family_is_a_folder_of_the_package() -> None:
    assert all((registry.PACKAGE / family / "__init__.py").exists() for family in registry.FAMILY_NOUN)
