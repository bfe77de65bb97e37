"""A backbone made to suit a task: pictures framed as the task sees them, and the features that its head reads."""

from __future__ import annotations

from typing import Any

from headstart.contracts.backbone import Backbone
from headstart.contracts.task import Task
from headstart.kernel import registry
from headstart.kernel.errors import BackboneError


def suited(backbone: Backbone, task: Task, tuning: Any = None) -> Backbone:
    """The backbone as the task needs it.

    Raises:
        BackboneError: it cannot serve; with the reason.
        SettingsError: the tuning, where one is given, cannot work on it.
    """
    if tuning is not None and not tuning.solved:
        tuning.check(backbone)
    name = registry.name_of(task)
    if task.reads == "maps" and not backbone.maps():
        raise BackboneError(
            f"{name} needs maps of several strides, and {backbone.name} has none: its features are pooled vectors or "
            "tokens of one size. Take a convolutional or hierarchical model, such as resnet50, mobilenetv2_100, "
            "convnext_tiny or swin_tiny_patch4_window7_224."
        )
    if task.reads == "tokens":
        return backbone.placed()
    try:
        return backbone if task.side is None else backbone.whole(task.side)
    except BackboneError as error:
        raise BackboneError(f"{name} sees pictures whole, in squares of {task.side} pixels: {error}") from error
