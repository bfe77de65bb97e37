"""Augmentation as strong as the data are few: crops, mild colours and turns, and erasing; of texts token dropout.

With n examples to train on the strength is s = 1 - log10(n / 100) / 3, within [0.1, 1]: 1 up to a hundred examples,
0.67 for a thousand, 0.1 from fifty thousand on. What is learnt from few examples varies with the chance of which they
are; views take some of that chance away, at the price of a bias that many examples need not pay. Crops keep at least
1 - 0.65 s of the area, TrivialAugment has 0.3 s of its strength, boxes are erased in 0.25 s of the views, and 0.1 s of
the tokens are hidden.

Nothing is mirrored unless you say that orientation carries no part of the label.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from pydantic import Field

from headstart.contracts.augmentation import Augmentation, InputViews
from headstart.contracts.carriers import State
from headstart.contracts.composed_augmentation import Composed, composed
from headstart.contracts.inputs import InputKind, Tokens
from headstart.kernel.errors import SettingsError

FEW, DECADES, LEAST = 100, 3.0, 0.1
"""Examples up to which the strength is 1, powers of ten until it would be 0, and what it never goes below."""


class Standard(InputViews):
    """Views of a strength that follows from the size of the data."""

    modalities: ClassVar[tuple[str, ...]] = ("image", "text")

    strength: float | None = Field(default=None, gt=0, le=1)
    """How much is changed, in (0, 1]; from the number of training examples when left out."""
    flip: bool = False
    """Whether left and right of pictures may be exchanged: only where that leaves every label as it is."""

    def bind(self, inputs: InputKind | None, examples: int) -> Augmentation:
        """The augmentations that it stands for. Raises SettingsError."""
        strength = self.strength or round(max(LEAST, min(1.0, 1 - math.log10(max(examples, 1) / FEW) / DECADES)), 2)
        because = f"strength {strength:g}"
        if self.strength is None:
            because += f", for {examples} training examples: the fewer they are, the stronger"
        parts = self._of_text(strength, inputs) if isinstance(inputs, Tokens) else self._of_pictures(strength)
        return replace(parts.bind(inputs, examples), because=because)

    def view(self, state: State, seeds: Sequence[int]) -> State:  # noqa: ARG002
        """Raises SettingsError: only what `bind` returns has views."""
        raise SettingsError("augmentation 'standard' must be bound to a backbone's inputs first: call bind")

    def _of_pictures(self, strength: float) -> Composed:
        settings = {
            "crop": {"scale": (round(1 - 0.65 * strength, 3), 1.0)},
            "trivial": {"strength": round(0.3 * strength, 3)},
            "erasing": {"share": round(0.25 * strength, 3)},
        }
        return composed("crop+flip+trivial+erasing" if self.flip else "crop+trivial+erasing", settings)

    def _of_text(self, strength: float, tokens: Tokens) -> Composed:
        if self.flip:
            raise SettingsError("augmentation.flip: texts cannot be mirrored. Leave it out.")
        how = "hide" if tokens.mask is None else "mask"
        return composed("token_dropout", {"rate": round(0.1 * strength, 3), "how": how})
