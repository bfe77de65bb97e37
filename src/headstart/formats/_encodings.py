"""The encoding of a text file, found from its bytes: UTF-8, UTF-16 and UTF-32 with a mark, else the Western ones."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper

from headstart.formats._stored_file import StoredFile
from headstart.kernel.errors import DataError

BLOCK = 1 << 24
"""Bytes read at a time."""
_BINARY = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"PAR1", b"SQLite format 3", b"ARROW1")
"""Beginnings of archives and workbooks, old workbooks, Parquet, databases and Arrow."""
_MOST_ZEROS = 0.05
"""Share of zero bytes that text may have."""
_MARKS = (  # those of UTF-32 first, as one begins like UTF-16
    ("utf-32", (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)),
    ("utf-16", (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)),
)


def encoding_of(file: StoredFile) -> str:
    """'utf-8' (with or without a mark), 'utf-16', 'utf-32' (with one), 'cp1252' or 'latin-1'.

    Raises:
        DataError: the file is damaged, or holds no text.
    """
    with file.open() as content:
        begins = content.read(BLOCK)
    marked = _marked(begins)
    if marked is not None:
        fault = _undecodable(file, marked)
        if fault is not None:
            raise DataError(f"{file} begins as {marked.upper()} and is not: {fault}")
        return marked
    try:
        _require_text(begins)
    except ValueError as error:
        raise DataError(f"{file} is not text: {error}") from error
    return next((encoding for encoding in ("utf-8", "cp1252") if _undecodable(file, encoding) is None), "latin-1")


def decoded(content: bytes) -> tuple[str, str]:
    """A whole text and its encoding, found as `encoding_of` does. Raises ValueError where it is not text."""
    marked = _marked(content)
    if marked is not None:
        return content.decode(marked), marked
    _require_text(content)
    for encoding in ("utf-8-sig", "cp1252"):
        with suppress(UnicodeDecodeError):
            return content.decode(encoding), encoding
    return content.decode("latin-1"), "latin-1"


def is_unusual(encoding: str) -> bool:
    """Return whether an encoding was assumed, as nothing in the file says it."""
    return not encoding.startswith("utf")


@contextmanager
def opened_text(file: StoredFile, encoding: str) -> Iterator[TextIOWrapper]:
    """The file as text, without its mark, line ends as they are. Raises DataError as `StoredFile.open`."""
    with file.open() as content:
        yield TextIOWrapper(content, "utf-8-sig" if encoding == "utf-8" else encoding, newline="")


def _marked(begins: bytes) -> str | None:
    """The encoding that a mark at the beginning names; None without one, and for UTF-8."""
    return next((name for name, marks in _MARKS if begins.startswith(marks)), None)


def _require_text(begins: bytes) -> None:
    if begins.startswith(_BINARY) or begins.count(0) > _MOST_ZEROS * len(begins):
        raise ValueError(
            "it is another kind of file than its name says, or UTF-16 without a mark, which is to be saved as UTF-8. "
            f"It begins with {begins[:8]!r}."
        )


def _undecodable(file: StoredFile, encoding: str) -> UnicodeDecodeError | None:
    """The first fault of a file in an encoding; None where there is none."""
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        with file.open() as content:
            while block := content.read(BLOCK):
                decoder.decode(block)
            decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        return error
    return None
