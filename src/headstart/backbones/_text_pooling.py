"""Pooling: one vector per text from one vector per token."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from headstart.kernel.errors import HeadstartError
from headstart.kernel.files import read_json

Pooling = Literal["mean", "cls", "last"]

_SENTENCE_TRANSFORMERS: dict[str, Pooling] = {
    "cls": "cls",
    "mean": "mean",
    "lasttoken": "last",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_lasttoken": "last",
}
"""Its newer files hold the name, or a list of names, under `pooling_mode`; its older ones a true key."""


def pool(hidden: Tensor, mask: Tensor, how: Pooling) -> Tensor:
    """Pool token vectors.

    Args:
        hidden: (batch, length, width), padded on the right.
        mask: (batch, length), 1 at real tokens.
        how: the mean over real tokens, the first token, or the last real one.

    Returns:
        (batch, width), of the type of `hidden`.
    """
    if how == "cls":
        return hidden[:, 0]
    if how == "last":
        rows = torch.arange(hidden.shape[0], device=hidden.device)
        return hidden[rows, mask.sum(dim=1) - 1]
    weights = mask.unsqueeze(-1).to(hidden.dtype)
    total = (hidden * weights).sum(dim=1, dtype=torch.float32)
    return (total / mask.sum(dim=1, keepdim=True).clamp(min=1)).to(hidden.dtype)


def declared_pooling(folder: Path) -> Pooling:
    """Return the pooling that `1_Pooling/config.json` declares; the mean without one, or for a mixture."""
    try:
        declared = read_json(folder / "1_Pooling" / "config.json")
    except HeadstartError:
        return "mean"
    if not isinstance(declared, dict):
        return "mean"
    asked = declared.get("pooling_mode") or [
        key for key, value in declared.items() if key.startswith("pooling_mode_") and value is True
    ]
    names = asked if isinstance(asked, list) else [asked]
    return _SENTENCE_TRANSFORMERS.get(str(names[0]), "mean") if len(names) == 1 else "mean"
