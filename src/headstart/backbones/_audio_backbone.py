"""A model of sounds of transformers with its own preparation, cut into its front and its layers."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import AutoModelForSpeechSeq2Seq

from headstart.backbones._layer_cut import around
from headstart.backbones._layered_backbone import SeveralLayers
from headstart.backbones._sound_backbone import SoundBackbone, padded
from headstart.backbones._sound_encoders import KINDS, SoundEncoder
from headstart.backbones._speech_decoder import SpeechDecoder, prefix_of
from headstart.backbones._text_loading import random_model
from headstart.backbones._text_pooling import pool
from headstart.contracts.backbone import NO_LICENCE
from headstart.contracts.boundaries import failing_boundaries
from headstart.contracts.carriers import LENGTH_MASK, State, Tap
from headstart.contracts.examples import Raw
from headstart.contracts.features import Features
from headstart.contracts.inputs import SPOKEN, Sounds
from headstart.contracts.network import Stage
from headstart.contracts.several_stages import joined
from headstart.contracts.spoken_characters import SpokenCharacters
from headstart.kernel.errors import BackboneError, DataError, first_line
from headstart.kernel.files import hash_bytes

LEAST_SECONDS = 0.1
"""Clips shorter than that are filled up with silence: convolutions need some samples."""
TOLERANCE = 1e-5
"""Largest difference, by the size of the features, at which padding counts as exact."""


class AudioBackbone(SeveralLayers, SoundBackbone):
    """See `hf_audio`."""

    family = "hf_audio"
    spoken: SpokenCharacters | None = None
    """The last layer of a model that was trained by CTC, as it was loaded."""

    def __init__(
        self,
        settings: Mapping[str, Any],
        config: Any,
        module: nn.Module,
        extractor: Any,
        tokenizer: Any,
        files: Mapping[str, bytes],
        origin: str,
    ) -> None:
        """Put the parts together, find out whether padding is exact, and verify the boundaries.

        Args:
            settings: those of `hf_audio`, as JSON values.
            config: the transformers configuration.
            module: the encoder, or a whole model that writes.
            extractor: the feature extractor of transformers.
            tokenizer: of a model that writes; None for an encoder.
            files: configuration and preprocessing by file name.
            origin: where the weights come from.

        Raises:
            BackboneError: it does not work as such models do.
        """
        self.name, self.origin, self.module = settings["reference"], origin, module
        self._settings, self._config, self._files = dict(settings), config, dict(files)
        self._extractor, self._tokenizer = extractor, tokenizer
        self.rate, self.longest = int(extractor.sampling_rate), float(settings["longest"])
        encoder = self._encoder()
        self.fixed = not encoder.timed or config.model_type == "whisper"
        if self.fixed:
            self.longest = min(self.longest, self._fixed_seconds())
        self.reads, self.frame_seconds = f"{self.longest:g} s", encoder.samples_per_frame / self.rate
        self.padding_exact = True
        example = self._states(_example(self.rate, self.longest)[: 2 if self.fixed else 3])
        try:
            self.width = self._whole(example).hidden.shape[-1]
        except (RuntimeError, IndexError, ValueError, TypeError, AttributeError, KeyError) as error:
            raise BackboneError(f"{self.name} cannot read waveforms: {first_line(error)}") from error
        self.stages, self._boundaries = _stages(module, encoder), list(range(len(encoder.layers) + 2))
        if tokenizer is not None:
            self._add_decoder()
        self.padding_exact = self.fixed or self._is_exact()
        if not self.padding_exact:
            self.notices = (
                f"What {self.name} says of a clip depends on how far its batch is padded: its front runs over clips of "
                "equal length together and over others apart.",
            )
        self._drop(failing_boundaries(self, example))

    def prepare(self, raws: Sequence[Raw]) -> State:
        """Waveforms (batch, samples) or spectrograms (batch, frames, bands), padded on the right, with their mask."""
        return self._states(self.waves(raws))

    def input_kind(self) -> Sounds:
        """Waveforms, or spectrograms as the model scales them."""
        if self._config.model_type == "whisper":
            return Sounds(rate=self.rate / self._extractor.hop_length, log=1 / (4 * math.log(10)))
        if not self._encoder().timed:
            return Sounds(rate=100.0, log=1 / (2 * self._extractor.std))
        return Sounds(rate=self.rate)

    def preparation(self) -> Mapping[str, Any]:
        """The hash of the preprocessing's file, the rate, and the longest clip."""
        own = self._files.get("preprocessor_config.json", b"")
        return {"family": "hf_audio", "extractor": hash_bytes(own), "rate": self.rate, "longest": self.longest}

    def segment(self, start: int, stop: int, taps: Sequence[Tap] = ()) -> nn.Module:
        """The front and layers from boundary `start` to `stop`, on the live modules.

        Raises:
            BackboneError: there is no such segment, or a tap lies outside it or has an unknown form.
        """
        names, taps = self.boundary_names(), self._taps_within(start, stop, taps)
        end = len(self._boundaries) - 1  # states pass the decoder's stages as they are
        wishes = {tap: self._boundaries[min(names.index(tap.boundary), end)] for tap in taps}
        first, last = self._boundaries[min(start, end)], self._boundaries[min(stop, end)]
        return _Segment(self._encoder(), first, last, wishes)

    def features(self, state: State) -> Features:
        """Frames with the mask of those that are the clip's, and their mean; of patches the two tokens before them."""
        pooled = _pooled(state.hidden, state.context, self._encoder().timed)
        features = joined(state.taps, self.beside_last, pooled)
        seen = self.map_taps()
        if not self._encoder().timed or not all(tap.key in state.taps for tap in seen):
            return Features(features)
        frames, mask = joined(state.taps, seen, state.hidden), state.context[LENGTH_MASK]
        own = mask if self._tokenizer is not None else state.context.get(SPOKEN, mask)  # a decoder sees the silence too
        return Features(features, frames, own)

    def decoder(self) -> SpeechDecoder:
        """The decoder on the live weights. Raises BackboneError where there is none."""
        if self._tokenizer is None:
            raise BackboneError(f"{self.name} has no decoder, or is read without it")
        prefix = prefix_of(self._config, self._tokenizer, self._settings["language"])
        return SpeechDecoder(self.module, self._tokenizer, prefix)

    def characters(self) -> SpokenCharacters | None:
        """The last layer of a model that was trained by CTC, where the features are what it reads; else None."""
        return None if self.beside_last else self.spoken

    def reading(self) -> AudioBackbone:
        """The encoder alone."""
        if self._tokenizer is None:
            return self
        settings = {**self._settings, "decoder": False}
        inner: Any = self.module
        twin = AudioBackbone(
            settings, self._config, inner.get_encoder(), self._extractor, None, self._files, self.origin
        )
        twin.name, twin.licence = self.name, self.licence
        return twin.several([*self.beside_last]) if self.beside_last else twin

    def fresh(self, seed: int) -> AudioBackbone:
        """The same architecture and boundaries with random weights."""
        twin = copy.copy(self)
        twin.module = whole_model(self._config, seed, writes=self._tokenizer is not None)
        twin.origin, twin.licence, twin.spoken = "random", NO_LICENCE, None
        twin._settings = {**self._settings, "weights": "random", "seed": seed}
        return twin

    def _encoder(self) -> SoundEncoder:
        model: Any = self.module
        inner = model.get_encoder() if self._tokenizer is not None else model
        encoder: SoundEncoder = KINDS[self._config.model_type](inner)
        encoder.exact = getattr(self, "padding_exact", True)
        return encoder

    def _states(self, waves: Sequence[np.ndarray]) -> State:
        least = round(LEAST_SECONDS * self.rate)
        inputs = [self._read(np.pad(wave, (0, max(0, least - len(wave))))) for wave in waves]
        state = padded(inputs)
        if self._config.model_type != "whisper":
            return state
        spoken = [min(len(inputs[0]), len(wave) // self._extractor.hop_length + 1) for wave in waves]
        places = torch.arange(state.hidden.shape[1])[None, :]
        own = (places < torch.tensor(spoken)[:, None]).long()
        return State(state.hidden, {**state.context, SPOKEN: own})

    def _read(self, wave: np.ndarray) -> Tensor:
        """A waveform as the model takes it: (samples,), or (frames, bands)."""
        try:
            found = self._extractor(wave, sampling_rate=self.rate, return_tensors="np")
        except (ValueError, RuntimeError) as error:
            raise DataError(f"cannot be prepared: {first_line(error)}") from error
        (values,) = next(found[name] for name in ("input_values", "input_features") if name in found)
        values = np.asarray(values, np.float32)
        return torch.from_numpy(values.T.copy() if self._config.model_type == "whisper" else values)

    def _fixed_seconds(self) -> float:
        """Seconds that an input of a fixed length holds."""
        chunk = getattr(self._extractor, "chunk_length", None)
        return float(chunk) if chunk else self._extractor.max_length * 0.01

    def _whole(self, example: State) -> State:
        with torch.no_grad():
            found: State = _Segment(self._encoder(), 0, len(self._encoder().layers) + 1, {}).eval()(example)
        return found

    def _is_exact(self) -> bool:
        """Return whether clips in a padded batch have the frames that they have alone."""
        waves = _example(self.rate, self.longest)
        together = self._whole(self._states(waves))
        for row, wave in enumerate(waves):
            alone = self._whole(self._states([wave])).hidden[0]
            apart = (together.hidden[row, : len(alone)] - alone).abs().max()
            if apart > TOLERANCE * max(1.0, float(alone.abs().max())):
                return False
        return True

    def _add_decoder(self) -> None:
        """The decoder's layers as the last stages; its embeddings belong to the first, what is behind to the last."""
        model: Any = self.module
        above = next(name for name, part in model.named_modules() if part is model.get_decoder())
        count = len(model.get_decoder().layers)
        own = {f"{above}.layers.{number}": number for number in range(count)} | {f"{above}.layer_norm": count - 1}
        own |= {f"{above}.norm": count - 1, "proj_out": count - 1}

        def stage_of(name: str) -> int | None:
            inside = f"{name}.".startswith((f"{above}.", "proj_out."))
            return next((k for unit, k in own.items() if f"{name}.".startswith(f"{unit}.")), 0) if inside else None

        front = self.stages[0]
        mine = {kind: [n for n in getattr(front, kind) if stage_of(n) is not None] for kind in _KINDS}
        kept = {kind: tuple(n for n in getattr(front, kind) if stage_of(n) is None) for kind in _KINDS}
        decoder = [
            Stage(f"decoder.{k}", *(tuple(n for n in mine[kind] if stage_of(n) == k) for kind in _KINDS))
            for k in range(count)
        ]
        self.stages = (Stage(front.name, *(kept[kind] for kind in _KINDS)), *self.stages[1:], *decoder)
        self.decoder_stages = count


_KINDS = ("parameters", "buffers", "modules")
"""Fields of a stage with names."""


def whole_model(config: Any, seed: int, *, writes: bool) -> nn.Module:
    """The architecture with random weights: the model that writes, or the encoder alone."""
    if writes:
        return random_model(config, seed, AutoModelForSpeechSeq2Seq)
    model: Any = random_model(config, seed)
    return encoder_of(model, config)


def encoder_of(model: Any, config: Any) -> nn.Module:
    """The encoder of a model, which may be all of it."""
    found: nn.Module = model.get_encoder() if config.is_encoder_decoder else model
    return found


class _Segment(nn.Module):
    """`State -> State` from boundary `start` to `stop`: 0 lies before the front, k + 1 before layer k."""

    def __init__(self, encoder: SoundEncoder, start: int, stop: int, taps: Mapping[Tap, int]) -> None:
        super().__init__()
        self.live = encoder.model  # its weights are the segment's
        self._encoder, self._start, self._stop, self._taps = (encoder,), start, stop, dict(taps)

    def forward(self, state: State) -> State:
        encoder, hidden, context = self._encoder[0], state.hidden, dict(state.context)
        end, seen = len(encoder.layers) + 1, {}
        for boundary in range(self._start, self._stop):
            if boundary == 0:
                hidden, after = encoder.front(hidden, context)
                context = dict(after)
            else:
                hidden = encoder.layer(boundary - 1, hidden, context[LENGTH_MASK])
            if boundary + 1 == end:
                hidden = encoder.end(hidden)
            seen[boundary + 1] = hidden
        shown = {
            tap.key: seen[at] if tap.form == "map" else _pooled(seen[at], context, encoder.timed)
            for tap, at in self._taps.items()
        }
        return State(hidden, context, {**state.taps, **shown})


def _pooled(hidden: Tensor, context: Mapping[str, Tensor], timed: bool) -> Tensor:
    """The mean over the clip's own frames; of patches that of the two tokens before them."""
    if not timed:
        return hidden[:, :2].mean(dim=1)
    return pool(hidden, context.get(SPOKEN, context[LENGTH_MASK]), "mean")


def _stages(module: nn.Module, encoder: SoundEncoder) -> tuple[Stage, ...]:
    """The front, then the layers; what lies behind these belongs to the last, and all else to the first."""
    above = next(name for name, part in module.named_modules() if part is encoder.model)
    prefix = f"{above}." if above else ""
    path, count = f"{prefix}{encoder.layers_path}", len(encoder.layers)
    owner = {f"{path}.{number}": number + 1 for number in range(count)}
    owner |= {f"{prefix}{name}": count for name in encoder.last}
    outer = [name for name in around(module, path) if name not in owner]

    def stage_of(name: str) -> int:
        return next((stage for unit, stage in owner.items() if f"{name}.".startswith(f"{unit}.")), 0)

    parameters, buffers = ([n for n, _ in named()] for named in (module.named_parameters, module.named_buffers))
    return tuple(
        Stage(
            "front" if number == 0 else f"layer.{number - 1}",
            tuple(name for name in parameters if stage_of(name) == number),
            tuple(name for name in buffers if stage_of(name) == number),
            tuple(outer if number == 0 else (name for name, stage in owner.items() if stage == number)),
        )
        for number in range(count + 1)
    )


def _example(rate: int, longest: float) -> list[np.ndarray]:
    """Noise of three lengths."""
    draws = np.random.default_rng(0)
    return [draws.normal(0, 0.1, round(min(s, longest) * rate)).astype(np.float32) for s in (0.9, 0.35, 0.6)]
