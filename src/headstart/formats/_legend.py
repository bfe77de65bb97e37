"""Legends: files beside the masks that say what their values mean.

`legend.json` ({"0": "background", "1": "cell"} or {"#ff0000": "cell"}), `classes.txt` (a name per line, from 0 on) or
`labelmap.txt` as CVAT writes it (`name:red,green,blue::`).
"""

from __future__ import annotations

from pathlib import Path

from headstart.kernel.errors import DataError, HeadstartError
from headstart.kernel.files import read_json
from headstart.kernel.regular import read_regular

FILES = ("legend.json", "classes.txt", "labelmap.txt")


def read_legend(folder: Path) -> dict[str, str]:
    """Value or '#rrggbb' -> class name; empty where there is no such file. Raises DataError on one that is none."""
    for name in FILES:
        path = folder / name
        if path.exists():
            return _read(path)
    return {}


def _read(path: Path) -> dict[str, str]:
    try:
        if path.suffix == ".json":
            content = read_json(path)
            if not isinstance(content, dict) or len(content) < 2:
                raise DataError(f'{path} is no legend: expected {{"0": "background", "1": "cell"}}')
            return {str(key).lower(): str(value) for key, value in content.items()}
        lines = [line.strip() for line in read_regular(path).decode().splitlines()]
    except (HeadstartError, OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    lines = [line for line in lines if line and not line.startswith("#")]
    if path.name == "labelmap.txt":
        return dict(_colour(path, line) for line in lines)
    return {str(number): name for number, name in enumerate(lines)}


def _colour(path: Path, line: str) -> tuple[str, str]:
    try:
        name, numbers = line.split(":")[:2]
        red, green, blue = (int(number) for number in numbers.split(","))
    except ValueError:
        raise DataError(f"{path}: {line!r} is no line of a legend; expected name:red,green,blue::") from None
    return f"#{red:02x}{green:02x}{blue:02x}", name
