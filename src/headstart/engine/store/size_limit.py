"""Size limit of the feature store: the environment decides, else a limit kept in its folder, else a default."""

from __future__ import annotations

import os
import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Literal, NamedTuple

from headstart.kernel.errors import HeadstartError, SettingsError
from headstart.kernel.files import delete, read_json, write_json

VARIABLE = "HEADSTART_CACHE_LIMIT"
KEPT = "limit.json"
"""In the store's folder: {"bytes": the limit that holds unless the environment has one}."""

GREATEST_DEFAULT = 20_000_000_000
SHARE_OF_FREE = 0.1
UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}

Origin = Literal["caller", "environment", "kept", "default"]
"""Who set a limit."""


class Limit(NamedTuple):
    """A limit in force."""

    bytes: int
    origin: Origin


def limit_in_force(root: Path, held: int) -> Limit:
    """The limit of the store in `root`, which holds so many bytes now.

    `HEADSTART_CACHE_LIMIT`, else the one kept by `keep_limit`, else a tenth of what is free, at most 20 GB.

    Raises:
        SettingsError: `HEADSTART_CACHE_LIMIT` is not a size.
    """
    given = os.environ.get(VARIABLE)
    if given:
        try:
            return Limit(parse_size(given), "environment")
        except SettingsError as error:
            raise SettingsError(f"{VARIABLE}: {error}") from error
    with suppress(HeadstartError, OSError, KeyError, TypeError, ValueError):  # as good as not kept
        return Limit(int(read_json(root / KEPT)["bytes"]), "kept")
    existing = next(folder for folder in (root.absolute(), *root.absolute().parents) if folder.exists())
    room = shutil.disk_usage(existing).free + held
    return Limit(max(1, min(GREATEST_DEFAULT, int(room * SHARE_OF_FREE))), "default")  # 0 would ask for no store at all


def keep_limit(root: Path, size: int) -> None:
    """Keep a limit, in bytes, for every later use of the store in `root`. Raises HeadstartError."""
    write_json(root / KEPT, {"bytes": size})


def forget_limit(root: Path) -> None:
    """Go back to the default. Raises HeadstartError."""
    delete(root / KEPT)


def parse_size(text: str) -> int:
    """'5GB' -> 5,000,000,000 bytes; B, KB, MB, GB and TB are powers of 1000. Raises SettingsError."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?B?)\s*", text.upper())
    if match is None or match[2] not in UNITS:
        raise SettingsError(f"'{text}' is not a size. Give a number and a unit: B, KB, MB, GB or TB, for example 5GB.")
    return int(float(match[1]) * UNITS[match[2]])
