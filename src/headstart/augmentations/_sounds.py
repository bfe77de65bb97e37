"""Sounds at boundary 0, as augmentations see them: what is a clip's own in a padded batch, and what silence is."""

from __future__ import annotations

from torch import Tensor

from headstart.contracts.carriers import LENGTH_MASK, State
from headstart.contracts.inputs import SPOKEN, InputKind, Sounds
from headstart.kernel.errors import SettingsError


def known_sounds(name: str, inputs: InputKind | None) -> Sounds:
    """The sounds that an augmentation is bound to. Raises SettingsError where there are none."""
    if not isinstance(inputs, Sounds):
        raise SettingsError(
            f"augmentation '{name}' changes waveforms or spectrograms, and the backbone begins with neither. Take "
            "log_mel or a model of hf_audio, or --augmentation none."
        )
    return inputs


def require_bound(name: str, sounds: Sounds | None) -> Sounds:
    """The sounds. Raises SettingsError before `bind`."""
    if sounds is None:
        raise SettingsError(f"augmentation '{name}' must be bound to a backbone's inputs first: call bind")
    return sounds


def own_mask(state: State) -> Tensor:
    """(batch, length): 1 where a batch holds the clip itself, and no padding and no silence that fills it up."""
    return state.context.get(SPOKEN, state.context[LENGTH_MASK])


def silence(clip: Tensor, sounds: Sounds) -> Tensor:
    """Silence in a clip (own length, ...): 0 in a waveform, in a spectrogram the least value."""
    return clip.new_zeros(()) if sounds.log is None else clip.min()
