"""DICOM series with masks, slice by slice; a patient is never on two sides of a split.

Slices of a series are put in order by their place in the patient; where places are missing a note says so. Grey values
are those of the window that is given, else of each slice's own, else of the series' percentiles. Masks are pictures
called as the slices (`images/`, `masks/`), of values as in `mask_folder`; the size of the pixels in mm goes with them.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import field_validator

from headstart.contracts.examples import Examples
from headstart.contracts.format import Columns
from headstart.formats._dicom_numbers import place, require_size, rescaled, spacing
from headstart.formats._dicom_numbers import window as window_of
from headstart.formats._legend import read_legend
from headstart.formats._mask_layout import Pair, pair_up
from headstart.formats._medical import HIGH, LOW, Slice, Window, ends, examples_of, grey, library, png, require_width
from headstart.kernel.errors import DataError
from headstart.kernel.regular import open_regular, require_regular
from headstart.kernel.settings import Settings
from headstart.media.images import SUFFIXES
from headstart.media.masks import THRESHOLD, Reading, encode_mask, read_mask

OTHER = SUFFIXES | frozenset(
    ".csv .gz .json .jsonl .md .nii .npy .parquet .toml .tsv .txt .wav .xml .yaml .zip".split()
)
"""Endings that DICOM files do not have; many have none, or the last number of what identifies them."""

LOOKED_AT = 3
"""Files of a folder by whose first bytes it is seen whether it holds DICOM."""

HEADER = (
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "InstanceNumber",
    "PatientID",
    "PhotometricInterpretation",
    "PixelSpacing",
    "Rows",
    "SeriesInstanceUID",
    "WindowCenter",
    "WindowWidth",
)
"""What is read of every file before any pixels are."""

Found = tuple[Pair, Any]
"""A file with its mask, and its header."""

Ends = tuple[float, float]
"""The values that become black and white."""

INVERTED = "MONOCHROME1"
"""Photometric interpretation whose least value is white."""

GAP = 1.5
"""Times the usual distance of two slices: where the distance is more, slices are missing."""


class Dicom(Settings):
    """A folder of DICOM files, or one of them."""

    window: Window | None = None
    """[level, width > 0] of the grey values, such as [40, 400] HU for soft tissue; by default each slice's own."""

    threshold: int | None = THRESHOLD
    """Grey value of masks from which on a pixel is of the second of two classes; >= 1, for soft edges and JPEG."""

    _has_width = field_validator("window")(require_width)

    @classmethod
    def recognises(cls, source: Any) -> str | None:
        """Return how many slices and masks."""
        if not isinstance(source, (str, Path)) or source == "":
            return None
        if Path(source).is_dir() and not _has_slices(Path(source)):
            return None
        pairs = _pairs(Path(source))
        masks = sum(pair.mask is not None for pair in pairs)
        return f"{len(pairs)} DICOM slices, {masks} of them with a mask" if pairs else None

    def read(self, source: Any, columns: Columns, *, labelled: bool = True) -> Examples:
        """One row per slice: picture, mask, origin, and the patient as the group; missing slices are noted.

        Raises:
            DataError: pydicom is missing, files cannot be read, or, where labels are wanted, slices have no mask.
        """
        if columns.group is not None:
            raise DataError("--group: of DICOM slices the patient is the group")
        root, notes = _root(source), list[str]()
        every = _with_pixels(_headers(source), notes)
        lacking = [pair.picture for pair, _ in every if pair.mask is None]
        if labelled and lacking:
            raise DataError(
                f"{root}: labels are wanted, but {len(lacking)} of {len(every)} slices have no mask: "
                f"{', '.join(lacking[:3])}"
            )
        slices = list(self._slices(root, every, notes, labelled=labelled))
        return examples_of(slices, tuple(notes), read_legend(root), labelled=labelled)

    def stream(self, source: Any, columns: Columns, rows: int) -> Iterator[Examples]:  # noqa: ARG002
        """The slices without masks, some `rows` at a time; pixels are read when their series has its turn."""
        notes: list[str] = []
        slices = self._slices(_root(source), _with_pixels(_headers(source), notes), notes, labelled=False)
        while some := list(islice(slices, rows)):
            yield examples_of(some, tuple(notes), {}, labelled=False)

    def _slices(self, root: Path, found: list[Found], notes: list[str], *, labelled: bool) -> Iterator[Slice]:
        notes += _about_greys(found, given=self.window is not None)
        for series in _series(found):
            yield from _slices(root, series, self, notes, labelled=labelled)


def _root(source: Any) -> Path:
    path = Path(source)
    return path.parent if path.is_file() else path


def _pairs(path: Path) -> tuple[Pair, ...]:
    """DICOM files by their first bytes, and pictures called as these."""
    if path.is_file():
        return (Pair(path.name, None, ""),) if _is_dicom(path) else ()
    if not path.is_dir():
        return ()
    files = sorted(file for file in path.rglob("*") if file.is_file() and not file.name.startswith("."))
    slices = {file for file in files if _may_be_dicom(file.name) and _is_dicom(file)}
    if not slices:
        return ()
    kept = [file for file in files if file in slices or file.suffix.lower() in SUFFIXES]
    names = {file.relative_to(path).as_posix() for file in slices}
    found = pair_up([file.relative_to(path).as_posix() for file in kept]).pairs
    return tuple(pair for pair in found if pair.picture in names)


def _has_slices(root: Path) -> bool:
    """Whether the first files of some folder that may be DICOM by their names are such."""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if any(_is_dicom(Path(folder, name)) for name in islice(filter(_may_be_dicom, sorted(names)), LOOKED_AT)):
            return True
    return False


def _may_be_dicom(name: str) -> bool:
    return not name.startswith(".") and name.upper() != "DICOMDIR" and os.path.splitext(name)[1].lower() not in OTHER


def _is_dicom(path: Path) -> bool:
    try:
        with open_regular(path) as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def _headers(source: Any) -> list[Found]:
    """What each file says beside its pixels. Raises DataError."""
    root, pairs = _root(source), _pairs(Path(source))
    if not pairs:
        raise DataError(f"{source} holds no DICOM files")
    pydicom, found = library("pydicom"), []
    for pair in pairs:
        try:
            require_regular(root / pair.picture)
            header = pydicom.dcmread(root / pair.picture, stop_before_pixels=True, specific_tags=[*HEADER])
        except Exception as error:  # pydicom raises whatever a damaged file makes its readers raise
            raise DataError(f"{pair.picture} cannot be read as DICOM: {error}") from error
        found.append((pair, header))
    return found


def _with_pixels(found: list[Found], notes: list[str]) -> list[Found]:
    """Those that are slices; of reports and the like a note is made. Raises DataError where none is a slice."""
    without = [pair.picture for pair, header in found if not header.get("Rows")]
    if len(without) == len(found):
        raise DataError(f"none of the {len(found)} DICOM files has pixels, such as {without[0]}")
    if without:
        notes.append(f"{len(without)} DICOM files without pixels left out, such as {without[0]}")
    return [(pair, header) for pair, header in found if header.get("Rows")]


def _series(slices: Sequence[Found]) -> list[list[Found]]:
    """The slices of each series in the order of their places."""
    found: dict[str, list[Found]] = {}
    for pair, header in slices:
        found.setdefault(str(header.get("SeriesInstanceUID", "")), []).append((pair, header))
    return [sorted(series, key=lambda one: (place(one[1]), one[0].picture)) for series in found.values()]


def _slices(
    root: Path, series: Sequence[Found], settings: Dicom, notes: list[str], *, labelled: bool
) -> Iterator[Slice]:
    header = series[0][1]
    patient = str(header.get("PatientID") or header.get("SeriesInstanceUID") or series[0][0].picture)
    missing = _missing([place(header) for _, header in series])
    if missing:
        notes.append(f"DICOM series of patient {patient} ({series[0][0].picture}, ...): {missing}")
    pixels: Iterable[np.ndarray] = (_values(root / pair.picture) for pair, _ in series)
    window = ends(settings.window)
    windows = [window] * len(series) if window else _own_windows([header for _, header in series])
    if windows[0] is None:  # only then is a series in memory as a whole
        pixels = list(pixels)
        low, high = np.percentile(np.concatenate([one.ravel() for one in pixels]), [LOW, HIGH], overwrite_input=True)
        windows = [(float(low), float(high))] * len(series)
    for (pair, about), values, own in zip(series, pixels, windows):
        shown = grey(values, own)
        if about.get("PhotometricInterpretation") == INVERTED:
            shown = 255 - shown
        mask = _mask(root, pair, about, values.shape, settings.threshold) if labelled else None
        yield Slice(png(shown), mask, pair.picture, patient, pair.part)


def _own_windows(headers: Sequence[Any]) -> Sequence[Ends | None]:
    """The window of each slice of a series; the most common one for a slice without; None for all without any."""
    found = [window_of(header) for header in headers]
    usual = Counter(found[k] for k in range(len(found)) if found[k] is not None).most_common(1)
    return [own or usual[0][0] for own in found] if usual else found


def _about_greys(found: Sequence[Found], *, given: bool) -> list[str]:
    """Notes on slices whose greys are made otherwise than those of others."""
    inverted = [pair.picture for pair, header in found if header.get("PhotometricInterpretation") == INVERTED]
    notes = []
    if 0 < len(inverted) < len(found):
        notes.append(
            f"{len(inverted)} of {len(found)} DICOM slices are {INVERTED}, whose least value is white, such as "
            f"{inverted[0]}; they are inverted"
        )
    windows = {pair.picture: window_of(header) for pair, header in found}
    without = [picture for picture, window in windows.items() if window is None]
    several = len({window for window in windows.values() if window is not None})
    one = "; --set 'format.window=[LEVEL, WIDTH]' sets one for all"
    if several > 1 and not given:
        notes.append(f"the DICOM slices have {several} different windows, and each is shown by its own{one}")
    if without and not given:
        notes.append(
            f"{len(without)} of {len(found)} DICOM slices have no window, such as {without[0]}: they take the most "
            f"common one of their series, or, where it has none, its percentiles {LOW:g} to {HIGH:g}{one}"
        )
    return notes


def _missing(places: Sequence[float]) -> str:
    """What is missing between the places of slices, in words; empty where nothing is."""
    steps = np.diff(places)
    usual = float(np.median(steps)) if len(steps) > 1 else 0.0
    if usual <= 0:
        return ""
    wide = steps[steps > GAP * usual]
    lost = int((np.round(wide / usual) - 1).sum())
    if not lost:
        return ""
    return f"{lost} slices are missing in {len(wide)} places, where neighbours lie up to {wide.max():.4g} mm apart"


def _values(path: Path) -> np.ndarray:
    """(height, width) float32, in the unit that the file rescales to. Raises DataError."""
    pydicom = library("pydicom")
    try:
        file = pydicom.dcmread(path)
        require_size(file)
        values = np.asarray(file.pixel_array, dtype=np.float32)
    except Exception as error:  # pydicom and its decoders raise whatever a damaged file makes them raise
        raise DataError(f"{path} cannot be read as DICOM: {error}") from error
    if values.ndim != 2:
        raise DataError(f"{path} has pixels of shape {values.shape}; a grey slice has height and width")
    return rescaled(values, file)


def _mask(root: Path, pair: Pair, header: Any, shape: tuple[int, ...], threshold: int | None) -> bytes:
    """The mask with the size of its pixels. Raises DataError."""
    try:
        mask = read_mask(root / str(pair.mask), Reading(threshold))
    except DataError as error:
        raise DataError(f"{pair.mask} {error}") from error
    if mask.values.shape != shape or mask.coloured or mask.values.max(initial=0) > 255:
        raise DataError(
            f"{pair.mask} has {mask.values.shape[1]}x{mask.values.shape[0]} pixels, values up to {mask.values.max()}; "
            f"wanted are {shape[1]}x{shape[0]}, as {pair.picture} has, with class numbers from 0 to 255"
        )
    return encode_mask(mask.values, spacing(header))
