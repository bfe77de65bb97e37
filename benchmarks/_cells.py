"""Measured cells in a file, so that an interrupted benchmark goes on: each is made once, in a process of its own.

With each stands the version of the code that made it, as a run that goes on after a change mixes them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from benchmarks._harness import CELLS, CODE, FOLDER, code_version

CORES = 2


def cell(benchmark: str, module: str, arguments: Sequence[str]) -> dict[str, Any]:
    """What `python -m MODULE ARGUMENTS` prints as JSON, from the benchmark's cells where it was made before.

    Its version of the code is under 'code'.
    """
    path = CELLS / f"{benchmark}.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    name = "/".join(arguments)
    if name not in known:
        print(name, file=sys.stderr)
        made_by = code_version()
        environment = {**os.environ, "OMP_NUM_THREADS": str(CORES), "HF_HUB_OFFLINE": "1"}
        command = [sys.executable, "-m", module, *arguments]
        done = subprocess.run(
            command, cwd=FOLDER.parent, env=environment, stdout=subprocess.PIPE, text=True, check=True
        )
        known[name] = {**json.loads(done.stdout), CODE: made_by}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return dict(known[name])
