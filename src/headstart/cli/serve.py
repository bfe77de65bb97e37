"""The command `headstart serve`."""

from __future__ import annotations

from typing import Annotated

import typer

import headstart
from headstart.cli.exits import Answer
from headstart.cli.options import Run, given, option, reporter

Host = Annotated[str | None, option("--host", "Address to listen on; 127.0.0.1: this machine alone.", "ADDRESS")]
Port = Annotated[int | None, typer.Option("--port", min=0, max=65535, help="8000 by default.", metavar="PORT")]
Megabytes = Annotated[float | None, option("--megabytes", "Greatest size of a body; 20.", "NUMBER")]
Seconds = Annotated[float | None, option("--seconds", "For a body to come, and for an answer; 30.", "NUMBER")]


def serve(
    run: Run,
    host: Host = None,
    port: Port = None,
    megabytes: Megabytes = None,
    seconds: Seconds = None,
    as_json: bool = False,
) -> Answer:
    """Serve a run over HTTP: a page, /predict, the Open Inference Protocol and /metrics.

    \b
    headstart serve runs/photos
    curl --data-binary @new.jpg http://127.0.0.1:8000/predict
    """
    headstart.serve(run, reporter=reporter(), **given(locals()))
    return Answer(dict, lambda: None)
