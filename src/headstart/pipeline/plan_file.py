"""Plans of every verb: shared fields, the TOML file, and repeating a run from it; faults are told all at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

import tomli_w
from pydantic import Field

from headstart.contracts.format import Columns
from headstart.kernel.documents import parse_toml
from headstart.kernel.errors import SettingsError
from headstart.kernel.files import write_atomic
from headstart.kernel.regular import read_regular
from headstart.kernel.settings import Settings
from headstart.kernel.user_settings import build
from headstart.pipeline.record import Decision

FORMAT_NUMBER = 2
"""Rises when a field of a plan changes its meaning; older numbers stay readable."""

AUTO = "auto"
"""Leaves a choice to Headstart."""

WORDS = (AUTO, "pretrained", "random")
"""Words that may stand in the place of a path."""


class AnyPlan(Settings):
    """Shared fields of the plans of every verb."""

    PATHS: ClassVar[tuple[str, ...]] = ("data", "backbone", "weights")
    """Fields that may hold a path."""

    format_number: int = FORMAT_NUMBER
    """Of this file."""
    data: str
    """Path of the data; a description in angle brackets when they were handed over in memory."""
    format: str | None = None
    """Name of the format of the data; recognised when None."""
    columns: Columns = Columns()
    """Columns that the user named."""
    backbone: str = AUTO
    """The pretrained model: a name, a folder or file, or a run."""
    weights: str = "pretrained"
    """'pretrained', 'random', or a file of weights for the architecture."""
    seed: int = Field(default=0, ge=0)
    """Decides every random draw; >= 0."""
    budget: float | None = Field(default=None, gt=0)
    """Seconds that are allowed; > 0. Without it, all that is asked for."""
    settings: dict[str, dict[str, Any]] = {}
    """Settings of the plug-ins, by what they are of."""

    def inputs(self) -> tuple[str, ...]:
        """Return the names of all data that it reads."""
        return (self.data,)

    def anchored(self) -> Self:
        """The same plan with its paths from the root, so that it can be repeated from any folder."""
        given = {name: getattr(self, name) for name in self.PATHS}
        paths = {name: Path(value).expanduser() for name, value in given.items() if value and value not in WORDS}
        return self.model_copy(update={name: str(path.resolve()) for name, path in paths.items() if path.exists()})


P = TypeVar("P", bound=AnyPlan)


def write_plan(path: Path, plan: AnyPlan, decisions: tuple[Decision, ...]) -> None:
    """Write the plan, what auto chose beside it with its reasons."""
    content = _without_none(plan.model_dump(mode="json"))
    content["decisions"] = [decision.model_dump() for decision in decisions]
    write_atomic(path, tomli_w.dumps(content).encode())


def read_toml(path: Path, fault: str) -> dict[str, Any]:
    """Read a file. Raises SettingsError: the path and, in words, the `fault` where it is not TOML."""
    try:
        return parse_toml(read_regular(path).decode())
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path} {fault}: {error}") from error


def read_content(path: Path) -> dict[str, Any]:
    """Read the file of a plan, without what auto chose. Raises SettingsError where it is not TOML."""
    content = read_toml(path, "cannot be read as a plan")
    content.pop("decisions", None)
    return content


def plan_of(kind: type[P], content: Mapping[str, Any], path: Path) -> P:
    """The plan that the file in `path` says.

    Raises:
        SettingsError: it has a newer format than this Headstart reads, or faults, all at once.
    """
    number = content.get("format_number")
    if isinstance(number, int) and number > FORMAT_NUMBER:
        raise SettingsError(
            f"{path} has format {number}; this Headstart reads plans up to {FORMAT_NUMBER}. Please update Headstart."
        )
    return build(kind, content, where=path.name)


def is_plan(data: Any) -> bool:
    """True where the file of a plan was given as data."""
    return isinstance(data, (str, Path)) and Path(data).suffix == ".toml"


def repeated(plan: P, bare: P, read: Callable[[Path], P], verb: str) -> P:
    """The plan in the file that `plan` names as its data.

    Args:
        plan: what was said. bare: a plan that names the file and nothing else.
        read: reads the file. verb: what carries it out.

    Raises:
        SettingsError: more than the file was named, it cannot be read, or its data were handed over in memory.
    """
    if plan != bare:
        raise SettingsError(
            f"{plan.data} is a plan and says everything itself: edit it, or leave the other settings out"
        )
    found = read(Path(plan.data))
    if held := [name for name in found.inputs() if name.startswith("<")]:
        raise SettingsError(f"{plan.data} is of data handed over in memory ({held[0]}): give them to {verb} again")
    return found


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
