"""Reading data whichever way they lie: each format is asked what it sees, and exactly one must see something."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from headstart.contracts.examples import Examples, Schema
from headstart.contracts.format import Columns, Format
from headstart.contracts.modality import HasTexts, InFiles, modality_named, raws_of
from headstart.kernel import registry
from headstart.kernel.errors import DataError, SettingsError, nearest, some
from headstart.kernel.regular import require_regular
from headstart.kernel.terminal_text import is_text
from headstart.kernel.user_settings import build

_ARCHIVES = frozenset((".7z", ".bz2", ".gz", ".lz4", ".rar", ".tar", ".tgz", ".xz", ".zst"))
NO_SETTINGS: Mapping[str, Any] = MappingProxyType({})


class Several(tuple[Any, ...]):
    """Data sets that are put together, each of which is a domain; see `several_domains.py`."""

    __slots__ = ()


class EachATask(Several):
    """Data sets that are put together, each of which is a task of its own on one backbone."""

    __slots__ = ()


class Given(NamedTuple):
    """Data of a fit as they were given: paths, or what lies in memory."""

    data: Any
    """`Several` where they are several data sets."""
    target: Any = None
    """Inputs of another domain; None without one."""
    target_labels: Any = None
    """A few labelled examples of it; None without any."""
    source: Any = None
    """Interactions of another domain; None without any."""
    items: Any = None
    """Contents of items; None without any."""


def read_examples(
    source: Any,
    columns: Columns,
    *,
    format: str | None = None,
    settings: Mapping[str, Any] = NO_SETTINGS,
    labelled: bool = True,
) -> tuple[Examples, str]:
    """Read everything.

    Args:
        source: a path, a pandas frame, a `datasets` object, a dict of these by part, or a list of image paths.
        columns: what the user named.
        format: name of the format; recognised when None. settings: the format's.
        labelled: whether labels must be there.

    Returns:
        The examples, and what was seen, in words.

    Raises:
        DataError: no format or more than one recognises the source, or it cannot be read.
        SettingsError: the format has no such settings.
    """
    source = existing(source)
    kind, seen = _kind(source, format, columns)
    reader: Format = build(kind, settings, where="format")
    examples = reader.read(source, columns, labelled=labelled)
    if labelled:
        _require_used(columns, examples.schema, seen)
    modality = modality_named(examples.schema.modality)
    remarks = modality.remarks(raws_of(examples), examples.origins()) if isinstance(modality, InFiles) else ()
    return Examples(examples.table, examples.schema, (*examples.notes, *remarks)), seen


def _require_used(columns: Columns, schema: Schema, seen: str) -> None:
    """Refuse a named column that data without columns of their own do not have. Raises DataError."""
    takes_texts = isinstance(modality_named(schema.modality), HasTexts)
    unused = {
        "text": () if takes_texts and (schema.words or {*columns.text} <= {*schema.inputs}) else columns.text,
        "image": () if columns.image in (None, *schema.inputs) else (columns.image,),
        "label": () if columns.label in (None, *schema.targets.values()) else (columns.label,),
        "domain": () if schema.domain or columns.domain is None else (columns.domain,),
        "slice": tuple(name for name in columns.slices if name not in schema.slices),
        "part": () if schema.part or columns.part is None else (columns.part,),
    }
    for flag, names in unused.items():
        if names:
            raise DataError(f"--{flag} {names[0]} would do nothing, as there is no such column: {seen}")


def reader_of(
    source: Any,
    format: str | None,
    settings: Mapping[str, Any] = NO_SETTINGS,
    given: Mapping[str, Any] = NO_SETTINGS,
) -> tuple[Any, Format]:
    """The source, and what reads it with the given settings and those of a run that it has too.

    Raises:
        DataError: as `read_examples`. SettingsError: the format has no such settings as were given.
    """
    source = existing(source)
    kind, _ = _kind(source, format)
    return source, build(kind, {**shared_settings(kind, settings), **given}, where="format")


def of_format(verb: str, settings: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    """The settings of the format, which a verb takes beside those of `--test-time` alone. Raises SettingsError."""
    if strange := sorted({*settings} - {"format", "test_time"}):
        raise SettingsError(
            f"--set {strange[0]}: {verb} takes settings of format, such as format.table=NAME, and of test_time alone"
        )
    return settings.get("format", NO_SETTINGS)


def name_of(data: Any) -> str:
    """The path of data, or their type in angle brackets where they lie in memory."""
    return str(data) if isinstance(data, (str, Path)) else f"<{type(data).__name__}>"


def short_name(name: str) -> str:
    """The last part of a path."""
    return Path(name).name or name


def shared_settings(kind: Any, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those that a format has: data may lie otherwise than those that a run learnt from."""
    return {name: value for name, value in settings.items() if name in kind.model_fields}


def existing(source: Any) -> Any:
    """The source, a path as `Path`. Raises DataError with the nearest names when it does not exist."""
    _refuse_names_that_are_no_text(source)
    if not isinstance(source, (str, Path)):
        return source
    if not str(source).strip():
        raise DataError("the path of the data is empty")
    path = Path(source).expanduser()
    try:
        if path.exists():
            if not path.is_dir():
                require_regular(path)
            return path
        beside = [sibling.name for sibling in path.parent.iterdir()] if path.parent.is_dir() else []
    except (OSError, ValueError) as error:
        raise DataError(f"{source} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    close = nearest(path.name, beside)
    hint = " Did you mean " + " or ".join(str(path.with_name(name)) for name in close) + "?" if close else ""
    if not path.parent.is_dir():
        hint = f" The folder {path.parent} does not exist either."
    raise DataError(f"{source} does not exist.{hint}")


def _refuse_names_that_are_no_text(source: Any) -> None:
    """Plans, tables and reports are UTF-8 and could not name them."""
    for path in source if isinstance(source, (list, tuple)) else (source,):
        if isinstance(path, (str, Path)) and not is_text(str(path)):
            raise DataError(f"the name {path} is not valid UTF-8. Rename it: what Headstart writes could not name it.")


def _kind(source: Any, format: str | None, columns: Columns | None = None) -> tuple[Any, str]:
    names = registry.names("formats")
    seen: dict[str, str] = {}
    for name in names if format is None else [format]:
        words = registry.plugin("formats", name).recognises(source)
        if words is not None:
            seen[name] = words
    for name in [name for name in seen if len(seen) > 1]:
        narrows = getattr(registry.plugin("formats", name), "narrows", None)
        if narrows in seen:  # named columns are those of a plain table
            seen.pop(name if columns is not None and _names_columns(columns) else narrows)
    if format is not None:
        return registry.plugin("formats", format), seen.get(format, "")
    if len(seen) == 1:
        name, words = next(iter(seen.items()))
        return registry.plugin("formats", name), words
    what = str(source) if isinstance(source, Path) else f"an object of type {type(source).__name__}"
    if not seen:
        for one in source if isinstance(source, (list, tuple)) else ():
            if isinstance(one, (str, Path)):
                existing(one)
        raise DataError(
            f"{what} is not recognised: found no images and no table{_content(source)}. Formats: {', '.join(names)}."
        )
    sights = "\n".join(f"  --format {name}: {words}" for name, words in seen.items())
    raise DataError(f"{what} can be read in more than one way. Say which:\n{sights}")


def _names_columns(columns: Columns) -> bool:
    return bool(columns.named() or columns.label or columns.labels or columns.leave_out)


def _content(source: Any) -> str:
    """A few names of what lies in a folder; advice for what is packed."""
    if isinstance(source, Path) and source.suffix.lower() in _ARCHIVES:
        return ". It is an archive: unpack it, and give what was in it"
    if not isinstance(source, Path) or not source.is_dir():
        return ""
    names = sorted(entry.name for entry in source.iterdir())
    if not names:
        return "; the folder is empty"
    return f"; the folder holds {some(names)}"
