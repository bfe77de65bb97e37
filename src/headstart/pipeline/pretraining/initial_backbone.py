"""What a pretraining begins with: the backbone that was named, the best that can be had, or one with random weights."""

from __future__ import annotations

from typing import NamedTuple

from headstart.contracts.backbone import Backbone
from headstart.contracts.examples import Examples
from headstart.kernel import registry
from headstart.pipeline.choose_backbone import choose_backbone
from headstart.pipeline.plan import AUTO
from headstart.pipeline.pretraining.plan import PretrainPlan
from headstart.pipeline.record import Decision


class InitialBackbone(NamedTuple):
    """A loaded backbone."""

    plan: PretrainPlan
    """That names it."""
    backbone: Backbone
    decision: Decision | None
    """Why it was chosen; None where it was named."""


def initial_backbone(plan: PretrainPlan, examples: Examples) -> InitialBackbone:
    """Load it. Raises BackboneError as a fit does."""
    backbone, reference, decision = choose_backbone(examples, plan.as_fit())
    if plan.backbone != AUTO or any(True for _ in backbone.module.parameters()):
        return InitialBackbone(plan.model_copy(update={"backbone": reference}), backbone, decision)
    modality = examples.schema.modality
    kinds = [registry.plugin("objectives", name) for name in registry.names("objectives")]
    known = (kind.advice.initial_backbone for kind in kinds if modality in kind.modalities)
    fresh = next(filter(None, known), None)
    if fresh is None:
        return InitialBackbone(plan.model_copy(update={"backbone": reference}), backbone, decision)
    chosen = plan.model_copy(update={"backbone": fresh, "weights": "random"})
    backbone, _, _ = choose_backbone(examples, chosen.as_fit())
    reason = f"no pretrained network is known for {modality} data, and {reference} has nothing to train"
    return InitialBackbone(chosen, backbone, Decision(what="backbone", value=f"{fresh}, random weights", reason=reason))
