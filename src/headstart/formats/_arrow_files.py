"""Arrow files, and the folders of them that `save_to_disk` of Hugging Face's `datasets` writes, read without it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from headstart.formats._stored_file import StoredFile
from headstart.formats._table_memory import ArrowRows
from headstart.kernel.documents import parse_json
from headstart.kernel.errors import DataError
from headstart.kernel.regular import read_regular, require_regular

_END = b"\xff\xff\xff\xff\x00\x00\x00\x00"
"""How a stream ends that was written to its end."""
_STATE, _DICT, _INFO = "state.json", "dataset_dict.json", "dataset_info.json"


def saved_datasets(folder: Path) -> dict[str, ArrowRows] | None:
    """Split -> data set; a lone one is called ''. None for a folder that `save_to_disk` did not write.

    Raises:
        DataError: a file is missing or damaged.
    """
    if not folder.is_dir():
        return None
    if (folder / _DICT).is_file():
        splits = _document(folder / _DICT).get("splits")
        if not isinstance(splits, list) or not splits:
            raise DataError(f"{folder / _DICT} names no splits")
        return {str(split): _saved(folder / str(split)) for split in splits}
    return {"": _saved(folder)} if (folder / _STATE).is_file() and (folder / _INFO).is_file() else None


def arrow_file(file: StoredFile) -> ArrowRows:
    """An .arrow or .feather file as a source. Raises DataError."""
    return _rows([_table(file)], file.root, file.name)


def _saved(folder: Path) -> ArrowRows:
    """One data set."""
    state = _document(folder / _STATE)
    names = [one.get("filename") if isinstance(one, dict) else None for one in state.get("_data_files") or ()]
    if not names or not all(isinstance(name, str) for name in names):
        raise DataError(f"{folder / _STATE} names no files of data")
    if state.get("_indices_data_files"):
        raise DataError(f"{folder} holds a selection of rows. Save it with ds.flatten_indices().save_to_disk(...)")
    tables = [_table(StoredFile(folder / str(name))) for name in names]
    return _rows(tables, str(folder), folder.name, _document(folder / _INFO).get("features"))


def _rows(tables: list[pa.Table], root: str, words: str, features: Any = None) -> ArrowRows:
    """Tables as one source; the names of classes are in their metadata, or in `features`."""
    try:
        known = parse_json((tables[0].schema.metadata or {}).get(b"huggingface", b"{}"))
        found = known.get("info", {}).get("features") or features or {}
        rows = ArrowRows(
            pa.concat_tables(tables), words, {name: n for name in found if (n := _class_names(found[name]))}
        )
    except (ValueError, AttributeError) as error:  # arrow's own are ValueErrors
        raise DataError(f"{root}: the columns of {words} cannot be told: {error}") from error
    rows.root = root
    return rows


def _class_names(feature: Any) -> list[str]:
    """The names of the classes of a column of class numbers, or of lists of them; empty for any other."""
    while isinstance(feature, list) and feature:
        feature = feature[0]
    if not isinstance(feature, dict):
        return []
    if feature.get("_type") == "ClassLabel" and isinstance(feature.get("names"), list):
        return [str(name) for name in feature["names"]]
    return _class_names(feature.get("feature"))


def _table(file: StoredFile) -> pa.Table:
    """A file of either of arrow's layouts; it stays on disk. Raises DataError."""
    try:
        if require_regular(file.path).st_size < len(_END):
            raise DataError(f"{file} is empty")
        content = pa.memory_map(str(file.path))
        is_file = content.read(6) == b"ARROW1"
        content.seek(content.size() - len(_END))
        if not is_file and content.read() != _END:
            raise DataError(f"{file} cannot be read as Arrow: its end is missing")
        content.seek(0)
        table = (pa.ipc.open_file(content) if is_file else pa.ipc.open_stream(content)).read_all()
        table.validate(full=True)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{file} cannot be read as Arrow: {getattr(error, 'strerror', None) or error}") from error
    return table


def _document(path: Path) -> dict[str, Any]:
    try:
        value = parse_json(read_regular(path))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if not isinstance(value, dict):
        raise DataError(f"{path} holds no record")
    return value
