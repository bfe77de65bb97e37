"""Memo: answers that took time, kept in one SQLite file of the cache folder and shared between processes.

Losing it costs time, never correctness: on a read-only disk, a damaged file or a lock that does not clear it forgets.
A file that outgrows its share of the room for features forgets the older half of its answers.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from headstart.engine.store.size_limit import limit_in_force
from headstart.kernel.folders import cache_folder

SHARE, LEAST = 0.1, 100_000_000
"""A file holds at most so great a share of what the store of features may, or so many bytes where that is less."""

_AT_ONCE = 500
_PATIENCE_S = 5.0
_ATTEMPTS, _PAUSE_S = 4, 0.05


class DiskCache:
    """Bytes by key. The name should change whenever the meaning of the values does."""

    def __init__(self, name: str) -> None:
        """The memo `name` in the cache folder; nothing is opened yet."""
        self.path: Path = cache_folder() / "memo" / f"{name}.sqlite"

    def get(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """The values of those keys that are known."""
        found: dict[bytes, bytes] = {}
        if not self.path.exists():
            return found
        try:
            with self._open() as database:
                for start in range(0, len(keys), _AT_ONCE):
                    some = keys[start : start + _AT_ONCE]
                    marks = ",".join("?" * len(some))
                    found.update(database.execute(f"SELECT key, value FROM memo WHERE key IN ({marks})", some))
        except (sqlite3.Error, OSError):
            return {}
        return found

    def put(self, values: Mapping[bytes, bytes]) -> None:
        """Keep these; an older value of a key is replaced."""
        if not values:
            return
        damaged = False
        for _ in range(_ATTEMPTS):
            try:
                return self._write(values)
            except sqlite3.OperationalError:  # locked, full or read-only: nothing is wrong with the file
                damaged = False
            except sqlite3.DatabaseError:  # no database; or another process is making it one just now
                damaged = True
            except OSError:
                return
            time.sleep(_PAUSE_S)
        if damaged:
            self._start_anew(values)

    def _write(self, values: Mapping[bytes, bytes]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._open() as database, database:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("CREATE TABLE IF NOT EXISTS memo (key BLOB PRIMARY KEY, value BLOB)")
            database.executemany("INSERT OR REPLACE INTO memo VALUES (?, ?)", values.items())
            used = _used(database)
            if used > LEAST and used > SHARE * limit_in_force(cache_folder() / "features", 0).bytes:
                _halve(database)

    def _start_anew(self, values: Mapping[bytes, bytes]) -> None:
        """Replace a file that is not a database."""
        try:
            for suffix in ("", "-wal", "-shm"):
                self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
            self._write(values)
        except (sqlite3.Error, OSError):
            return

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.path, timeout=_PATIENCE_S)) as database:
            database.execute("PRAGMA synchronous=NORMAL")
            yield database


def _used(database: sqlite3.Connection) -> int:
    """Bytes of the pages that hold something; a file keeps the others for what comes."""
    pages, free, size = (
        database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def _halve(database: sqlite3.Connection) -> None:
    """Forget what was put before the rest."""
    database.execute("DELETE FROM memo WHERE rowid < (SELECT (min(rowid) + max(rowid)) / 2 FROM memo)")
