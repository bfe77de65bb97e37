"""doctor: what this installation has, can use and keeps; for bug reports and for a first look at a new machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution, metadata, version

import torch
from packaging.markers import Marker
from packaging.requirements import Requirement

from headstart.engine.device import machine, pick_device, versions
from headstart.kernel import registry
from headstart.kernel.errors import HeadstartError, first_line
from headstart.kernel.settings import Settings
from headstart.verbs.cache import cache

PRIVATE = "Nothing was sent anywhere. Other commands fetch the weights that you name; there is no telemetry."


class Checkup(Settings):
    """The state of an installation."""

    headstart: str
    """Version."""
    machine: dict[str, str]
    device: str
    """Where tensors run; '' where the one that is asked for cannot be used."""
    threads: int
    """PyTorch's on the processor."""
    runners: dict[str, str]
    """Runner -> the precisions that it offers here, or why it cannot run."""
    versions: dict[str, str]
    """Library -> version."""
    licences: dict[str, str]
    """Library -> licence, as it states it."""
    extras: dict[str, bool]
    """Extra -> whether all that it asks for is installed."""
    cache: str
    """Folder."""
    cached: int
    """Bytes in it."""
    offline: bool
    """Whether the Hugging Face hub is switched off by HF_HUB_OFFLINE."""
    faults: tuple[str, ...] = ()
    """What will not work, and why."""
    privacy: str = PRIVATE


def doctor() -> Checkup:
    """Look at the installation; nothing is downloaded, written or sent."""
    faults, device, named = [], torch.device("cpu"), ""
    try:
        device = pick_device()
        named = str(device)
    except HeadstartError as error:
        faults.append(first_line(error))
    found = versions()
    try:
        kept = cache()
        folder, size = kept.folder, kept.bytes
    except HeadstartError as error:
        faults.append(first_line(error))
        folder, size = "", 0
    return Checkup(
        headstart=found.get("headstart", ""),
        machine=machine(),
        device=named,
        threads=torch.get_num_threads(),
        runners={name: _offered(name, device) for name in registry.names("runners")},
        versions=found,
        licences={name: _licence(name) for name in found},
        extras=dict(_extras()),
        cache=str(folder),
        cached=size,
        offline=os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on"),
        faults=tuple(faults),
    )


def _offered(name: str, device: torch.device) -> str:
    variants = registry.plugin("runners", name).variants(device)
    return ", ".join(dict.fromkeys(one.precision for one in variants)) or "cannot run here"


def _licence(name: str) -> str:
    """The licence that a distribution states in a line; the first of its classifiers where it holds the whole text."""
    stated = metadata(name).json
    short = str(stated.get("license_expression") or stated.get("license") or "")
    classified = [line.rpartition(" :: ")[2] for line in stated.get("classifier", ()) if line.startswith("License")]
    return short if 0 < len(short) <= 60 and "\n" not in short else (classified or ["not stated"])[0]


def _extras() -> Iterator[tuple[str, bool]]:
    """Each extra of the distribution that users install, and whether it is complete."""
    try:
        own = distribution("headstart")
    except PackageNotFoundError:
        return
    wanted = [Requirement(text) for text in own.requires or ()]
    for extra in own.metadata.get_all("Provides-Extra", []):
        asked = [one.name for one in wanted if (mark := one.marker) and _only_of(mark, extra)]
        yield extra, all(_installed(name) for name in asked)


def _only_of(marker: Marker, extra: str) -> bool:
    return marker.evaluate({"extra": extra}) and not marker.evaluate({"extra": ""})


def _installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True
