"""Encoders of sounds of transformers, each as a front, layers and an end that can be run apart.

wav2vec 2.0, HuBERT, WavLM, data2vec and UniSpeech read waveforms by convolutions; those whose convolutions are followed
by a group norm over time (`feat_extract_norm = "group"`), and Moonshine, have features that depend on how far a clip is
padded. Such fronts run over clips of equal length together and over others apart. Whisper and the Audio Spectrogram
Transformer read spectrograms of a fixed length.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from headstart.contracts.carriers import LENGTH_MASK
from headstart.kernel.errors import BackboneError

Context = Mapping[str, Tensor]


class SoundEncoder(ABC):
    """An encoder's parts; the modules are the live model's."""

    layers_path: str
    """Name of the list of layers in the encoder."""
    last: tuple[str, ...]
    """Names of the modules behind the layers."""
    samples_per_frame: float
    """Samples of the waveform from one frame to the next."""
    timed: bool = True
    """Whether what comes out are frames in the order of time."""
    exact: bool = True
    """Whether padding leaves real frames as they are; found out when the model is loaded."""

    def __init__(self, model: Any) -> None:
        """Refer to the encoder."""
        self.model = model

    @property
    def layers(self) -> nn.ModuleList:
        """The layers."""
        found = self.model.get_submodule(self.layers_path)
        if not isinstance(found, nn.ModuleList):
            raise BackboneError(f"the model has no list of layers at {self.layers_path}")
        return found

    @abstractmethod
    def front(self, given: Tensor, context: Context) -> tuple[Tensor, Context]:
        """From inputs (batch, length, ...) with `LENGTH_MASK` to the first layer's input (batch, frames, width), and
        what must be known of frames, (batch, frames) each: `LENGTH_MASK`, and `SPOKEN` where that differs."""

    @abstractmethod
    def layer(self, number: int, hidden: Tensor, mask: Tensor) -> Tensor:
        """Run one layer on (batch, frames, width)."""

    def end(self, hidden: Tensor) -> Tensor:
        """Run the modules behind the last layer on (batch, frames, width)."""
        for name in self.last:
            hidden = self.model.get_submodule(name)(hidden)
        return hidden


def in_equal_lengths(front: Callable[[Tensor], Tensor], given: Tensor, lengths: Tensor) -> Tensor:
    """Run a front on clips of equal length together, none of them padded, and pad what comes out.

    Args:
        front: (some, samples) -> (some, frames, width).
        given: (batch, samples), padded on the right.
        lengths: (batch,) real samples.
    """
    if torch.jit.is_tracing() or torch.compiler.is_compiling():
        raise RuntimeError("features depend on the padding, so clips of other lengths run apart, which no graph does")
    found: list[Tensor] = [given[:0]] * len(given)
    for length in lengths.unique().tolist():
        rows = (lengths == length).nonzero().flatten().tolist()
        for row, frames in zip(rows, front(given[rows, : int(length)])):
            found[row] = frames
    return pad_sequence(found, batch_first=True)


def mask_of(lengths: Tensor, longest: int) -> Tensor:
    """(batch, longest) int64: 1 in the first frames of each clip."""
    return (torch.arange(longest, device=lengths.device)[None, :] < lengths[:, None]).long()


def attention(mask: Tensor, hidden: Tensor) -> Tensor:
    """Return what is added to scores of attention (batch, 1, frames, frames): 0, or the least number where padded."""
    least = torch.finfo(hidden.dtype).min
    added = torch.zeros_like(mask, dtype=hidden.dtype).masked_fill(mask == 0, least)
    return added[:, None, None, :].expand(-1, 1, mask.shape[1], -1)


class Convolutional(SoundEncoder):
    """wav2vec 2.0 and its kin."""

    layers_path = "encoder.layers"

    def __init__(self, model: Any) -> None:
        """Raises BackboneError where frames are joined behind the layers, which is not done here."""
        super().__init__(model)
        if getattr(model, "adapter", None) is not None:
            raise BackboneError("the model joins frames behind its layers (add_adapter), which is not supported")
        self.stable = type(model.encoder).__name__.endswith("StableLayerNorm")
        self.last = ("encoder.layer_norm",) if self.stable else ()
        self.biased = hasattr(self.layers[0].attention, "compute_bias")
        strides = torch.tensor(model.config.conv_stride)
        self.samples_per_frame = float(strides.prod())

    def front(self, given: Tensor, context: Context) -> tuple[Tensor, Context]:
        """Convolutions of (batch, samples), projection and positions."""
        lengths = context[LENGTH_MASK].sum(dim=1)
        frames = self.model._get_feat_extract_output_lengths(lengths)
        apart = not self.exact
        hidden = in_equal_lengths(self._fronted, given, lengths) if apart else self._fronted(given, frames)
        return hidden, {LENGTH_MASK: mask_of(frames, hidden.shape[1])}

    def layer(self, number: int, hidden: Tensor, mask: Tensor) -> Tensor:
        """A layer on (batch, frames, width); those of WavLM share the first one's bias of relative positions."""
        one = self.layers[number]
        if not self.biased:
            return _first(one(hidden, attention_mask=attention(mask, hidden)))
        first: Any = self.layers[0]
        own = first.attention.compute_bias(hidden.shape[1], hidden.shape[1])
        bias = own.unsqueeze(0).repeat(len(hidden), 1, 1, 1).flatten(0, 1)
        return _first(one(hidden, attention_mask=mask, position_bias=bias, index=number))

    def _fronted(self, given: Tensor, frames: Tensor | None = None) -> Tensor:
        """(batch, frames, width); `frames` of each clip are real, all of them without."""
        encoder = self.model.encoder
        found = self.model.feature_projection(self.model.feature_extractor(given).transpose(1, 2))
        hidden: Tensor = found[0] if isinstance(found, tuple) else found
        if frames is not None:  # positions are convolutions too
            hidden = hidden * mask_of(frames, hidden.shape[1]).unsqueeze(-1).to(hidden.dtype)
        hidden = hidden + encoder.pos_conv_embed(hidden)
        hidden = hidden if self.stable else encoder.layer_norm(hidden)
        dropped: Tensor = encoder.dropout(hidden)
        return dropped


class Whisper(SoundEncoder):
    """Whisper's encoder: 30 s of log-mel frames, of which two become one."""

    layers_path = "layers"
    last = ("layer_norm",)
    samples_per_frame = 320.0

    def front(self, given: Tensor, context: Context) -> tuple[Tensor, Context]:
        """Two convolutions of (batch, frames, bands) and positions; every second entry of a mask is a frame's."""
        model = self.model
        hidden = nn.functional.gelu(model.conv1(given.transpose(1, 2)))
        hidden = nn.functional.gelu(model.conv2(hidden)).transpose(1, 2)
        hidden = hidden + model.embed_positions.weight[: hidden.shape[1]]
        return nn.functional.dropout(hidden, model.dropout, model.training), {
            name: mask[:, ::2] for name, mask in context.items()
        }

    def layer(self, number: int, hidden: Tensor, mask: Tensor) -> Tensor:  # noqa: ARG002
        """A layer on (batch, frames, width); silence that fills up the 30 s is read as it was in pretraining."""
        one = self.layers[number]
        more = {"layer_head_mask": None} if "layer_head_mask" in inspect.signature(one.forward).parameters else {}
        return _first(one(hidden, None, **more))


class Moonshine(SoundEncoder):
    """Moonshine's encoder: convolutions with a group norm over the whole clip, and rotary positions."""

    layers_path = "layers"
    last = ("layer_norm",)
    samples_per_frame = 384.0

    def front(self, given: Tensor, context: Context) -> tuple[Tensor, Context]:
        """Three convolutions of (batch, samples)."""
        lengths = context[LENGTH_MASK].sum(dim=1)
        hidden = self._convolved(given) if self.exact else in_equal_lengths(self._convolved, given, lengths)
        for convolution in (self.model.conv1, self.model.conv2, self.model.conv3):
            lengths = (lengths - convolution.kernel_size[0]) // convolution.stride[0] + 1
        return hidden, {LENGTH_MASK: mask_of(lengths, hidden.shape[1])}

    def layer(self, number: int, hidden: Tensor, mask: Tensor) -> Tensor:
        """A layer on (batch, frames, width), with its positions."""
        places = torch.arange(hidden.shape[1], device=hidden.device)[None]
        turned = self.model.rotary_emb(hidden, position_ids=places)
        return _first(
            self.layers[number](
                hidden, attention_mask=attention(mask, hidden), position_ids=places, position_embeddings=turned
            )
        )

    def _convolved(self, given: Tensor) -> Tensor:
        model = self.model
        hidden = model.groupnorm(torch.tanh(model.conv1(given.unsqueeze(1))))
        hidden = nn.functional.gelu(model.conv2(hidden))
        found: Tensor = nn.functional.gelu(model.conv3(hidden)).transpose(1, 2)
        return found


class Spectrogram(SoundEncoder):
    """The Audio Spectrogram Transformer (Gong et al. 2021): patches of a spectrogram behind two tokens of their own."""

    layers_path = "layers"
    last = ("layernorm",)
    samples_per_frame = 160.0
    timed = False

    def __init__(self, model: Any) -> None:
        """See the base; older versions of transformers keep the layers elsewhere."""
        super().__init__(model)
        if not hasattr(model, "layers"):
            self.layers_path = "encoder.layer"

    def front(self, given: Tensor, context: Context) -> tuple[Tensor, Context]:
        """Patches of (batch, frames, bands) and numbered positions, all of them real."""
        hidden: Tensor = self.model.embeddings(given)
        return hidden, {LENGTH_MASK: context[LENGTH_MASK].new_ones(hidden.shape[:2])}

    def layer(self, number: int, hidden: Tensor, mask: Tensor) -> Tensor:  # noqa: ARG002
        """A layer on (batch, patches, width)."""
        return _first(self.layers[number](hidden))


KINDS: dict[str, type[Any]] = {
    **dict.fromkeys(("wav2vec2", "hubert", "wavlm", "data2vec-audio", "unispeech", "unispeech-sat"), Convolutional),
    "whisper": Whisper,
    "moonshine": Moonshine,
    "audio-spectrogram-transformer": Spectrogram,
}
"""`model_type` of a configuration -> its parts."""


def _first(found: Any) -> Tensor:
    hidden: Tensor = found[0] if isinstance(found, tuple) else found
    return hidden
