"""References to image models: an architecture, and where its weights lie."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import huggingface_hub
import timm
from timm.models import get_pretrained_cfg, is_model, list_pretrained

from headstart.backbones._hub import OutOfReach, hub_files
from headstart.backbones._licence import licence_beside, stated_licence
from headstart.backbones._timm_architecture import Architecture
from headstart.backbones._weights_file import WEIGHT_SUFFIXES
from headstart.contracts.backbone import UNKNOWN_LICENCE
from headstart.kernel.errors import BackboneError, HeadstartError, unknown
from headstart.kernel.files import read_json
from headstart.kernel.regular import read_regular

DEFAULT = "mobilenetv3_large_100.ra_in1k"
"""What `auto` downloads: 5.5 million weights (22 MB), some hundred images a second on two cores."""

PREFERRED = (
    "convnext_tiny.in12k_ft_in1k",
    "resnet50.tv2_in1k",
    "resnet50.a1_in1k",
    "vit_small_patch16_224.augreg_in21k_ft_in1k",
    "efficientnet_b0.ra_in1k",
    DEFAULT,
    "mobilenetv2_100.ra_in1k",
    "resnet18.a1_in1k",
)
"""What `auto` looks for in the Hugging Face cache, best start first."""

_NAMES = ("model.safetensors", "pytorch_model.bin", "pytorch_model.pth", "model.pth")
_HUB_PREFIXES = ("hf-hub:", "hf_hub:")
_INSTEAD = "Give a file with --weights FILE, or use random weights with --weights random."


class OnHub(NamedTuple):
    """Weights in a repository on the hub, or already in its cache."""

    repository: str
    revision: str | None
    names: tuple[str, ...]
    """File names to look for, best first."""


class Source(NamedTuple):
    """A parsed reference: an architecture, and where its weights lie."""

    architecture: Architecture
    weights: Path | OnHub | None
    """None where there are none, or only on their authors' site."""
    elsewhere: bool = False
    """True where timm knows the authors' site."""
    licence: str = UNKNOWN_LICENCE
    """Licence of the weights."""


def find(reference: str, image_size: int | None) -> Source:
    """Resolve a timm name, `hf-hub:OWNER/MODEL`, `local-dir:FOLDER`, a folder or a file next to its config.json.

    Raises:
        BackboneError: nothing has that name, or its description cannot be read.
    """
    path = _local(reference)
    if path is not None:
        return _in_folder(path, image_size)
    repository = _repository(reference)
    if repository is not None:
        return _in_repository(repository, image_size)
    return _by_name(reference, image_size)


def is_timm(reference: str) -> bool:
    """Return whether the reference names an image model, judged without a network."""
    path = _local(reference)
    if path is not None and path.is_dir():
        return (path / "config.json").is_file() and b'"architecture"' in read_regular(path / "config.json")
    if path is not None:
        return path.suffix in WEIGHT_SUFFIXES
    return _repository(reference) is not None or is_model(reference)


def fetched(weights: OnHub) -> Path:
    """The file, from the cache or downloaded.

    Raises:
        BackboneError: it is not in the cache and the hub does not have it or is out of reach.
    """
    found = cached(weights)
    if found is not None:
        return found
    try:
        there = hub_files(weights.repository, weights.revision)
        if there is None:
            raise BackboneError(f"the Hugging Face hub has no public model '{weights.repository}'. {_INSTEAD}")
        name = next((name for name in weights.names if name in there), None)
        if name is None:
            raise BackboneError(f"'{weights.repository}' on the Hugging Face hub has no {weights.names[0]}. {_INSTEAD}")
        return Path(huggingface_hub.hf_hub_download(weights.repository, name, revision=weights.revision))
    except OutOfReach as error:
        raise BackboneError(
            f"{weights.names[0]} of '{weights.repository}' is not in the Hugging Face cache, and {error}. {_INSTEAD}"
        ) from error
    except (OSError, RuntimeError) as error:  # the line or the disk gave way during the download
        raise BackboneError(f"'{weights.repository}' could not be downloaded: {error}. {_INSTEAD}") from error


def cached(weights: OnHub) -> Path | None:
    """The file in the Hugging Face cache, None if it is not there."""
    for name in weights.names:
        found = huggingface_hub.try_to_load_from_cache(weights.repository, name, revision=weights.revision)
        if isinstance(found, str):
            return Path(found)
    return None


def best_available() -> tuple[str, str] | None:
    """(reference, reason) of what `auto` takes: the best model in the cache, else `DEFAULT` if it is within reach."""
    for name in PREFERRED:
        if cached(OnHub(f"timm/{name}", None, _NAMES)) is not None:
            return name, "it lies in the Hugging Face cache"
    try:
        within_reach = hub_files(f"timm/{DEFAULT}") is not None
    except OutOfReach:
        return None
    return (DEFAULT, "it is small, and the Hugging Face hub can be reached") if within_reach else None


def _local(reference: str) -> Path | None:
    given = reference.startswith("local-dir:")
    path = Path(reference.removeprefix("local-dir:")).expanduser()
    return path if given or path.exists() else None


def _repository(reference: str) -> str | None:
    for prefix in _HUB_PREFIXES:
        if reference.startswith(prefix):
            return reference.removeprefix(prefix)
    return reference if reference.startswith("timm/") else None


def _in_folder(path: Path, image_size: int | None) -> Source:
    folder = path.parent if path.is_file() else path
    config = folder / "config.json"
    if not config.is_file():
        raise BackboneError(
            f"{config} is missing, so the architecture is not known."
            f" Give the architecture by its timm name and the file with --weights, as in resnet50 --weights {path}"
        )
    architecture = _described(config, image_size)
    weights = path if path.is_file() else _best_file(folder)
    return Source(architecture, weights, licence=licence_beside(folder))


def _best_file(folder: Path) -> Path | None:
    named = [folder / name for name in _NAMES if (folder / name).is_file()]
    others = (file for suffix in WEIGHT_SUFFIXES for file in sorted(folder.glob(f"*{suffix}")))
    return next(iter([*named, *others]), None)


def _in_repository(reference: str, image_size: int | None) -> Source:
    repository, _, revision = reference.partition("@")
    config = fetched(OnHub(repository, revision or None, ("config.json",)))
    weights = OnHub(repository, revision or None, _NAMES)
    return Source(_described(config, image_size), weights, licence=licence_beside(config.parent))


def _described(config: Path, image_size: int | None) -> Architecture:
    """The architecture that a timm config.json describes."""
    try:
        content: Mapping[str, Any] = read_json(config)
        name, arguments = content["architecture"], dict(content.get("model_args") or {})
        configuration = dict(content.get("pretrained_cfg") or content)
    except (HeadstartError, ValueError, KeyError, TypeError, OSError) as error:
        raise BackboneError(f"{config} does not describe a timm model: {error!r}") from error
    try:
        return Architecture.of(name, arguments, configuration, image_size)
    except BackboneError as error:
        raise BackboneError(f"{config}: {error}") from error


def _by_name(reference: str, image_size: int | None) -> Source:
    name, _, tag = reference.partition(".")
    if not is_model(name):
        raise BackboneError(unknown("image model", reference, _known(reference)))
    try:
        configuration = get_pretrained_cfg(reference)
    except RuntimeError as error:
        tags = [known.partition(".")[2] for known in list_pretrained(f"{name}.*")]
        raise BackboneError(unknown(f"weights tag of {name}", tag, tags)) from error
    if configuration is None:  # timm's old names, which stand for a new name with a tag
        raise BackboneError(unknown("image model", reference, list_pretrained()))
    values = configuration.to_dict()
    hub: str | None = values.get("hf_hub_id")
    names: Sequence[str] = (values["hf_hub_filename"],) if values.get("hf_hub_filename") else _NAMES
    weights = OnHub(hub, None, tuple(names)) if hub else None
    architecture = Architecture.of(name, {}, values, image_size)
    return Source(architecture, weights, bool(values.get("url")), stated_licence(values))


def _known(reference: str) -> Iterable[str]:
    return list_pretrained() if "." in reference else timm.list_models()
