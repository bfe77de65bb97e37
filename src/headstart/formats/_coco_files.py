"""COCO's JSON of instances: which files are such, and what they say of each picture."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, NamedTuple

from headstart.kernel.errors import DataError, HeadstartError
from headstart.kernel.files import read_json
from headstart.kernel.regular import require_regular

DEEPEST = 2
"""Levels of folders below the one that was given, at which JSON files are looked for."""


MOST_CLASSES = 255
"""Beside the background."""


class Outlined(NamedTuple):
    """An object in a picture."""

    number: int
    """Of its class, from 1 on."""
    shape: Any
    """Polygons or run lengths as COCO writes them; None where it has no outline."""
    about: str
    """How an error names it."""


@dataclass(frozen=True)
class Picture:
    """A picture and the objects in it."""

    file: str
    height: int
    width: int
    objects: list[Outlined] = field(default_factory=list)


@dataclass(frozen=True)
class Instances:
    """One file."""

    path: Path
    classes: tuple[str, ...]
    """Names, of the classes 1, 2, ..."""
    pictures: tuple[Picture, ...]


def coco_files(source: Any) -> list[Path]:
    """The files of instances that a path is or holds, sorted; found by their content."""
    if not isinstance(source, (str, Path)) or source == "":
        return []
    path = Path(source)
    if path.is_file():
        return [path] if path.suffix.lower() == ".json" and _has_shapes(path) else []
    if not path.is_dir():
        return []
    found = [file for depth in range(DEEPEST + 1) for file in path.glob("/".join(["*"] * depth + ["*.json"]))]
    return sorted(file for file in found if _has_shapes(file))


def read_instances(path: Path) -> Instances:
    """One file with its objects sorted to pictures. Raises DataError when it is damaged, naming what and where."""
    try:
        content = read_json(path)
        if not isinstance(content, dict):
            raise DataError("it holds no record with images, annotations and categories")
        categories = sorted(_categories(content))
        if len(categories) > MOST_CLASSES:
            raise DataError(f"it has {len(categories)} categories; a mask holds at most {MOST_CLASSES}")
        number = {category: k for k, (category, _) in enumerate(categories, start=1)}
        pictures = dict(_picture(one, where) for where, one in _records(content, "images"))
        for where, one in _records(content, "annotations"):
            place, category = _identity(one, "image_id", where), _identity(one, "category_id", where)
            about = f"annotation {one.get('id', where)}"
            if place not in pictures:
                raise DataError(f"{about} is of picture {place}, which is not there")
            if category not in number:
                raise DataError(f"{about} is of class {category}, which is not there")
            pictures[place].objects.append(Outlined(number[category], one.get("segmentation"), about))
    except (HeadstartError, OSError) as error:
        raise DataError(f"{path} cannot be read as COCO instances: {error}") from error
    names = tuple(name for _, name in categories)
    return Instances(path, names, tuple(sorted(pictures.values(), key=lambda picture: picture.file)))


def _records(content: dict[str, Any], key: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The records of a list, each with its place. Raises DataError."""
    found = content.get(key)
    if not isinstance(found, list):
        raise DataError(f"'{key}' is {_kind(found)}; expected a list of records")
    for at, one in enumerate(found):
        if not isinstance(one, dict):
            raise DataError(f"{key}[{at}] is {_kind(one)}; expected a record")
        yield f"{key}[{at}]", one


def _categories(content: dict[str, Any]) -> list[tuple[Any, str]]:
    found = [(_identity(one, "id", where), one.get("name")) for where, one in _records(content, "categories")]
    for identity, name in found:
        if not isinstance(name, (str, int)) or not str(name).strip():
            raise DataError(f"category {identity} has the name {name!r}; expected a text")
    if len({type(identity) for identity, _ in found}) > 1:
        raise DataError("the ids of categories are numbers and texts mixed; expected one kind")
    return [(identity, str(name)) for identity, name in found]


def _picture(one: dict[str, Any], where: str) -> tuple[Any, Picture]:
    file = one.get("file_name")
    if not isinstance(file, str) or not file.strip() or "\0" in file:
        raise DataError(f"{where} has the file_name {file!r}; expected the path of a picture")
    if PurePath(file).is_absolute():
        raise DataError(f"{where} has the absolute file_name {file!r}; expected a path below the folder of the data")
    height, width = (_side(one, key, where) for key in ("height", "width"))
    return _identity(one, "id", where), Picture(file, height, width)


def _identity(one: dict[str, Any], key: str, where: str) -> int | str:
    found = one.get(key)
    if isinstance(found, bool) or not isinstance(found, (int, str)):
        raise DataError(f"{where} has the {key} {_kind(found)}; expected a whole number or a text")
    return found


def _side(one: dict[str, Any], key: str, where: str) -> int:
    """A height or width in pixels; some tools write 48.0 or "48"."""
    found = one.get(key)
    try:
        side = -1 if isinstance(found, bool) else int(found)  # type: ignore[arg-type]
        exact = side == float(found)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        side, exact = -1, False
    if side < 1 or not exact:
        raise DataError(f"{where} has the {key} {_kind(found)}; expected a whole number of pixels >= 1")
    return side


def _kind(value: Any) -> str:
    return "missing or null" if value is None else repr(value)[:80]


def _has_shapes(path: Path) -> bool:
    """Whether a JSON file has what COCO's files of shapes have, without parsing it."""
    try:
        if require_regular(path).st_size == 0:
            return False
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return all(content.find(f'"{key}"'.encode()) >= 0 for key in ("images", "annotations", "segmentation"))
    except OSError:
        return False
