"""What the plans of every verb share: a file of TOML, paths in it that hold anywhere, and faults told all at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import tomli_w

from headstart.kernel.documents import parse_toml
from headstart.kernel.errors import SettingsError
from headstart.kernel.files import write_atomic
from headstart.kernel.regular import read_regular
from headstart.kernel.settings import Settings
from headstart.kernel.user_settings import build
from headstart.pipeline.record import Decision

P = TypeVar("P", bound=Settings)

WORDS = ("auto", "pretrained", "random")
"""What may stand where a path may, and is none."""


def write_plan(path: Path, plan: Settings, decisions: tuple[Decision, ...]) -> None:
    """Write the plan, what auto chose beside it with its reasons."""
    content = _without_none(plan.model_dump(mode="json"))
    content["decisions"] = [decision.model_dump() for decision in decisions]
    write_atomic(path, tomli_w.dumps(content).encode())


def read_toml(path: Path, fault: str) -> dict[str, Any]:
    """What a file says. Raises SettingsError: the path and, in words, the `fault` where it is no TOML."""
    try:
        return parse_toml(read_regular(path).decode())
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path} {fault}: {error}") from error


def read_content(path: Path) -> dict[str, Any]:
    """What the file of a plan says, without what auto chose. Raises SettingsError where it is no TOML."""
    content = read_toml(path, "cannot be read as a plan")
    content.pop("decisions", None)
    return content


def plan_of(kind: type[P], content: Mapping[str, Any], path: Path, newest: int) -> P:
    """The plan that the file in `path` says.

    Raises:
        SettingsError: it has a format newer than `newest`, or faults, all at once.
    """
    number = content.get("format_number")
    if isinstance(number, int) and number > newest:
        raise SettingsError(
            f"{path} has format {number}; this Headstart reads plans up to {newest}. Please update Headstart."
        )
    return build(kind, content, where=path.name)


def anchored(plan: P, fields: Iterable[str]) -> P:
    """The same plan with the paths in some fields from the root, so that it can be repeated from any folder."""
    given = {name: getattr(plan, name) for name in fields}
    paths = {name: Path(value).expanduser() for name, value in given.items() if value and value not in WORDS}
    return plan.model_copy(update={name: str(path.resolve()) for name, path in paths.items() if path.exists()})


def faults_in(looks: Iterable[Callable[[], Any]]) -> list[str]:
    """In words, what is wrong where looking at something raises SettingsError."""
    faults = []
    for look in looks:
        try:
            look()
        except SettingsError as error:
            faults.append(str(error))
    return faults


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    """TOML has no null: a missing key means the default."""
    return {
        key: _without_none(value) if isinstance(value, dict) else value
        for key, value in values.items()
        if value is not None
    }
