"""Augmentations of sounds: what they do to a waveform and to its spectrogram, and what would lose words is refused."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import headstart
from headstart.augmentations.gain import Gain
from headstart.augmentations.noise import Noise
from headstart.augmentations.spec_augment import SpecAugment
from headstart.augmentations.speed import Speed
from headstart.augmentations.time_shift import TimeShift
from headstart.contracts.augmentation import fault_of
from headstart.contracts.carriers import LENGTH_MASK, State
from headstart.contracts.inputs import SPOKEN, Pixels, Sounds
from headstart.contracts.target_kinds import CLASS_IDS, TOKEN_IDS
from headstart.kernel.errors import SettingsError
from headstart.numerics.mel import log_mel
from small_sounds import save_tone, tone

RATE = 8000
WAVES, FRAMES = Sounds(rate=RATE), Sounds(rate=100.0, log=1.0)
SEEDS = (3, 2**61 + 5)


def waves(seconds: tuple[float, ...] = (0.5, 0.3)) -> State:
    """Two tones, the second one padded."""
    clips = [torch.from_numpy(tone(440, each, RATE)) for each in seconds]
    mask = (torch.arange(len(clips[0]))[None] < torch.tensor([len(clip) for clip in clips])[:, None]).long()
    return State(torch.nn.utils.rnn.pad_sequence(clips, batch_first=True), {LENGTH_MASK: mask})


def spectrograms(of: State) -> State:
    """Of the waveforms, with half the bands of speech."""
    lengths = of.context[LENGTH_MASK].sum(dim=1).tolist()
    rows = [torch.from_numpy(log_mel(clip[:n].numpy(), RATE, 20, 200, 80)) for clip, n in zip(of.hidden, lengths)]
    mask = (torch.arange(len(rows[0]))[None] < torch.tensor([len(row) for row in rows])[:, None]).long()
    return State(torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), {LENGTH_MASK: mask})


def power_of(clip: torch.Tensor) -> float:
    return float(clip.square().mean())


def test_a_gain_of_waveforms_is_that_of_their_spectrograms() -> None:
    gain = Gain(most=12)
    louder = gain.bind(WAVES, 9).view(waves(), SEEDS)
    found = gain.bind(FRAMES, 9).view(spectrograms(waves()), SEEDS).hidden
    assert torch.allclose(found, spectrograms(louder).hidden, atol=2e-3)
    factors = [math.sqrt(power_of(one) / power_of(other)) for one, other in zip(louder.hidden, waves().hidden)]
    assert all(abs(20 * math.log10(factor)) <= 12 for factor in factors) and abs(factors[0] - factors[1]) > 0.01


def test_noise_lies_as_far_below_the_clip_as_it_says_and_not_in_the_padding() -> None:
    noise = Noise(least=20, most=20)
    state = waves()
    found = noise.bind(WAVES, 9).view(state, SEEDS).hidden
    own = state.context[LENGTH_MASK][1].bool()
    added = (found - state.hidden)[1, own]
    assert 10 * math.log10(power_of(state.hidden[1, own]) / power_of(added)) == pytest.approx(20, abs=0.3)
    assert not found[1, ~own].any()
    before = spectrograms(state).hidden[0].exp()
    after = noise.bind(FRAMES, 9).view(spectrograms(state), SEEDS).hidden[0].exp()
    assert bool((after >= before).all())
    assert 10 * math.log10(float(before.mean() / (after - before).mean())) == pytest.approx(20, abs=0.5)


def test_a_shift_moves_within_the_clip_and_silence_follows() -> None:
    state = State(torch.arange(1.0, 13).reshape(2, 6), {LENGTH_MASK: torch.tensor([[1] * 6, [1] * 4 + [0] * 2])})
    shift = TimeShift(most=2.0).bind(Sounds(rate=1.0), 9)
    seen = {tuple(shift.view(state, (seed, seed + 1)).hidden[1].tolist()) for seed in range(40)}
    assert seen == {
        (7, 8, 9, 10, 11, 12),
        (0, 7, 8, 9, 11, 12),
        (0, 0, 7, 8, 11, 12),
        (8, 9, 10, 0, 11, 12),
        (9, 10, 0, 0, 11, 12),
    }


def test_a_faster_clip_is_higher_and_shorter_and_its_mask_says_so() -> None:
    state = waves()
    found = Speed(least=1.25, most=1.25).bind(WAVES, 9).view(state, SEEDS)
    lengths = found.context[LENGTH_MASK].sum(dim=1)
    assert lengths.tolist() == [3200, 1920] and not found.hidden[1, 1920:2400].any()
    pitch = np.abs(np.fft.rfft(found.hidden[0, :3200].numpy())).argmax() * RATE / 3200
    assert pitch == pytest.approx(550, abs=5)
    spoken = State(state.hidden, {LENGTH_MASK: torch.ones(2, 4000).long(), SPOKEN: state.context[LENGTH_MASK]})
    of_fixed = Speed(least=1.25, most=1.25).bind(WAVES, 9).view(spoken, SEEDS)
    assert of_fixed.context[SPOKEN].sum(dim=1).tolist() == [3200, 1920]
    assert bool(of_fixed.context[LENGTH_MASK].all())
    slower = Speed(least=0.8, most=0.8).bind(WAVES, 9).view(state, SEEDS)
    assert torch.equal(slower.context[LENGTH_MASK], state.context[LENGTH_MASK])


def test_spans_of_time_and_of_bands_are_hidden() -> None:
    state = State(torch.randn(1, 100, 20), {LENGTH_MASK: torch.ones(1, 100).long()})
    hidden = SpecAugment(times=3, bands=2).bind(FRAMES, 9).view(state, (4,)).hidden[0] == state.hidden.mean()
    frames, bands = hidden.all(dim=1), hidden.all(dim=0)
    assert 0 < int(frames.sum()) <= 24 and 0 < int(bands.sum()) <= 8
    assert torch.equal(hidden, frames[:, None] | bands[None]), "nothing else"
    of_waves = SpecAugment().bind(WAVES, 9).view(waves(), SEEDS).hidden
    assert int((of_waves[0] == 0).sum()) > 0


def test_what_may_lose_words_is_refused_for_transcripts_and_other_inputs_altogether() -> None:
    kept = (Gain(), Noise(), SpecAugment(), Speed(least=1.0, most=1.2))
    lost = (TimeShift(), Speed())
    assert not any(fault_of(part, {"transcript": TOKEN_IDS}) for part in kept)  # type: ignore[arg-type]
    assert all("token ids" in str(fault_of(part, {"transcript": TOKEN_IDS})) for part in lost)  # type: ignore[arg-type]
    assert not any(fault_of(part, {"label": CLASS_IDS}) for part in (*kept, *lost))  # type: ignore[arg-type]
    for other in (None, Pixels(mean=(0.5,), std=(0.5,))):
        with pytest.raises(SettingsError, match="the backbone begins with neither"):
            Gain().bind(other, 9)
    with pytest.raises(SettingsError, match="call bind"):
        Noise().view(waves(), SEEDS)


@pytest.mark.slow
def test_views_are_kept_and_trained_on(tmp_path: Path) -> None:
    for row in range(24):
        save_tone(tmp_path / "clips" / ("low", "high")[row % 2] / f"{row}.wav", (300, 900)[row % 2], 0.2, seed=row)
    settings: dict[str, Any] = {"tuning": {"epochs": 30}, "augmentation": {"gain.most": 3, "views": 2}}
    run = headstart.fit(
        tmp_path / "clips",
        out=tmp_path / "run",
        backbone="log_mel",
        tuning="head_only",
        augmentation="gain+noise+speed",
        scratch=False,
        label_curve=False,
        settings=settings,
    )
    told = {decision.what: decision.value for decision in run.record.decisions}
    assert told["kept views"].startswith("2 of each") and run.metrics["test"]["accuracy"]["value"] >= 0.75
