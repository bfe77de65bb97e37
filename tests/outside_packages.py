"""Packages outside, installed as pip installs them, into a folder of their own."""

from __future__ import annotations

import fnmatch
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headstart.contracts.modality import modality_named
from headstart.kernel import registry

EXTERNAL = Path(__file__).parent / "external_plugin"
SOURCE = Path(__file__).parent.parent / "src"
SECONDS = 300


def install(package: Path, folder: Path) -> Path:
    """Install a package by pip, without a network, into `folder/site`; return that."""
    copy = Path(shutil.copytree(package, folder / "package"))  # building leaves files beside the source
    flags = ("--quiet", "--disable-pip-version-check", "--no-index", "--no-deps", "--no-build-isolation")
    line = [sys.executable, "-m", "pip", "install", *flags, "--target", str(folder / "site"), str(copy)]
    subprocess.run(line, check=True, timeout=SECONDS)
    return folder / "site"


def python(site: Path, work: Path, *arguments: object, **variables: object) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder with the installed packages, and with more environment variables."""
    path = os.pathsep.join(map(str, (site, SOURCE)))
    environment = {**os.environ, "PYTHONPATH": path, **{name: str(value) for name, value in variables.items()}}
    line = [sys.executable, *map(str, arguments)]
    return subprocess.run(line, env=environment, cwd=work, capture_output=True, text=True, timeout=SECONDS)


@contextmanager
def found_anew(modules: str) -> Iterator[None]:
    """Look plug-ins up afresh within it and after it; modules whose names match the pattern are dropped at its end."""
    caches = (registry.outside, registry.plugin, modality_named)
    for cached in caches:
        cached.cache_clear()
    yield
    for cached in caches:
        cached.cache_clear()
    for name in fnmatch.filter(list(sys.modules), modules):
        del sys.modules[name]
