"""Near copies among sounds: re-encoded, louder, resampled and trimmed ones are found, and others are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from headstart.contracts.examples import Examples, Schema
from headstart.engine.frozen.content_keys import content_keys
from headstart.evidence.duplicates import find_duplicates
from headstart.evidence.sound_likeness import fingerprints
from headstart.media.audio import resampled

soundfile = pytest.importorskip("soundfile", reason="audio needs the extra 'audio'")
RATE = 16000


def speech(seed: int) -> np.ndarray:
    """(samples,) float32: three seconds of noise in bands that come and go."""
    draws = np.random.default_rng(seed)
    time = np.arange(3 * RATE) / RATE
    sound = 0.01 * draws.normal(size=len(time))
    for pitch in draws.uniform(150, 3500, 12):
        steps = np.repeat(draws.uniform(0, 1, 15), len(time) // 15)
        sound += 0.05 * steps * np.sin(2 * np.pi * pitch * time + draws.uniform(0, 6))
    return sound.astype(np.float32)


def test_changed_copies_are_found_and_others_are_not(tmp_path: Path) -> None:
    one = speech(0)
    waves = {
        "a.wav": (one, RATE),
        "louder.flac": (0.3 * one, RATE),
        "coded.mp3": (one, RATE),
        "slower_rate.wav": (resampled(one, RATE, 8000), 8000),
        "trimmed.wav": (one[1777:], RATE),
        "noisy.wav": (one + 0.003 * np.random.default_rng(9).normal(size=len(one)).astype(np.float32), RATE),
        "other.wav": (speech(1), RATE),
        "backwards.wav": (one[::-1], RATE),
        "half.wav": (one[: len(one) // 2], RATE),
    }
    for name, (wave, rate) in waves.items():
        soundfile.write(tmp_path / name, wave, rate)
    schema = Schema(modality="audio", inputs=("path",), origin="path", root=str(tmp_path))
    examples = Examples(pa.table({"path": list(waves)}), schema)
    found = find_duplicates(examples, content_keys(examples).keys)
    assert np.flatnonzero(found.cluster == 0).tolist() == [0, 1, 2, 3, 4, 5]
    assert not found.exact and not found.failures


def test_a_bit_says_where_energy_rises_between_neighbouring_bands() -> None:
    from headstart.numerics.mel import log_mel

    wave = resampled(speech(2), RATE, 8000)
    energies = log_mel(wave, 8000, 33, 2048, 160)
    words = fingerprints(wave)
    for at in (0, 7, 31):
        for band in (0, 5, 31):
            here, before = energies[at + 1], energies[at]
            rises = here[band] - here[band + 1] - (before[band] - before[band + 1]) > 0
            assert bool(words[at] >> (31 - band) & 1) == rises
