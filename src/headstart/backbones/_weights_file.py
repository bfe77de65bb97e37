"""Reading a file of weights without running anything in it: safetensors, or a checkpoint of tensors alone.

A `.pth` file is a pickle, and a pickle is a program. `torch.load(weights_only=True)` knows tensors and plain containers
and refuses the rest before it is executed.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from headstart.kernel.errors import BackboneError

WEIGHT_SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".th", ".tar", ".ckpt")
"""Names that are taken for files of weights."""

_WRAPPERS = ("state_dict", "model")
"""Keys under which training scripts keep the weights beside their own state."""


def read_weights(path: Path) -> dict[str, Tensor]:
    """The named tensors of a file.

    Raises:
        BackboneError: the file is missing, damaged, holds no tensors, or needs code to be read.
    """
    if not path.is_file():
        raise BackboneError(f"weights file {path} does not exist. Give a .safetensors file or a checkpoint of tensors.")
    content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_checkpoint(path)
    for key in _WRAPPERS:
        if isinstance(content.get(key), Mapping):
            content = content[key]
    state = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    if not state:
        raise BackboneError(f"{path} has no named tensors, so it is not a weights file")
    for name, value in state.items():
        if not _is_stored(value):
            shape = "x".join(map(str, value.shape))
            raise BackboneError(f"{path}: the tensor '{name}' is declared as {shape}, but its numbers are not stored")
    if all(name.startswith("module.") for name in state):  # what DataParallel adds
        state = {name.removeprefix("module."): value for name, value in state.items()}
    return state


def refuse_packed(path: Path) -> None:
    """Refuse a checkpoint with packed tensors: torch stores them as they are, and packed ones unfold to any size.

    Raises:
        BackboneError: it is one.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            unfolded = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError):
        return  # the format before ZIP, or damaged: torch says so
    if unfolded > path.stat().st_size:
        raise BackboneError(f"{path} declares {unfolded:,} bytes of tensors, more than the file contains")


def _is_stored(tensor: Tensor) -> bool:
    """Return whether every number of a tensor lies in memory by itself; views that repeat numbers declare any size."""
    if tensor.layout != torch.strided or tensor.device.type != "cpu":
        return False
    return tensor.numel() * tensor.element_size() <= tensor.untyped_storage().nbytes()


def _read_safetensors(path: Path) -> Mapping[str, Any]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise BackboneError(f"{path} is damaged or not a safetensors file: {error}") from error


def _read_checkpoint(path: Path) -> Mapping[str, Any]:
    refuse_packed(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise BackboneError(
            f"{path} is a pickle of more than tensors. It was refused, and nothing in it was run."
            " Give a .safetensors file, or save the state dict alone with torch.save(model.state_dict(), FILE)."
        ) from error
    except Exception as error:  # a damaged archive makes torch raise whatever its reader stumbles on
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise BackboneError(f"{path} is damaged or not a checkpoint: {reason}") from error
    if not isinstance(content, Mapping):
        raise BackboneError(f"{path} holds a {type(content).__name__}, not named tensors")
    return content
