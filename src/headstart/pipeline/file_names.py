"""Names for files that predictions write beside their table: those of the examples, each once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath


class FileNames:
    """Paths without suffix, below a folder, that no two examples share."""

    def __init__(self) -> None:
        """None is taken yet."""
        self._taken: set[str] = set()

    def of(self, origins: Sequence[str]) -> list[str]:
        """'scans/17' for 'scans/17.jpg'; with the suffix, then with a number, where that is taken."""
        return [self._free(origin) for origin in origins]

    def _free(self, origin: str) -> str:
        path = PurePosixPath(origin.replace("\\", "/"))
        parts = [part for part in path.parts if part not in ("/", "..", ".")] or ["input"]
        stem = str(PurePosixPath(*parts[:-1], PurePosixPath(parts[-1]).stem))
        whole = str(PurePosixPath(*parts)).replace(".", "-")
        numbered = (f"{whole}-{number}" for number in range(2, len(self._taken) + 3))
        name = next(name for name in (stem, whole, *numbered) if name not in self._taken)
        self._taken.add(name)
        return name
