"""Pascal VOC's XML of one picture each: which files are such, and what one says."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

from headstart.formats._given_paths import is_folder
from headstart.formats._image_scan import Leftovers, walk_files
from headstart.kernel.errors import DataError
from headstart.kernel.regular import beginning_of, read_regular

CORNERS = ("xmin", "ymin", "xmax", "ymax")


class VocObject(NamedTuple):
    """An object in a picture."""

    label: str
    numbers: tuple[float, float, float, float]
    """xmin, ymin, xmax, ymax as they are written; NaN for what is no number."""
    difficult: bool
    place: int
    """Among the objects of its file, from 1 on."""


class VocPicture(NamedTuple):
    """One file."""

    name: str
    """Of the picture; '' where the file does not say."""
    size: tuple[int, int] | None
    """Width and height; None where the file does not say."""
    objects: tuple[VocObject, ...]


def voc_files(source: Any) -> list[str]:
    """The paths of the XML files below a folder, where one of the first is of annotations; else none."""
    if not is_folder(source):
        return []
    found = list(walk_files(Path(source), Leftovers(suffixes=frozenset((".xml",)))))
    return found if any(_is_voc(Path(source, path)) for path in found[:3]) else []


def _is_voc(path: Path) -> bool:
    return b"<annotation" in beginning_of(path, 512)


def read_voc(path: Path) -> VocPicture:
    """One file. Raises DataError with what is wrong and the line, in words that follow its name."""
    try:
        content = read_regular(path)
        if b"<!DOCTYPE" in content or b"<!ENTITY" in content:  # entities may name other files, or grow without end
            raise DataError("declares a document type, which annotations do not need")
        root = ElementTree.fromstring(content)
    except (OSError, ElementTree.ParseError, LookupError, ValueError) as error:
        raise DataError(error if isinstance(error, DataError) else f"cannot be read: {error}") from error
    if root.tag != "annotation":
        raise DataError(f"is no annotation: its outermost element is <{root.tag}>")
    objects = (_object(one, place) for place, one in enumerate(root.findall("object"), start=1))
    return VocPicture(os.path.basename(_text(root, "filename")), _size(root), tuple(objects))


def _object(one: ElementTree.Element, place: int) -> VocObject:
    label = _text(one, "name")
    if not label:
        raise DataError(f"has no name of the class of object {place}")
    box = one.find("bndbox")
    left, top, right, bottom = (float("nan") if box is None else _number(_text(box, key)) for key in CORNERS)
    return VocObject(label, (left, top, right, bottom), _text(one, "difficult") in ("1", "true", "True"), place)


def _size(root: ElementTree.Element) -> tuple[int, int] | None:
    """Some tools write 0 where they do not know it."""
    size = root.find("size")
    if size is None:
        return None
    width, height = _number(_text(size, "width")), _number(_text(size, "height"))
    return (int(width), int(height)) if width >= 1 and height >= 1 else None


def _text(one: ElementTree.Element, key: str) -> str:
    return (one.findtext(key) or "").strip()


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
