"""Heads of frames: the probabilities of characters, from frames alone or from those around them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from headstart.contracts.spoken_characters import SpokenCharacters
from headstart.tasks.transcription.ctc import masked

KERNEL = 5
DILATIONS = (1, 2, 4)


TIME_MASK, FEATURE_MASK = 0.08, 0.4
"""The longest masks, as shares of a clip's frames and of the features."""


class FrameHead(nn.Module):
    """Log-probabilities (batch, frames / stride, numbers) from frames (batch, frames, width).

    A clip's frames are brought to unit size together, so that silence stays small, and narrowed; every `stride` of them
    become one by a convolution, and residual convolutions of growing dilation see those around them, as in time-delay
    networks (Waibel et al. 1989; Peddinti et al. 2015); with `context` False a frame stands for itself. Frames of
    several stages are first summed up by learnt weights, as of SUPERB (Yang et al. 2021).

    In training spans of frames and of features are hidden, as SpecAugment (Park et al. 2019) does with spectrograms:
    "time and frequency masking" of inputs there, masking of kept features here. Without it the convolutions learn some
    dozens of clips by heart.
    """

    def __init__(
        self,
        width: int,
        numbers: int,
        hidden: int,
        stride: int,
        dropout: float,
        masks: int,
        *,
        context: bool,
        stages: int = 1,
    ) -> None:
        """Draw the weights; every number is about as likely at first."""
        super().__init__()
        self.stride, self.masks = stride, masks
        self.mix = nn.Parameter(torch.zeros(stages)) if stages > 1 else None
        width //= stages
        hidden = hidden if context else width
        self.entry = nn.Conv1d(width, hidden, 2 * stride - 1, stride, stride - 1) if context else nn.Identity()
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(hidden, hidden, KERNEL, dilation=dilation, padding=dilation * (KERNEL // 2)), nn.GELU()
            )
            for dilation in (DILATIONS if context else ())
        )
        self.norms = nn.ModuleList(nn.LayerNorm(hidden) for _ in self.layers)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(hidden, numbers)

    def forward(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return the log-probabilities, and how many of them each clip has (batch,)."""
        real = masked(lengths, frames.shape[1]).unsqueeze(-1)
        if self.mix is not None:
            frames = torch.einsum("s,btsw->btw", self.mix.softmax(dim=0), frames.unflatten(2, (len(self.mix), -1)))
        found = _to_unit_size(frames * real)
        if self.training and self.masks:
            found = self._masked(found, lengths)
        if not isinstance(self.entry, nn.Identity):
            found = self.entry(found.transpose(1, 2)).transpose(1, 2)
            lengths = (lengths + self.stride - 1) // self.stride
            real = masked(lengths, found.shape[1]).unsqueeze(-1)
        for layer, norm in zip(self.layers, self.norms):
            found = found * real  # what fills up a batch must not reach a clip's last frames
            found = norm(found + self.dropout(layer(found.transpose(1, 2)).transpose(1, 2)))
        return torch.log_softmax(self.out(self.dropout(found)).float(), dim=-1), lengths

    def _masked(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """The frames with spans of time hidden, and half as many of features."""
        longest, width = frames.shape[1:]
        hidden = _spans(lengths, longest, TIME_MASK, self.masks)
        features = _spans(torch.full_like(lengths, width), width, FEATURE_MASK, self.masks // 2)
        return frames * ~hidden.unsqueeze(2) * ~features.unsqueeze(1)


class CharacterLayer(nn.Module):
    """Log-probabilities (batch, frames, numbers) of frames (batch, frames, width), each by itself: a model's own."""

    def __init__(self, width: int, numbers: int, dropout: float, own: SpokenCharacters | None) -> None:
        """Take the weights as they were trained, or draw them."""
        super().__init__()
        self.dropout, self.out = nn.Dropout(dropout), nn.Linear(width, numbers)
        if own is not None:
            self.out.load_state_dict({"weight": own.weight, "bias": own.bias})

    def forward(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return the log-probabilities, and how many of them each clip has (batch,)."""
        return torch.log_softmax(self.out(self.dropout(frames)).float(), dim=-1), lengths


def _to_unit_size(frames: Tensor) -> Tensor:
    """The frames (batch, longest, width) of each clip by the root of their mean square over all that are not 0."""
    present = (frames != 0).sum(dim=(1, 2), keepdim=True).clamp(min=1)
    size = (frames.square().sum(dim=(1, 2), keepdim=True) / present).sqrt()
    return frames / size.clamp(min=1e-6)


def _spans(lengths: Tensor, longest: int, most: float, number: int) -> Tensor:
    """(batch, longest) bool: so many random spans, each of up to the share `most` of the length."""
    draws = torch.rand(2, number, len(lengths), 1, device=lengths.device)
    begins, sizes = (draws * lengths[:, None]).floor()[0], (draws[1] * most * lengths[:, None]).floor()
    places = torch.arange(longest, device=lengths.device)
    return ((places >= begins) & (places < begins + sizes)).any(dim=0)
