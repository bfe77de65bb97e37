"""Candidates: the pretrained models that a selection measures, and those that it skips, with the reason."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from headstart.engine.frozen.choose_runner import Choice
from headstart.engine.frozen.feature_spec import FeatureSpec
from headstart.engine.store.feature_store import FeatureStore
from headstart.kernel.documents import parse_toml
from headstart.kernel.errors import BackboneError, RunError, SettingsError
from headstart.kernel.processor import cores
from headstart.kernel.progress import Reporter
from headstart.pipeline.budget import Budget
from headstart.pipeline.choose_backbone import Unsuited, families_of, without_downloads
from headstart.pipeline.decision_log import DecisionLog
from headstart.pipeline.embed import in_windows, pass_spec
from headstart.pipeline.plan import Plan
from headstart.pipeline.precision_by_use import Labelled, choice_by_use
from headstart.pipeline.ready import Ready, Staged, ready
from headstart.pipeline.selection.record import Skipped
from headstart.pipeline.time_estimates import operations_each

CATALOGUE = Path(__file__).with_name("catalogue.toml")

PROBE = 1e-9
"""Seconds on a core for each number of a decomposition: examples times features times the fewer of both."""

POSITIONS = 40
"""About how many tokens or pixels of an example a head is solved on, where it reads these."""

RESTRICTED = ("nc", "noncommercial", "non-commercial", "research", "fair", "unknown", "other")
"""Words of licences that do not plainly allow commercial use; 'unknown' is no permission."""


@dataclass
class Candidate:
    """A loaded model bound to the data."""

    ready: Ready
    choice: Choice
    """Runner of its frozen pass."""
    spec: FeatureSpec
    """What the pass keeps."""
    operations: float
    """Floating-point operations that an example takes; 0 where that is not known."""
    windows: float = 1.0
    """Pieces that it reads an example in, on average."""

    @property
    def reference(self) -> str:
        """As `--backbone` takes it."""
        return self.ready.reference

    @cached_property
    def parameters(self) -> int:
        """Number of its weights."""
        return sum(parameter.numel() for parameter in self.ready.backbone.module.parameters())

    @property
    def size(self) -> float:
        """Size prior: mean decimal logarithm of its parameters and its operations for an example; larger is better.

        A plain order by size ranked published models at tau .91, where LogME had .57 (arXiv 2510.06448).
        """
        known = [float(count) for count in (self.parameters, self.operations) if count]
        return float(np.mean(np.log10(known))) if known else math.nan

    @property
    def seconds_each(self) -> float:
        """About what an example takes on its runner, the preparation apart; 0 where that is not known."""
        return self.windows * self.choice.seconds_each

    @property
    def pooled(self) -> bool:
        """True where the head reads one vector per example."""
        return self.ready.data.task.needs.features == "pooled"

    def probe_seconds(self, examples: int) -> float:
        """About how long the probe and the scores take on so many examples: decompositions of their features."""
        width, vectors = self.ready.backbone.width, examples if self.pooled else POSITIONS * examples
        return PROBE * vectors * width * min(vectors, width) / cores()


def catalogue() -> list[dict[str, Any]]:
    """Return the entries of the catalogue: reference, modality, size, parameters and published accuracy."""
    entries: list[dict[str, Any]] = parse_toml(CATALOGUE.read_text(encoding="utf-8"))["backbone"]
    return entries


def references_for(modality: str, *, offered: bool = True) -> list[str]:
    """Return the candidates where none is named: the catalogue's, and what each backbone family offers by itself."""
    listed = [entry["reference"] for entry in catalogue() if entry["modality"] == modality]
    families = families_of(modality) if offered else []
    return [*dict.fromkeys([*listed, *(found[0] for family in families if (found := family.automatic()) is not None)])]


def loaded(
    begun: Staged, plan: Plan, references: Sequence[str], *, named: bool, commercial: bool, online: bool = True
) -> tuple[list[Ready], list[Skipped]]:
    """Load the candidates and bind the task to each; of two with the same weights the second is skipped.

    Args:
        begun: the data, split. plan: its backbone is replaced by each of the `references`.
        named: whether the user named them; else downloads end with the first one that fails.
        commercial: skip weights whose licence does not plainly allow commercial use.
        online: whether any is downloaded.
    """
    models: dict[str, Ready] = {}
    skipped: list[Skipped] = []
    for reference in references:
        try:
            with nullcontext() if online else without_downloads():
                found = ready(begun, plan.model_copy(update={"backbone": reference}), Budget(), DecisionLog())
            weights = found.backbone.weights_hash()
        except Unsuited as error:
            skipped.append(Skipped(reference=reference, reason=str(error)))
            continue
        except (BackboneError, RunError, SettingsError) as error:
            online = online and named
            reason = str(error) if online else "its weights are neither on this machine nor within reach"
            skipped.append(Skipped(reference=reference, reason=reason))
            continue
        if commercial and not allows_commerce(found.backbone.licence):
            reason = f"its licence is {found.backbone.licence!r}, which does not plainly allow commercial use"
            skipped.append(Skipped(reference=reference, reason=reason))
        elif weights in models and not named:
            skipped.append(Skipped(reference=reference, reason=f"it is {models[weights].reference} under another name"))
        else:
            models[weights if not named else reference] = found
    return list(models.values()), skipped


def as_candidate(found: Ready, plan: Plan, rows: np.ndarray, reporter: Reporter) -> Candidate:
    """Choose how the frozen pass goes, by the labelled examples `rows`; it keeps what a fit keeps of them."""
    data, backbone = found.data.take(rows), found.backbone
    read = in_windows(data, backbone)
    spec, _ = pass_spec(backbone, read.task, read.examples, FeatureStore())
    labelled = Labelled(found.data, rows, plan.seed) if spec.keep == "pooled" and read is data else None
    choice = choice_by_use(backbone, read.examples, read.keys, spec, plan, labelled, reporter=reporter)
    operations = operations_each(backbone, data.examples, np.arange(len(rows)))
    return Candidate(found, choice, spec, operations, len(read.examples) / len(rows))


def allows_commerce(licence: str) -> bool:
    """Return whether a licence plainly allows commercial use."""
    parts = licence.lower().replace("_", "-").split("-")
    return not any(word in parts or word == licence.lower() for word in RESTRICTED)
