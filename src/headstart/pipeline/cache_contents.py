"""Cache: what the cache folder holds, as `cache` returns it and `--json` prints it."""

from __future__ import annotations

from headstart.engine.store.size_limit import Origin
from headstart.kernel.settings import Settings


class Stored(Settings):
    """The entries of one frozen pass."""

    backbone: str
    """Its name; empty where the description cannot be read."""
    purpose: str
    """What is stored, in words."""
    examples: int
    bytes: int
    last_used: float
    """Seconds since 1970."""
    runner: str
    precision: str
    damaged: int
    """Files that are damaged; what they held is computed again when it is wanted."""
    folder: str


class Part(Settings):
    """Another folder of the cache."""

    name: str
    purpose: str
    """What it holds, in words."""
    bytes: int


class Cache(Settings):
    """What the cache folder holds."""

    folder: str
    bytes: int
    """All of it."""
    features: int
    """Bytes of stored features, to which the limit applies."""
    limit: int
    """Bytes of features at most; 0 where none are stored."""
    limit_origin: Origin
    """Who set the limit: 'environment' (`HEADSTART_CACHE_LIMIT`), 'kept' (an earlier `limit`), or 'default'."""
    stored: tuple[Stored, ...] = ()
    """Last used first."""
    parts: tuple[Part, ...] = ()
    """Files of the cache that are not features."""
    foreign: tuple[str, ...] = ()
    """What is not Headstart's and is left alone: paths within the folder."""
    freed: int | None = None
    """Bytes that `clear` or `limit` has freed."""
    notes: tuple[str, ...] = ()
    """What a user must know beside it."""
