"""Where Headstart keeps what it can make again."""

from __future__ import annotations

import os
from pathlib import Path

from headstart.kernel.errors import SettingsError


def cache_folder() -> Path:
    """`HEADSTART_CACHE`, else `XDG_CACHE_HOME/headstart`, else `~/.cache/headstart`.

    Raises:
        SettingsError: none of them is given, and the user has no home folder.
    """
    given = os.environ.get("HEADSTART_CACHE")
    if given:
        return Path(given)
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "headstart"
    except RuntimeError as error:
        raise SettingsError("the home folder is unknown. Set HEADSTART_CACHE to a folder for the cache") from error
