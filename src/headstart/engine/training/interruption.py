"""Ctrl-C held back until the work is at a point from which it can go on; a second Ctrl-C is not held back."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass
class Interruption:
    """The user's request to stop."""

    asked: bool = False


@contextmanager
def held_back() -> Iterator[Interruption]:
    """Ctrl-C inside the block sets `asked` and nothing else; whoever runs the block looks and stops.

    Where Python does not deliver Ctrl-C as usual (another thread, a handler of the program's own) nothing changes.
    """
    found = Interruption()

    def note(number: int, frame: Any) -> None:
        if found.asked:
            signal.default_int_handler(number, frame)
        found.asked = True

    usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not usual or threading.current_thread() is not threading.main_thread():
        yield found
        return
    signal.signal(signal.SIGINT, note)
    try:
        yield found
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
