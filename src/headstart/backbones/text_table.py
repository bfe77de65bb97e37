"""A text model with the columns of a table beside it: the features of the text, then the columns as numbers.

The columns go past every stage in the context and join the features at the end, so that a probe reads both, and a
fine-tuning moves the text model by what the columns leave open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from headstart.contracts.backbone import Backbone
from headstart.contracts.carriers import BESIDE, State, Tap
from headstart.contracts.examples import Raw
from headstart.contracts.features import Features
from headstart.contracts.inputs import InputKind
from headstart.contracts.modality import HasNumbers, HasTexts, Modality, modality_named
from headstart.contracts.several_stages import Stages
from headstart.kernel import registry
from headstart.kernel.errors import BackboneError, DataError, unknown
from headstart.kernel.settings import Settings
from headstart.kernel.user_settings import build
from headstart.numerics.table_encoding import Encoding, gaps_in, learn

NAME = "text_table"


class TextTable(Settings):
    """A text model, and the columns beside a text."""

    modality: ClassVar[str] = NAME

    reference: str
    """That of the text model."""
    weights: str = "pretrained"
    """As of the text model."""
    seed: int = 0
    """Decides random weights; >= 0."""
    features: Stages = "last"
    """As of the text model."""
    text: dict[str, Any] = {}
    """Further settings of the text model."""
    names: tuple[str, ...] = ()
    """Of the columns, those of the text first; for messages."""
    encoding: Encoding | None = None
    """What training rows taught of the columns; None before."""
    model: dict[str, Any] = {}
    """Plug-in and settings of a text model that is saved."""

    @classmethod
    def suits(cls, reference: str) -> bool:
        """Return whether the reference is one of a text model."""
        return any(family.suits(reference) for family in _families())

    @classmethod
    def known(cls) -> list[str]:
        """Those of text models."""
        return [name for family in _families() for name in family.known()]

    @classmethod
    def automatic(cls) -> tuple[str, str] | None:
        """The text model that is at hand."""
        return next((found for family in _families() if (found := family.automatic())), None)

    def load(self) -> Backbone:
        """The text model, with columns whose encoding is to be learnt. Raises BackboneError."""
        family = next((family for family in _families() if family.suits(self.reference)), None)
        if family is None:
            raise BackboneError(unknown("text backbone", self.reference, self.known()))
        given = {"reference": self.reference, "weights": self.weights, "seed": self.seed, **self.text}
        given |= {} if self.features == "last" else {"features": self.features}
        return _Beside(self, build(family, given, where="backbone.text").load())

    def rebuild(self, assets: Path) -> Backbone:
        """The architecture of the text model, its weights to be filled in, with the columns as they were learnt."""
        family = registry.plugin("backbones", str(self.model.get("plugin")))
        return _Beside(self, build(family, self.model.get("settings", {}), where="backbone.model").rebuild(assets))


class _Beside(Backbone):
    modality = NAME

    def __init__(self, settings: TextTable, model: Backbone) -> None:
        self.settings, self.model = settings, model.alone() or model
        self.name, self.origin, self.licence = model.name, model.origin, model.licence
        self.module, self.stages, self.entry = model.module, model.stages, model.entry
        self.reads, self.notices = model.reads, model.notices
        self.width = model.width + (0 if settings.encoding is None else settings.encoding.width)

    def learn_decoding(self, raws: Sequence[Raw]) -> tuple[str, ...]:
        """Learn how the columns are read, unless a run has left that."""
        if self.settings.encoding is not None:
            return ()
        rows = [raw.row for raw in raws]
        self.settings = self.settings.model_copy(update={"encoding": learn(rows, alone=False)})
        self.width += self._encoding.width
        return gaps_in(rows, self._names)

    def doubts(self, raws: Sequence[Raw]) -> tuple[str, ...]:
        """Gaps and categories that training rows did not have."""
        return tuple(self._encoding.surprises([raw.row for raw in raws], self._names)) if raws else ()

    def prepare(self, raws: Sequence[Raw]) -> State:
        """Tokens, and in the context the columns (batch, numbers). Raises DataError."""
        for raw in raws:
            if not hasattr(raw, "row"):
                raise DataError(f"is no text with columns beside it: {type(raw).__name__}")
        state = self.model.prepare([raw.text for raw in raws])
        known, rows = self.settings.encoding, [raw.row for raw in raws]
        columns = torch.from_numpy(np.empty((len(rows), 0)) if known is None else known.encoded(rows)).float()
        if not torch.isfinite(columns).all():
            raise DataError("contains an infinite number")
        return State(state.hidden, {**state.context, BESIDE: columns.to(state.hidden.device)}, state.taps)

    def length(self, raw: Raw) -> int:
        """Return the length of the text."""
        return self.model.length(raw.text)

    def unread(self, raws: Sequence[Raw]) -> np.ndarray:
        """(inputs,) the share of each text that is cut off."""
        return self.model.unread([raw.text for raw in raws])

    def input_kind(self) -> InputKind | None:
        """Token numbers."""
        return self.model.input_kind()

    def preparation(self) -> Mapping[str, Any]:
        """Return those of the text model, and the encoding of the columns."""
        return {**self.model.preparation(), BESIDE: self._encoding.model_dump(mode="json")}

    def segment(self, start: int, stop: int, taps: Sequence[Tap] = ()) -> nn.Module:
        """Stages of the text model, which do not see the columns. Raises BackboneError as that one."""
        return _Past(self.model.segment(start, stop, taps))

    def features(self, state: State) -> Features:
        """Pooled features of the text, then the columns: (batch, width)."""
        text, columns = _parted(state)
        pooled = self.model.features(text).pooled
        return Features(torch.cat([pooled, columns.to(pooled.dtype)], dim=1))

    def describe(self) -> dict[str, Any]:
        """The text model and the encoding of the columns."""
        model = self.model.describe()
        kept = self.settings.model_dump(mode="json", include={"reference", "names", "encoding"})
        rest = {name: value for name, value in model.items() if name not in ("plugin", "settings")}
        own = {key: model[key] for key in ("plugin", "settings")}
        return {"plugin": NAME, "settings": {**kept, "model": own}, **rest}

    def fresh(self, seed: int) -> Backbone:
        """The text model with random weights, the columns as they are read."""
        return _Beside(self.settings, self.model.fresh(seed))

    def assets(self) -> Mapping[str, bytes]:
        """Those of the text model."""
        return self.model.assets()

    @property
    def _encoding(self) -> Encoding:
        return self.settings.encoding or Encoding(kinds=())

    @property
    def _names(self) -> tuple[str, ...]:
        return self.settings.names[len(self.settings.names) - len(self._encoding.kinds) :]


class _Past(nn.Module):
    def __init__(self, segment: nn.Module) -> None:
        super().__init__()
        self.segment = segment

    def forward(self, state: State) -> State:
        text, columns = _parted(state)
        found = self.segment(text)
        return State(found.hidden, {**found.context, BESIDE: columns}, found.taps)


def _parted(state: State) -> tuple[State, Tensor]:
    context = {name: value for name, value in state.context.items() if name != BESIDE}
    return State(state.hidden, context, state.taps), state.context[BESIDE]


def _families() -> list[Any]:
    found = (registry.plugin("backbones", name) for name in registry.names("backbones"))
    return [family for family in found if family.modality and _is_of_texts(modality_named(family.modality))]


def _is_of_texts(modality: Modality) -> bool:
    return isinstance(modality, HasTexts) and not isinstance(modality, HasNumbers)
