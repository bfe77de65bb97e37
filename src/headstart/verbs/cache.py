"""cache: what Headstart keeps because it can be made again, how large it is, and a way to make it smaller."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ValidationError

from headstart.engine.store.feature_store import Entry, FeatureStore
from headstart.engine.store.size_limit import VARIABLE, forget_limit, keep_limit, parse_size
from headstart.kernel.errors import HeadstartError, SettingsError, StoreError
from headstart.kernel.files import delete
from headstart.kernel.folders import cache_folder
from headstart.pipeline.cache_contents import Cache, Part, Stored
from headstart.pipeline.cache_folders import FEATURES, PARTS, foreign, own, size
from headstart.pipeline.numbers import bytes_text

WHAT = {
    "pooled": "pooled features",
    "tokens": "pooled features and token vectors",
    "maps": "pooled features and maps",
    "features": "all features",
    "state": "the state",
}
"""What a frozen pass keeps -> in words."""


def cache(*, clear: bool = False, limit: str | int | None = None) -> Cache:
    """Show what the cache folder (`HEADSTART_CACHE`) holds, and make it smaller.

    Args:
        clear: delete all that is Headstart's in it, also what a running process may be using, which then has to
            compute it again; a limit that was kept stays.
        limit: a size such as '20GB' (or bytes): evict the features least recently used until the rest take no more,
            and keep that as their limit from now on; 'default' gives up a kept limit. `HEADSTART_CACHE_LIMIT`
            comes before a kept limit. What was used within the last ten minutes, by whatever process, is not evicted.

    Raises:
        SettingsError: `limit` is no size, or is given with `clear`.
        StoreError: the cache is no folder that can be read.
        HeadstartError: something cannot be written or deleted.
    """
    if clear and limit is not None:
        raise SettingsError("--clear and --limit exclude each other: --clear deletes everything. Give one of them.")
    folder = cache_folder()
    _refuse_unreadable(folder)
    store = FeatureStore(folder / FEATURES)
    before = _held(folder, store)
    notes = [] if folder.exists() else [f"{folder} does not exist: nothing has been kept yet."]
    if clear:
        _clear(folder, store, before)
    elif limit is not None:
        notes = _limit(store.root, str(limit))
    freed = before - _held(folder, store) if clear or limit is not None else None
    return _contents(folder, freed, notes)


def _refuse_unreadable(folder: Path) -> None:
    try:
        with suppress(FileNotFoundError):
            os.listdir(folder)
    except OSError as error:
        reason = f"the cache {folder} cannot be read ({error.strerror}). HEADSTART_CACHE names another folder."
        raise StoreError(reason) from error


def _held(folder: Path, store: FeatureStore) -> int:
    return store.size() + sum(size(path) for part in PARTS for path in own(folder, part))


def _clear(folder: Path, store: FeatureStore, held: int) -> None:
    faults = store.clear()
    for path in (path for part in PARTS for path in own(folder, part)):
        try:
            delete(path)
        except HeadstartError as error:
            faults.append(error)
    for part in (FEATURES, *PARTS):
        with suppress(OSError):  # a folder with something else in it stays
            (folder / part).rmdir()
    if faults:
        freed = f"{bytes_text(held - _held(folder, store))} of {bytes_text(held)}"
        raise HeadstartError(f"{faults[0]}. {freed} were freed.") from faults[0]


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


def _contents(folder: Path, freed: int | None, notes: Sequence[str]) -> Cache:
    store = FeatureStore(folder / FEATURES)
    entries = store.entries()
    sizes = {part: sum(map(size, own(folder, part))) for part in PARTS}
    return Cache(
        folder=str(folder),
        bytes=_held(folder, store),
        features=store.size(),
        limit=store.limit,
        limit_origin=store.limit_origin,
        stored=tuple(_stored(entry) for entry in entries if entry.shards),
        parts=tuple(Part(name=part, purpose=PARTS[part][0], bytes=held) for part, held in sizes.items() if held),
        foreign=tuple(foreign(folder, [entry.folder for entry in entries])),
        freed=freed,
        notes=tuple(notes),
    )


class _Runner(BaseModel):
    plugin: str = ""


class _Key(BaseModel):
    stop: str
    keep: str
    taps: tuple[str, ...] = ()
    runner: _Runner = _Runner()
    precision: str = ""
    view_seed: int | None = None


class _About(BaseModel):
    of: str
    key: _Key


UNKNOWN = _About(of="", key=_Key(stop="", keep=""))


def _stored(entry: Entry) -> Stored:
    try:
        about = _About.model_validate(entry.about)
        purpose = _purpose(about.key)
    except ValidationError:
        about, purpose = UNKNOWN, f"{entry.folder.name}: what it holds cannot be read"
    return Stored(
        backbone=about.of,
        purpose=purpose,
        examples=entry.examples,
        bytes=entry.bytes,
        last_used=entry.last_used,
        runner=about.key.runner.plugin,
        precision=about.key.precision,
        damaged=entry.damaged,
        folder=str(entry.folder),
    )


def _purpose(key: _Key) -> str:
    earlier = {tap.rpartition(".")[0] for tap in key.taps} - {key.stop}
    taps = f", taps at {len(earlier)} earlier {'boundary' if len(earlier) == 1 else 'boundaries'}" if earlier else ""
    view = "" if key.view_seed is None else f", augmented view {key.view_seed}"
    return f"{WHAT.get(key.keep, key.keep)} at {key.stop}{taps}{view}"
