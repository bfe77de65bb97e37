"""The command `headstart doctor`: what this installation has, can use and keeps."""

from __future__ import annotations

from headstart.cli.exits import Answer
from headstart.cli.options import Json


def doctor(as_json: Json = False) -> Answer:  # noqa: ARG001
    """Show versions, runners, threads, extras, licences and the cache, for a bug report.

    \b
    headstart doctor
    """
    from headstart.cli.checkup_printing import print_checkup
    from headstart.verbs.doctor import doctor as examine

    found = examine()
    return Answer(lambda: found.model_dump(mode="json"), lambda: print_checkup(found))
