"""Where the real data of the benchmarks lie: the folder that HEADSTART_TEST_DATA names."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def data_folder() -> Path:
    """The folder with data/ and weights/.

    Raises:
        SystemExit: the variable is not set or names no folder.
    """
    given = os.environ.get("HEADSTART_TEST_DATA")
    if not given or not (Path(given) / "data").is_dir():
        raise SystemExit(
            "this benchmark needs real data: set HEADSTART_TEST_DATA to the folder that holds data/ and weights/"
        )
    return Path(given)


@contextmanager
def own_cache() -> Iterator[Path]:
    """An empty cache folder for as long as the block runs."""
    before = os.environ.get("HEADSTART_CACHE")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HEADSTART_CACHE"] = folder
        try:
            yield Path(folder)
        finally:
            os.environ.pop("HEADSTART_CACHE")
            if before is not None:
                os.environ["HEADSTART_CACHE"] = before
