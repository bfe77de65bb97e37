"""NIfTI scans (.nii, .nii.gz) with label maps, slice by slice; a scan is never on two sides of a split.

Scans are turned to the nearest anatomical axes and cut along the axis with the largest voxels, across the body where
all are alike. The size of a slice's pixels in mm goes with its mask. Label maps lie in folders (`imagesTr/`+`labelsTr/`
as in the Medical Segmentation Decathlon and nnU-Net, `images/`+`masks/`) or beside their scans (`case_seg.nii.gz`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from headstart.contracts.examples import Examples
from headstart.contracts.format import Columns
from headstart.formats._legend import read_legend
from headstart.formats._mask_layout import Pair, pair_up
from headstart.formats._medical import Slice, examples_of, grey, library, png
from headstart.kernel.errors import DataError
from headstart.kernel.settings import Settings
from headstart.media.masks import encode_mask

SUFFIX = re.compile(r"\.nii(\.gz)?$", re.IGNORECASE)
CHANNEL = re.compile(r"_0000$")
"""Ending of a scan's name in nnU-Net's data sets of a single channel."""


class Nifti(Settings):
    """A scan, or folders of scans with label maps."""

    @classmethod
    def recognises(cls, source: Any) -> str | None:
        """How many scans and label maps."""
        if not isinstance(source, (str, Path)) or source == "":
            return None
        pairs = _pairs(Path(source))
        masks = sum(pair.mask is not None for pair in pairs)
        return f"{len(pairs)} NIfTI scans, {masks} of them with a label map" if pairs else None

    def read(self, source: Any, columns: Columns, *, labelled: bool = True) -> Examples:
        """One row per slice: picture, mask, origin, and the scan as the group.

        Raises:
            DataError: nibabel is missing; no scans; or, where labels are wanted, scans without a label map or one of
                another shape.
        """
        if columns.group is not None:
            raise DataError("--group: of NIfTI scans the scan is the group")
        root, pairs = _root(Path(source)), _pairs(Path(source))
        if not pairs:
            raise DataError(f"{source} holds no NIfTI scans (.nii, .nii.gz)")
        lacking = [pair.picture for pair in pairs if pair.mask is None]
        if labelled and lacking:
            raise DataError(
                f"{root}: labels are wanted, but {len(lacking)} of {len(pairs)} scans have no label map: "
                f"{', '.join(lacking[:3])}"
            )
        slices = [one for pair in pairs for one in _slices(root, pair, labelled=labelled)]
        return examples_of(slices, (), read_legend(root), labelled=labelled)

    def stream(self, source: Any, columns: Columns, rows: int) -> Iterator[Examples]:  # noqa: ARG002
        """The slices without masks, a scan in memory at a time."""
        root, pairs = _root(Path(source)), _pairs(Path(source))
        if not pairs:
            raise DataError(f"{source} holds no NIfTI scans (.nii, .nii.gz)")
        waiting: list[Slice] = []
        for pair in pairs:
            waiting += _slices(root, pair, labelled=False)
            while len(waiting) >= rows:
                yield examples_of(waiting[:rows], (), {}, labelled=False)
                waiting = waiting[rows:]
        if waiting:
            yield examples_of(waiting, (), {}, labelled=False)


def _root(path: Path) -> Path:
    return path.parent if path.is_file() else path


def _pairs(path: Path) -> tuple[Pair, ...]:
    if path.is_file():
        return (Pair(path.name, None, ""),) if SUFFIX.search(path.name) else ()
    files = sorted(file for file in path.rglob("*.nii*") if SUFFIX.search(file.name)) if path.is_dir() else []
    return pair_up(
        [file.relative_to(path).as_posix() for file in files], lambda name: CHANNEL.sub("", _bare(name))
    ).pairs


def _bare(name: str) -> str:
    return SUFFIX.sub("", name)


def _slices(root: Path, pair: Pair, *, labelled: bool) -> list[Slice]:
    values, spacing = _volume(root / pair.picture)
    name = _bare(pair.picture)
    masks: list[bytes | None] = [None] * len(values)
    if labelled and pair.mask is not None:
        labels, _ = _volume(root / pair.mask)
        if labels.shape != values.shape:
            raise DataError(f"{pair.mask} has the shape {labels.shape}, its scan {pair.picture} {values.shape}")
        numbers = labels.round().astype(np.int64)
        if not np.array_equal(numbers, labels) or numbers.min() < 0 or numbers.max() > 255:
            raise DataError(f"{pair.mask} holds other values than whole numbers from 0 to 255")
        masks = [encode_mask(layer, spacing) for layer in numbers]
    pictures = map(png, grey(values))
    origins = (f"{name}/{number:03d}" for number in range(len(values)))
    return [Slice(*one, name, pair.part) for one in zip(pictures, masks, origins)]


def _volume(path: Path) -> tuple[np.ndarray, tuple[float, float]]:
    """Slices (depth, height, width) float and the height and width of their pixels in mm. Raises DataError."""
    nibabel = library("nibabel")
    try:
        scan = nibabel.as_closest_canonical(nibabel.load(path))
        values = np.asarray(scan.dataobj, dtype=np.float32)
    except Exception as error:  # nibabel raises whatever a damaged file makes its readers raise
        raise DataError(f"{path} cannot be read as NIfTI: {error}") from error
    if values.ndim == 4 and values.shape[3] == 1:
        values = values[..., 0]
    if values.ndim != 3:
        raise DataError(f"{path} has {values.ndim} axes {values.shape}; a scan of one channel has 3")
    sizes = [float(f"{size:.6g}") for size in scan.header.get_zooms()[:3]]  # of 32-bit floats
    axis = int(np.argmax(sizes)) if max(sizes) > 1.01 * min(sizes) else 2
    rest = [k for k in range(3) if k != axis]
    # the first of the other axes runs to the right, the second upwards: rows go from top to bottom
    slices = np.moveaxis(values, [axis, rest[1], rest[0]], [0, 1, 2])[:, ::-1]
    return np.ascontiguousarray(slices), (sizes[rest[1]], sizes[rest[0]])
