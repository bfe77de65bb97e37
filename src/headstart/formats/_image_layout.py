"""Meaning of the folders above images: a wrapper, a part of a given split, a class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from headstart.formats._parts import part_of


class Placed(NamedTuple):
    """One image and what its folders say."""

    path: str
    part: str
    """'train', 'val', 'test', or '' where none is given."""
    label: str | None
    """Name of the class folder; None for an image outside one."""
    below: str | None
    """The deepest folder below the class folder."""


@dataclass(frozen=True)
class Layout:
    """All images with their meaning."""

    images: tuple[Placed, ...]
    part_names: tuple[str, ...]
    """Names of the part folders, as they are on disk."""
    misplaced_parts: tuple[str, ...] = ()
    """Folders beside part folders that name no part."""

    def loose(self) -> dict[str, list[str]]:
        """Part -> paths of images outside class folders."""
        found: dict[str, list[str]] = {}
        for image in self.images:
            if image.label is None:
                found.setdefault(image.part, []).append(image.path)
        return found

    def class_counts(self) -> Counter[str]:
        """Images by class."""
        return Counter(image.label for image in self.images if image.label is not None)

    def in_words(self, unit: str = "image") -> str:
        """'12 class folders with 800 images in train, val'."""
        classes, images = len(self.class_counts()), len(self.images)
        parts = f" in {', '.join(self.part_names)}" if self.part_names else ""
        pictures = f"{images} {unit}{'s' if images != 1 else ''}"
        if not classes:
            return f"{pictures} without class folders{parts}"
        return f"{classes} class folder{'s' if classes != 1 else ''} with {pictures}{parts}"


def understand(paths: Sequence[str]) -> Layout:
    """Read the meaning of the folders from the paths of all images."""
    split = [path.split("/") for path in paths]
    start = _wrapper_depth(split, 0)
    tops = sorted({parts[start] for parts in split if len(parts) > start + 1})
    named = [top for top in tops if part_of(top)]
    others = tuple(top for top in tops if not part_of(top))
    # 'test' beside 'control' is a class of an experiment; 'train' beside anything is a split
    if not named or (others and not any(part_of(top) == "train" for top in named)):
        return Layout(tuple(_place(path, parts, start, "") for path, parts in zip(paths, split)), ())
    depths = {
        top: _wrapper_depth([parts for parts in split if parts[start] == top and len(parts) > start + 1], start + 1)
        for top in named
    }
    images = [
        _place(
            path, parts, depths.get(parts[start], start), part_of(parts[start]) or "" if len(parts) > start + 1 else ""
        )
        for path, parts in zip(paths, split)
    ]
    return Layout(tuple(images), tuple(named), others)


def _wrapper_depth(split: Sequence[Sequence[str]], depth: int) -> int:
    """Return how many levels down the first level lies that is not a lone folder of folders."""
    while split and all(len(parts) > depth + 1 for parts in split):
        first = {parts[depth] for parts in split}
        if len(first) > 1 or part_of(next(iter(first))) or not all(len(parts) > depth + 2 for parts in split):
            break
        depth += 1
    return depth


def _place(path: str, parts: Sequence[str], depth: int, part: str) -> Placed:
    if len(parts) <= depth + 1:
        return Placed(path, part, None, None)
    return Placed(path, part, parts[depth], parts[-2] if len(parts) > depth + 2 else None)
