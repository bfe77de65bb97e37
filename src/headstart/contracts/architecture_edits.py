"""Edits of a pretrained architecture: what each layer was, what it is, and what became of its weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple

from headstart.kernel.settings import Settings

if TYPE_CHECKING:  # records have edits, and to read one needs no torch
    from torch import Tensor, nn

Fate = Literal["kept", "adapted", "new", "dropped", "none"]


class Edit(Settings):
    """A row of the table of edits."""

    layer: str
    before: str
    after: str
    weights: Fate
    """'none' for what has no weights, such as an activation."""


class Swap(NamedTuple):
    """Modules without weights, or with new ones, in the place of others."""

    layer: str
    before: str
    after: str


def edits_between(before: Mapping[str, Tensor], after: nn.Module, swaps: Iterable[Swap] = ()) -> tuple[Edit, ...]:
    """Return a row for each tensor that is not bit for bit as it was, the swaps, and how many tensors are.

    Args:
        before: the state of the module that was edited. after: the edited one.
        swaps: exchanges of modules that hold no weights.
    """
    state, rows, gone = after.state_dict(), [], dict(before)
    kept = 0
    for name, value in state.items():
        old = gone.pop(name, None)
        if old is None:
            rows.append(Edit(layer=name, before="", after=_shape(value), weights="new"))
        elif old.shape == value.shape and old.equal(value):
            kept += 1
        else:
            rows.append(Edit(layer=name, before=_shape(old), after=_shape(value), weights="adapted"))
    lost: dict[str, int] = {}
    for name, value in gone.items():
        top = ".".join(name.split(".")[:2]) if name.count(".") > 1 else name.rpartition(".")[0] or name
        lost[top] = lost.get(top, 0) + value.numel()
    rows += [Edit(layer=name, before=f"{count:,} weights", after="", weights="dropped") for name, count in lost.items()]
    rows += [Edit(layer=swap.layer, before=swap.before, after=swap.after, weights="none") for swap in swaps]
    if not rows:
        return ()
    return *rows, Edit(layer=f"{kept} other tensors", before="", after="bit for bit as they were", weights="kept")


def _shape(value: Tensor) -> str:
    return "x".join(map(str, value.shape)) or "1"
