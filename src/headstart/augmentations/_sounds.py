"""Sounds at boundary 0, as augmentations see them: their form, what is a clip's own in a padded batch, and silence."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor

from headstart.contracts.augmentation import Augmentation, InputViews
from headstart.contracts.carriers import LENGTH_MASK, State
from headstart.contracts.inputs import SPOKEN, InputKind, Sounds
from headstart.kernel import registry
from headstart.kernel.errors import SettingsError


class SoundViews(InputViews):
    """Base of augmentations that change sounds."""

    modalities: ClassVar[tuple[str, ...]] = ("audio",)

    sounds: Sounds | None = None
    """The form of the sounds; the backbone says it."""

    def bind(self, inputs: InputKind | None, examples: int) -> Augmentation:  # noqa: ARG002
        """Learn the form. Raises SettingsError where the backbone begins with no sounds."""
        if not isinstance(inputs, Sounds):
            raise SettingsError(
                f"augmentation '{registry.name_of(self)}' changes waveforms or spectrograms, and the backbone begins "
                "with neither. Take log_mel or a model of hf_audio, or --augmentation none."
            )
        found: Any = self.model_copy(update={"sounds": inputs})
        return found

    @property
    def form(self) -> Sounds:
        """The form of the sounds. Raises SettingsError before `bind`."""
        if self.sounds is None:
            name = registry.name_of(self)
            raise SettingsError(f"augmentation '{name}' must be bound to a backbone's inputs first: call bind")
        return self.sounds


def in_order(settings: Any) -> Any:
    """Validate settings of a range: `least` is not more than `most`."""
    if settings.least > settings.most:
        raise ValueError(f"least = {settings.least:g} is more than most = {settings.most:g}")
    return settings


def own_mask(state: State) -> Tensor:
    """(batch, length): 1 where a batch holds the clip itself, and no padding and no silence that fills it up."""
    return state.context.get(SPOKEN, state.context[LENGTH_MASK])


def silence(clip: Tensor, sounds: Sounds) -> Tensor:
    """Silence in a clip (own length, ...): 0 in a waveform, in a spectrogram the least value."""
    return clip.new_zeros(()) if sounds.log is None else clip.min()
