"""Plug-ins are found by file name, and from packages outside through entry points."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from headstart.kernel import registry
from headstart.kernel.errors import SettingsError
from outside_packages import found_anew

Install = Callable[[str, str, str], None]
HEADER = "from headstart.contracts.{0} import *\nfrom headstart.kernel.settings import Settings\n"
COINS = "    coins: int = 3\n    '''How many; >= 0.'''\n"


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs packages: each is a module, its text, and its entry points."""

    def installed(name: str, text: str, points: str) -> None:
        (tmp_path / f"{name}_package.py").write_text(text)
        information = tmp_path / f"{name}-1.dist-info"
        information.mkdir()
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
        (information / "entry_points.txt").write_text(points)
        importlib.invalidate_caches()

    monkeypatch.syspath_prepend(str(tmp_path))
    with found_anew("*_package"):
        yield installed


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


def test_a_package_outside_joins_through_an_entry_point(install: Install) -> None:
    text = "from headstart.contracts.tuning import Tuning\nclass Frugal(Tuning):\n" + COINS
    install("frugal", text, "[headstart.tuning]\nfrugal = frugal_package:Frugal\nmodule = frugal_package\n")
    assert "frugal" in registry.names("tuning")
    assert registry.module_name("tuning", "frugal") == "frugal_package"
    assert registry.plugin("tuning", "frugal")().coins == 3
    assert registry.plugin("tuning", "module") is registry.plugin("tuning", "frugal")


@pytest.mark.parametrize(
    ("family", "point", "text", "reason"),
    [
        ("tuning", ":Odd", "import no_such_library", "ModuleNotFoundError: No module named 'no_such_library'"),
        ("tuning", ":Odd", "class Odd(", "SyntaxError: '(' was never closed"),
        ("tuning", ":Odd", "", "AttributeError: module 'odd_package' has no attribute 'Odd'"),
        ("tuning", ":Odd", "class Odd:\n    pass", "Odd is not a Settings class"),
        ("tuning", ":Odd", "def Odd():\n    pass", "Odd is not a Settings class"),
        ("tuning", "", "", "odd_package must define exactly one Settings class, not 0"),
        ("tuning", "", "class A(Tuning): pass\nclass B(Tuning): pass", "exactly one Settings class, not 2 (A, B)"),
        (
            "tuning",
            ":Odd",
            "class Odd(Settings): pass",
            "Odd lacks advice, cut_at, cut_by_layers, first_stage, rates, retrieves, solved, start; see",
        ),
        (
            "modality",
            ":Odd",
            "class Odd(PlainModality):\n    def raws(self, table, schema): return []",
            "Odd lacks key; see headstart.contracts.modality",
        ),
        ("task", ":Odd", "class Odd(Settings): pass", "Odd lacks bind, restore, split_policy, suits; see"),
        (
            "metric",
            ":Odd",
            "Metric('pace', ' ', True, min, max)\nclass Odd(Settings): pass",
            "The metric 'pace' has no title",
        ),
    ],
)
def test_what_breaks_its_contract_is_refused_by_name(
    install: Install, family: str, point: str, text: str, reason: str
) -> None:
    folder = {"modality": "modalities", "task": "tasks", "metric": "tasks"}.get(family, family)
    install("odd", HEADER.format(family) + text + "\n", f"[headstart.{folder}]\nodd = odd_package{point}\n")
    with pytest.raises(SettingsError) as raised:
        registry.plugin(folder, "odd")
    assert str(raised.value).startswith(f"{registry.FAMILY_NOUN[folder]} 'odd' of odd 1 cannot be loaded: ")
    assert reason in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize(("name", "owners"), [("full", "Headstart and one 1"), ("thrift", "one 1 and two 1")])
def test_a_name_that_clashes_is_refused(install: Install, name: str, owners: str) -> None:
    text = HEADER.format("tuning") + "class Thrift(Tuning): pass\n"
    for package in ("one", "two")[: owners.count("1")]:
        install(package, text, f"[headstart.tuning]\n{name} = {package}_package:Thrift\n")
    assert registry.names("tuning").count(name) == 1
    with pytest.raises(SettingsError) as raised:
        registry.plugin("tuning", name)
    both = set(owners.split(" and "))
    assert all(owner in str(raised.value) for owner in both)
    assert f"each have a tuning '{name}'. Uninstall or rename one of them." in str(raised.value)


def test_every_family_is_a_folder_of_the_package() -> None:
    assert all((registry.PACKAGE / family / "__init__.py").exists() for family in registry.FAMILY_NOUN)
