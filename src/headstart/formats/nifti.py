"""NIfTI scans (.nii, .nii.gz) with label maps, slice by slice; a patient is never on two sides of a split.

Whose scan it is says a regular expression over its path, else BIDS' `sub-XX` in it; a scan of which neither says so
counts as a patient of its own, and a note tells of it. How scans are cut says `_nifti_volumes.py`. The size of a
slice's pixels in mm goes with its mask. Label maps lie in folders (`imagesTr/`+`labelsTr/` as in the Medical
Segmentation Decathlon and nnU-Net, `images/`+`masks/`) or beside their scans (`case_seg.nii.gz`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import count, takewhile
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import field_validator

from headstart.contracts.examples import Examples
from headstart.contracts.format import Columns
from headstart.contracts.left_out import left_out
from headstart.formats._given_paths import is_path
from headstart.formats._image_groups import groups_of
from headstart.formats._image_scan import files_below, is_hidden
from headstart.formats._legend import FILES, Legend, read_legend
from headstart.formats._mask_layout import Pair, pair_up, without_unlabelled_test
from headstart.formats._medical import HIGH, LOW, Slice, Window, ends, examples_of, grey, png, require_width
from headstart.formats._nifti_volumes import Axis, Volume, read_volume, write_label_map
from headstart.kernel.errors import DataError
from headstart.kernel.files import fitting
from headstart.kernel.settings import Settings
from headstart.media.masks import encode_mask

SUFFIX = re.compile(r"\.nii(\.gz)?$", re.IGNORECASE)
SUBJECT = re.compile(r"(?<![A-Za-z0-9])sub-[A-Za-z0-9]+")
"""A patient in the paths of the Brain Imaging Data Structure (BIDS)."""


class Nifti(Settings):
    """A scan, or folders of scans with label maps."""

    window: Window | None = None
    """[level, width > 0] of the grey values, such as [40, 400] HU for soft tissue; each scan's percentiles without."""
    axis: Axis = "auto"
    """Of the slices: 'sagittal', 'coronal', 'axial', or 'auto', which is that of the largest voxels."""

    _has_width = field_validator("window")(require_width)

    @classmethod
    def recognises(cls, source: Any) -> str | None:
        """Return how many scans and label maps."""
        if not is_path(source):
            return None
        pairs, _ = _pairs(Path(source), labelled=False)
        masks = sum(pair.mask is not None for pair in pairs)
        return f"{len(pairs)} NIfTI scans, {masks} of them with a label map" if pairs else None

    def read(self, source: Any, columns: Columns, *, labelled: bool = True) -> Examples:
        """One row per slice: picture, mask, origin, and the patient, by `columns.group` over the paths, as the group.

        Raises:
            DataError: nibabel is missing; no scans; an expression that matches none; or, where labels are wanted, scans
                without a label map, or one of another shape or place.
        """
        root, (pairs, notes) = _root(Path(source)), _pairs(Path(source), labelled=labelled)
        if not pairs:
            raise DataError(f"{source} holds no NIfTI scans (.nii, .nii.gz)")
        lacking = [pair.picture for pair in pairs if pair.mask is None]
        if labelled and lacking:
            raise DataError(
                f"{root}: labels are wanted, but {len(lacking)} of {len(pairs)} scans have no label map: "
                f"{', '.join(lacking[:3])}"
            )
        patients, told = _patients([pair.picture for pair in pairs], columns.group) if labelled else ({}, ())
        slices = [
            one._replace(group=patients.get(pair.picture, one.group))
            for pair, name in _named(pairs)
            for one in _slices(root, pair, name, self, labelled=labelled)
        ]
        legend = read_legend(root) if labelled else Legend()
        return examples_of(slices, (*told, *self._scale(pairs), *notes), legend, labelled=labelled)

    def stream(self, source: Any, columns: Columns, rows: int) -> Iterator[Examples]:  # noqa: ARG002
        """The slices without masks, a scan in memory at a time."""
        root, (pairs, notes) = _root(Path(source)), _pairs(Path(source), labelled=False)
        if not pairs:
            raise DataError(f"{source} holds no NIfTI scans (.nii, .nii.gz)")
        waiting, notes = list[Slice](), [*self._scale(pairs), *notes]
        for pair, name in _named(pairs):
            waiting += _slices(root, pair, name, self, labelled=False)
            while len(waiting) >= rows:
                yield examples_of(waiting[:rows], notes, Legend(), labelled=False)
                waiting = waiting[rows:]
        if waiting:
            yield examples_of(waiting, notes, Legend(), labelled=False)

    def _scale(self, pairs: Sequence[Pair]) -> list[str]:
        """A note where each scan has a scale of grey values of its own."""
        if self.window is not None or len(pairs) < 2:
            return []
        own = f"the grey values of each scan are scaled by its own percentiles {LOW:g} to {HIGH:g}"
        return [f"{own}; --set 'format.window=[LEVEL, WIDTH]' gives all scans one scale"]

    def gathered(self, source: Any, files: Mapping[str, Path], folder: Path) -> list[Path]:
        """A label map for each scan, with its affine, called as the scan: `FOLDER/case.nii.gz`."""
        root, found = _root(Path(source)), []
        for pair, name in _named(_pairs(Path(source), labelled=False)[0]):
            origins = takewhile(files.__contains__, (_origin(name, number) for number in count()))
            masks = [files[origin] for origin in origins]
            if masks:
                path = folder / name
                found.append(path.with_name(f"{fitting(path.name)}.nii.gz"))
                write_label_map(found[-1], root / pair.picture, masks, self.axis)
        return found


def _root(path: Path) -> Path:
    return path.parent if path.is_file() else path


def _pairs(path: Path, *, labelled: bool) -> tuple[tuple[Pair, ...], list[str]]:
    """The scans with their label maps, and notes on files that are neither."""
    if path.is_file():
        return ((Pair(path.name, None, ""),) if SUFFIX.search(path.name) else ()), []
    files = files_below(path)
    scans = [file for file in files if SUFFIX.search(file) and not is_hidden(file)]
    found = pair_up(scans, _bare).pairs
    pairs, notes = without_unlabelled_test(found) if labelled else (found, [])
    used = {*FILES, *(name for pair in found for name in (pair.picture, pair.mask))}
    others = [file for file in files if file not in used]
    return pairs, [*notes, *left_out(others, "files that are neither scans nor their label maps")]


def _patients(paths: Sequence[str], pattern: str | None) -> tuple[dict[str, str], tuple[str, ...]]:
    """The patient of each scan of which it is known, and a note on the others. Raises DataError as `groups_of`."""
    if pattern is None:
        matches = [SUBJECT.search(path) for path in paths]
        found = [match and match.group() for match in matches]
    else:
        found = groups_of(pattern, paths)[0].to_pylist()
    known = {path: patient for path, patient in zip(paths, found) if patient}
    alone = len(paths) - len(known)
    note = (
        f"{alone} of {len(paths)} scans each count as a patient of their own. Where patients have several, --group "
        r"says whose a scan is by a regular expression over its path, such as '(p\d+)_'"
    )
    return known, (note,) if alone else ()


def _bare(name: str) -> str:
    return SUFFIX.sub("", name)


def _named(pairs: Sequence[Pair]) -> list[tuple[Pair, str]]:
    """The scans by their names, which have their endings only where `case.nii` and `case.nii.gz` are both there."""
    bare = Counter(_bare(pair.picture) for pair in pairs)
    return [(pair, pair.picture if bare[_bare(pair.picture)] > 1 else _bare(pair.picture)) for pair in pairs]


def _slices(root: Path, pair: Pair, name: str, settings: Nifti, *, labelled: bool) -> list[Slice]:
    scan = read_volume(root / pair.picture, settings.axis)
    masks: list[bytes | None] = [None] * len(scan.slices)
    if labelled and pair.mask is not None:
        labels = read_volume(root / pair.mask, scan.axis)
        _require_same_place(pair, scan, labels)
        numbers = labels.slices.round().astype(np.int64)
        if not np.array_equal(numbers, labels.slices) or numbers.min() < 0 or numbers.max() > 255:
            raise DataError(f"{pair.mask} holds other values than whole numbers from 0 to 255")
        masks = [encode_mask(layer, scan.spacing) for layer in numbers]
    pictures = map(png, grey(scan.slices, ends(settings.window)))
    origins = (_origin(name, number) for number in range(len(scan.slices)))
    return [Slice(*one, _bare(pair.picture), pair.part) for one in zip(pictures, masks, origins)]


def _require_same_place(pair: Pair, scan: Volume, labels: Volume) -> None:
    """Refuse a label map that does not lie over its scan, voxel on voxel. Raises DataError."""
    if labels.slices.shape != scan.slices.shape:
        raise DataError(f"{pair.mask} has the shape {labels.slices.shape}, its scan {pair.picture} {scan.slices.shape}")
    apart = scan.apart(labels)
    if apart > min(scan.sizes) / 2:
        raise DataError(
            f"{pair.mask} lies up to {apart:.3g} mm beside its scan {pair.picture}: by their affines it is turned, "
            "mirrored or moved against it. Write the label map with the affine of its scan"
        )


def _origin(name: str, number: int) -> str:
    return f"{name}/{number:03d}"
