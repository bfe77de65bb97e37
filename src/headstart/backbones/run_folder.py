"""Every run folder is a backbone: what was learned on one task is the start of the next."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from headstart.contracts.backbone import FROM, Backbone, Pairs
from headstart.contracts.model import load_backbone, source_head_of
from headstart.kernel.errors import BackboneError
from headstart.kernel.settings import Settings


class RunFolder(Settings):
    """The backbone of an earlier run, with the weights that it was left with."""

    modality: ClassVar[str] = ""

    reference: str
    """The run folder."""
    weights: str = "pretrained"
    """'pretrained' for the run's weights, or 'random' for its architecture alone."""
    seed: int = 0
    """Decides random weights; >= 0."""
    pairs: Pairs = "auto"
    """How the two texts of an example are read, as of `hf_text`."""
    features: Literal["saved", "multi"] = "saved"
    """`multi`: those of several stages; by default as the run has them."""

    @classmethod
    def suits(cls, reference: str) -> bool:
        """Return whether the reference is a folder that holds a saved model."""
        return (Path(reference) / "model" / "model.json").exists()

    @classmethod
    def known(cls) -> list[str]:
        """No names: runs are given by their path."""
        return []

    @classmethod
    def automatic(cls) -> tuple[str, str] | None:
        """A run is never chosen silently."""
        return None

    def load(self) -> Backbone:
        """The run's backbone, as 'resnet18 from run photos'; `origin` has the run's path.

        Raises:
            RunError: the folder is foreign or damaged.
            BackboneError: `weights` names a file, which makes no sense here.
        """
        if self.weights not in ("pretrained", "random"):
            raise BackboneError(f"weights {self.weights!r} cannot be given with the run {self.reference} as backbone")
        backbone = load_backbone(Path(self.reference) / "model")
        if self.pairs != "auto":
            joint = backbone.alone() or backbone
            backbone = (joint.apart() or joint) if self.pairs == "apart" else joint
        if self.features == "multi" and not backbone.beside_last:
            backbone = backbone.several()
        if self.weights == "random":
            return backbone.fresh(self.seed)
        head = source_head_of(Path(self.reference) / "model")
        if head is not None and head.in_features == backbone.width:
            backbone.source_head, backbone.source_run = head, self.reference
        parent = backbone.name.partition(FROM)[0]
        backbone.name, backbone.origin = f"{parent}{FROM}{Path(self.reference).resolve().name}", f"run {self.reference}"
        return backbone

    def rebuild(self, assets: Path) -> Backbone:
        """Never called: the model of a new run is described by the family that the backbone came from.

        Raises:
            BackboneError: always.
        """
        raise BackboneError(f"{self.reference} is a run; a saved model names the family of its backbone ({assets})")
