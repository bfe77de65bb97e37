"""The backbone of a run: loaded by its name, or the best that can be had, and made to suit the task."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from huggingface_hub import constants

from headstart.contracts.backbone import Backbone
from headstart.contracts.examples import Examples
from headstart.contracts.modality import are_pairs, modality_named
from headstart.contracts.task import BoundTask
from headstart.kernel import registry
from headstart.kernel.errors import BackboneError, SettingsError, nearest, unknown
from headstart.kernel.user_settings import build
from headstart.pipeline.plan import Plan
from headstart.pipeline.record import Decision


class Unsuited(BackboneError):
    """A backbone that can be had and does not suit the task."""


def choose_backbone(
    examples: Examples, plan: Plan, *, pairs: bool = True, writes: bool = False
) -> tuple[Backbone, str, Decision | None]:
    """The loaded backbone, the reference it was loaded by, and the reason where 'auto' chose.

    Args:
        pairs: whether pairs of texts may be read apart.
        writes: whether 'auto' must choose a model that writes texts.

    Raises:
        BackboneError: the name is not known (nearest names given), or nothing can be had.
        SettingsError: it is said how pairs are read, and there are none.
    """
    modality = examples.schema.modality
    reference, decision = plan.backbone, None
    if reference == "auto":
        reference, decision = automatic(modality, writes=writes)
    for name in [reference] if Path(reference).exists() else reference.split("+"):
        _refuse_missing_folder(name)
    # a plug-in, a run folder or another exact match names itself; a hub name is claimed by one family of its modality
    own = [registry.plugin("backbones", reference)] if reference in registry.names("backbones") else []
    family = next((family for family in (*own, *families_of(modality)) if family.suits(reference)), None)
    if family is None:
        raise BackboneError(_not_known(reference, modality))
    given = plan.settings.get("backbone", {})
    names = examples.schema.inputs
    offered = {
        "reference": reference,
        "weights": plan.weights,
        "seed": plan.seed,
        "columns": len(names),
        "names": names,
        "inputs": modality,
    }
    fields = {**{key: value for key, value in offered.items() if key in family.model_fields}, **given}
    backbone = build(family, fields, where="backbone").load()
    if plan.head.kind == "stages" and not backbone.beside_last:
        backbone = backbone.several()
    if backbone.name == reference and Path(reference).exists():
        backbone.name = Path(reference).resolve().name
    if backbone.modality != modality:
        raise BackboneError(f"backbone {reference} takes {backbone.modality} inputs; the data are {modality}")
    if pairs and are_pairs(examples.schema):
        return backbone, reference, decision
    if (how := given.get("pairs", "auto")) != "auto":
        raise SettingsError(f"backbone.pairs = {how} would do nothing: it says how two texts (--text A,B) are compared")
    return backbone.alone() or backbone, reference, decision


def suited(backbone: Backbone, task: BoundTask, tuning: Any = None) -> Backbone:
    """The backbone as the task needs it.

    Raises:
        Unsuited: it cannot serve; with the reason.
        SettingsError: the tuning, where one is given, cannot work on it.
    """
    if tuning is not None and not tuning.solved:
        tuning.check(backbone)
    name = registry.name_of(task)
    if task.needs.features == "maps" and not backbone.maps():
        raise Unsuited(
            f"{name} needs maps of several strides, and {backbone.name} has none: its features are pooled vectors or "
            "tokens of one size. Take a convolutional or hierarchical model, such as resnet50, mobilenetv2_100, "
            "convnext_tiny or swin_tiny_patch4_window7_224."
        )
    if task.needs.generates:  # the task was bound to its vocabulary
        return backbone
    backbone = backbone.reading()
    if task.needs.features == "tokens":
        return backbone.placed()
    try:
        whole = backbone if task.needs.side is None else backbone.whole(task.needs.side)
    except BackboneError as error:
        raise Unsuited(f"{name} sees pictures whole, in squares of {task.needs.side} pixels: {error}") from error
    return whole.of_strides(task.needs.strides) if task.needs.strides else whole


def families_of(modality: str) -> list[Any]:
    """The backbone families that read inputs of a modality, in order of name."""
    families = [registry.plugin("backbones", name) for name in registry.names("backbones")]
    return [family for family in families if family.modality in ("", modality)]


def automatic(modality: str, *, writes: bool = False) -> tuple[str, Decision]:
    """Return the usual model for inputs of a modality, one that `writes` texts or none of these, and why it.

    Raises:
        BackboneError: there is none.
    """
    families = [family for family in families_of(modality) if getattr(family, "writes", False) == writes]
    for family in sorted(families, key=lambda family: getattr(family, "last_resort", False)):
        found = family.automatic()
        if found is not None:
            reference, reason = found
            return reference, Decision(what="backbone", value=reference, reason=reason)
    raise BackboneError(modality_named(modality).no_backbone or f"no backbone is known for {modality} data")


@contextmanager
def without_downloads() -> Iterator[None]:
    """Within it 'auto' takes a backbone that is on this machine."""
    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _refuse_missing_folder(reference: str) -> None:
    """Refuse a path to a folder that does not exist, with the near names. Raises BackboneError."""
    path = Path(reference).expanduser()
    is_path = path.is_absolute() or reference.startswith(".") or (len(path.parts) > 1 and path.parent.is_dir())
    if not is_path or path.exists():
        return
    beside = [each.name for each in path.parent.iterdir() if each.is_dir()] if path.parent.is_dir() else []
    close = [str(path.parent / name) for name in nearest(path.name, beside)]
    hint = f" Did you mean {' or '.join(close)}?" if close else ""
    raise BackboneError(f"backbone: the folder {reference} does not exist.{hint}")


def _not_known(reference: str, modality: str) -> str:
    if not Path(reference).exists():
        known = [name for family in families_of(modality) for name in family.known()]
        return unknown(f"{modality} backbone", reference, known)
    for other in registry.names("modalities"):
        if any(family.suits(reference) for family in families_of(other)):
            return f"backbone {reference} takes {other} inputs; the data are {modality}"
    return (
        f"backbone {reference} exists but is not a model for {modality} inputs: expected the folder of a run, or a "
        "folder with a config.json of timm ('architecture') or transformers ('model_type') and the weights"
    )
