"""MAE: the picture's hidden patches are painted in from the few that a transformer sees.

He et al. 2022 ("Masked autoencoders are scalable vision learners"). Behind the patch embedding three quarters of the
patches are dropped, so that the transformer runs on a quarter of the tokens. A small decoder, thrown away afterwards,
gets what it made of them, a learned token in the place of each patch that is missing, and fixed places:

    loss = mean over the hidden patches of |decoded - (x - mean(x)) / sqrt(var(x) + 1e-6)|^2 / numbers of a patch

x being the pixels of a patch. The decoder has 4 blocks of width 256 in place of 8 of 512. What it learns serves
fine-tuning far better than a probe.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, cast

import numpy as np
import torch
from pydantic import Field
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from headstart.contracts.advice import Advice
from headstart.contracts.carriers import State
from headstart.contracts.network import Network
from headstart.contracts.objective import TARGET, Objective, Step
from headstart.objectives._draws import draws_for
from headstart.objectives._patches import Patches, find_patches

EPSILON = 1e-6
"""Added to the variance of a patch, which may be of one colour."""

HEAD_WIDTH = 32
"""Width of each of the decoder's attention heads."""


class Mae(Objective):
    """Painting in the patches that were hidden."""

    streams: ClassVar[tuple[str, ...]] = (TARGET,)
    modalities: ClassVar[tuple[str, ...]] = ("image",)
    advice: ClassVar[Advice] = Advice(augmentation="crop+flip", training={"weight_decay": 0.05})

    hidden: float = Field(default=0.75, gt=0, lt=1)
    """Share of the patches that are hidden; in (0, 1)."""
    width: int = Field(default=256, ge=HEAD_WIDTH, multiple_of=HEAD_WIDTH)
    """Width of the decoder; a multiple of 32."""
    depth: int = Field(default=4, ge=1)
    """Blocks of the decoder; >= 1."""
    normalised: bool = True
    """Bring each patch's pixels to mean 0 and variance 1 before they are compared."""

    def first_stage(self, stages: int) -> int:  # noqa: ARG002
        """It sees pixels and patches."""
        return 0

    def check(self, backbone: Network) -> None:
        """Refuse what has no patches. Raises SettingsError."""
        find_patches(backbone)

    def additions(self, backbone: Network) -> Mapping[str, nn.Module]:
        """The decoder. Raises SettingsError as `check`."""
        return {"decoder": _Decoder(find_patches(backbone), backbone.width, self.width, self.depth)}

    def losses(self, step: Step) -> Mapping[str, Tensor]:
        """ "patches", a scalar ()."""
        batch, decoder = step.batches[TARGET], cast(_Decoder, step.additions["decoder"])
        patches, pictures = decoder.patches, batch.state.hidden
        seen = min(patches.count - 1, max(1, round((1 - self.hidden) * patches.count)))
        draws = draws_for(step, batch, "patches hidden")
        shuffled = torch.from_numpy(np.stack([own.permutation(patches.count) for own in draws])).to(pictures.device)
        with step.computing():
            painted = decoder(decoder.encoded(step.backbone, batch.state, shuffled[:, :seen]), shuffled)
        wanted = at(patches.of(pictures), shuffled[:, seen:])
        if self.normalised:
            wanted = (wanted - wanted.mean(dim=2, keepdim=True)) / (wanted.var(dim=2, keepdim=True) + EPSILON).sqrt()
        return {"patches": nn.functional.mse_loss(painted.to(wanted.dtype), wanted)}


def at(sequence: Tensor, places: Tensor) -> Tensor:
    """The entries (batch, some, width) of a sequence (batch, length, width) at `places` (batch, some)."""
    return sequence.gather(1, places.unsqueeze(2).expand(-1, -1, sequence.shape[2]))


class _Decoder(nn.Module):
    def __init__(self, patches: Patches, encoded: int, width: int, depth: int) -> None:
        super().__init__()
        self.patches = patches
        self.embedding = nn.Linear(encoded, width)
        self.missing = nn.Parameter(torch.zeros(1, 1, width))
        self.blocks = nn.Sequential(*(Block(width, width // HEAD_WIDTH, qkv_bias=True) for _ in range(depth)))
        self.norm, self.pixels = nn.LayerNorm(width), nn.Linear(width, 3 * patches.side**2)
        nn.init.normal_(self.missing, std=0.02)
        self.register_buffer("places", places(patches.rows, patches.columns, width), persistent=False)
        self._segments: tuple[Network, nn.Module, nn.Module] | None = None

    def encoded(self, backbone: Network, state: State, seen: Tensor) -> Tensor:
        """(batch, prefix + seen, width): what the backbone makes of the patches `seen` (batch, seen) alone."""
        if self._segments is None or self._segments[0] is not backbone:
            cut, end = self.patches.boundary, len(backbone.stages)
            self._segments = (backbone, backbone.segment(0, cut), backbone.segment(cut, end))
        _, embed, encode = self._segments
        embedded, prefix = embed(state), self.patches.prefix
        kept = torch.cat([embedded.hidden[:, :prefix], at(embedded.hidden[:, prefix:], seen)], dim=1)
        hidden: Tensor = encode(State(kept, embedded.context)).hidden
        return hidden

    def forward(self, encoded: Tensor, order: Tensor) -> Tensor:
        """The pixels of the patches that are not encoded; `order` (batch, patches) begins with those that are.

        A transformer does not mind in which order its tokens come: what tells them apart is their places.
        """
        prefix = self.patches.prefix
        tokens = self.embedding(encoded)
        missing = self.missing.to(tokens.dtype).expand(len(order), self.patches.count - tokens.shape[1] + prefix, -1)
        grid = self.get_buffer("places")[order].to(tokens.dtype)
        tokens = torch.cat([tokens[:, :prefix], torch.cat([tokens[:, prefix:], missing], dim=1) + grid], dim=1)
        painted: Tensor = self.pixels(self.norm(self.blocks(tokens)[:, -missing.shape[1] :]))
        return painted


def places(rows: int, columns: int, width: int) -> Tensor:
    """(rows * columns, width): sines and cosines of each patch's row, then of its column (Vaswani et al. 2017)."""
    rates = 10000.0 ** -(torch.arange(width // 4) / (width // 4))
    row, column = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    angles = [place.reshape(-1, 1) * rates for place in (row, column)]
    return torch.cat([wave for angle in angles for wave in (angle.sin(), angle.cos())], dim=1)
