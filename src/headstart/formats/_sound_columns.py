"""Columns of sounds and of their transcripts in a table: by what they hold, and by the names that data sets use."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from headstart.contracts.format import Columns
from headstart.formats._cell_values import as_texts
from headstart.formats._column_kinds import as_on_disk, listing, sample
from headstart.formats._rows import is_text
from headstart.kernel.errors import DataError, unknown
from headstart.media.audio import is_audio_path, sound_info

TRANSCRIPT = "transcript"
"""The target of words that are said in a clip."""

_TRANSCRIPTS = (TRANSCRIPT, "transcription", "transcripts", "normalized_text", "sentence", "text", "words")
"""Names of a column of transcripts, the surest first."""
_SPEAKERS = ("client_id", "speaker", "speaker_id", "speakers", "spk", "spk_id")
_RATES = frozenset(("sample_rate", "sampling_rate", "samplerate"))
_FOLDERS = ("", "clips", "audio", "wavs", "wav")
"""Folders beside a table in which its clips lie."""
_MAGIC = (b"RIFF", b"fLaC", b"OggS", b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2", b"FORM", b".snd")


class SoundRoles(NamedTuple):
    """The columns of a table of sounds."""

    sound: str
    label: str | None
    transcribed: bool
    """Whether the label is a transcript."""
    group: str | None
    notes: tuple[str, ...]


def sound_roles(
    table: pa.Table, root: str, columns: Columns, wanted: str | None, labels: Sequence[str], *, labelled: bool
) -> SoundRoles | None:
    """Return the roles of the columns where a column holds sounds; None where there is none, or another is an input.

    Args:
        table: the data, or the beginning of them.
        root: folder that paths start from.
        columns: what the user named.
        wanted: the column of sounds that the user named.
        labels: columns that are called as labels are.
        labelled: whether a label is wanted.

    Raises:
        DataError: there are several columns of sounds, or the one that the user named is none or not the only input.
    """
    names = [name for name in table.column_names if not name.startswith("__")]
    other = next((flag for flag in ("text", "image", "numeric") if getattr(columns, flag)), None)
    if wanted is not None and labelled and (other or wanted not in names):
        raise DataError(
            f"--audio and --{other} exclude each other: an example has one kind of input"
            if other
            else f"--audio {wanted}: {unknown('column', wanted, names)}"
        )
    if other:
        return None
    found = (
        [wanted]
        if wanted is not None and wanted in names
        else [name for name in names if holds_sound(table.column(name), root)]
    )
    if not found:
        return None
    if len(found) > 1:
        raise DataError(
            f"the columns {' and '.join(found)} all hold sounds. Say which with --audio COLUMN.\n{listing(table, root)}"
        )
    words = transcript_column(names, columns)
    transcribed = columns.target == TRANSCRIPT or (columns.label is None and not labels and words is not None)
    label = (columns.label or words) if transcribed else None
    if not labelled:
        return SoundRoles(found[0], label, transcribed, columns.group, ())
    speaker = next((name for name in names if name.lower() in _SPEAKERS), None)
    group = columns.group or (speaker if speaker == _SPEAKERS[0] else None)
    notes = (*_speaker_notes(table, speaker, group, columns.group), *_rate_notes(table, found[0], root))
    return SoundRoles(found[0], label, transcribed, group, notes)


def transcript_column(names: Sequence[str], columns: Columns) -> str | None:
    """The column of transcripts: the label that the user named for that target, or the one of the surest name."""
    if columns.target == TRANSCRIPT and columns.label is not None:
        return columns.label
    lower = {name.strip().lower(): name for name in reversed(names)}
    return next((lower[name] for name in _TRANSCRIPTS if name in lower), None)


def holds_sound(column: pa.ChunkedArray, root: str) -> bool:
    """Return whether a column holds encoded sounds, or paths of sounds of which one is there."""
    if pa.types.is_struct(column.type):
        if {field.name for field in column.type} != {"bytes", "path"}:
            return False
        return any(_is_sound(value) for value in sample(column))
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        return any(value.startswith(_MAGIC) for value in sample(column))
    values = sample(column) if is_text(column.type) else []
    return bool(values) and all(map(is_audio_path, values)) and any(_found(root, value) for value in values)


def sound_paths(column: pa.ChunkedArray, root: str) -> pa.ChunkedArray:
    """Paths as they lie on disk, below the folder of clips where it is not named."""
    paths = (path and (_found(root, path) or path) for path in column.to_pylist())
    return pa.chunked_array([pa.array(paths, pa.string())])


def with_transcripts(table: pa.Table, label: str) -> pa.Table:
    """The table with its transcripts as strings, spaces around them cut off; an empty cell stays one."""
    words = pa.chunked_array([pc.utf8_trim_whitespace(as_texts(label, table.column(label)).combine_chunks())])
    return table.set_column(table.column_names.index(label), label, words)


def _is_sound(value: dict[str, Any]) -> bool:
    content, path = value.get("bytes"), value.get("path")
    return content.startswith(_MAGIC) if content else bool(path) and is_audio_path(str(path))


def _found(root: str, path: str) -> str:
    """The path below `root`; '' where there is no such file."""
    for folder in _FOLDERS:
        below = as_on_disk(root, os.path.join(folder, path))
        try:
            if os.path.exists(os.path.join(root, below)):
                return below
        except ValueError:
            return ""
    return ""


def _speaker_notes(table: pa.Table, speaker: str | None, group: str | None, named: str | None) -> tuple[str, ...]:
    if speaker is None:
        return ()
    number = pc.count_distinct(table.column(speaker)).as_py()
    if group is None:
        return (
            f"column '{speaker}' names {number} speakers, who may stand on both sides of the split: figures are then "
            f"of voices that were heard in training. --group {speaker} keeps each on one side",
        )
    if named is None:
        return (f"column '{speaker}' keeps the clips of each of {number} speakers on one side of the split",)
    return ()


def _rate_notes(table: pa.Table, sound: str, root: str) -> tuple[str, ...]:
    """A note on clips whose files state another rate than the table does."""
    stated = next((name for name in table.column_names if name.lower() in _RATES), None)
    if stated is None or not is_text(table.column(sound).type):
        return ()
    other = []
    for path, rate in zip(table.column(sound).to_pylist(), table.column(stated).to_pylist()):
        own = _rate(root, path) if path and rate else None
        if own is not None and str(own) != str(rate).removesuffix(".0"):
            other.append(f"{path} ({rate} Hz in the table, {own} Hz in the file)")
    if not other:
        return ()
    return (f"clips whose files have another rate than column '{stated}' states: {len(other)}, such as {other[0]}",)


def _rate(root: str, path: str) -> int | None:
    try:
        return sound_info(Path(root, _found(root, path))).rate if _found(root, path) else None
    except DataError:
        return None
