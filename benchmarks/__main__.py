"""`python -m benchmarks NAME` measures, `python -m benchmarks --table` shows what was measured.

QUICK=1 in the environment asks for a short run, FULL=1 for a thorough one.
"""

from __future__ import annotations

import os
import sys

from benchmarks._harness import benchmark_names, measure, table, written_figures


def main(arguments: list[str]) -> int:
    """0 when every figure holds, 1 when one falls short, 2 for a command that cannot be followed."""
    if arguments == ["--table"]:
        print(table(written_figures()))
        return 0
    if len(arguments) != 1 or arguments[0] not in benchmark_names():
        print(f"usage: make bench NAME=({' | '.join(benchmark_names())})", file=sys.stderr)
        return 2
    figures = measure(arguments[0], quick=_wished("QUICK"), full=_wished("FULL"))
    print(table(figures))
    return 0 if all(figure.holds for figure in figures) else 1


def _wished(name: str) -> bool:
    return os.environ.get(name, "0") not in ("", "0")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
