"""The command that repeats a run."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path


def command(verb: str, folder: Path, data: str) -> str:
    """The command line as it was given, or what repeats a `verb` called from Python on `data`, as a plan names them."""
    if Path(sys.argv[0]).name in ("headstart", "__main__.py"):
        return shlex.join(["headstart", *sys.argv[1:]])
    if data.startswith("<"):
        return f"headstart.{verb}({data}, ...)"
    return shlex.join(["headstart", verb, str(folder / "plan.toml")])
