"""serve: a run behind HTTP, with a page, until it is stopped."""

from __future__ import annotations

import socket
from importlib import import_module
from pathlib import Path
from typing import Any

from headstart.kernel.errors import SettingsError
from headstart.kernel.progress import Quiet, Reporter
from headstart.pipeline.run_folder import RunFolder, open_run


def serve(
    run: Path | str | RunFolder,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    megabytes: float | None = None,
    seconds: float | None = None,
    reporter: Reporter | None = None,
) -> None:
    """Answer requests until SIGINT or SIGTERM; what has begun is answered first.

    Args:
        run: a run folder.
        host: address to listen on; 127.0.0.1 hears this machine alone.
        port: to listen on; 0 for any free one.
        megabytes: greatest size of a body; 20 without.
        seconds: for a body to come, and again for an answer; 30 without.
        reporter: says where the page is.

    Raises:
        RunError: no finished run. SettingsError: FastAPI or uvicorn are missing, or the port is in use.
    """
    opened, reporter = open_run(run), reporter or Quiet()
    try:
        uvicorn, app = import_module("uvicorn"), import_module("headstart.serving.app")
    except ImportError as error:
        raise SettingsError(f'serving needs FastAPI and uvicorn ({error}): pip install "headstart[serve]"') from error
    service_kind = import_module("headstart.serving.service").Service
    limits = app.limits_of(megabytes, seconds)
    listening = _listening(host, port)
    with listening:
        service = service_kind(opened, limits, reporter)
        config: Any = uvicorn.Config(
            app.app_of(service, limits),
            log_level="warning",
            timeout_graceful_shutdown=max(1, round(limits.seconds)),
            timeout_keep_alive=5,
        )
        address, bound = listening.getsockname()[:2]
        reporter.say(f"{opened.folder} is served on http://{address}:{bound}/. Ctrl-C ends it.")
        uvicorn.Server(config).run(sockets=[listening])


def _listening(host: str, port: int) -> socket.socket:
    """A bound socket. Raises SettingsError where that cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
        found.listen(2048)
    except (OSError, OverflowError) as error:
        found.close()
        reason = getattr(error, "strerror", None) or error
        raise SettingsError(f"{host}:{port} cannot be listened on: {reason}. Give another --port.") from error
    return found
