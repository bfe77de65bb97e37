"""DICOM files: which of a folder's are such, by their first bytes, and how one is opened.

Old archives write the data set alone, without the 128 bytes and the mark before it. A file of the deflated transfer
syntax is unpacked and counted before it is read, as pydicom takes memory for all that it may stand for.
"""

from __future__ import annotations

import io
import math
import os
import struct
import zlib
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from headstart.formats._medical import library
from headstart.kernel.regular import beginning_of, open_regular, require_regular
from headstart.media.images import SUFFIXES
from headstart.media.jpeg import MOST_PIXELS

OTHER = SUFFIXES | frozenset(
    ".csv .gz .json .jsonl .md .nii .npy .parquet .toml .tsv .txt .wav .xml .yaml .zip".split()
)
"""Endings that DICOM files do not have; many have none, or the last number of what identifies them."""

LOOKED_AT = 3
"""Files of a folder by whose first bytes it is seen whether it holds DICOM."""

HEADER = 1 << 20
"""Bytes of a deflated data set in which what it says of its pixels is looked for, and read at a time."""

PIXELS = 0x7FE0
"""Group of the pixels, behind all that is said of them."""

SPARE = 1 << 24
"""Bytes that a deflated data set may hold beside its pixels."""

_LONG = frozenset((b"OB", b"OW", b"SQ", b"UN", b"UT", b"OF", b"OD", b"OL", b"UC", b"UR"))
"""Kinds of values whose length takes 4 bytes after 2 that are empty, where kinds are written."""


def has_slices(root: Path) -> bool:
    """Return whether the first files of some folder that may be DICOM by their names are such."""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if any(is_dicom(Path(folder, name)) for name in islice(filter(may_be_dicom, sorted(names)), LOOKED_AT)):
            return True
    return False


def may_be_dicom(name: str) -> bool:
    """Return whether a file may be a slice by its name."""
    return not name.startswith(".") and name.upper() != "DICOMDIR" and os.path.splitext(name)[1].lower() not in OTHER


def is_dicom(path: Path) -> bool:
    """Return whether a file has the mark of DICOM, or begins as a data set without one."""
    head = beginning_of(path, 512)
    return head[128:132] == b"DICM" or _begins_a_data_set(head)


def _begins_a_data_set(head: bytes) -> bool:
    """Return whether two elements follow each other, the first of group 2 or 8, where all data sets begin."""
    first, end = _element(head, 0)
    second, _ = _element(head, end)
    return first[0] in (2, 8) and second[0] in (2, 8) and first < second


def _element(head: bytes, at: int) -> tuple[tuple[int, int], int]:
    """Group and element at a place, and where the next begins; zeros where there is none."""
    if len(head) < at + 12:
        return (0, 0), 0
    group, element, kind, short, length = struct.unpack_from("<HH2sHI", head, at)
    if kind in _LONG:
        return (group, element), at + 12 + length
    if kind.isalpha() and kind.isupper():
        return (group, element), at + 8 + short
    return (group, element), at + 8 + struct.unpack_from("<I", head, at + 4)[0]


def opened(path: Path, header: Sequence[str] | None = None) -> Any:
    """The data set of a file, or, where names are given, these of it alone. Raises whatever pydicom does."""
    pydicom = library("pydicom")
    require_regular(path)
    _require_content(path)
    tags = None if header is None else [*header]
    found = pydicom.dcmread(path, force=True, stop_before_pixels=header is not None, specific_tags=tags)
    if found.file_meta.get("TransferSyntaxUID") is None:
        kinds = "Implicit" if found.original_encoding[0] else "Explicit"
        found.file_meta.TransferSyntaxUID = getattr(pydicom.uid, f"{kinds}VRLittleEndian")
    return found


def _require_content(path: Path) -> None:
    """Raise ValueError where a deflated file unpacks to much more than the pixels that its header tells of."""
    reader = library("pydicom").filereader
    with open_regular(path) as file:
        reader.read_preamble(file, True)
        about = reader.read_dataset(file, False, True, stop_when=lambda tag, *_: tag.group != 2)
        syntax = about.get("TransferSyntaxUID")
        if syntax is None or not syntax.is_deflated:
            return
        unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
        held = unpacker.decompress(file.read(HEADER), HEADER)
        size = ("Rows", "Columns", "SamplesPerPixel", "NumberOfFrames", "BitsAllocated")
        header = reader.read_dataset(io.BytesIO(held), False, True, stop_when=lambda tag, *_: tag.group >= PIXELS)
        most = SPARE + min(math.prod(int(header.get(name) or 1) for name in size) // 8, 4 * MOST_PIXELS)
        count = len(held)
        while count <= most and (packed := unpacker.unconsumed_tail or file.read(HEADER)):
            count += len(unpacker.decompress(packed, HEADER))
    if count > most:
        raise ValueError(f"it unpacks to more than {most} bytes, those of its pixels and {SPARE} beside them")
