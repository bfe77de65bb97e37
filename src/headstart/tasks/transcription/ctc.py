"""Connectionist temporal classification: transcripts from frames without any alignment (Graves et al. 2006).

Each frame has probabilities of the characters and of a blank. A path of frames stands for a transcript once repeats and
then blanks are taken out, and the loss is -log of the sum of the probabilities of all paths of the true transcript:

    L = -log sum over paths p with B(p) = y of the product over frames t of P(p_t | t)

Greedy decoding takes the likeliest path. Prefix beam search sums up the paths of each prefix (Hannun et al. 2014,
"First-pass large vocabulary continuous speech recognition using bi-directional recurrent DNNs"):

    score(y) = log P(y) + alpha * log P_text(y) + beta * |y|,

P_text being an n-gram of characters in place of the paper's of words. What differs: only characters above a least
probability in a frame are tried, so that a frame costs the beams times a few.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from headstart.tasks.transcription.alphabet import BLANK, FIRST, STRANGE

LEAST = math.log(1e-4)
"""Log-probability below which a character is not tried in a frame."""

Bonus = Callable[[tuple[int, ...], int], float]
"""(prefix, next character) -> what is added to the score of the prefix that grows by it."""

End = Callable[[tuple[int, ...]], float]
"""Prefix -> what is added to its score where it ends."""


class Decoded(NamedTuple):
    """A transcript and where it lies."""

    numbers: tuple[int, ...]
    frames: tuple[int, ...]
    """In which frame each character begins."""
    score: float
    """log of the probability of the transcript (of its best path, where it is greedy)."""


def ctc_sums(log_probs: Tensor, frames: Tensor, targets: Tensor) -> Mapping[str, Tensor]:
    """Return {"ctc": sum of losses, "characters": sum of lengths} over the clips whose transcript fits their frames.

    Args:
        log_probs: (batch, frames, numbers).
        frames: (batch,) real frames of each clip.
        targets: (batch, characters), filled up with negative numbers.
    """
    lengths = (targets >= 0).sum(dim=1)
    losses = nn.functional.ctc_loss(
        log_probs.float().transpose(0, 1), targets.clamp(min=0), frames, lengths, BLANK, "none", zero_infinity=True
    )
    fits = needed(targets) <= frames
    return {"ctc": (losses * fits).sum(), "characters": (lengths.clamp(min=1) * fits).sum()}


def needed(targets: Tensor) -> Tensor:
    """(batch,) the fewest frames that hold each transcript: a frame for each character, one more between equal ones."""
    repeats = (targets[:, 1:] == targets[:, :-1]) & (targets[:, 1:] >= 0)
    return (targets >= 0).sum(dim=1) + repeats.sum(dim=1)


def greedy(log_probs: np.ndarray) -> Decoded:
    """The transcript of the likeliest path of (frames, numbers)."""
    path = log_probs.argmax(axis=1)
    before = np.concatenate([[BLANK], path[:-1]])
    begins = np.flatnonzero((path != BLANK) & (path != before))
    score = float(log_probs[np.arange(len(path)), path].sum())
    return Decoded(tuple(map(int, path[begins])), tuple(map(int, begins)), score)


class _Beam(NamedTuple):
    blank: float = -math.inf
    """log P of the prefix with its last frame blank."""
    full: float = -math.inf
    """log P with its last frame the last character."""
    bonus: float = 0.0
    frames: tuple[int, ...] = ()

    @property
    def total(self) -> float:
        return _log_sum(self.blank, self.full)


def prefix_beam(log_probs: np.ndarray, width: int, bonus: Bonus = lambda *_: 0.0, end: End = lambda _: 0.0) -> Decoded:
    """The likeliest transcript of (frames, numbers) by prefix beam search that keeps `width` prefixes."""
    beams: dict[tuple[int, ...], _Beam] = {(): _Beam(blank=0.0)}
    for frame, row in enumerate(log_probs.tolist()):
        tried = [n for n in range(FIRST, len(row)) if row[n] > LEAST]
        grown: dict[tuple[int, ...], _Beam] = defaultdict(_Beam)
        for prefix, beam in beams.items():
            last = prefix[-1] if prefix else None
            stays = _Beam(beam.total + row[BLANK], -math.inf if last is None else beam.full + row[last])
            _add(grown, prefix, stays, beam.bonus, beam.frames)
            for number in tried:
                came = beam.blank if number == last else beam.total
                longer = (*prefix, number)
                more = grown[longer].bonus if longer in grown else beam.bonus + bonus(prefix, number)
                _add(grown, longer, _Beam(full=came + row[number]), more, (*beam.frames, frame))
        best = sorted(grown.items(), key=lambda entry: -(entry[1].total + entry[1].bonus))[:width]
        beams = dict(best)
    prefix, beam = max(beams.items(), key=lambda entry: entry[1].total + entry[1].bonus + end(entry[0]))
    return Decoded(prefix, beam.frames, beam.total)


def _add(
    grown: dict[tuple[int, ...], _Beam], prefix: tuple[int, ...], paths: _Beam, bonus: float, frames: tuple[int, ...]
) -> None:
    """Add paths to those of a prefix; it keeps the times of its likelier ones."""
    there = grown[prefix]
    frames = frames if paths.total >= there.total else there.frames
    grown[prefix] = _Beam(_log_sum(there.blank, paths.blank), _log_sum(there.full, paths.full), bonus, frames)


def _log_sum(one: float, other: float) -> float:
    """log(exp one + exp other)"""
    less, more = (one, other) if one < other else (other, one)
    return more if less == -math.inf else more + math.log1p(math.exp(less - more))


def per_frame(log_probs: Tensor, frames: Tensor) -> list[np.ndarray]:
    """(batch, frames, numbers) as (real frames, numbers) float64 of each clip; what is unknown is never written."""
    rows = log_probs.detach().double().cpu().numpy()
    rows[..., STRANGE] = -np.inf
    return [row[:count] for row, count in zip(rows, frames.tolist())]


def masked(lengths: Tensor, longest: int) -> Tensor:
    """(batch, longest): True in the real frames of each clip."""
    return torch.arange(longest, device=lengths.device)[None, :] < lengths[:, None]
