"""How soon it answers: `headstart --help` and `import headstart` in fresh processes, and whether torch is loaded."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from typing import Any

HELP = [sys.executable, "-m", "headstart", "--help"]
IMPORT = [sys.executable, "-c", "import headstart"]
NOTHING = [sys.executable, "-c", "pass"]
LOADED = "import sys, headstart; from headstart.cli.app import app; print('torch' in sys.modules)"


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:  # noqa: ARG001
    """Medians of whole processes, the interpreter's own start included."""
    times = 5 if quick else 15
    seconds = {"help": _median(HELP, times), "import": _median(IMPORT, times), "interpreter": _median(NOTHING, times)}
    answer = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)
    no_torch = float(answer.stdout.strip() == "False")
    measured: dict[str, float | None] = {
        "startup.help": seconds["help"],
        "startup.import": seconds["import"],
        "startup.no_torch": no_torch,
    }
    return measured, {"seconds": seconds, "runs": times}


def _median(command: list[str], times: int) -> float:
    found = []
    for _ in range(times):
        started = time.perf_counter()
        subprocess.run(command, capture_output=True, check=True)
        found.append(time.perf_counter() - started)
    return statistics.median(found)
