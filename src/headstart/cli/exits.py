"""The end of a command: one answer on standard output, or one message on standard error and a documented exit code."""

from __future__ import annotations

import errno
import functools
import json
import math
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.kernel import errors
from headstart.kernel.terminal_text import printable

UNEXPECTED = 70
INTERRUPTED = 130
NO_READER = 141

EXIT_CODES: dict[int, str] = {
    0: "It worked.",
    1: "An error outside Headstart, such as a folder that cannot be written.",
    **{
        kind.exit_code: (kind.__doc__ or "").strip()
        for kind in (
            errors.SettingsError,
            errors.DataError,
            errors.BackboneError,
            errors.RunError,
            errors.StoreError,
            errors.TrainingError,
        )
    },
    UNEXPECTED: "An internal error; the message says where the traceback is.",
    INTERRUPTED: "Interrupted; run the same command again to resume.",
    NO_READER: "Broken pipe: standard output was closed.",
}
"""Exit code -> what it means; the README and `headstart --help` show the same."""


@dataclass(frozen=True)
class Answer:
    """The result of a command, in the two forms in which it can be printed."""

    document: Callable[[], Any]
    """For `--json`: plain values."""
    text: Callable[[], None]
    """Prints it for people."""


def guarded(command: Callable[..., Answer]) -> Callable[..., None]:
    """The command with its answer printed and every way of failing made a message and an exit code.

    Whatever is printed while the command works goes to standard error, so that standard output holds the answer alone.
    """

    @functools.wraps(command)
    def run(*arguments: Any, as_json: bool = False, **options: Any) -> None:
        try:
            with redirect_stdout(sys.stderr):
                answer = command(*arguments, as_json=as_json, **options)
            with answering():
                if as_json:
                    print(json.dumps(_finite(answer.document()), indent=1, ensure_ascii=False, default=str))
                else:
                    answer.text()
                sys.stdout.flush()
        except (Exception, KeyboardInterrupt) as error:
            sys.exit(_tell(error))

    return run


@contextmanager
def answering() -> Iterator[None]:
    """Write to standard output: where it cannot be written, the command ends by a documented exit code."""
    try:
        yield
    except OSError as error:
        _silence(sys.stdout)
        if not isinstance(error, BrokenPipeError):
            _say(f"Error: standard output cannot be written: {error.strerror or error}")
        unheard = error.errno in (errno.EPIPE, errno.EBADF)
        sys.exit(NO_READER if unheard else errors.HeadstartError.exit_code)


def _silence(stream: Any) -> None:
    """Let a stream lead nowhere, else Python complains at its own last flush."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _say(text: str) -> None:
    """A message on standard error, where that takes any."""
    with suppress(OSError):
        print(text, file=sys.stderr)


def _tell(error: BaseException) -> int:
    """Say on standard error what happened; the exit code."""
    if isinstance(error, BrokenPipeError):  # also where standard error goes through the same pipe
        _silence(sys.stdout)
        _silence(sys.stderr)
        return NO_READER
    debug = bool(os.environ.get("HEADSTART_DEBUG"))
    if debug:
        traceback.print_exception(error)
    if isinstance(error, KeyboardInterrupt):
        _say("\nStopped. Finished work is kept; run the same command again to resume.")
        return INTERRUPTED
    if isinstance(error, errors.HeadstartError):
        _say(f"Error: {printable(str(error))}")
        return error.exit_code
    if isinstance(error, MemoryError):
        _say(f"Error: Out of memory. {printable(str(error))}".rstrip())
        return errors.HeadstartError.exit_code
    where = "" if debug else f"\n{_keep_traceback(error)}"
    _say(f"Internal error: {type(error).__name__}: {printable(str(error))}{where}")
    return UNEXPECTED


def _keep_traceback(error: BaseException) -> str:
    """Write the traceback to a file; a sentence that says where it lies."""
    try:
        with tempfile.NamedTemporaryFile("w", prefix="headstart-", suffix=".txt", delete=False) as file:
            traceback.print_exception(error, file=file)
        return f"The traceback is in {Path(file.name)}; set HEADSTART_DEBUG=1 to print it."
    except OSError:
        return "Set HEADSTART_DEBUG=1 to print the traceback."


def _finite(value: Any) -> Any:
    """The same value with null for every number that JSON cannot write."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value
