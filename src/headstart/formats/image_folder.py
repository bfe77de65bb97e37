"""Images in folders: class folders, with or without train, val and test folders above them; or images without classes.

The class is the first folder below the root or below the part folder; deeper folders belong to it. A lone folder of
folders ('all', 'images') is a wrapper.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from headstart.contracts.examples import Examples, Schema
from headstart.contracts.format import Columns
from headstart.contracts.left_out import LeftOut
from headstart.formats._box_annotations import annotated
from headstart.formats._given_paths import is_path
from headstart.formats._image_groups import groups_of
from headstart.formats._image_layout import Layout, Placed, understand
from headstart.formats._image_scan import Leftovers, is_image_path, walk_files
from headstart.formats._mask_layout import has_mask_endings, has_mask_folders
from headstart.kernel.errors import DataError, unknown
from headstart.kernel.settings import Settings
from headstart.kernel.spelling import one_spelling

_OWN = {"image": "path", "label": "label", "part": "part"}
_FLAG = {"image": "--image", "label": "--label", "part": "--part"}


class ImageFolder(Settings):
    """Folders of images, a single image, or a list of image paths."""

    @classmethod
    def recognises(cls, source: Any) -> str | None:
        """Return how many images in how many class folders, when there are any images."""
        if _is_path_list(source):
            return f"a list of {len(source)} image paths"
        if not is_path(source):
            return None
        path = Path(source)
        if path.is_file():
            return "one image" if is_image_path(path.name) else None
        if not path.is_dir():
            return None
        paths = list(walk_files(path, Leftovers()))
        if has_mask_folders(path) or has_mask_endings(paths) or annotated(path):  # pictures with masks are not classes
            return None
        layout = understand(paths)
        return layout.in_words() if layout.images else None

    def read(self, source: Any, columns: Columns, *, labelled: bool = True) -> Examples:
        """One row per image: path, label, part where parts are given, group where `columns.group` is.

        Raises:
            DataError: no images, no classes when labels are wanted, or a layout with two readings.
        """
        root, paths, notes = _images(source)
        layout = understand(paths)
        if labelled:
            _refuse_foreign_columns(columns)
            layout, left_out = _labelled(source, layout)
            notes += left_out
        elif layout.misplaced_parts or layout.loose():
            layout = Layout(tuple(Placed(path, "", None, None) for path in paths), ())
        return _examples(root, layout, columns if labelled else Columns(), notes)

    def stream(self, source: Any, columns: Columns, rows: int) -> Iterator[Examples]:  # noqa: ARG002
        """The images without labels, in the same order, some `rows` at a time; what was left out so far is noted."""
        leftovers = Leftovers()
        if isinstance(source, (str, Path)) and Path(source).is_dir():
            root: Path | str = source
            paths = walk_files(Path(source), leftovers)
        else:
            root, found, _ = _images(source)
            paths = iter(found)
        schema = Schema(modality="image", inputs=("path",), origin="path", root=str(root))
        some = list(islice(paths, rows))
        if not some:
            raise DataError(f"{source}: there are no images in this folder")
        while some:
            more = list(islice(paths, rows))  # first, so that the last notes are about all that was left out
            yield Examples(pa.table({"path": pa.array(some, pa.string())}), schema, leftovers.notes())
            some = more


def _is_path_list(source: Any) -> bool:
    if not isinstance(source, (list, tuple)) or not source:
        return False
    return all(isinstance(path, (str, Path)) and is_image_path(str(path)) for path in source)


def _images(source: Any) -> tuple[Path | str, list[str], tuple[str, ...]]:
    """Where relative paths start, the paths, and what is to be told."""
    if isinstance(source, (list, tuple)):
        return "", [str(path) for path in source], ()
    path = Path(source)
    if path.is_file():
        return path.parent, [path.name], ()
    leftovers = Leftovers()
    found = list(walk_files(path, leftovers))
    if found:
        return path, found, leftovers.notes()
    if not os.listdir(path):
        raise DataError(f"{path} is an empty folder. Expected images, best in one folder per class.")
    held = "; ".join(leftovers.notes()) or "only empty or hidden folders"
    raise DataError(f"{path} holds no images: {held}. Give the folder that has the images in it.")


def _refuse_foreign_columns(columns: Columns) -> None:
    for name, own in _OWN.items():
        value = getattr(columns, name)
        if value not in (None, own):
            raise DataError(
                f"{_FLAG[name]} {value}: an image folder has no columns; it takes classes and parts from the folders. "
                "For a table that lies in the folder give the table's file, or --format table."
            )
    for flag, given in (("--text", columns.text), ("--domain", columns.domain)):
        if given:
            raise DataError(f"{flag} {given if isinstance(given, str) else given[0]}: an image folder has no columns")


def _labelled(source: Any, layout: Layout) -> tuple[Layout, tuple[str, ...]]:
    """The layout with a class for every image. Raises DataError when it has another reading, or none."""
    if layout.misplaced_parts:
        raise DataError(
            f"{source} has the part folders {', '.join(layout.part_names)} and beside them "
            f"{', '.join(layout.misplaced_parts[:5])}. Give one part's folder, or move the others elsewhere."
        )
    counts, loose = layout.class_counts(), layout.loose()
    if not counts:
        raise DataError(
            f"{source} has {layout.in_words()}. Labels are wanted: put the images of each class into a folder of its "
            "own, or give a table with a column of image paths (--image) and one of labels (--label)."
        )
    classed_parts = {image.part for image in layout.images if image.label is not None}
    mixed = [path for part, paths in loose.items() if part in classed_parts or part == "" for path in paths]
    if mixed:
        raise DataError(
            f"{source} has class folders ({', '.join(list(counts)[:5])}) and also {len(mixed)} "
            f"image{'s' if len(mixed) != 1 else ''} outside them, such as {mixed[0]}. Move these into a class "
            "folder or elsewhere; or give a table with --format table."
        )
    notes = tuple(
        LeftOut(len(paths), f"{len(paths)} images in {part} left out, as they lie in no class folder")
        for part, paths in loose.items()
    )
    return Layout(tuple(i for i in layout.images if i.label is not None), layout.part_names), notes


def _examples(root: Path | str, layout: Layout, columns: Columns, notes: tuple[str, ...]) -> Examples:
    images = layout.images
    table = {"path": pa.array([image.path for image in images], pa.string())}
    targets, part, group = {}, None, None
    if layout.class_counts():
        called = one_spelling(image.label for image in images if image.label is not None)
        labels = [called.get(image.label or "", image.label) for image in images]
        table["label"] = pa.array(labels, pa.string())
        targets = {"label": "label"}
    if layout.part_names:
        table["part"] = pa.array([image.part for image in images], pa.string())
        part = "part"
    if columns.group is not None:
        table["group"], more = groups_of(columns.group, [image.path for image in images])
        group, notes = "group", (*notes, *more)
    for name in columns.slices:
        if name != "folder":
            raise DataError(unknown("slice", name, ["folder"]) + " ('folder' is the deepest folder below the class.)")
        table["folder"] = pa.array([image.below for image in images], pa.string())
    schema = Schema(
        modality="image",
        inputs=("path",),
        targets=targets,
        group=group,
        slices=columns.slices,
        part=part,
        origin="path",
        root=str(root),
    )
    return Examples(pa.table(table), schema, notes)
