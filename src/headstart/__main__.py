"""`python -m headstart` and the command `headstart`."""

from __future__ import annotations

import io
import os
import sys

from headstart.cli.app import app
from headstart.cli.exits import answering

STANDARD = {"stdin": ("r", os.O_RDONLY), "stdout": ("w", os.O_RDONLY), "stderr": ("w", os.O_WRONLY)}
"""Stream -> its mode, and how a descriptor is opened in place of a closed one; writing to stdout still fails."""


def main() -> None:
    """Run the command line; exits with a code of `cli/exits.py`."""
    _open_closed()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that lacks a character must not cost the answer
    with answering():
        app(prog_name="headstart")


def _open_closed() -> None:
    """Fill the places of closed standard streams, else the next file that is opened would be taken for one of them."""
    for name, (mode, flags) in STANDARD.items():
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, flags), mode, encoding="utf-8"))


if __name__ == "__main__":
    main()
