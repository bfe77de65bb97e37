"""The errors a user may meet. Each class has its own documented exit code on the command line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class HeadstartError(Exception):
    """Base of every error that Headstart raises on purpose; the text says what was wrong and what to do."""

    exit_code = 1


class SettingsError(HeadstartError, ValueError):
    """A flag, setting or plug-in name is not valid."""

    exit_code = 2


class DataError(HeadstartError, ValueError):
    """The data cannot be used as they are."""

    exit_code = 3


class BackboneError(HeadstartError):
    """A pretrained model cannot be found, read or cut."""

    exit_code = 4


class RunError(HeadstartError):
    """A run folder is foreign, damaged or in the way."""

    exit_code = 5


class StoreError(HeadstartError):
    """The feature store cannot be used."""

    exit_code = 6


class TrainingError(HeadstartError):
    """Training cannot go on: NaN, no memory, nothing that would move. What was judged before is kept as a run."""

    exit_code = 7


def first_line(error: Exception) -> str:
    """Return the first line of an error's message; its class where it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def nearest(name: str, known: Iterable[str], most: int = 3) -> list[str]:
    """The known names most like `name`, best first."""
    known = list(known)
    lower = {k.lower(): k for k in known}
    found = difflib.get_close_matches(name.lower(), list(lower), n=most, cutoff=0.5)
    return [lower[f] for f in found]


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """The sentence for a name that is not known: "objective 'dan' is not known. Did you mean 'dann'?"."""
    known = sorted(known)
    close = nearest(name, known)
    if close:
        hint = "Did you mean " + " or ".join(f"'{c}'" for c in close) + "?"
    elif len(known) <= 20:
        hint = f"Known: {', '.join(known)}."
    else:
        hint = f"None of the {len(known)} known names is similar."
    return f"{kind} '{name}' is not known. {hint}"


def some(names: Sequence[str], most: int = 5) -> str:
    """Return the first of some names, and how many more there are: 'a, b and 3 more'."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
