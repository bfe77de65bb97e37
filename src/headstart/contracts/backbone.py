"""Backbone: a pretrained network with its own preprocessing, and how it is saved and made again.

Only verified boundaries between its stages are offered; see `contracts/boundaries.py`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from headstart.contracts.architecture_edits import Edit
from headstart.contracts.carriers import State, Tap
from headstart.contracts.examples import Raw
from headstart.contracts.features import MapShape
from headstart.contracts.inputs import InputKind
from headstart.contracts.network import Network
from headstart.kernel.complete import Complete
from headstart.kernel.contract import contract
from headstart.kernel.errors import BackboneError, SettingsError
from headstart.kernel.files import hash_bytes
from headstart.kernel.progress import Reporter

UNKNOWN_LICENCE = "unknown"
NO_LICENCE = "none (no pretrained weights)"

SOURCE_HEAD = "source_head"
"""Addition of objectives: the head that a backbone was trained with before, as it learns along."""

SMALL = "small network"
"""Name of the backbones that `Backbone.small` makes."""

Pairs = Literal["auto", "joint", "apart"]
"""How pairs of inputs are read."""

FROM = " from run "
"""Between the name of a run's backbone and that of the run."""


class Reader(Protocol):
    """The part of preparing that costs time per input and needs no weights. Picklable: worker processes run it."""

    @property
    def nbytes(self) -> int:
        """Bytes of what it gives for one input."""
        ...

    def __call__(self, raw: Raw) -> np.ndarray:
        """One input as an array whose shape and type are those of every other. Raises DataError as `prepare`."""
        ...


class Backbone(Network, Complete):
    """A loaded pretrained model, cut into stages."""

    origin: str
    """Where its weights come from, as a person would say it: 'timm hub, tag a1_in1k', 'file X', 'random'."""
    licence: str = UNKNOWN_LICENCE
    """Licence of the weights as their publisher states it, such as 'apache-2.0'; 'unknown' where nobody does."""
    modality: str
    """Plug-in name of the modality of its inputs, such as 'image'."""
    entry: nn.Module = nn.Identity()
    """`State -> State`: from what `reader` gives, stacked, to boundary 0. It has no weights."""
    reads: str = ""
    """The most that is read of an input, such as '512 tokens'; '' where every input is read whole."""
    beside_last: tuple[Tap, ...] = ()
    """Inner stages whose pooled outputs stand in the features before those of the last one."""
    stage_widths: tuple[int, ...] = ()
    """Widths of the parts of the pooled features that come of one stage each, where they are of several; in order."""
    learns_at: int | None = None
    """The stage with new weights that do nothing before they have learnt; None where there is none."""
    source_run: str = ""
    """The run folder that `source_head` is of; empty for a head of other weights, and for none."""
    edits: tuple[Edit, ...] = ()
    """Edits of its architecture, for a table; none where it is as its weights were trained."""
    unedited: Callable[[], Backbone] | None = None
    """Loads the same without edits, where these may cost knowledge."""
    decoder_stages: int = 0
    """How many of the last stages are a decoder's, which states pass as they are; 0 without one."""
    padding_exact: bool = True
    """Whether padding a batch leaves the features of its inputs as they are; if not, what depends on it runs over
    inputs of equal length together and over others apart. It is found out when a model is loaded."""
    notices: tuple[str, ...] = ()
    """Sentences on how it works on this machine that the user does not know yet."""

    @abstractmethod
    def prepare(self, raws: Sequence[Raw]) -> State:
        """As of `Network`, inputs being those of `Examples.raws`."""

    def reader(self) -> Reader | None:
        """Return what reads one input, whose results `entry` makes states of; None: inputs are prepared together."""
        return None

    def settle(self, raws: Sequence[Raw]) -> None:
        """Take from inputs what is counted and not learnt, such as the scale of columns, where weights are random."""

    def learn_decoding(self, raws: Sequence[Raw]) -> tuple[str, ...]:  # noqa: ARG002
        """Take from training inputs how every input is decoded, unless that is given; return what was decided, in
        sentences. It is saved with the preprocessing."""
        return ()

    def doubts(self, raws: Sequence[Raw]) -> tuple[str, ...]:  # noqa: ARG002
        """Return sentences on new inputs that are decoded otherwise than any that it learnt from."""
        return ()

    @abstractmethod
    def length(self, raw: Raw) -> int:
        """Return the length of an input, cheaply, in any unit that grows with its cost; equal lengths batch well."""

    def windows(self, raw: Raw) -> tuple[tuple[int, int], ...]:  # noqa: ARG002
        """Return overlapping parts, each read whole, of a text that is longer than is read at once: (first character,
        one past the last), in order; none for an input that is read whole."""
        return ()

    def unread(self, raws: Sequence[Raw]) -> np.ndarray:
        """(inputs,) the share of each input that is cut off as too long, in [0, 1)."""
        return np.zeros(len(raws))

    def input_kind(self) -> InputKind | None:
        """Return the meaning of the numbers at boundary 0; None for neither pixels nor tokens."""
        return None

    def map_taps(self) -> tuple[Tap, ...]:
        """Return the taps that a segment needs so that `features` has maps of several strides, or tokens of several
        stages, with those of the last stage; earliest first."""
        return ()

    def maps(self) -> tuple[MapShape, ...]:
        """Shapes of `Features.maps` with all of `map_taps`, finest first, one per stride; empty where there is none."""
        return ()

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """{"plugin": name, "settings": {...}}: what rebuilds the architecture and preprocessing without the weights."""

    @abstractmethod
    def fresh(self, seed: int) -> Backbone:
        """The same architecture with random weights: the start of training from scratch."""

    def small(self, seed: int) -> Backbone | None:  # noqa: ARG002
        """A small network of random weights that reads the same inputs and learns quickly; None where there is none."""
        return None

    def whole(self, side: int) -> Backbone:
        """The same live weights on pictures framed by `media.framing.Whole`: all of each, in a square of `side` pixels.

        Raises:
            BackboneError: it takes no pictures, or none of that size.
        """
        raise BackboneError(f"{self.name} takes {self.modality} inputs and cannot read whole images of {side} pixels")

    def reading(self) -> Backbone:
        """The same live weights without a decoder, for tasks that write nothing; itself where there is none."""
        return self

    def of_strides(self, strides: Sequence[int]) -> Backbone:  # noqa: ARG002
        """The same live weights with maps of these strides and of the last stage alone, of those that there are."""
        return self

    def placed(self) -> Backbone:
        """The same live weights with tokens whose places are known: of texts the states say where each token lies, as
        context `PLACES`; frames of sounds follow one another in time anyway.

        Raises:
            BackboneError: it has no tokens, or does not know the places.
        """
        raise BackboneError(f"{self.name} takes {self.modality} inputs and has no token positions")

    def several(self, inner: Sequence[Tap] = ()) -> Backbone:  # noqa: ARG002
        """The same live weights with features of several stages at once, see `contracts/several_stages.py`.

        Args:
            inner: pooled taps of the stages beside the last; some of the deeper half without any.

        Raises:
            BackboneError: it has a single stage, or no such features.
        """
        raise BackboneError(f"{self.name} has features of its last stage alone: leave backbone.features = multi out")

    def apart(self) -> Backbone | None:
        """The same live weights on pairs whose inputs are read each by itself, see `contracts/pairs.py`; None where
        that cannot be done."""
        return None

    def alone(self) -> Backbone | None:
        """Return what reads one input of a pair, where these are read apart; None for any other backbone."""
        return None

    def assets(self) -> Mapping[str, bytes]:
        """Files that belong to the preprocessing, such as a tokenizer's, by name."""
        return {}

    def boundary_names(self) -> tuple[str, ...]:
        """The name of each boundary: 'input', then the stage before it."""
        return ("input", *(stage.name for stage in self.stages))

    def tell(self, reporter: Reporter) -> None:
        """Say once what the user must know."""
        sentences, self.notices = self.notices, ()
        for sentence in sentences:
            reporter.say(sentence)

    def weights_hash(self) -> str:
        """Hash of every weight and buffer, by name."""
        return state_hash(self.module.state_dict())


@runtime_checkable
class HasFrames(Protocol):
    """A backbone of sounds whose tokens are frames, one after the other in time."""

    frame_seconds: float
    """From one frame to the next."""
    longest: float
    """Seconds of a clip that are read."""

    def seconds(self, raw: Raw) -> float:
        """Return the length of a clip; 0 for one that cannot be read."""
        ...

    def frames(self, raw: Raw) -> int:
        """Return about how many frames it becomes, >= 1."""
        ...


@runtime_checkable
class FindsBoxes(Protocol):
    """A backbone that was pretrained to find boxes: the rest of its network can be the head of a task."""

    side: int
    """Pixels of the square that it sees pictures in."""

    def box_head(self, classes: int) -> nn.Module:
        """Return a copy of the rest, pretrained but for new classes.

        It takes `Features.maps` and returns logits (batch, layers, queries, classes) and boxes (batch, layers, queries,
        4), centre across and down, width and height as shares of the square; the last layer counts.
        """
        ...


def require_width(pooled: Tensor, examples: int, backbone: Network) -> None:
    """Refuse pooled features that are not (examples, width). Raises SettingsError, which names the backbone."""
    if pooled.shape != (examples, backbone.width):
        raise SettingsError(
            f"backbone '{backbone.name}' gives features of shape {tuple(pooled.shape)} for {examples} inputs; expected "
            f"{(examples, backbone.width)}"
        )


@contract("backbones")
class BackboneFamily(Protocol):
    """Settings that load a `Backbone`: the contract of a file in `backbones/`.

    'auto' takes a family with the class attribute `last_resort = True` only where no other one has anything, and one
    with `writes = True` for tasks that say so, and for no others.
    """

    modality: ClassVar[str]
    """What its backbones read: the plug-in name of a modality; '' where each reference says."""
    reference: str

    @classmethod
    def suits(cls, reference: str) -> bool:
        """Return True for a reference of this family, without loading it."""
        ...

    @classmethod
    def known(cls) -> list[str]:
        """Names that could be meant, for the nearest match in an error."""
        ...

    @classmethod
    def automatic(cls) -> tuple[str, str] | None:
        """(reference, reason) of the best backbone that can be had right now for `auto`, or None."""
        ...

    def load(self) -> Backbone:
        """Load it. Raises BackboneError."""
        ...

    def rebuild(self, assets: Path) -> Backbone:
        """The architecture alone, weights to be filled in by the caller, from a saved model's `assets` folder."""
        ...


def state_hash(state: Mapping[str, Tensor]) -> str:
    """Hash of named tensors: names, types, shapes and every bit."""
    parts: list[bytes | memoryview] = []
    for name in sorted(state):
        tensor = state[name]
        parts.append(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}".encode())
        parts.append(bytes_of(tensor))
    return hash_bytes(*parts)


def bytes_of(tensor: Tensor) -> bytes | memoryview:
    """The bytes of a tensor (...) in the order of its axes, whatever their order in memory."""
    plain = tensor.detach().cpu().contiguous()
    return plain.reshape(-1).view(torch.uint8).numpy().data if plain.numel() else b""
