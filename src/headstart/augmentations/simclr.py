"""The views of SimCLR, by which self-supervised learning knows a picture again (Chen et al. 2020, appendix A).

A crop, mirrored by the toss of a coin, with its colours changed and sometimes lost, and blurred. Different from the
paper, crops keep at least a fifth of the area in place of 8 %, as for pictures smaller than its 224 pixels (MoCo does
so too), and `strength` scales the change of colours as the paper's s, of which 0.5 is usual for small pictures. Blur is
as strong as the side is long. BYOL's second view is solarised in a fifth of the cases: `solarise = 0.1` for both.

Where left and right carry meaning, as in writing, switch `flip` off; where colours do, lower `strength` and `grey`. A
fifth of a sign is none: for digits `scale = [0.5, 1.0]` together with small turns and bends is better
(`simclr+affine+elastic`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from headstart.contracts.augmentation import Augmentation, InputViews
from headstart.contracts.carriers import State
from headstart.contracts.composed_augmentation import composed
from headstart.contracts.inputs import InputKind
from headstart.kernel.errors import SettingsError


class SimCLRViews(InputViews):
    """Crop, flip, colours, grey and blur."""

    modalities: ClassVar[tuple[str, ...]] = ("image",)

    scale: tuple[float, float] = (0.2, 1.0)
    """Least and greatest share of the picture's area that is kept; in (0, 1]."""
    flip: bool = True
    """Whether left and right are exchanged in half of the views."""
    strength: float = Field(default=0.5, ge=0, le=1)
    """Of the change of colours: 0.8 times it for brightness, contrast and saturation, 0.2 times for hue; in [0, 1]."""
    grey: float = Field(default=0.2, ge=0, le=1)
    """Share of the views that lose their colours; in [0, 1]."""
    blur: float = Field(default=0.5, ge=0, le=1)
    """Share of the views that are blurred; in [0, 1]."""
    solarise: float = Field(default=0.0, ge=0, le=1)
    """Share of the views in which values above one half are inverted; in [0, 1]."""

    def bind(self, inputs: InputKind | None, examples: int) -> Augmentation:
        """The augmentations that it stands for. Raises SettingsError."""
        most = round(0.8 * self.strength, 3)
        colour = {"brightness": most, "contrast": most, "saturation": most, "hue": round(0.2 * self.strength, 3)}
        settings = {"crop": {"scale": self.scale}, "colour": {**colour, "grey": self.grey, "solarise": self.solarise}}
        names = ["crop", *(["flip"] if self.flip else []), "colour", *(["blur"] if self.blur else [])]
        if self.blur:
            settings["blur"] = {"share": self.blur}
        return composed("+".join(names), settings).bind(inputs, examples)

    def view(self, state: State, seeds: Sequence[int]) -> State:  # noqa: ARG002
        """Raises SettingsError: only what `bind` returns has views."""
        raise SettingsError("augmentation 'simclr' must be bound to a backbone's inputs first: call bind")
