"""CTC's loss, beam search and n-gram against sums over all paths and all transcripts, and error rates by hand."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from headstart.tasks.transcription.alphabet import BLANK, FIRST, decoded, encoded, normalised, strange
from headstart.tasks.transcription.character_ngram import EDGE, learn_ngram
from headstart.tasks.transcription.ctc import ctc_sums, greedy, needed, prefix_beam

FRAMES, NUMBERS = 5, 5


def log_probs(seed: int, frames: int = FRAMES) -> torch.Tensor:
    draws = np.random.default_rng(seed).normal(0, 1.5, (frames, NUMBERS))
    return torch.log_softmax(torch.from_numpy(draws), dim=-1)


def collapsed(path: Sequence[int]) -> tuple[int, ...]:
    return tuple(n for n, _ in itertools.groupby(path) if n != BLANK)


def of_all_paths(rows: torch.Tensor) -> dict[tuple[int, ...], torch.Tensor]:
    """Transcript -> its probability, summed over every path."""
    found: dict[tuple[int, ...], torch.Tensor] = {}
    for path in itertools.product(range(NUMBERS), repeat=len(rows)):
        probability = rows[torch.arange(len(rows)), list(path)].sum().exp()
        found[collapsed(path)] = found.get(collapsed(path), torch.zeros(())) + probability
    return found


def test_the_loss_and_its_gradient_are_those_of_the_sum_over_all_paths() -> None:
    rows = [log_probs(0).requires_grad_(), log_probs(1, 4).requires_grad_(), log_probs(2, 2).requires_grad_()]
    truths = [(2, 3), (3, 3), (2, 2)]  # the last needs three frames and has two
    padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    targets = torch.tensor(truths)
    sums = ctc_sums(padded, torch.tensor([5, 4, 2]), targets)
    (sums["ctc"] / sums["characters"]).backward()
    found = [row.grad for row in rows]
    again = [row.detach().clone().requires_grad_() for row in rows[:2]]
    longhand = sum(-of_all_paths(row)[truth].log() for row, truth in zip(again, truths)) / 4
    longhand.backward()
    loss = (sums["ctc"] / sums["characters"]).detach()
    assert float(loss) == pytest.approx(float(longhand.detach()), abs=1e-5)
    # torch's own gradient is that towards scores before the softmax: the two agree once both are taken there
    for ours, theirs, row in zip(found, (row.grad for row in again), rows):
        assert ours is not None and theirs is not None
        through = [g - row.detach().exp() * g.sum(dim=1, keepdim=True) for g in (ours, theirs)]
        assert torch.allclose(through[0], through[1], atol=1e-5)
    assert found[2] is not None and not found[2].any()


def test_the_fewest_frames_count_repeats_twice() -> None:
    targets = torch.tensor([[2, 2, 3, 3, 3], [2, 3, 2, -100, -100], [-100] * 5])
    assert needed(targets).tolist() == [8, 3, 0]


@pytest.mark.parametrize("seed", range(6))
def test_a_wide_beam_finds_the_likeliest_of_all_transcripts(seed: int) -> None:
    rows = log_probs(seed)
    rows[:, 1] = -30.0  # the number of a strange character is never tried
    rows = torch.log_softmax(rows, dim=-1)
    every = of_all_paths(rows)
    best = max(every, key=lambda transcript: float(every[transcript]))
    found = prefix_beam(rows.numpy(), 1000)
    assert found.numbers == best
    assert found.score == pytest.approx(math.log(float(every[best])), abs=1e-3)
    assert list(found.frames) == sorted(found.frames) and len(found.frames) == len(best)


def test_a_bonus_counts_for_each_character_once() -> None:
    rows = torch.log_softmax(log_probs(3), dim=-1)
    every = {t: float(p) for t, p in of_all_paths(rows).items() if 1 not in t}
    scored = {t: math.log(p) + sum(0.7 if n == 3 else -0.4 for n in t) for t, p in every.items()}
    found = prefix_beam(rows.numpy(), 1000, lambda prefix, n: 0.7 if n == 3 else -0.4)
    assert found.numbers == max(scored, key=lambda transcript: scored[transcript])
    ended = {t: score + (5.0 if len(t) == 1 else -5.0) for t, score in scored.items()}
    found = prefix_beam(
        rows.numpy(), 1000, lambda prefix, n: 0.7 if n == 3 else -0.4, lambda prefix: 5.0 if len(prefix) == 1 else -5.0
    )
    assert found.numbers == max(ended, key=lambda transcript: ended[transcript]) and len(found.numbers) == 1


def test_greedy_takes_the_likeliest_path() -> None:
    rows = torch.full((6, NUMBERS), -5.0)
    for frame, number in enumerate((2, 2, BLANK, 2, 3, 3)):
        rows[frame, number] = -0.1
    found = greedy(rows.numpy())
    assert found.numbers == (2, 2, 3) and found.frames == (0, 3, 4) and found.score == pytest.approx(-0.6)


def test_an_ngram_is_witten_bell_and_sums_to_one() -> None:
    a, b, c = FIRST, FIRST + 1, FIRST + 2
    ngram = learn_ngram([[a, b, a, b, c]], 2, 3)
    for history in ((), (a,), (b,), (a, b), (c,)):
        assert sum(math.exp(ngram.log_probability(history, n)) for n in (a, b, c, EDGE)) == pytest.approx(1.0)
    alone = {n: (count + 4 / 4) / (6 + 4) for n, count in ((a, 2), (b, 2), (c, 1), (EDGE, 1))}
    assert math.exp(ngram.log_probability((), a)) == pytest.approx((1 + 1 * alone[a]) / (1 + 1))
    assert math.exp(ngram.log_probability((), b)) == pytest.approx((0 + 1 * alone[b]) / (1 + 1))
    assert math.exp(ngram.log_probability((c, a), b)) == pytest.approx((2 + 1 * alone[b]) / (2 + 1))
    assert math.exp(ngram.log_probability((b,), c)) == pytest.approx((1 + 2 * alone[c]) / (2 + 2))
    assert math.exp(ngram.log_probability((a, b, c), EDGE)) == pytest.approx((1 + 1 * alone[EDGE]) / (1 + 1))


def test_an_ngram_knows_how_a_line_begins() -> None:
    a, b = FIRST, FIRST + 1
    ngram = learn_ngram([[a, a, b], [a, b]], 4, 2)
    begins, goes_on = ngram.log_probability((), b), ngram.log_probability((a,), b)
    assert begins < math.log(0.1) and goes_on > math.log(0.4)
    assert ngram.log_probability((b, a, a), b) != ngram.log_probability((a, a), b)


def test_characters_outside_the_alphabet_are_counted_and_shown() -> None:
    numbers = {"a": FIRST, " ": FIRST + 1}
    assert encoded("a é", numbers).tolist() == [2, 3, 1]
    assert decoded([2, 3, 1, -100], ("a", " ")) == "a \ufffd"
    assert strange(["ab", "bé"], "a") == {"b": 2, "é": 1}


@pytest.mark.parametrize(
    ("raw", "plain"),
    [("Don’t stop!", "don't stop"), ("  TWO  words ", "two words"), ("'quoted' e.g. £5", "quoted e g 5"), ("?!", "")],
)
def test_the_normaliser_forgives_case_and_punctuation(raw: str, plain: str) -> None:
    assert normalised(raw) == plain
