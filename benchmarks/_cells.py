"""Measured cells in a file, so that an interrupted benchmark goes on: each is made once, in a process of its own.

With each stands the version of the code that made it, as a run that goes on after a change mixes them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

from benchmarks._harness import CELLS, CODE, FOLDER, code_version

CORES = 2
IN_USE = Lock()
"""Held by the thread that reads or writes the cells."""


def cell(benchmark: str, module: str, arguments: Sequence[str], cores: int = CORES) -> dict[str, Any]:
    """What `python -m MODULE ARGUMENTS` prints as JSON, from the benchmark's cells where it was made before.

    Its version of the code is under 'code'.
    """
    path, name = CELLS / f"{benchmark}.json", "/".join(arguments)
    with IN_USE:
        found = _known(path).get(name)
    if found is None:
        print(name, file=sys.stderr)
        made_by = code_version()
        environment = {**os.environ, "OMP_NUM_THREADS": str(cores), "HF_HUB_OFFLINE": "1"}
        command = [sys.executable, "-m", module, *arguments]
        done = subprocess.run(
            command, cwd=FOLDER.parent, env=environment, stdout=subprocess.PIPE, text=True, check=True
        )
        found = {**json.loads(done.stdout), CODE: made_by}
        with IN_USE:
            path.parent.mkdir(parents=True, exist_ok=True)
            known = {**_known(path), name: found}
            path.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return dict(found)


def cells(benchmark: str, module: str, arguments: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
    """The same for many, as many at once as there are cores, each with one: for what no speed is measured of."""
    with ThreadPoolExecutor(CORES) as pool:
        return list(pool.map(partial(cell, benchmark, module, cores=1), arguments))


def _known(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}
