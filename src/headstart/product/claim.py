"""Claiming a run folder: a new one, or the unfinished one of the very same request; never somebody else's."""

from __future__ import annotations

import shutil
from pathlib import Path

from headstart.kernel.errors import HeadstartError, RunError
from headstart.kernel.files import hash_json, read_json, write_json
from headstart.product.plan import Plan
from headstart.product.record import FILE_NAME

REQUEST = "request.json"
"""The file that marks a folder as a run from its first second on."""


def claim(out: Path | None, plan: Plan, *, overwrite: bool) -> tuple[Path, bool]:
    """The folder of the run and whether it resumes one that was stopped.

    Without `out` the name comes from the data, and a number is added until it is free.

    Raises:
        RunError: the folder is a finished or another run, or holds something foreign.
    """
    request = hash_json(plan.model_dump(mode="json"))
    if out is None:
        out = next(folder for folder in _candidates(plan) if _standing(folder, request) in ("free", "resumes"))
    standing = _standing(out, request)
    if standing == "foreign":
        raise RunError(f"{out} holds something that is no run. Give another --out.")
    if standing == "taken" and not overwrite:
        raise RunError(f"{out} holds another run. Give another --out, or --overwrite to replace it.")
    if standing == "taken":
        shutil.rmtree(out)
    write_json(out / REQUEST, {"request": request})
    return out, standing == "resumes"


def _standing(folder: Path, request: str) -> str:
    """'free', 'resumes' (same request, unfinished), 'taken' (a run) or 'foreign'."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return "free"
    if not folder.is_dir() or not (folder / REQUEST).exists():
        return "foreign"
    try:
        same = read_json(folder / REQUEST).get("request") == request
    except HeadstartError:
        same = False
    return "resumes" if same and not (folder / FILE_NAME).exists() else "taken"


def _candidates(plan: Plan) -> list[Path]:
    name = Path(plan.data).stem if not plan.data.startswith("<") else "frame"
    stem = Path("runs") / (name or "run")
    return [stem, *(stem.with_name(f"{stem.name}-{number}") for number in range(2, 10_000))]
