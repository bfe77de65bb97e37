"""Log-mel spectrograms against those of transformers, and of librosa where that is installed."""

from __future__ import annotations

import numpy as np
import pytest
from transformers.audio_utils import mel_filter_bank, spectrogram, window_function

from headstart.numerics.mel import log_mel, mel_bands
from small_sounds import tone


@pytest.mark.parametrize(("rate", "bands", "window", "hop"), [(16000, 64, 400, 160), (8000, 23, 256, 80)])
def test_a_spectrogram_equals_that_of_transformers(rate: int, bands: int, window: int, hop: int) -> None:
    wave, size = tone(900, 0.6, rate), 1 << (window - 1).bit_length()
    filters = mel_filter_bank(size // 2 + 1, bands, 0.0, rate / 2, rate, norm="slaney", mel_scale="slaney")
    theirs = spectrogram(
        wave.astype(np.float64),
        window_function(window, "hann"),
        window,
        hop,
        fft_length=size,
        power=2.0,
        center=False,
        mel_filters=filters,
        mel_floor=1e-10,
        log_mel="log",
    ).T
    ours = log_mel(wave, rate, bands, window, hop)
    assert np.allclose(mel_bands(rate, size, bands), filters, atol=1e-9)
    assert ours.shape == theirs.shape and np.abs(ours - theirs).max() < 2e-4  # float32 against float64


def test_the_bands_equal_those_of_librosa() -> None:
    librosa = pytest.importorskip("librosa")
    theirs = librosa.filters.mel(sr=16000, n_fft=512, n_mels=64)
    assert np.allclose(mel_bands(16000, 512, 64), theirs.T, atol=1e-6)
