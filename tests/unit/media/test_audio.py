"""Sounds are read as one channel at the rate that is asked for, and what cannot be is said in words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from headstart.contracts.modality import modality_named
from headstart.kernel.errors import DataError
from headstart.media.audio import Excerpt, as_file, read_sound, sound_info
from small_sounds import save_tone, tone

soundfile = pytest.importorskip("soundfile", reason="audio needs the extra 'audio'")


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg", "mp3"])
def test_a_tone_keeps_its_pitch_and_loudness_at_another_rate(tmp_path: Path, ending: str) -> None:
    wave = read_sound(save_tone(tmp_path / f"a.{ending}", pitch=1000, seconds=1.0), 16000)
    assert wave.dtype == np.float32 and abs(len(wave) - 16000) < 1200  # a coder may pad
    power = np.abs(np.fft.rfft(wave[2000:10000]))
    assert abs(np.argmax(power) * 2 - 1000) <= 4
    assert 0.35 < np.abs(wave[4000:9000]).max() < 0.55


def test_channels_are_averaged_and_whole_numbers_scaled(tmp_path: Path) -> None:
    both = np.stack([np.full(800, 0.5), np.full(800, -0.25)], axis=1)
    soundfile.write(tmp_path / "a.wav", both, 8000, subtype="PCM_16")
    assert np.allclose(read_sound(tmp_path / "a.wav", 8000), 0.125, atol=1e-4)
    assert sound_info(tmp_path / "a.wav") == (8000, 2, 800)


def test_what_is_above_half_the_new_rate_does_not_fold_back(tmp_path: Path) -> None:
    high = read_sound(save_tone(tmp_path / "a.wav", pitch=7000, seconds=1.0, rate=16000), 8000)
    assert np.abs(high[500:-500]).max() < 0.1


def test_no_more_than_asked_for_is_read(tmp_path: Path) -> None:
    path = save_tone(tmp_path / "a.wav", seconds=2.0)
    assert len(read_sound(path, 16000, seconds=0.5)) == 8000
    part = read_sound(Excerpt(path, 0.5, 0.25), 8000)
    assert np.array_equal(part, read_sound(path, 8000)[4000:6000])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"no sound at all", "is no sound that can be read"),
        (as_file(np.zeros(0, np.float32), 8000), "holds no samples"),
        (as_file(np.zeros(99, np.float32), 8000), "is silent"),
        (as_file(np.full(99, np.nan, np.float32), 8000), "not finite"),
    ],
    ids=["nothing", "text", "no samples", "silence", "nan"],  # a file of floats holds the time at which it was written
)
def test_what_is_of_no_use_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    for source in (content, tmp_path / "a.wav"):
        with pytest.raises(DataError, match=words) as refused:
            read_sound(source, 8000)
        assert str(tmp_path) not in str(refused.value)
    with pytest.raises(DataError, match="is missing"):
        read_sound(tmp_path / "b.wav", 8000)


def test_remarks_tell_of_rates_channels_and_lengths(tmp_path: Path) -> None:
    paths = [save_tone(tmp_path / f"{rate}.wav", rate=rate) for rate in (8000, 16000)]
    soundfile.write(tmp_path / "stereo.wav", np.stack([tone()] * 2, axis=1), 8000)
    soundfile.write(tmp_path / "slow.wav", read_sound(paths[0], 32000), 32000)
    soundfile.write(tmp_path / "long.wav", np.tile(tone(seconds=1.0), 31), 8000)
    raws = [*paths, tmp_path / "stereo.wav", tmp_path / "slow.wav", tmp_path / "long.wav"]
    told = "\n".join(modality_named("audio").remarks(raws, [path.name for path in raws]))
    assert "several sample rates" in told and "8000 Hz 3" in told
    assert "more than one channel, which are averaged: 1" in told
    assert "longer than 30 s: 1, such as long.wav" in told
    assert (
        "1 of 2 clips that were looked at hold nothing above a quarter of their sample rate, such as slow.wav" in told
    )
