"""Where Headstart keeps what it can make again."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """`HEADSTART_CACHE`, else `XDG_CACHE_HOME/headstart`, else `~/.cache/headstart`."""
    given = os.environ.get("HEADSTART_CACHE")
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "headstart"
