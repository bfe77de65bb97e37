"""The group of a file, read from its path by a regular expression."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pyarrow as pa

from headstart.kernel.errors import DataError
from headstart.kernel.spelling import nfc


def groups_of(pattern: str, paths: Sequence[str]) -> tuple[pa.Array, tuple[str, ...]]:
    """The group of each path, the expression's first bracket, or else its whole match; and notes on paths without one.

    Raises:
        DataError: it is not a regular expression, or matches no path.
    """
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise DataError(f"--group {pattern!r} is not a regular expression: {error}") from error
    matches = [expression.search(nfc(path)) for path in paths]
    groups = [match and match.group(1 if expression.groups else 0) for match in matches]
    missing = groups.count(None)
    if missing == len(paths):
        raise DataError(
            f"--group {pattern!r} matches none of the {len(paths)} paths, such as {paths[0]!r}. For a folder of files "
            "it is a regular expression over the path below the folder, for example 'patient(\\d+)'."
        )
    notes = (f"files without a group, as the expression does not match their paths: {missing}",) if missing else ()
    return pa.array(groups, pa.string()), notes
