"""NIfTI volumes as slices, and masks of slices as volumes again, over the scan that they are of.

A scan is turned to the nearest anatomical axes (right, anterior, superior) and cut along one of them: the one with the
largest voxels, or across the body where all are alike, unless an axis is named. Rows go from top to bottom.
"""

from __future__ import annotations

import gzip
import math
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from headstart.formats._medical import library
from headstart.kernel.errors import DataError
from headstart.kernel.files import atomic_path
from headstart.kernel.regular import require_regular
from headstart.media.masks import read_mask

Axis = Literal["auto", "sagittal", "coronal", "axial"]
"""Of the slices; 'auto' is that of the largest voxels."""

MOST_DEFLATED = 1032
"""Bytes that a byte of gzip can stand for at most."""

LARGE = 1 << 28
"""Bytes from which on the content of a compressed file is counted before memory is taken for it."""

BLOCK = 1 << 20
"""Bytes that are unpacked at a time."""

_AXES: tuple[Axis, ...] = ("sagittal", "coronal", "axial")


class Volume(NamedTuple):
    """A scan cut into slices."""

    slices: np.ndarray
    """(depth, height, width) float32."""
    spacing: tuple[float, float]
    """Height and width of a slice's pixels in mm."""
    order: tuple[int, int, int]
    """The anatomical axes that depth, height and width are."""
    sizes: tuple[float, ...]
    """Of a voxel to the right, to the front and upwards, mm."""
    affine: np.ndarray
    """(4, 4): from a voxel's numbers to the right, to the front and upwards to its place in mm."""

    @property
    def axis(self) -> Axis:
        """The one it is cut along."""
        return _AXES[self.order[0]]

    def apart(self, other: Volume) -> float:
        """Return how far one of this volume's corners lies from the same one of another of its shape at most, mm."""
        last = {axis: length - 1 for axis, length in zip(self.order, self.slices.shape)}
        corners = np.array([*product(*((0, last[axis]) for axis in range(3)), (1,))])
        return float(np.linalg.norm((self.affine - other.affine) @ corners.T, axis=0).max())


def read_volume(path: Path, axis: Axis) -> Volume:
    """The slices of a scan or label map. Raises DataError."""
    nibabel = library("nibabel")
    try:
        require_regular(path)
        scan = nibabel.load(path)
        _require_content(path, scan)
        scan = nibabel.as_closest_canonical(scan)
        values = np.asarray(scan.dataobj, dtype=np.float32)
    except Exception as error:  # nibabel raises whatever a damaged file makes its readers raise
        raise DataError(f"{path} cannot be read as NIfTI: {error}") from error
    if values.ndim == 4 and values.shape[3] == 1:
        values = values[..., 0]
    if values.ndim != 3:
        raise DataError(f"{path} has {values.ndim} axes {values.shape}; a scan of one channel has 3")
    sizes = [float(f"{size:.6g}") for size in scan.header.get_zooms()[:3]]  # of 32-bit floats
    depth = _depth(sizes) if axis == "auto" else _AXES.index(axis)
    across, down = (k for k in range(3) if k != depth)
    order = (depth, down, across)
    # the first of the other axes runs to the right, the second upwards
    slices = np.moveaxis(values, order, (0, 1, 2))[:, ::-1]
    spacing = (sizes[down], sizes[across])
    return Volume(np.ascontiguousarray(slices), spacing, order, tuple(sizes), scan.affine)


def _require_content(path: Path, scan: Any) -> None:
    """Raise ValueError where a file cannot hold the voxels that its header tells of: memory is taken for them all."""
    if min(scan.shape, default=0) < 1:
        raise ValueError(f"it has {'x'.join(map(str, scan.shape))} voxels")
    declared = int(scan.dataobj.offset) + math.prod(map(int, scan.shape)) * scan.get_data_dtype().itemsize
    held = path.stat().st_size
    if path.suffix.lower() == ".gz":
        held = (
            held * MOST_DEFLATED if declared < LARGE or held * MOST_DEFLATED < declared else _unpacked(path, declared)
        )
    if declared > held:
        raise ValueError(
            f"its header tells of {'x'.join(map(str, scan.shape))} voxels, {declared} bytes; it holds at most {held}"
        )


def _unpacked(path: Path, enough: int) -> int:
    """Bytes in a compressed file, counted up to `enough`."""
    found = 0
    with gzip.open(path) as file:
        while found < enough and (content := file.read(BLOCK)):
            found += len(content)
    return found


def write_label_map(path: Path, scan: Path, masks: Sequence[Path], axis: Axis) -> None:
    """Write the masks of all slices of a scan as a label map in its own voxels and with its own affine.

    Raises:
        DataError: the scan cannot be read, or the masks are not those of its slices.
    """
    nibabel = library("nibabel")
    volume = read_volume(scan, axis)
    labels = np.stack([read_mask(mask).values for mask in masks]).astype(np.uint8)
    if labels.shape != volume.slices.shape:
        raise DataError(f"{scan} has slices of shape {volume.slices.shape}, their masks {labels.shape}")
    turned = np.moveaxis(labels[:, ::-1], (0, 1, 2), volume.order)
    source = nibabel.load(scan)
    orientation = nibabel.orientations
    canonical = orientation.axcodes2ornt(("R", "A", "S"))
    back = orientation.ornt_transform(canonical, orientation.io_orientation(source.affine))
    found = nibabel.Nifti1Image(orientation.apply_orientation(turned, back), source.affine, _header(source))
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        temporary.write_bytes(gzip.compress(found.to_bytes(), mtime=0))


def _header(source: Any) -> Any:
    """The scan's, without what says how its own values are stored."""
    header = source.header.copy()
    header.set_data_dtype(np.uint8)
    header["scl_slope"], header["scl_inter"], header["cal_max"], header["cal_min"] = 1, 0, 0, 0
    return header


def _depth(sizes: Sequence[float]) -> int:
    return int(np.argmax(sizes)) if max(sizes) > 1.01 * min(sizes) else 2
