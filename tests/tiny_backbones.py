"""Small real backbones that list their work: pictures (convolutions), texts (attention) and rows of numbers."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from PIL import Image
from torch import Tensor, nn

from headstart.contracts.backbone import Backbone
from headstart.contracts.carriers import State, Tap
from headstart.contracts.examples import Examples, Raw, Schema
from headstart.contracts.features import Features
from headstart.contracts.network import Stage
from headstart.engine.frozen.content_keys import content_keys
from headstart.kernel.errors import DataError
from headstart.kernel.files import hash_bytes
from headstart.media.images import decode_image

SIDE = 16


class Block(nn.Module):
    """A stage that maps states."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, state: State) -> State:
        mask = state.context.get("attention_mask")
        hidden = self.layer(state.hidden) if mask is None else self.layer(state.hidden, mask)
        return State(hidden, state.context, state.taps)


class Chain(nn.Module):
    """Stages in a row, with taps."""

    def __init__(self, stages: Mapping[str, nn.Module], taps: Sequence[Tap], pool: Any) -> None:
        super().__init__()
        self.stages = nn.ModuleDict(dict(stages))
        self.taps, self.pool = taps, pool

    def forward(self, state: State) -> State:
        seen: dict[str, Tensor] = dict(state.taps)
        for name, stage in self.stages.items():
            state = stage(state)
            for tap in self.taps:
                if tap.boundary == name:
                    seen[tap.key] = self.pool(state) if tap.form == "pooled" else state.hidden
        return State(state.hidden, state.context, seen)


class TinyBackbone(Backbone):
    """What the tiny ones share; `prepared` lists every input that was prepared."""

    layers: Mapping[str, nn.Module]

    def __init__(self, name: str, seed: int = 0) -> None:
        self.name = name
        self.origin = "random"
        self.prepared: list[Raw] = []
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.module = nn.ModuleDict({key: Block(layer) for key, layer in self.build().items()}).eval()
        self.stages = tuple(
            Stage(key, tuple(f"{key}.{p}" for p, _ in block.named_parameters())) for key, block in self.module.items()
        )

    def build(self) -> dict[str, nn.Module]:
        raise NotImplementedError

    def one(self, raw: Raw) -> Tensor:
        raise NotImplementedError

    def pool(self, state: State) -> Tensor:
        raise NotImplementedError

    def prepare(self, raws: Sequence[Raw]) -> State:
        state = self.stack([self.one(raw) for raw in raws])
        self.prepared.extend(raws)
        return state

    def stack(self, inputs: list[Tensor]) -> State:
        return State(torch.stack(inputs))

    def length(self, raw: Raw) -> int:
        return 1

    def preparation(self) -> Mapping[str, Any]:
        return {"tiny": self.name}

    def segment(self, start: int, stop: int, taps: Sequence[Tap] = ()) -> nn.Module:
        names = [stage.name for stage in self.stages[start:stop]]
        return Chain({name: self.module[name] for name in names}, taps, self.pool)

    def features(self, state: State) -> Features:
        return Features(self.pool(state))

    def describe(self) -> dict[str, Any]:
        return {"plugin": self.name, "settings": {}}

    def fresh(self, seed: int) -> Backbone:
        return type(self)(self.name, seed)


class TinyImages(TinyBackbone):
    """Three convolutions over 16 x 16 pictures."""

    modality = "image"
    width = 6

    def build(self) -> dict[str, nn.Module]:
        sizes = [(3, 4), (4, 8), (8, 6)]
        return {
            f"conv{i}": nn.Sequential(nn.Conv2d(a, b, 3, 2, 1), nn.BatchNorm2d(b), nn.GELU())
            for i, (a, b) in enumerate(sizes)
        }

    def one(self, raw: Raw) -> Tensor:
        assert isinstance(raw, Path)
        pixels = np.asarray(decode_image(raw).resize((SIDE, SIDE)), np.float32)
        return torch.from_numpy(pixels / 255).permute(2, 0, 1).contiguous()

    def pool(self, state: State) -> Tensor:
        return state.hidden.mean(dim=(2, 3))

    def features(self, state: State) -> Features:
        return Features(self.pool(state), maps=(state.hidden,))


class TinyTable(TinyBackbone):
    """Three layers over four numbers."""

    modality = "table"
    width = 5

    def build(self) -> dict[str, nn.Module]:
        return {f"layer{i}": nn.Sequential(nn.Linear(a, 5), nn.Tanh()) for i, a in enumerate((4, 5, 5))}

    def one(self, raw: Raw) -> Tensor:
        if np.isnan(np.asarray(raw)).any():
            raise DataError("holds NaN")
        return torch.from_numpy(np.asarray(raw, np.float32))

    def pool(self, state: State) -> Tensor:
        return state.hidden


class Attention(nn.Module):
    """Self-attention that looks at real tokens only."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.MultiheadAttention(width, 2, batch_first=True)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        seen, _ = self.inner(hidden, hidden, hidden, key_padding_mask=mask == 0, need_weights=False)
        return hidden + seen


class Embedding(nn.Module):
    """Token vectors."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Embedding(100, width)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        return self.inner(hidden)


class TinyTexts(TinyBackbone):
    """An embedding and two layers of attention over words, padded on the right."""

    modality = "text"
    width = 8

    def build(self) -> dict[str, nn.Module]:
        return {"words": Embedding(8), "first": Attention(8), "second": Attention(8)}

    def length(self, raw: Raw) -> int:
        return len(str(raw))

    def one(self, raw: Raw) -> Tensor:
        words = str(raw).split()
        if not words:
            raise DataError("is empty")
        return torch.tensor([zlib.crc32(word.encode()) % 100 for word in words])

    def stack(self, inputs: list[Tensor]) -> State:
        longest = max(len(words) for words in inputs)
        hidden = torch.stack([nn.functional.pad(words, (0, longest - len(words)), value=99) for words in inputs])
        mask = torch.stack([(torch.arange(longest) < len(words)).long() for words in inputs])
        return State(hidden, {"attention_mask": mask})

    def pool(self, state: State) -> Tensor:
        mask = state.context["attention_mask"].unsqueeze(-1)
        return (state.hidden * mask).sum(dim=1) / mask.sum(dim=1)

    def features(self, state: State) -> Features:
        return Features(self.pool(state), tokens=state.hidden, mask=state.context["attention_mask"])


def table_examples(values: np.ndarray) -> Examples:
    """Rows of four numbers, (examples, 4)."""
    columns = {f"x{i}": values[:, i] for i in range(values.shape[1])}
    table = pa.table({**columns, "origin": [f"row {i}" for i in range(len(values))]})
    return Examples(table, Schema(modality="table", inputs=tuple(columns), origin="origin"))


def text_examples(texts: Sequence[str]) -> Examples:
    """A text per row."""
    table = pa.table({"text": list(texts), "origin": [f"line {i}" for i in range(len(texts))]})
    return Examples(table, Schema(modality="text", inputs=("text",), origin="origin"))


def image_examples(paths: Sequence[Path]) -> Examples:
    """A picture file per row."""
    table = pa.table({"path": [str(path) for path in paths]})
    return Examples(table, Schema(modality="image", inputs=("path",), origin="path"))


def save_pictures(folder: Path, count: int, seed: int = 0) -> list[Path]:
    """Random pictures as PNG files."""
    draws = np.random.default_rng(seed)
    paths = [folder / f"{seed}-{i}.png" for i in range(count)]
    for path in paths:
        Image.fromarray(draws.integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)).save(path)
    return paths


def keys_of(values: Sequence[Any] | np.ndarray) -> list[Any]:
    """Content keys of texts, arrays or files."""
    if len(values) and isinstance(values[0], Path):
        return content_keys(image_examples(values)).keys
    return [hash_bytes(value.encode() if isinstance(value, str) else np.asarray(value).tobytes()) for value in values]
