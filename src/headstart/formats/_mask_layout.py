"""Which files are masks and which picture each belongs to, by the names of folders and files.

A mask lies in a folder called masks, labels, annotations, gt, ..., beside or below which a folder images, imgs, ... may
lie, at any depth (`images/`+`masks/`, `train/images/`+`train/masks/`, `images/train/`+`masks/train/`); or beside its
picture under the same name with an ending (`17.jpg`, `17_mask.png`). With these words left out, path and stem agree.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from headstart.contracts.left_out import left_out
from headstart.formats._parts import part_of
from headstart.kernel.errors import DataError

IMAGE_WORDS = frozenset("images image imgs img pictures jpegimages imagestr imagests".split())
MASK_WORDS = frozenset(
    "masks mask labels label annotations annotation annots gt groundtruth ground_truth segmentations segmentation"
    " segmentationclass seg segs targets labelstr labelsts".split()
)
ENDING = re.compile(r"[ _.-](mask|masks|seg|segmentation|label|labels|gt|groundtruth)$", re.IGNORECASE)
"""Of a mask's stem beside its picture."""
DEEPEST = 3
"""Levels of folders at which those of images and masks are looked for."""


CHANNEL = re.compile(r"_0000$")
"""Ending of a picture's name in nnU-Net's data sets of a single channel."""
_NNUNET = {"imagestr": "train", "labelstr": "train", "imagests": "test", "labelsts": "test"}
"""Folder of nnU-Net and the Medical Segmentation Decathlon -> the part that it holds."""


class Pair(NamedTuple):
    """A picture and its mask."""

    picture: str
    mask: str | None
    part: str
    """'train', 'val', 'test', or '' where no folder says so."""


@dataclass(frozen=True)
class Pairs:
    """All pictures, and what is left over."""

    pairs: tuple[Pair, ...]
    lone_masks: tuple[str, ...]
    """Masks without a picture."""


def has_mask_folders(root: Path) -> bool:
    """Return whether there are both folders of pictures and folders of masks below `root`, be they empty."""
    found: set[str] = set()
    for folder, names, _ in os.walk(root):
        depth = len(Path(folder).relative_to(root).parts)
        names[:] = sorted(name for name in names if not name.startswith(".")) if depth < DEEPEST else []
        found |= {name.lower() for name in names}
    return bool(found & IMAGE_WORDS) and bool(found & MASK_WORDS)


def has_mask_endings(paths: Sequence[str]) -> bool:
    """Return whether at least half of the pictures have a mask beside them under their name and an ending."""
    # most folders of pictures have none at all, and a hundred thousand names are soon looked through
    if not any(ENDING.search(os.path.splitext(path)[0]) for path in paths):
        return False
    if any(_is_mask_folder(path) for path in paths):
        return False
    found = pair_up(paths).pairs
    return bool(found) and 2 * sum(pair.mask is not None for pair in found) >= len(found)


def pair_up(paths: Sequence[str], stem_of: Callable[[str], str] = lambda name: PurePosixPath(name).stem) -> Pairs:
    """The pictures with their masks, in the order of the paths; `stem_of` says what of a file's name must agree.

    Raises:
        DataError: a picture has several masks.
    """
    folders = any(_is_mask_folder(path) for path in paths)
    masks: dict[str, str] = {}
    pictures: list[tuple[str, str]] = []
    for path in paths:
        stem = stem_of(PurePosixPath(path).name)
        if _of_nnunet(path):
            stem = CHANNEL.sub("", stem)
        if folders and _is_mask_folder(path):
            _place(masks, _key(path, MASK_WORDS, stem), path)
            if ENDING.search(stem):
                masks.setdefault(_key(path, MASK_WORDS, ENDING.sub("", stem)), path)
        elif not folders and ENDING.search(stem):
            _place(masks, _key(path, frozenset(), ENDING.sub("", stem)), path)
        else:
            pictures.append((path, _key(path, IMAGE_WORDS if folders else frozenset(), stem)))
    found = tuple(Pair(path, masks.get(key), _part(path)) for path, key in pictures)
    used = {pair.mask for pair in found}
    return Pairs(found, tuple(sorted(set(masks.values()) - used)))


def without_unlabelled_test(pairs: Sequence[Pair]) -> tuple[tuple[Pair, ...], list[str]]:
    """Those of `imagesTr` and of an `imagesTs` that has masks, as parts; without masks its pictures are left out."""
    parts = [_of_nnunet(pair.picture) for pair in pairs]
    test = [pair for pair, part in zip(pairs, parts) if part == "test"]
    if not test or len(test) == len(pairs):
        return tuple(pairs), []
    if any(pair.mask for pair in test):
        return tuple(pair._replace(part=part or pair.part) for pair, part in zip(pairs, parts)), []
    kept = tuple(pair for pair, part in zip(pairs, parts) if part != "test")
    return kept, [*left_out([pair.picture for pair in test], "pictures of imagesTs, as they have no masks")]


def _of_nnunet(path: str) -> str:
    return next((_NNUNET[folder] for folder in path.lower().split("/")[:-1] if folder in _NNUNET), "")


def _place(masks: dict[str, str], key: str, path: str) -> None:
    if key in masks:
        raise DataError(f"{masks[key]} and {path} are masks of the same picture: keep one of them")
    masks[key] = path


def _is_mask_folder(path: str) -> bool:
    return any(folder.lower() in MASK_WORDS for folder in PurePosixPath(path).parts[:-1])


def _key(path: str, words: frozenset[str], stem: str) -> str:
    folders = [folder for folder in PurePosixPath(path).parts[:-1] if folder.lower() not in words]
    return "/".join([*folders, _of_nnunet(path), stem])


def _part(path: str) -> str:
    parts = (part_of(folder) for folder in PurePosixPath(path).parts[:-1])
    return next((part for part in parts if part), "")
