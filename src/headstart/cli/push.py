"""The command `headstart push`."""

from __future__ import annotations

from typing import Annotated

import typer

from headstart.cli.exits import Answer
from headstart.cli.options import Json, Run, reporter

Name = Annotated[str, typer.Argument(metavar="USER/NAME", help="The repository; made where it is not there.")]
Public = Annotated[bool, typer.Option("--public", help="A new repository is public; private without.")]


def push(run: Run, name: Name, public: Public = False, as_json: Json = False) -> Answer:  # noqa: ARG001
    """Upload a run to the Hugging Face hub, with its model card.

    The report, the split and predictions, which show single examples, stay here.

    \b
    headstart push runs/photos anna/photos
    headstart predict hf://anna/photos new-photos/
    """
    from headstart.verbs.push import push as upload

    address = upload(run, name, private=not public, reporter=reporter())
    return Answer(lambda: {"address": address}, lambda: print(address))
