"""Runs on a hub: which of their files travel, and how they come back."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from headstart.kernel.errors import RunError, first_line

HUB = "hf://"
SENT = ("README.md", "model/**", "record.json", "metrics.json", "plan.toml")
"""Files of a run that are uploaded; its report, split, predictions and kept features speak of single examples."""


def fetched(address: str) -> Path:
    """The folder of a run on a hub, 'hf://user/name' or 'hf://user/name@revision', downloaded once. Raises RunError."""
    name, _, revision = address.removeprefix(HUB).partition("@")
    hub = import_module("huggingface_hub")
    try:
        return Path(hub.snapshot_download(name, revision=revision or None, allow_patterns=list(SENT)))
    except Exception as error:  # the library's errors have many bases
        raise RunError(f"{address} cannot be fetched: {first_line(error)}") from error
