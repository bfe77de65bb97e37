"""One cell of the speed of fine-tuning, in a process of its own: a way on a case and a data set.

python -m benchmarks._tuning_cell CASE DATA WAY QUICK
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks._tuning_cases import CASES, pictures
from benchmarks._tuning_rivals import RIVALS

ROUNDS = 2
"""As often each way is timed: Headstart by whole fits, a rival by halves of its epochs."""
MORE_ROUNDS = 8
"""Of Headstart's head alone, which takes little more than a second."""


def tuned(name: str, data: str, candidate: str, *, quick: bool) -> dict[str, Any]:
    """Seconds of the way, and which of the judged pictures it has right, as a text of 0 and 1."""
    case = replace(CASES[name], train=32, val=16, epochs=2) if quick else CASES[name]
    seen = pictures(data, case)
    sizes = {part: len(paths) for part, paths in seen.paths.items()}
    if not candidate.startswith("ours"):
        found = RIVALS[candidate](case, seen)
        return {
            "seconds": _by_rounds(found.epochs),
            "epochs": found.epochs,
            "right": _right(found.predicted, seen),
            "pictures": sizes,
        }
    # not for rivals: Headstart sets the allocator of its process
    from benchmarks._tuning_ours import bound, ours

    rounds = 1 if quick else ROUNDS if case.moving else MORE_ROUNDS
    did = ours(case, seen, rounds, alone=candidate.endswith("1"))
    fits = did.pop("fits")
    answer = {"seconds": [fit["seconds"] for fit in fits], "whole": [fit["whole"] for fit in fits]}
    answer["loop"] = [fit["loop"] for fit in fits]
    if "pieces" in did:
        did["bound"] = bound(case, sizes, did["pieces"])
    return {**answer, **did, "right": _right(fits[0]["predicted"], seen), "times": fits[0]["times"], "pictures": sizes}


def _by_rounds(epochs: Sequence[float]) -> list[float]:
    """Seconds of the whole training if all epochs took as long as those of its first half, or of its second."""
    return [float(len(epochs) * np.mean(some)) for some in np.array_split(epochs, ROUNDS)]


def _right(predicted: Any, seen: Any) -> str:
    return "".join("1" if one == label else "0" for one, label in zip(predicted, seen.labels["judged"]))


if __name__ == "__main__":
    *said, hurried = sys.argv[1:]
    with contextlib.redirect_stdout(sys.stderr):
        answer = tuned(*said, quick=hurried == "quick")
    print(json.dumps(answer))
