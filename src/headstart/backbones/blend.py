"""Several backbones that read the same inputs side by side, such as 'runs/a+runs/b': the features of each beside those
of the others.

A search with few labels makes one of the probe's backbone and a fine-tuned one, with a head for each whose answers are
mixed. Under a new head their features are simply joined. Running them takes as long as all of them together.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

from headstart.contracts.backbone import Backbone
from headstart.contracts.model_files import PluginEntry
from headstart.contracts.several_backbones import FAMILY, SeveralBackbones
from headstart.kernel import registry
from headstart.kernel.errors import BackboneError
from headstart.kernel.settings import Settings
from headstart.kernel.user_settings import build

BETWEEN = "+"


class Blend(Settings):
    """Several backbones side by side."""

    modality: ClassVar[str] = ""

    reference: str
    """Their names, with '+' between them."""
    weights: Literal["pretrained", "random"] = "pretrained"
    """'random' starts without pretraining."""
    seed: int = 0
    """Decides random weights."""
    inputs: str = ""
    """What they read: a modality; '' for any."""
    members: tuple[PluginEntry, ...] = ()
    """What makes each of them again; of a saved model."""

    @classmethod
    def suits(cls, reference: str) -> bool:
        """Return whether it has several names, each of which another family takes."""
        names = reference.split(BETWEEN)
        return len(names) > 1 and not Path(reference).exists() and all(_families(name, "") for name in names)

    @classmethod
    def known(cls) -> list[str]:
        """None: the names are those of others."""
        return []

    @classmethod
    def automatic(cls) -> tuple[str, str] | None:
        """Never."""
        return None

    def load(self) -> Backbone:
        """Load each of them.

        Raises:
            BackboneError: one of them is not known, or they read inputs in different ways.
        """
        found: list[Backbone] = []
        for number, name in enumerate(self.reference.split(BETWEEN)):
            family = next(iter(_families(name, self.inputs)), None)
            if family is None:
                raise BackboneError(f"no family of backbones knows {name!r} of {self.reference!r}")
            given = {"reference": name, "weights": self.weights, "seed": self.seed + number}
            settings = {key: value for key, value in given.items() if key in family.model_fields}
            found.append(build(family, settings, where="backbone").load())
        return SeveralBackbones(found)

    def rebuild(self, assets: Path) -> Backbone:
        """The architectures, with weights to be filled in. Raises BackboneError where there are none."""
        if len(self.members) < 2:
            raise BackboneError(f"{self.reference} names {len(self.members)} backbones: expected at least 2")
        each = [
            build(registry.plugin("backbones", member.plugin), member.settings, where="backbone").rebuild(assets)
            for member in self.members
        ]
        return SeveralBackbones(each)


def _families(name: str, inputs: str) -> list[Any]:
    """The families that take a name, for such inputs; this one left out."""
    kinds = (registry.plugin("backbones", other) for other in registry.names("backbones") if other != FAMILY)
    suited = [kind for kind in kinds if kind.suits(name)]
    return [kind for kind in suited if not inputs or kind.modality in ("", inputs)]
