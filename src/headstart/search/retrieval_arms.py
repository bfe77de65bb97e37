"""The arms of a fit by retrieval: a memory of decoder states, weighed on validation, beside the model as it is.

The validation part chooses neighbours, temperature and weight by the probability of its texts, token by token. Then
texts are generated: of the weight, half and a quarter of it, the first is taken that makes the validation part better
and loses little on the kept domain, whose texts are halved, one half to choose and one to report. Else the weight is 0.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headstart.contracts.examples import Examples
from headstart.contracts.generation import DecoderHead, Generates
from headstart.contracts.model import Model
from headstart.contracts.retrieval import Memory, MemoryHead, Remembers, nearest
from headstart.engine.frozen.infer import Predictor
from headstart.kernel.errors import SettingsError
from headstart.kernel.randomness import draw_seed
from headstart.pipeline.arms import model_with, solve_arm
from headstart.pipeline.context import FitContext
from headstart.pipeline.embed import batches_of_features
from headstart.pipeline.kept_domain import halves, kept_domain
from headstart.pipeline.prepare import no_longer_read
from headstart.pipeline.record import Decision
from headstart.pipeline.stage_rows import frozen_rows, head_row
from headstart.pipeline.trained import Arms, Trained, weights_of

SHARES = (1.0, 0.5, 0.25)
"""Of the weight that the validation texts ask for."""
MOST_JUDGED, MOST_ASKED = 500, 20_000
"""Texts that are generated, and tokens by which the memory's answer is weighed, at most."""
NO_TEXTS = "--tuning nearest_tokens keeps states of a decoder: the task must write texts"
AT_ONCE = 512
"""Tokens whose neighbours are looked for together."""


@dataclass(frozen=True)
class _Seen:
    """Decoder states of some texts."""

    states: Tensor
    """(tokens, width)"""
    tokens: Tensor
    """(tokens,)"""
    log_p: Tensor
    """(tokens,) the model's own log probability of each."""

    def take(self, rows: Tensor) -> _Seen:
        """Some of the tokens."""
        return _Seen(self.states[rows], self.tokens[rows], self.log_p[rows])


def retrieval_arms(context: FitContext) -> Arms:
    """The model with the memory, and the model as it is.

    Raises:
        SettingsError: the task does not write texts, or there is no validation part.
    """
    backbone = context.backbone
    if not isinstance(backbone, Generates):
        raise SettingsError(NO_TEXTS)
    _remembering(context)
    if not len(context.data.split.val):
        raise SettingsError("--tuning nearest_tokens weighs its memory on a validation part, and there is none")
    with context.budget.step("the model as it is"):
        plain = solve_arm(context, "probe")
    began = time.monotonic()
    with context.budget.step("the memory"):
        head, sentence = _chosen(context, plain)
    model = plain.model
    if head is not None:
        model = model_with(context, backbone, head, _remembering(context).with_memory(head.memory))
    title = f"{backbone.name} with a memory" if head is not None else plain.title
    chosen: dict[str, float | int | str] = {"weight": 0.0, "kept": sentence}
    if head is not None:
        chosen |= {name: getattr(head.memory, name) for name in ("weight", "neighbours", "temperature", "entries")}
    row, rows = head_row(model.heads["head"], 0.0), frozen_rows(backbone)
    seconds = time.monotonic() - began
    arm = Trained(
        "model", title, model, seconds, chosen, stages=rows, head=row, weights=weights_of(backbone), frozen=True
    )
    return Arms(context, [arm, plain], sentence=sentence, used=context.budget.used())


def _remembering(context: FitContext) -> Remembers:
    """The task. Raises SettingsError where it does not write texts."""
    task = context.data.task
    if not isinstance(task, Remembers):
        raise SettingsError(NO_TEXTS)
    return task


def _chosen(context: FitContext, plain: Trained) -> tuple[MemoryHead | None, str]:
    """The head with its memory, or None where the weight is 0; and what the kept domain loses, in a sentence."""
    tuning, task, plain_head = context.tuning, _remembering(context), plain.model.heads["head"]
    if not isinstance(plain_head, DecoderHead):
        raise SettingsError(NO_TEXTS)
    memory = _thinned(_seen(context, context.data.split.train), tuning.entries, context.plan.seed)
    best = _best_of(memory, _thinned(_seen(context, context.data.split.val), MOST_ASKED, context.plan.seed), tuning)
    judged = context.data.examples.take(context.data.split.val[:MOST_JUDGED])
    kept = kept_domain(context)
    keep = () if kept is None else halves(kept)
    before = _score(plain.model, judged), *(_score(plain.model, half) for half in keep)
    for share in SHARES if best.weight else ():
        asked = best.model_copy(update={"weight": best.weight * share})
        head = MemoryHead(plain_head.decoder, asked).fill(memory.states, memory.tokens)
        model = model_with(context, context.backbone, head, task.with_memory(asked))
        gain = _score(model, judged) - before[0]
        lost = before[1] - _score(model, keep[0]) if keep else 0.0
        good = gain > 0 and lost <= tuning.most_lost
        reason = f"{gain:+.2f} on the validation part" + (f", {-lost:+.2f} on the kept domain" if keep else "")
        what = f"memory weight {asked.weight:.3g}"
        context.log.add(Decision(what=what, value="taken" if good else "no", reason=reason))
        if good:
            return head, _told(context, before[2], _score(model, keep[1])) if keep else ""
    reason = "no weight made the validation part better at a small loss on the kept domain: the model stays as it is"
    context.log.tell(f"Memory weight 0: {reason}.", Decision(what="memory weight", value="0", reason=reason))
    return None, ""


def _told(context: FitContext, before: float, after: float) -> str:
    """Say and note the change on the other half of the kept domain."""
    title = context.data.task.evaluation.primary.title
    sentence = f"On the kept domain {title} {before:.2f} became {after:.2f} ({after - before:+.2f})."
    decision = Decision(what="kept domain", value=f"{after - before:+.2f}", reason=sentence)
    context.log.tell(sentence, decision)
    return sentence


def _seen(context: FitContext, rows: np.ndarray) -> _Seen:
    """One teacher-forced pass over some rows."""
    task, head = _remembering(context), context.data.task.head(context.backbone)
    found: list[tuple[Tensor, Tensor, Tensor]] = []
    for _, batch, features in batches_of_features(context, rows, "decoder states"):
        with torch.no_grad():
            states, tokens, log_p = task.entries(head, features, batch.head_inputs)
        found.append((states.half().cpu(), tokens.cpu(), log_p.cpu()))
    return _Seen(*(torch.cat(parts) for parts in zip(*found)))


def _thinned(seen: _Seen, most: int, seed: int) -> _Seen:
    if len(seen.tokens) <= most:
        return seen
    draws = np.random.default_rng(draw_seed(seed, "memory"))
    return seen.take(torch.from_numpy(np.sort(draws.choice(len(seen.tokens), most, replace=False))))


def _best_of(memory: _Seen, asked: _Seen, tuning: Any) -> Memory:
    """The memory's settings under which validation texts are the most probable, weight 0 among them."""
    most = max(tuning.neighbours)
    pieces = [_answers(memory, asked.take(rows), most) for rows in _pieces(len(asked.tokens))]
    distances, right = (torch.cat(parts) for parts in zip(*pieces))
    scale, own = float(distances[:, 0].mean().clamp(min=1e-6)), asked.log_p.double().exp()
    best, score = (min(tuning.neighbours), tuning.temperatures[0] * scale, 0.0), float(own.log().mean())
    for count, temperature in product(tuning.neighbours, tuning.temperatures):
        weights = (-distances[:, :count].double() / (temperature * scale)).softmax(dim=1)
        answer = (weights * right[:, :count]).sum(dim=1)
        for weight in tuning.weights:
            found = float(((1 - weight) * own + weight * answer).log().mean())
            if found > score:
                best, score = (count, temperature * scale, weight), found
    neighbours, temperature, weight = best
    return Memory(
        entries=len(memory.tokens),
        width=memory.states.shape[1],
        neighbours=neighbours,
        temperature=temperature,
        weight=weight,
    )


def _answers(memory: _Seen, asked: _Seen, most: int) -> tuple[Tensor, Tensor]:
    """Distances (tokens, neighbours), and whether each neighbour's token is the right one."""
    distances, tokens = nearest(asked.states, memory.states, memory.tokens, most)
    return distances, tokens == asked.tokens[:, None]


def _pieces(count: int) -> Iterator[Tensor]:
    yield from torch.arange(count).split(AT_ONCE)


def _score(model: Model, examples: Examples) -> float:
    """The primary metric on labelled examples, higher being better."""
    predicted = Predictor(model.eval())(examples)
    if predicted.prediction is None or predicted.failures:
        raise no_longer_read(examples, predicted.failures)
    metric, targets = model.task.evaluation.primary, model.task.targets(examples)
    found = metric.score(targets, predicted.prediction)
    return found if metric.greater_is_better else -found
