"""DICOM series with masks, slice by slice; a patient is never on two sides of a split.

Slices of a series are put in order by their place in the patient; where places are missing a note says so. Grey values
are those of the window that is given, else of each slice's own, else of the series' percentiles. Masks are pictures
called as the slices (`images/`, `masks/`), of values as in `mask_folder`; the size of the pixels in mm goes with them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from pydantic import field_validator

from headstart.contracts.examples import Examples
from headstart.contracts.format import Columns
from headstart.contracts.left_out import left_out
from headstart.formats._dicom_files import has_slices, is_dicom, may_be_dicom, opened
from headstart.formats._dicom_numbers import place, require_size, rescaled, spacing
from headstart.formats._dicom_numbers import window as window_of
from headstart.formats._given_paths import is_path
from headstart.formats._image_scan import files_below, is_hidden, is_image_path
from headstart.formats._legend import FILES, Legend, read_legend
from headstart.formats._mask_layout import Pair, pair_up
from headstart.formats._medical import HIGH, LOW, Slice, Window, ends, examples_of, grey, png, require_width
from headstart.kernel.errors import DataError
from headstart.kernel.settings import Settings
from headstart.media.masks import THRESHOLD, Reading, encode_mask, read_mask

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
        if not is_path(source):
            return None
        if Path(source).is_dir() and not has_slices(Path(source)):
            return None
        pairs, _ = _pairs(Path(source))
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
        every = _with_pixels(_headers(source, notes), notes)
        lacking = [pair.picture for pair, _ in every if pair.mask is None]
        if labelled and lacking:
            raise DataError(
                f"{root}: labels are wanted, but {len(lacking)} of {len(every)} slices have no mask: "
                f"{', '.join(lacking[:3])}"
            )
        slices = list(self._slices(root, every, notes, labelled=labelled))
        return examples_of(slices, notes, read_legend(root), labelled=labelled)

    def stream(self, source: Any, columns: Columns, rows: int) -> Iterator[Examples]:  # noqa: ARG002
        """The slices without masks, some `rows` at a time; pixels are read when their series has its turn."""
        notes: list[str] = []
        slices = self._slices(_root(source), _with_pixels(_headers(source, notes), notes), notes, labelled=False)
        while some := list(islice(slices, rows)):
            yield examples_of(some, notes, Legend(), labelled=False)

    def _slices(self, root: Path, found: list[Found], notes: list[str], *, labelled: bool) -> Iterator[Slice]:
        notes += _about_greys(found, given=self.window is not None)
        for series in _series(found):
            yield from _slices(root, series, self, notes, labelled=labelled)


def _root(source: Any) -> Path:
    path = Path(source)
    return path.parent if path.is_file() else path


def _pairs(path: Path) -> tuple[tuple[Pair, ...], list[str]]:
    """DICOM files by their first bytes with pictures called as these, and the files that are neither."""
    if path.is_file():
        return ((Pair(path.name, None, ""),) if is_dicom(path) else ()), []
    files = [file for file in files_below(path) if file not in FILES]
    shown = [file for file in files if not is_hidden(file)]
    slices = {file for file in shown if may_be_dicom(PurePosixPath(file).name) and is_dicom(path / file)}
    if not slices:
        return (), []
    kept = [file for file in shown if file in slices or is_image_path(file)]
    found = tuple(pair for pair in pair_up(kept).pairs if pair.picture in slices)
    used = {name for pair in found for name in (pair.picture, pair.mask)}
    return found, [file for file in files if file not in used]


def _headers(source: Any, notes: list[str]) -> list[Found]:
    """Return what each file says beside its pixels; other files are noted. Raises DataError."""
    root, (pairs, others) = _root(source), _pairs(Path(source))
    if not pairs:
        raise DataError(f"{source} holds no DICOM files")
    notes += left_out(others, "files that are neither slices nor masks of them")
    found = []
    for pair in pairs:
        try:
            header = opened(root / pair.picture, HEADER)
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
        notes += left_out(without, "DICOM files without pixels")
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
    """Return what is missing between the places of slices, in words; empty where nothing is."""
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
    try:
        file = opened(path)
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
