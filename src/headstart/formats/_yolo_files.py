"""YOLO's data sets: the YAML that names classes and parts, and the text file of each picture."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from headstart.formats._given_paths import is_folder, is_path
from headstart.formats._image_scan import Leftovers, walk_files
from headstart.formats._parts import part_of
from headstart.kernel.errors import DataError
from headstart.kernel.regular import beginning_of, read_regular

YAML = (".yaml", ".yml")
NAMES = ("classes.txt", "obj.names", "labels/classes.txt", "names.txt")
"""Files with a class on each line, where there is no YAML."""

FURTHEST = 1.5
"""Share of a picture's size beyond which a number is none."""

LOOK_AT = 200
"""Pictures for which a label file is looked for, where no YAML says that there are such."""


class YoloData(NamedTuple):
    """A data set as its YAML has it."""

    root: Path
    """The folder that paths start from."""
    file: str
    """That names the classes; '' for none."""
    names: dict[int, str] | None
    """Class id -> name; None where nothing names them."""
    parts: dict[str, tuple[str, ...]]
    """Part -> folders, or lists of pictures, as they are written; empty where none are given."""
    points: bool = False
    """Whether labels go on with points of a pose behind the box."""


class YoloBox(NamedTuple):
    """A line of a label file."""

    number: int
    """Of the class."""
    numbers: tuple[float, float, float, float]
    """Centre, width and height, as shares of the picture's."""
    line: int


def yolo_yaml(source: Any) -> Path | None:
    """The YAML that a path is, or that lies in a folder, if it names classes and parts; else None."""
    if not is_path(source):
        return None
    path = Path(source)
    files = [path] if path.is_file() else sorted(file for end in YAML for file in path.glob(f"*{end}"))
    return next((file for file in files if file.suffix.lower() in YAML and _names_classes(file)), None)


def _names_classes(file: Path) -> bool:
    try:
        text = read_regular(file)[:1_000_000].decode("utf-8", "replace")
    except (OSError, DataError):
        return False
    keys = {found.group(1) for found in re.finditer(r"^(\w+)\s*:", text, re.MULTILINE)}
    return "names" in keys and bool(keys & {"train", "val", "test", "path", "nc"})


def has_labels(source: Any) -> bool:
    """Return whether a folder has pictures with text files of numbers, beside them or in a folder `labels`."""
    if not is_folder(source):
        return False
    root, empty = Path(source), False
    for picture in islice(walk_files(root, Leftovers()), LOOK_AT):
        label = label_of(root, picture)
        words = None if label is None else _first_words(root / label)
        if words:
            return len(words) >= 5 and words[0].isdigit() and all(map(_is_share, words[1:]))
        empty |= words == [] and "labels" in str(label).split("/")
    return empty


def label_of(root: Path, picture: str) -> str | None:
    """The label file of a picture, below `labels` in place of `images`, or beside it; from the root."""
    place = PurePosixPath(picture).with_suffix(".txt")
    parts = place.parts
    at = next((at for at in reversed(range(len(parts) - 1)) if parts[at].lower() == "images"), None)
    swapped = [] if at is None else ["/".join((*parts[:at], "labels", *parts[at + 1 :]))]
    beside = [str(place.parent.parent / "labels" / place.name)] if at is None else []
    return next((label for label in (*swapped, str(place), *beside) if (root / label).is_file()), None)


def _first_words(path: Path) -> list[str]:
    """The words of the first line that has any; none of what is no text."""
    lines = beginning_of(path, 10_000).decode("utf-8", "replace").split("\n")
    return next((line.split() for line in lines if line.strip()), [])


def _is_share(word: str) -> bool:
    return re.fullmatch(r"-?\d*\.?\d+([eE]-?\d+)?", word) is not None


def read_yolo_data(source: Path) -> YoloData:
    """The data set of a path. Raises DataError: the YAML is damaged, or its classes are no list or record of names."""
    file = yolo_yaml(source)
    if file is None:
        named = next((source / name for name in NAMES if (source / name).is_file()), None)
        lines = read_regular(named).decode("utf-8", "replace").splitlines() if named else []
        names = {at: line.strip() for at, line in enumerate(lines) if line.strip()}
        return YoloData(source, named.name if named else "", names or None, {})
    import yaml

    try:
        content = yaml.safe_load(read_regular(file).decode("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise DataError(f"{file} cannot be read: {' '.join(str(error).split())}") from error
    names = _names(content.get("names"), file)
    if isinstance(nc := content.get("nc"), int) and nc != len(names):
        raise DataError(f"{file} says nc: {nc} and names {len(names)} classes: {', '.join(names.values())}")
    given = {part: value for word, value in content.items() if (part := part_of(word)) and value}
    listed: dict[str, tuple[str, ...]] = {}
    for part in (part for part in ("train", "val", "test") if part in given):
        listed[part] = tuple(map(str, given[part] if isinstance(given[part], list) else [given[part]]))
    base = content.get("path")
    places = [Path(file.parent, base)] if isinstance(base, str) else []
    root = next((place for place in (*places, file.parent) if place.is_dir()), file.parent)
    return YoloData(root, file.name, names, listed, "kpt_shape" in content)


def _names(found: Any, file: Path) -> dict[int, str]:
    if isinstance(found, list):
        found = dict(enumerate(found))
    if not isinstance(found, Mapping) or not found:
        raise DataError(f"{file}: names is {str(found)[:80]!r}; expected a list of class names, or a record by number")
    try:
        return {int(number): str(name).strip() for number, name in found.items()}
    except (TypeError, ValueError) as error:
        raise DataError(f"{file}: names has {list(found)[:3]} for numbers of classes") from error


def read_labels(path: Path, *, points: bool) -> list[YoloBox]:
    """The boxes of a label file; outlines become the boxes around them.

    Raises:
        DataError: a line is no label, in words that follow the file's name.
    """
    try:
        text = read_regular(path).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot be read: {error}") from error
    lines = ((at, line.split()) for at, line in enumerate(text.splitlines(), start=1))
    return [_label(words, at, points=points) for at, words in lines if words]


def _label(words: list[str], line: int, *, points: bool) -> YoloBox:
    try:
        number, *values = map(float, words)
    except ValueError as error:
        raise DataError(f"line {line}: {' '.join(words)[:60]!r} is not a class and numbers") from error
    if number % 1 or number < 0:
        raise DataError(f"line {line}: the class {words[0]} is no whole number >= 0")
    if points:
        values = values[:4]
    if len(values) != 4 and (len(values) < 6 or len(values) % 2):
        extra = "; the sixth looks like a confidence, which labels do not have" if len(values) == 5 else ""
        raise DataError(
            f"line {line} has {len(words)} numbers; expected a class and 4, or the points of an outline{extra}"
        )
    if not all(abs(value) <= FURTHEST for value in values):  # NaN is not, either
        raise DataError(f"line {line}: {' '.join(words[1:5])} are no shares of the picture's width and height, 0 to 1")
    if len(values) > 4:
        left, right, top, bottom = min(values[0::2]), max(values[0::2]), min(values[1::2]), max(values[1::2])
        values = [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]
    x, y, width, height = values
    return YoloBox(int(number), (x, y, width, height), line)


def pictures_of(data: YoloData, written: str) -> list[str]:
    """The pictures that a part names, by a folder or a list; from the root. Raises DataError where there is no such."""
    place = next((place for place in _places(data.root, written) if place.exists()), None)
    if place is None:
        raise DataError(f"{data.file} names {written}, which is not there; it must lie in {data.root}")
    if place.is_dir():
        return [os.path.relpath(place / path, data.root) for path in walk_files(place, Leftovers())]
    if place.suffix.lower() != ".txt":
        return [os.path.relpath(place, data.root)]
    lines = [line.strip() for line in read_regular(place).decode("utf-8").splitlines()]
    return [_listed(line, place, data.root) for line in lines if line]


def _listed(line: str, file: Path, root: Path) -> str:
    """A line of a list: from the folder of the list, from the root, or absolute."""
    found = next((place for place in (file.parent / line, root / line) if place.is_file()), root / line)
    return os.path.relpath(found, root)


def _places(root: Path, written: str) -> list[Path]:
    """Where a path of a YAML may lie: from the root, or without the '..' that Roboflow begins with."""
    inside = re.sub(r"^(\.\./)+", "", written)
    return [root / written, root / inside, root / "images" / inside]
