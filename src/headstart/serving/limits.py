"""Limits of a service: what a request may send, and how long it may take."""

from __future__ import annotations

from headstart.kernel.errors import DataError
from headstart.kernel.settings import Settings


class Limits(Settings):
    """Limits of one request."""

    megabytes: float = 20.0
    """Of a body."""
    pixels: int = 50_000_000
    """Of a picture, before it is decoded."""
    seconds: float = 30.0
    """For the body to come, and again for the answer."""
    inputs: int = 256
    """In one request."""
    waiting: int = 512
    """Inputs that wait; more are refused with status 503."""


class TooMuch(DataError):
    """A request beyond the limits."""

    status = 413


class Busy(DataError):
    """A service that has too much to do."""

    status = 503
