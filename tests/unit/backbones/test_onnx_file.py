"""Feature extractors of sounds in ONNX files: frames, windows of frames, and what cannot be read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from headstart.backbones.onnx_file import EMBEDDING, OnnxFile, package_folder
from headstart.kernel.errors import BackboneError, SettingsError
from headstart.kernel.user_settings import build
from headstart.media.audio import read_sound
from small_sounds import save_tone
from tiny_onnx import KERNEL, STRIDE, save_frames, save_window_means, weights

RATE = 8000


def framed(wave: np.ndarray) -> np.ndarray:
    views = np.lib.stride_tricks.sliding_window_view(wave, KERNEL)[::STRIDE]
    return views @ weights(6)[:, 0].T


def test_frames_are_those_of_the_model(tmp_path: Path) -> None:
    path = save_tone(tmp_path / "a.wav", seconds=0.3)
    backbone = OnnxFile(reference=str(save_frames(tmp_path / "f.onnx")), rate=RATE, frame_seconds=0.005).load()
    state = backbone.prepare([path])
    wave = read_sound(path, RATE)
    assert np.allclose(state.hidden[0].numpy(), framed(wave), atol=1e-5)
    assert np.allclose(backbone.features(state).pooled[0].numpy(), framed(wave).mean(axis=0), atol=1e-5)


@pytest.mark.parametrize("seconds", [0.01, 0.02, 0.5])
def test_windows_stand_for_the_moment_in_their_middle(tmp_path: Path, seconds: float) -> None:
    path = save_tone(tmp_path / "a.wav", seconds=seconds)
    backbone = OnnxFile(
        reference=str(save_window_means(tmp_path / "m.onnx")),
        front=str(save_frames(tmp_path / "f.onnx")),
        rate=RATE,
        window=10,
        hop=4,
        scale=2.0,
        shift=1.0,
        frame_seconds=0.005,
    ).load()
    frames = framed(np.pad(read_sound(path, RATE), 200))  # half of ten frames of 40 samples
    frames = np.pad(frames, ((0, max(0, 10 - len(frames))), (0, 0)), mode="edge")
    expected = [2 * frames[at : at + 10].mean(axis=0) + 1 for at in range(0, len(frames) - 9, 4)]
    found = backbone.prepare([path]).hidden[0].numpy()
    assert found.shape == (len(expected), 6) and np.allclose(found, expected, atol=1e-5)
    assert backbone.frame_seconds == pytest.approx(0.02) and abs(backbone.frames(path) - len(found)) <= 2


def test_what_is_no_model_or_does_not_read_sounds_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    for path, words in (("broken.onnx", "no ONNX model"), ("missing.onnx", "cannot be read")):
        with pytest.raises(BackboneError, match=words):
            OnnxFile(reference=str(tmp_path / path)).load()
    with pytest.raises(SettingsError, match="front and window belong together"):
        build(OnnxFile, {"reference": "a.onnx", "window": 3}, where="backbone")


@pytest.mark.skipif(package_folder() is not None, reason="the package is installed")
def test_the_embedding_says_what_to_install() -> None:
    with pytest.raises(BackboneError, match=r"pip install 'headstart\[speech\]'"):
        OnnxFile(reference=EMBEDDING).load()


@pytest.mark.skipif(package_folder() is None, reason="the speech embedding needs the extra 'speech'")
def test_the_embedding_reads_short_clips(tmp_path: Path) -> None:
    backbone = OnnxFile().load()
    found = backbone.features(backbone.prepare([save_tone(tmp_path / "a.wav", seconds=0.1)]))
    assert found.pooled.shape == (1, 96) and backbone.licence == "Apache-2.0"
