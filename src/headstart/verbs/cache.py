"""cache: show or clear the cache, or limit its size."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from headstart.engine.store.feature_store import FeatureStore
from headstart.engine.store.size_limit import VARIABLE, forget_limit, keep_limit, parse_size
from headstart.kernel.errors import HeadstartError, SettingsError, StoreError
from headstart.kernel.folders import cache_folder
from headstart.pipeline.cache_contents import FEATURES, Cache, contents, delete_all
from headstart.pipeline.numbers import bytes_text


def cache(*, clear: bool = False, limit: str | int | None = None) -> Cache:
    """Show what the cache folder (`HEADSTART_CACHE`) holds, and make it smaller.

    Args:
        clear: delete all that is Headstart's in it, also what a running process may be using, which then has to
            compute it again; a limit that was kept stays.
        limit: a size such as '20GB' (or bytes): evict the features least recently used until the rest take no more,
            and keep that as their limit from now on; 'default' gives up a kept limit. `HEADSTART_CACHE_LIMIT`
            comes before a kept limit. What was used within the last ten minutes, by whatever process, is not evicted.

    Raises:
        SettingsError: `limit` is not a size, or is given with `clear`.
        StoreError: the cache is not a folder that can be read.
        HeadstartError: something cannot be written or deleted.
    """
    if clear and limit is not None:
        raise SettingsError("--clear and --limit exclude each other: --clear deletes everything. Give one of them.")
    folder = cache_folder()
    try:
        with suppress(FileNotFoundError):
            os.listdir(folder)
    except OSError as error:
        reason = f"the cache {folder} cannot be read ({error.strerror}). HEADSTART_CACHE names another folder."
        raise StoreError(reason) from error
    before = contents(folder)
    if clear:
        faults = delete_all(folder)
        after = contents(folder)
        if faults:
            freed = f"{bytes_text(before.bytes - after.bytes)} of {bytes_text(before.bytes)}"
            raise HeadstartError(f"{faults[0]}. {freed} were freed.") from faults[0]
        return after.model_copy(update={"freed": before.bytes - after.bytes})
    if limit is not None:
        notes = _limit(folder / FEATURES, str(limit))
        return contents(folder, before.bytes - contents(folder).bytes, notes)
    missing = f"{folder} does not exist: nothing has been kept yet."
    return before if folder.exists() else before.model_copy(update={"notes": (missing,)})


def _limit(root: Path, text: str) -> list[str]:
    """Keep a limit and evict down to it; what the user must know of the outcome."""
    if text == "default":
        forget_limit(root)
        allowed = FeatureStore(root).limit
    else:
        allowed = parse_size(text)
        keep_limit(root, allowed)
    store = FeatureStore(root, allowed)
    store.evict()
    notes = []
    if store.size() > allowed:
        notes.append(
            f"{bytes_text(store.size())} of features stay: they were used within the last ten minutes, so a process "
            "may be using them. The next run that stores something evicts them, or the same command later."
        )
    if os.environ.get(VARIABLE):
        notes.append(f"{VARIABLE} is set and comes before a limit that is kept.")
    return notes
