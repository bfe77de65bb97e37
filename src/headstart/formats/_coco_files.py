"""COCO's JSON of instances: which files are such, and what they say of each picture."""

from __future__ import annotations

import mmap
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, NamedTuple, TypeVar

from headstart.formats._given_paths import is_path
from headstart.kernel.errors import DataError, HeadstartError
from headstart.kernel.files import read_json
from headstart.kernel.regular import require_regular

T = TypeVar("T")

DEEPEST = 2
"""Levels of folders below the one that was given, at which JSON files are looked for."""


BACKGROUND = "background"

UNKNOWN = 255
"""The value in masks of pixels of which nothing is known."""

MOST_CLASSES = UNKNOWN - 1
"""Beside the background."""


class Outlined(NamedTuple):
    """An object in a picture."""

    number: int
    """Of its class, from 1 on; 0 for the background."""
    shape: Any
    """Polygons or run lengths as COCO writes them; None where it has no outline."""
    box: Any
    """Left, top, width and height as COCO writes them; None where it has none."""
    crowd: bool
    """Whether the outline is that of many objects, none of which is told apart."""
    about: str
    """How an error names it."""
    track: Any = None
    """Number or name of the object in its video; None where it has none."""


@dataclass(frozen=True)
class Picture:
    """A picture and the objects in it."""

    file: str
    height: int
    width: int
    objects: list[Outlined] = field(default_factory=list)
    video: str | None = None
    """The video that it is of."""

    def __str__(self) -> str:
        return self.file


@dataclass(frozen=True)
class Instances:
    """One file."""

    path: Path
    classes: tuple[str, ...]
    """Names, of the classes 1, 2, ..."""
    pictures: tuple[Picture, ...]
    strays: tuple[str, ...]
    """Sentences on annotations of pictures that are not there."""


def coco_files(source: Any, *, boxes: bool = False) -> list[Path]:
    """The files of instances that a path is or holds, sorted; found by their content.

    Those of outlines where there are any, else those of boxes. With `boxes` all of these, and those without objects.
    """
    if not is_path(source):
        return []
    path = Path(source)
    if path.is_file():
        found = [path] if path.suffix.lower() == ".json" else []
    else:
        found = [file for depth in range(DEEPEST + 1) for file in path.glob("/".join(["*"] * depth + ["*.json"]))]
    if boxes:
        return sorted(file for file in found if _holds(file, "bbox") or _holds(file, "categories", objects=False))
    outlined = sorted(file for file in found if _holds(file, "segmentation"))
    return outlined or sorted(file for file in found if _holds(file, "bbox"))


def read_instances(path: Path) -> Instances:
    """One file with its objects sorted to pictures. Raises DataError when it is damaged, naming what and where."""
    try:
        content = read_json(path)
        if not isinstance(content, dict):
            raise DataError("it holds no record with images, annotations and categories")
        categories = sorted(_distinct(_categories(content), "categories").items())
        named = [(category, name) for category, name in categories if name.lower() != BACKGROUND]
        _require_own_names(named)
        number = {category: 0 for category, _ in categories} | {c: k for k, (c, _) in enumerate(named, start=1)}
        videos = _videos(content)
        pictures = _distinct([_picture(one, where, videos) for where, one in _records(content, "images")], "images")
        strays = []
        for where, one in _records(content, "annotations"):
            place, category = _identity(one, "image_id", where), _identity(one, "category_id", where)
            about = f"annotation {one.get('id', where)}"
            if place not in pictures:
                strays.append(f"{about} is of picture {place!r}, which is not there")
                continue
            if category not in number:
                known = ", ".join(repr(identity) for identity, _ in categories[:5])
                raise DataError(f"{about} is of class {category!r}, which is not there; the categories are {known}")
            shape, box, crowd = one.get("segmentation"), one.get("bbox"), bool(one.get("iscrowd"))
            pictures[place].objects.append(Outlined(number[category], shape, box, crowd, about, _track(one)))
    except (HeadstartError, OSError) as error:
        raise DataError(f"{path} cannot be read as COCO instances: {error}") from error
    names = tuple(name for _, name in named)
    return Instances(path, names, tuple(sorted(pictures.values(), key=lambda picture: picture.file)), tuple(strays))


def _distinct(records: Sequence[tuple[Any, T]], key: str) -> dict[Any, T]:
    """The records by their ids; one that is there twice in the same words counts once. Raises DataError."""
    found: dict[Any, T] = {}
    for identity, record in records:
        if found.setdefault(identity, record) != record:
            raise DataError(f"two {key} have the id {identity!r}: {found[identity]!s:.80} and {record!s:.80}")
    return found


def _require_own_names(categories: Sequence[tuple[Any, str]]) -> None:
    """Refuse categories that differ by their ids alone. Raises DataError."""
    first: dict[str, Any] = {}
    for identity, name in categories:
        name = unicodedata.normalize("NFC", name)
        if name in first:
            raise DataError(f"categories {first[name]!r} and {identity!r} are both called {name!r}: name them apart")
        first[name] = identity


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
    return [(identity, str(name).strip()) for identity, name in found]


def _videos(content: dict[str, Any]) -> dict[Any, str]:
    """The names of videos by their ids; none where the file lists none."""
    if not isinstance(content.get("videos"), list):
        return {}
    listed = ((one.get("id"), one.get("name") or one.get("file_name")) for _, one in _records(content, "videos"))
    return {identity: str(name) for identity, name in listed if isinstance(identity, (int, str)) and name}


def _track(one: dict[str, Any]) -> Any:
    """The object in its video, as COCO for video has it, or CVAT among the attributes."""
    attributes = one.get("attributes")
    return one.get("track_id", attributes.get("track_id") if isinstance(attributes, dict) else None)


def _picture(one: dict[str, Any], where: str, videos: dict[Any, str]) -> tuple[Any, Picture]:
    file = one.get("file_name")
    if not isinstance(file, str) or not file.strip() or "\0" in file:
        raise DataError(f"{where} has the file_name {file!r}; expected the path of a picture")
    if PurePath(file).is_absolute():
        raise DataError(f"{where} has the absolute file_name {file!r}; expected a path below the folder of the data")
    height, width = (_side(one, key, where) for key in ("height", "width"))
    video = None if one.get("video_id") is None else _identity(one, "video_id", where)
    of = None if video is None else videos.get(video, str(video))
    return _identity(one, "id", where), Picture(file, height, width, video=of)


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


def _holds(path: Path, key: str, *, objects: bool = True) -> bool:
    """Return whether a JSON file has what COCO's files have, that key, and objects or none, without parsing it."""
    try:
        if require_regular(path).st_size == 0:
            return False
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            has = [content.find(f'"{word}"'.encode()) >= 0 for word in ("images", "annotations", key, "category_id")]
            return all(has[:3]) and has[3] == objects
    except OSError:
        return False
