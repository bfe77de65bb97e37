"""Files that are read of a transformers folder, and the references in them that are not followed.

The files of a folder can name others: a base model for an adapter, parts of the weights, the vocabulary, code on the
hub. A name leads on only where it stands for a file of the same folder; what would need more than that is refused.
"""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import transformers
from safetensors import SafetensorError, safe_open

from headstart.contracts.declared_size import Stored
from headstart.kernel.errors import BackboneError, HeadstartError
from headstart.kernel.files import read_json, write_json

_FOLLOWED = ("auto_map", "name_or_path", "init_inputs")
"""Entries of tokenizer_config.json that name code or places, beside those that end in '_file'."""

_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".h5", ".msgpack", ".onnx", ".ot", ".gguf")


def require_own_files(folder: Path) -> None:
    """Refuse a model whose files lead out of its folder, or need code that is not transformers' own.

    Raises:
        BackboneError: names the file, and what it asks for.
    """
    if (folder / "adapter_config.json").exists():
        raise BackboneError(
            f"{folder} holds an adapter to another model, which adapter_config.json names. Merge it into that model"
            " (`merge_and_unload()` of peft), save the result, and give its folder."
        )
    config = _read_any(folder / "config.json")
    if config.get("quantization_config"):
        raise BackboneError(f"{folder} contains quantised weights, which are not supported. Give the original weights.")
    named = config.get("transformers_weights")
    if named is not None and not _is_own(named):
        raise BackboneError(f"{folder / 'config.json'}: transformers_weights = {named!r} is not a file in its folder")
    for place, value in _texts(config):
        if place.endswith(("attn_implementation", "experts_implementation", "kernel")) and "/" in value:
            raise BackboneError(
                f"{folder / 'config.json'}: {place} = {value!r} refers to external code, which is never run"
            )
    for index in sorted(folder.glob("*.index.json")):
        parts = _read(index).get("weight_map")
        foreign = [part for part in _values(parts) if not _is_own(part)]
        if foreign:
            raise BackboneError(
                f"{index} names {foreign[0]!r} as a shard of the weights, which is not a file in its folder"
            )


@contextmanager
def tokenizer_folder(folder: Path) -> Iterator[Path]:
    """The folder, or a passing copy of its tokenizer's files where tokenizer_config.json names files or code.

    Raises:
        BackboneError: the tokenizer is of a class that transformers has for something else.
    """
    path = folder / "tokenizer_config.json"
    content = _read_any(path)
    for file in (path, folder / "config.json"):
        _require_tokenizer(file, _read_any(file))
    if not any(_leads_on(key) for key in content):
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="headstart-") as copy:
        for file in folder.iterdir():
            if file.suffix not in _WEIGHTS and file.is_file():
                shutil.copyfile(file, Path(copy) / file.name)
        write_json(Path(copy) / path.name, {key: value for key, value in content.items() if not _leads_on(key)})
        yield Path(copy)


def stored_in(folder: Path) -> Stored:
    """The weights in a folder: by the headers of safetensors files, else by size, two bytes for a number at least."""
    files = [path for path in folder.iterdir() if path.suffix == ".safetensors"]
    if not files:
        return Stored(sum(path.stat().st_size for path in folder.iterdir() if path.suffix == ".bin") // 2)
    sizes = [size for path in files for size in _sizes(path)]
    return Stored(sum(sizes), len(sizes))


def _sizes(path: Path) -> list[int]:
    """Return how many numbers each tensor of a safetensors file has."""
    try:
        with safe_open(path, "pt") as file:
            return [math.prod(file.get_slice(name).get_shape()) for name in file.keys()]  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise BackboneError(f"{path.parent}: its weights cannot be used: {path.name} is damaged ({error})") from error


def _require_tokenizer(path: Path, content: Mapping[str, Any]) -> None:
    name = content.get("tokenizer_class")
    known = getattr(transformers, name, None) if isinstance(name, str) else None
    if name is not None and not isinstance(name, str):
        raise BackboneError(f"{path}: tokenizer_class = {name!r} is not a name")
    if known is not None and not (
        isinstance(known, type)
        and (issubclass(known, transformers.PreTrainedTokenizerBase) or "_backends" in vars(known))
    ):
        raise BackboneError(f"{path}: tokenizer_class = {name!r} is not a tokenizer of transformers")


def _leads_on(key: str) -> bool:
    return key in _FOLLOWED or key.endswith("_file")


def _is_own(name: Any) -> bool:
    """Return whether it is the bare name of a file."""
    return isinstance(name, str) and Path(name).name == name


def _read_any(path: Path) -> dict[str, Any]:
    """Return what a file says; nothing where it is missing."""
    return _read(path) if path.exists() else {}


def _read(path: Path) -> dict[str, Any]:
    try:
        content = read_json(path)
    except (HeadstartError, OSError) as error:
        raise BackboneError(f"{path.parent}: its {path.name} cannot be used: {error}") from error
    if not isinstance(content, dict):
        raise BackboneError(f"{path} is not a configuration: it has no named entries")
    return content


def _values(parts: Any) -> list[Any]:
    return list(parts.values()) if isinstance(parts, dict) else []


def _texts(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Every text in a configuration, with the name of its entry."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(item, f"{place}.{key}" if place else str(key))
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item, place)
