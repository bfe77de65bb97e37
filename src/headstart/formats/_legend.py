"""Legends: files beside the masks that say what their values mean.

`legend.json` ({"0": "background", "1": "cell"} or {"#ff0000": "cell"}), `classes.txt` (a name per line, from 0 on),
`labelmap.txt` as CVAT writes it (`name:red,green,blue::`) or nnU-Net's `dataset.json`, whose "labels" are numbers with
names, names with numbers, or names with all the numbers of a region.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from headstart.kernel.errors import DataError, HeadstartError
from headstart.kernel.files import read_json
from headstart.kernel.regular import read_regular

FILES = ("legend.json", "classes.txt", "labelmap.txt", "dataset.json")
IGNORE = "ignore"
"""nnU-Net's name for the value of pixels of which nothing is known."""


class Legend(NamedTuple):
    """Meaning of values."""

    names: dict[str, str] = {}
    """Value or '#rrggbb' -> class name."""
    unknown: tuple[int, ...] = ()
    """Values of which nothing is known."""
    notes: tuple[str, ...] = ()


def read_legend(folder: Path) -> Legend:
    """The legend that a folder's files give; nothing where there are none. Raises DataError on one that is none."""
    for name in FILES:
        path = folder / name
        if path.exists():
            return _read(path)
    return Legend()


def _read(path: Path) -> Legend:
    try:
        if path.suffix == ".json":
            content = read_json(path)
            if path.name == "dataset.json":
                return _of_nnunet(path, content)
            if not isinstance(content, dict) or len(content) < 2:
                raise DataError(f'{path} is not a legend: expected {{"0": "background", "1": "cell"}}')
            return Legend({str(key).lower(): str(value) for key, value in content.items()})
        lines = [line.strip() for line in read_regular(path).decode().splitlines()]
    except (HeadstartError, OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    lines = [line for line in lines if line and not line.startswith("#")]
    if path.name == "labelmap.txt":
        return Legend(dict(_colour(path, line) for line in lines))
    return Legend({str(number): name for number, name in enumerate(lines)})


def _of_nnunet(path: Path, content: Any) -> Legend:
    """The names of a value are those of all regions that hold it. Raises DataError."""
    labels = content.get("labels") if isinstance(content, dict) else None
    if labels is None:
        return Legend()
    if not isinstance(labels, dict) or len(labels) < 2:
        raise DataError(f'{path} has the labels {labels!r:.80}; expected {{"background": 0, "cell": 1}}')
    if all(key.strip().isdecimal() for key in labels):  # before the second version
        labels = {str(name): int(number) for number, name in labels.items()}
    regions = {name: one if isinstance(one, list) else [one] for name, one in labels.items()}
    names: dict[int, list[str]] = {}
    for name, values in regions.items():
        for value in values:
            if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 255:
                raise DataError(f"{path} has the label {name!r} with the value {value!r}; expected 0 to 255")
            names.setdefault(value, []).append(name)
    unknown = tuple(value for value, found in names.items() if found == [IGNORE])
    legend = {str(value): " + ".join(names[value]) for value in sorted(names) if value not in unknown}
    several = [name for name in legend.values() if " + " in name]
    note = f"{path.name} names regions that overlap; each value is a class of its own, such as '{(several or [''])[0]}'"
    return Legend(legend, unknown, (note,) if several else ())


def _colour(path: Path, line: str) -> tuple[str, str]:
    try:
        name, numbers = line.split(":")[:2]
        red, green, blue = (int(number) for number in numbers.split(","))
    except ValueError:
        raise DataError(f"{path}: {line!r} is not a line of a legend; expected name:red,green,blue::") from None
    return f"#{red:02x}{green:02x}{blue:02x}", name
