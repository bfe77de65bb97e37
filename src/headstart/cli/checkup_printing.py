"""The state of an installation on standard output, for people."""

from __future__ import annotations

from rich.text import Text

from headstart.cli.console import open_console, plain_table
from headstart.pipeline.numbers import bytes_text
from headstart.verbs.doctor import Checkup


def print_checkup(found: Checkup) -> None:
    """Machine, runners, extras and cache, then libraries with their licences."""
    console = open_console()
    about = found.machine
    rows = {
        "Headstart": found.headstart,
        "Python": about["python"],
        "System": about["system"],
        "Processor": f"{about['processor']}, {about['cores']} cores, {about['memory']}",
        "GPUs": about["gpus"] or "none",
        "Device": found.device or "none that can be used",
        "Threads": f"{found.threads} of PyTorch",
        "Cache": f"{found.cache}, {bytes_text(found.cached)}",
        "Hub": "offline (HF_HUB_OFFLINE)" if found.offline else "is asked for models that are not on this machine",
        "Extras": ", ".join(name for name, complete in found.extras.items() if complete) or "none",
        "Not there": ", ".join(name for name, complete in found.extras.items() if not complete) or "nothing",
    }
    for name, value in rows.items():
        console.print(Text(f"{name + ':':11}{value}"), soft_wrap=True)
    for titles, entries in (
        (("runner", "precision"), found.runners.items()),
        (("library", "version", "licence"), [(name, at, found.licences[name]) for name, at in found.versions.items()]),
    ):
        table = plain_table(*titles)
        for entry in entries:
            table.add_row(*entry)
        console.print()
        console.print(table)
    console.print()
    for fault in found.faults:
        console.print(Text(f"warning: {fault}", "bold"), soft_wrap=True)
    console.print(Text(found.privacy), soft_wrap=True)
