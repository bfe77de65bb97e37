"""`python -m headstart` and the command `headstart`."""

from __future__ import annotations

import io
import sys

from headstart.cli.app import app


def main() -> None:
    """Run the command line; exits with a code of `cli/exits.py`."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that lacks a character must not cost the answer
    app(prog_name="headstart")


if __name__ == "__main__":
    main()
