"""Several augmentations as one: `crop+flip+mixup`, each with settings of its own.

Views are made in the order in which they are named, each part drawing from seeds of its own. Of several parts that mix,
one is drawn for each batch, so that no example is mixed of more than two.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from pydantic import Field
from torch import Tensor

from headstart.contracts.augmentation import Augmentation, fault_of
from headstart.contracts.carriers import Batch, State
from headstart.contracts.inputs import InputKind
from headstart.contracts.pairs import EACH_MASK, apart, together
from headstart.contracts.target_movement import Size
from headstart.contracts.targets import TargetKind, TargetKinds
from headstart.kernel import registry
from headstart.kernel.errors import SettingsError
from headstart.kernel.randomness import draw_seed
from headstart.kernel.settings import Settings
from headstart.kernel.user_settings import build

FAMILY = "augmentations"


class ViewSettings(Settings):
    """Settings of all parts together: `--set augmentation.views=4`."""

    views: int | None = Field(default=None, ge=0)
    """Views of each training example that are kept of the frozen stages, where some are; 0 makes new ones in every
    epoch, from the inputs on; chosen by epochs, room and time when left out; >= 0."""
    test_views: int | None = Field(default=None, ge=0)
    """Views over which predictions are averaged beside the input as it is, where validation shows that it helps; 4 when
    left out, none under a budget; >= 0."""


@dataclass(frozen=True)
class Composed:
    """Augmentations one after the other."""

    parts: tuple[Augmentation, ...]
    settings: ViewSettings = field(default_factory=ViewSettings)
    because: str = ""
    """Why the parts are what they are, where that was chosen."""

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities whose inputs every part can change; empty for those of every modality."""
        narrow = [part.modalities for part in self.parts if part.modalities]
        return tuple(kind for kind in narrow[0] if all(kind in some for some in narrow)) if narrow else ()

    @property
    def changes_inputs(self) -> bool:
        """Return whether any part changes the inputs."""
        return self.first_stage(1) == 0

    @property
    def moves(self) -> bool:
        """Return whether any part moves what lies in an input."""
        return any(part.moves for part in self.parts)

    @property
    def mixes(self) -> bool:
        """Return whether any part mixes the examples of a batch."""
        return any(part.mixes for part in self.parts)

    @property
    def acts(self) -> bool:
        """Return whether any part does anything at all."""
        return self.changes_inputs or self.mixes

    def suit(self, modality: str) -> None:
        """Look at whether every part can change such inputs. Raises SettingsError."""
        for part in self.parts:
            if part.modalities and modality not in part.modalities:
                raise SettingsError(
                    f"augmentation '{name_of(part)}' changes {' and '.join(part.modalities)} inputs, the data are "
                    f"{modality}. Use --augmentation none."
                )

    def fault(self, kinds: TargetKinds) -> str | None:
        """Return which targets the bound parts cannot move or mix; None where they can act on all."""
        return "; ".join(fault for part in self.parts if (fault := fault_of(part, kinds))) or None

    def require_targets(self, kinds: TargetKinds) -> None:
        """Refuse targets that a bound part cannot move or mix. Raises SettingsError."""
        fault = self.fault(kinds)
        if fault:
            *others, last = ["none", *self._able(kinds)]
            able = f"{', '.join(others)} or {last}" if others else last
            raise SettingsError(f"{fault}. Use --augmentation {able}.")

    def mixable(self, kind: TargetKind) -> bool:
        """Return whether every part can mix targets of the kind."""
        return all(part.mixable(kind) for part in self.parts)

    def _able(self, kinds: TargetKinds) -> list[str]:
        """Augmentations of as many modalities that can act on such targets."""
        found = ((name, registry.plugin(FAMILY, name)()) for name in registry.names(FAMILY) if name != "none")
        return [
            name
            for name, part in found
            if {*self.modalities} <= {*(part.modalities or self.modalities)} and not fault_of(part, kinds)
        ]

    def first_stage(self, stages: int) -> int:
        """The first stage that any part touches; `stages` where none does."""
        return min((part.first_stage(stages) for part in self.parts), default=stages)

    def bind(self, inputs: InputKind | None, examples: int) -> Composed:
        """With every part bound; one that stands for several is replaced by them. Raises SettingsError."""
        parts: list[Augmentation] = []
        because = [self.because] if self.because else []
        for part in self.parts:
            bound = part.bind(inputs, examples)
            if isinstance(bound, Composed):
                parts += bound.parts
                because.append(bound.because)
            else:
                parts.append(bound)
        require_distinct([name_of(part) for part in parts])
        return replace(self, parts=tuple(parts), because="; ".join(because))

    def view(self, state: State, seeds: Sequence[int]) -> State:
        """A view by every part in turn; of pairs that are read apart, of each input by itself."""
        if EACH_MASK in state.context:
            return together(
                self.view(apart(state), [draw_seed(seed, "of a pair", k) for seed in seeds for k in (0, 1)])
            )
        for part in self.parts:
            state = part.view(state, _own(seeds, part))
        return state

    def move(self, kind: TargetKind, values: Tensor, seeds: Sequence[int], size: Size) -> Tensor:
        """Return targets (batch, ...) moved by every part in turn. Raises SettingsError."""
        for part in self.parts:
            values = part.move(kind, values, _own(seeds, part), size)
        return values

    def mix(self, batch: Batch, seeds: Sequence[int], kinds: TargetKinds) -> Batch:
        """The batch mixed by one of the parts that mix, drawn anew for each batch."""
        mixing = [part for part in self.parts if part.mixes]
        if not mixing:
            return batch
        part = mixing[int(np.random.default_rng(list(seeds)).integers(len(mixing)))]
        return part.mix(batch, _own(seeds, part), kinds)

    def of_inputs(self) -> Composed:
        """The parts that make views of inputs one by one: what can be kept, and averaged over in prediction."""
        return replace(self, parts=tuple(part for part in self.parts if not part.mixes))

    def of_batches(self) -> Composed:
        """The parts that mix batches."""
        return replace(self, parts=tuple(part for part in self.parts if part.mixes))

    def describe(self) -> list[dict[str, Any]]:
        """[{"plugin": name, "settings": {...}}, ...]: what `rebuilt` makes the parts of again."""
        return [{"plugin": name_of(part), "settings": _settings(part).model_dump(mode="json")} for part in self.parts]

    def __str__(self) -> str:
        changed = (_settings(part).model_dump(mode="json", exclude_defaults=True) for part in self.parts)
        shown = (", ".join(f"{key} {value}" for key, value in each.items() if key not in _LEARNT) for each in changed)
        return " + ".join(
            f"{name_of(part)} ({told})" if told else name_of(part) for part, told in zip(self.parts, shown)
        )


_LEARNT = ("pixels", "tokens", "sounds")
"""Settings that `bind` fills in."""


def composed(names: str, settings: Mapping[str, Any]) -> Composed:
    """The augmentation that a user names, such as 'crop' or 'crop+mixup'.

    Args:
        names: plug-ins, joined by '+'.
        settings: `ViewSettings`, and those of the parts: {"crop.scale": ...} or {"crop": {"scale": ...}}; of a single
            part also {"scale": ...}.

    Raises:
        SettingsError: a name or a setting is not known, or a part is named twice; all faults of the settings at once.
    """
    parts = [name.strip() for name in names.split("+")]
    kinds = {name: registry.plugin(FAMILY, name) for name in parts}
    require_distinct(parts)
    of_all, of_part, faults = _sorted_out(parts, settings)
    made: list[Augmentation] = []
    for name, kind in kinds.items():
        try:
            made.append(build(kind, of_part[name], where="augmentation" if len(parts) == 1 else f"augmentation.{name}"))
        except SettingsError as error:
            faults.append(str(error))
    try:
        whole = build(ViewSettings, of_all, where="augmentation")
    except SettingsError as error:
        faults.append(str(error))
    if faults:
        raise SettingsError("\n".join(faults))
    found = Composed(tuple(made), whole)
    idle = next((f"{key} = {count}" for key, count in whole if count and not found.changes_inputs), "")
    if idle:
        raise SettingsError(f"augmentation.{idle} would do nothing: '{names}' makes no views of inputs")
    return found


def rebuilt(described: Iterable[Mapping[str, Any]]) -> Composed:
    """The parts that `Composed.describe` has described. Raises SettingsError."""
    kinds = ((registry.plugin(FAMILY, each["plugin"]), each) for each in described)
    return Composed(tuple(build(kind, each["settings"], where=each["plugin"]) for kind, each in kinds))


def name_of(part: Augmentation) -> str:
    """The plug-in name of a part."""
    return registry.name_of(_settings(part))


def require_distinct(names: Sequence[str]) -> None:
    """Raises SettingsError where a part is named twice."""
    twice = sorted({name for name in names if list(names).count(name) > 1})
    if twice:
        raise SettingsError(f"augmentation '{'+'.join(names)}' has '{twice[0]}' twice: name it once")


def _sorted_out(
    parts: Sequence[str], settings: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, dict[str, Any]], list[str]]:
    """Settings of all parts together, of each part, and what is wrong with the keys of the others."""
    of_all: dict[str, Any] = {}
    of_part: dict[str, dict[str, Any]] = {name: {} for name in parts}
    faults = []
    for key, value in settings.items():
        part, dot, name = key.partition(".")
        if key in ViewSettings.model_fields:
            of_all[key] = value
        elif part in of_part and (dot or isinstance(value, Mapping)):
            of_part[part].update({name: value} if dot else value)
        elif len(parts) == 1 and not dot:
            of_part[parts[0]][key] = value
        else:
            example = f"augmentation.{parts[0]}.{name or key}"
            faults.append(f"augmentation.{key} is a setting of no part of '{'+'.join(parts)}': write {example}")
    return of_all, of_part, faults


def _settings(part: Augmentation) -> Settings:
    return part  # type: ignore[return-value]


def _own(seeds: Sequence[int], part: Augmentation) -> list[int]:
    """Seeds of the part's own, so that no two parts draw the same."""
    return [draw_seed(seed, name_of(part)) for seed in seeds]
