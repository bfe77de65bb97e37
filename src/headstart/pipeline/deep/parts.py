"""Tags of words and masks of pictures that look wrong, by linear heads that were solved without the example's fold.

Words are labels like any others; a sentence is reported by its least likely tag. Pixels are looked at in cells; a mask
is reported where a probe is sure of another class in a connected region of some size, as it is unsure along every edge.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from scipy import ndimage
from torch.nn import functional

from headstart.contracts.carriers import Batch
from headstart.contracts.features import Features
from headstart.contracts.modality import raws_of
from headstart.contracts.target_kinds import TAG_SEQUENCES
from headstart.contracts.targets import PADDED_TARGET
from headstart.contracts.task_capabilities import Sampled
from headstart.engine.solved.solve import solve_head
from headstart.evidence import label_quality
from headstart.evidence.confident_learning import confident_joint
from headstart.evidence.folds import folds
from headstart.kernel.errors import BackboneError, DataError
from headstart.pipeline.context import FitContext
from headstart.pipeline.deep.labels import HasClasses, HeldOut, such
from headstart.pipeline.deep.view import View
from headstart.pipeline.embed import batches_of_features, sampled
from headstart.pipeline.inspection import FaultRow, Finding

FOLDS, FEWEST = 3, 5
"""Folds, and words of a tag below which its words are not checked."""
CELLS = 48
"""Cells of a mask to a side at most."""
LEAST_REGION = 0.02
"""Share of a picture that a region takes at least."""
WORDS = "words"
"""The head input with the places of the words to tag."""


class HasTags(Protocol):
    """The tags of a bound task."""

    names: tuple[str, ...]


@runtime_checkable
class TagsWords(Protocol):
    """A bound task that tags words."""

    tags: HasTags


class _Part(NamedTuple):
    """An example's words, or its cells."""

    row: int
    given: np.ndarray
    """(words,) or (height, width) int; `PADDED_TARGET` where nothing is known."""
    probabilities: np.ndarray
    """(words, classes) or (height, width, classes)."""


def held_out_parts(view: View) -> HeldOut:
    """Hold the target of each word or pixel against held-out predictions. Raises DataError where there is no probe."""
    context = view.context
    if context is None or not isinstance(task := context.read.task.linear(), Sampled):
        raise DataError("their head cannot be solved for")
    parts = [*_predicted(context, task)]
    of_words = TAG_SEQUENCES in task.target_kinds.values()
    return (_words if of_words else _masks)(view, context, parts)


def _predicted(context: FitContext, task: Sampled) -> Iterator[_Part]:
    data, rows = context.read, context.features.rows
    units = data.kept_together(rows)
    number = len(rows) if units is None else len(np.unique(units))
    if number < FOLDS:
        raise DataError(f"{number} examples, or groups of them, are fewer than the {FOLDS} folds of a probe")
    vectors, targets, owners = sampled(context, task, rows)
    if not np.isfinite(vectors).all():
        raise BackboneError(f"{context.backbone.name} gives features of NaN or infinity")
    for fold in folds(np.arange(len(rows)), _strata(context, rows), units, FOLDS, context.plan.seed):
        used = np.isin(owners, rows[fold.rest])
        known = {name: values[used] for name, values in targets.items()}
        head, chosen = solve_head(task, vectors[used], known, data.groups_of(owners[used]), context.plan.seed)
        for some, batch, features in batches_of_features(context, rows[fold.held], "predicting held-out examples"):
            yield from _of_batch(context, head.eval(), some, batch, features, float(chosen.get("temperature", 1.0)))


def _of_batch(
    context: FitContext, head: torch.nn.Module, rows: np.ndarray, batch: Batch, features: Features, temperature: float
) -> Iterator[_Part]:
    task = context.read.task.linear()
    with torch.no_grad():
        outputs = task.forward(head, features, batch.head_inputs)
    logits, (given,) = (
        outputs["logits"].float().cpu() / temperature,
        [batch.targets[name] for name in task.target_kinds if name in batch.targets],
    )
    if logits.ndim == 4:
        size = min(CELLS, logits.shape[2]), min(CELLS, logits.shape[3])
        shown = functional.adaptive_avg_pool2d(logits.softmax(dim=1), size).permute(0, 2, 3, 1)
        given = functional.interpolate(given[:, None].double(), size, mode="nearest-exact")[:, 0].long()
    else:
        shown = logits.softmax(dim=2)
        given = given.masked_fill(~outputs["has_token"].cpu(), PADDED_TARGET)
    for row, codes, of in zip(rows.tolist(), given.numpy(), shown.numpy()):
        yield _Part(row, codes, of)


def _words(view: View, context: FitContext, parts: list[_Part]) -> HeldOut:
    task, examples = context.read.task, context.read.examples
    names = task.tags.names if isinstance(task, TagsWords) else ()
    texts, origins, places = raws_of(examples), examples.origins(), task.inputs(examples)[WORDS]
    tagged = np.concatenate([part.given for part in parts])
    rare = np.flatnonzero(np.bincount(tagged[tagged >= 0], minlength=len(names)) < FEWEST)
    known = [np.flatnonzero((part.given != PADDED_TARGET) & ~np.isin(part.given, rare)) for part in parts]
    labels = np.concatenate([part.given[at] for part, at in zip(parts, known)])
    probabilities = np.concatenate([part.probabilities[at] for part, at in zip(parts, known)])
    where = [(part.row, word) for part, at in zip(parts, known) for word in at.tolist()]
    joint, quality = confident_joint(labels, probabilities), label_quality.of_classes(labels, probabilities)
    doubtful: defaultdict[str, list[tuple[float, str, str]]] = defaultdict(list)
    for at in joint.wrong.tolist():
        row, word = where[at]
        start, stop = places[row][word]
        named = f"'{str(texts[row])[start:stop]}' {{}}"
        given, likely = names[labels[at]], names[joint.confident[at]]
        doubtful[origins[row]].append((float(quality[at]), named.format(given), named.format(likely)))
    faults = [
        FaultRow(
            kind="wrong tag",
            origin=origin,
            score=min(some)[0],
            given=", ".join(given for _, given, _ in sorted(some)[:5]),
            likely=", ".join(likely for _, _, likely in sorted(some)[:5]),
            detail=f"{len(some)} tag{'s' if len(some) > 1 else ''}, probability of the least likely {min(some)[0]:.1%}",
        )
        for origin, some in sorted(doubtful.items(), key=lambda item: min(item[1]))
    ]
    findings = []
    if faults:
        named = such([f"{one.origin} ({one.given}, likely {one.likely})" for one in faults])
        text = f"tags of {len(joint.wrong):,} words in {len(faults):,} texts look wrong{named}"
        findings.append(Finding(severity="warning", text=text))
    bad = {
        origins[row] for at in np.flatnonzero(probabilities.argmax(axis=1) != labels).tolist() for row, _ in [where[at]]
    }
    return HeldOut(faults, findings, np.array([view.origin(row) not in bad for row in range(len(view.rows))]))


def _masks(view: View, context: FitContext, parts: list[_Part]) -> HeldOut:
    task, origins = context.read.task, context.read.examples.origins()
    names = task.classes if isinstance(task, HasClasses) else ()
    known = [part.given != PADDED_TARGET for part in parts]
    labels = np.concatenate([part.given[at] for part, at in zip(parts, known)])
    probabilities = np.concatenate([part.probabilities[at] for part, at in zip(parts, known)])
    joint, quality = confident_joint(labels, probabilities), label_quality.of_classes(labels, probabilities)
    ends = np.cumsum([at.sum() for at in known])[:-1]
    faults = []
    for part, at, sure, right in zip(parts, known, np.split(joint.confident, ends), np.split(quality, ends)):
        confident = np.full(at.shape, -1)
        confident[at] = sure
        if at.any() and (region := _largest(confident, part.given, at)) is not None:
            given, likely = (np.bincount(values[region]).argmax() for values in (part.given, confident))
            faults.append(
                FaultRow(
                    kind="wrong mask",
                    origin=origins[part.row],
                    score=label_quality.of_picture(right),
                    given=names[given],
                    likely=names[likely],
                    detail=_placed(region, at, "picture" if context.windows is None else "tile"),
                )
            )
    faults.sort(key=lambda one: one.score or 0.0)
    findings = []
    if faults:
        named = such([f"{one.origin} ({one.given}, likely {one.likely})" for one in faults])
        text = f"{len(faults):,} masks have a large region that looks wrong{named}"
        findings.append(Finding(severity="warning", text=text))
    bad = {one.origin for one in faults}
    return HeldOut(faults, findings, np.array([view.origin(row) not in bad for row in range(len(view.rows))]))


def _largest(confident: np.ndarray, given: np.ndarray, known: np.ndarray) -> np.ndarray | None:
    """The largest connected region (height, width) bool of another class; None where all are small."""
    found, number = ndimage.label(known & (confident >= 0) & (confident != given))
    if not number:
        return None
    sizes = np.bincount(found.ravel())[1:]
    largest = found == 1 + int(sizes.argmax())
    return largest if sizes.max() >= LEAST_REGION * known.sum() else None


def _placed(region: np.ndarray, known: np.ndarray, of: str) -> str:
    """Where a region lies, in percent of the sides."""
    said = []
    for axis, side in ((1, "width"), (0, "height")):
        inside, whole = (np.flatnonzero(some.any(axis=1 - axis)) for some in (region, known))
        ends = 100 * (np.array([inside[0], inside[-1] + 1]) - whole[0]) / (whole[-1] + 1 - whole[0])
        said.append(f"{ends[0]:.0f} to {ends[1]:.0f} % of its {side}")
    return f"{region.sum() / known.sum():.0%} of the {of}, at {' and '.join(said)}"


def _strata(context: FitContext, rows: np.ndarray) -> np.ndarray:
    """(rows,) int of what is read: those of the examples, none in proportion where these are cut into windows."""
    return np.zeros(len(rows), np.int64) if context.windows is not None else context.data.strata[rows]
