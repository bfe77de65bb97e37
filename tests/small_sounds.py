"""Small sounds for tests: noisy tones, and digits as short melodies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest


def tone(pitch: float = 440, seconds: float = 0.5, rate: int = 8000, seed: int = 0) -> np.ndarray:
    """(samples,) float32: a sine with some noise."""
    time = np.arange(round(seconds * rate)) / rate
    noise = np.random.default_rng(seed).normal(0, 0.02, len(time))
    return (0.4 * np.sin(2 * np.pi * pitch * time) + noise).astype(np.float32)


def save_tone(path: Path, pitch: float = 440, seconds: float = 0.5, rate: int = 8000, seed: int = 0) -> Path:
    """Write a tone, and return where; skips where nothing can."""
    soundfile = pytest.importorskip("soundfile", reason="audio needs the extra 'audio'")
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, tone(pitch, seconds, rate, seed), rate)
    return path
