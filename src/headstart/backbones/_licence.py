"""Licence of pretrained weights, as the files beside them state it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headstart.contracts.backbone import UNKNOWN_LICENCE
from headstart.kernel.errors import HeadstartError
from headstart.kernel.files import read_json
from headstart.kernel.regular import read_regular

_FRONT_MATTER = re.compile(r"\A---[ \t]*\r?\n(.*?)^---", re.MULTILINE | re.DOTALL)
_ENTRY = r"^{}:[ \t]*(?:\r?\n[ \t]*-)?[ \t]*['\"]?([\w.+ -]{{1,64}})"


def stated_licence(values: Mapping[str, Any]) -> str:
    """Return the entry `license` of timm's description of weights, 'unknown' without one."""
    stated = values.get("license")
    return stated.strip() if isinstance(stated, str) and re.fullmatch(r"[\w.+ -]{1,64}", stated) else UNKNOWN_LICENCE


def licence_beside(folder: Path) -> str:
    """Return the licence that config.json or the model card README.md of a folder states, 'unknown' without one."""
    try:
        config = read_json(folder / "config.json")
        configuration = config.get("pretrained_cfg") or config
        stated = stated_licence(configuration)
    except (HeadstartError, OSError, ValueError, AttributeError):
        stated = UNKNOWN_LICENCE
    return _of_card(folder / "README.md") if stated == UNKNOWN_LICENCE else stated


def _of_card(card: Path) -> str:
    """Return `license` of a model card's front matter, or `license_name` where the licence is 'other'."""
    try:
        text = read_regular(card).decode("utf-8", errors="replace")
    except OSError:
        return UNKNOWN_LICENCE
    front = _FRONT_MATTER.search(text)
    if front is None:
        return UNKNOWN_LICENCE
    stated = _entry("license", front[1])
    return _entry("license_name", front[1]) or stated if stated == "other" else stated or UNKNOWN_LICENCE


def _entry(key: str, front: str) -> str:
    found = re.search(_ENTRY.format(key), front, re.MULTILINE)
    return found[1].strip() if found else ""
