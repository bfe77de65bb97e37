"""From class folders of sounds, and from sounds with transcripts, to predictions, figures and a report that plays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import headstart
from headstart.kernel.errors import SettingsError
from small_sounds import save_tone, tone


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))


def save_folders(root: Path) -> Path:
    """High and low tones of several lengths, two in ten in the wrong folder."""
    for seed in range(40):
        high = bool(seed % 2)
        label = ("low", "high")[high != (seed % 10 in (1, 4))]
        save_tone(root / label / f"{seed}.wav", (300, 900)[high] + 5 * seed, 0.2 + seed / 100, seed=seed)
    return root


def test_class_folders_are_learnt_from_predicted_and_played(tmp_path: Path) -> None:
    run = headstart.fit(
        save_folders(tmp_path / "tones"), out=tmp_path / "run", backbone="log_mel", scratch=False, label_curve=False
    )
    assert run.metrics["test"]["accuracy"]["value"] >= 0.6
    assert any("read at 8000 Hz" in note for note in run.record.data.notes)
    page = run.report.read_text(encoding="utf-8")
    assert '<audio controls preload="none" src="data:audio/mpeg;base64,' in page and "media-src data:" in page
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "broken.wav").write_bytes(b"RIFF")
    for name, pitch in (("a", 950), ("b", 320)):
        save_tone(tmp_path / "new" / f"{name}.flac", pitch, rate=16000)
    found = run.predict(tmp_path / "new")
    assert isinstance(found, pd.DataFrame)
    assert found.set_index("origin")["prediction"].to_dict() | {"broken.wav": None} == {
        "a.flac": "high",
        "b.flac": "low",
        "broken.wav": None,
    }
    assert "no sound" in str(found.set_index("origin").loc["broken.wav", "error"])


PITCHES = {"a": 500, "b": 1500}


def melody(text: str, seed: int) -> np.ndarray:
    """A tone for each letter, silence for a space, and something soft between them."""
    parts = []
    for at, letter in enumerate(text):
        sound = 0.02 * tone(90, 0.12, seed=at) if letter == " " else tone(PITCHES[letter] + 9 * seed, 0.12, seed=at)
        parts += [sound, 0.05 * tone(90, 0.06, seed=seed)]
    return np.concatenate(parts)


def save_melodies(folder: Path, count: int) -> Path:
    soundfile = pytest.importorskip("soundfile", reason="audio needs the extra 'audio'")
    draws = np.random.default_rng(0)
    folder.mkdir()
    words = [" ".join("".join(draws.choice([*"ab"], 2)) for _ in range(1 + row % 3)) for row in range(count)]
    for row, text in enumerate(words):
        soundfile.write(folder / f"{row}.flac", melody(text, row % 5), 8000)
    table = pd.DataFrame({"file": [f"{row}.flac" for row in range(count)], "transcript": words})
    table.to_csv(folder / "transcripts.csv", index=False)
    return folder


def test_transcripts_are_learnt_found_in_long_clips_and_shown_with_their_differences(tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile", reason="audio needs the extra 'audio'")
    run = headstart.fit(
        save_melodies(tmp_path / "clips", 40),
        out=tmp_path / "run",
        backbone="log_mel",
        tuning="head_only",
        scratch=False,
        runner="eager",
        settings={"tuning": {"epochs": 20}, "task": {"hidden": 48, "beam": 4}, "backbone": {"longest": 2.0}},
    )
    assert run.metrics["test"]["wer"]["value"] <= 40 and {"cer", "wer_normalised"} <= run.metrics["test"].keys()
    assert [panel.title for panel in run.record.panels] == ["Kinds of errors", "By length", "Words that are confused"]
    (tmp_path / "new").mkdir()
    soundfile.write(tmp_path / "new" / "long.wav", melody("ab ba ab ba ab ba ab ba ab ba", 2), 8000)  # 5.2 s
    found = run.predict(tmp_path / "new").set_index("origin").loc["long.wav"]
    assert 20 <= len(found["prediction"]) <= 36 and 4 < json.loads(found["words"])[-1]["start"] < 5.3
    again = run.evaluate(tmp_path / "clips")
    assert again.figures["wer"].value <= 40
    if run.record.mistakes:
        page = run.report.read_text(encoding="utf-8")
        assert "<mark>" in page and "data:audio/mpeg" in page


def test_transcripts_are_learnt_from_views_of_their_clips_and_not_averaged_over_them(tmp_path: Path) -> None:
    clips = save_melodies(tmp_path / "clips", 16)
    given: dict[str, Any] = {
        "backbone": "log_mel",
        "tuning": "head_only",
        "scratch": False,
        "runner": "eager",
        "augmentation": "gain",
    }
    settings: dict[str, Any] = {"tuning": {"epochs": 1}, "task": {"hidden": 8}, "augmentation": {"views": 2}}
    run = headstart.fit(clips, out=tmp_path / "run", settings=settings, **given)
    assert "wer" in run.metrics["test"] and run.plan.augmentation == "gain"
    settings["augmentation"] = {"test_views": 2}
    with pytest.raises(SettingsError, match="are texts, which have no mean"):
        headstart.fit(clips, out=tmp_path / "other", settings=settings, **given)


def test_sounds_of_no_use_are_named_and_the_others_are_learnt_from(tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile", reason="audio needs the extra 'audio'")
    save_folders(tmp_path / "tones")
    low = tmp_path / "tones" / "low"
    (low / "empty.wav").write_bytes(b"")
    soundfile.write(low / "silent.wav", np.zeros(4000), 8000)
    soundfile.write(low / "stereo.wav", np.stack([tone(300), tone(310)], axis=1), 16000)
    found = headstart.inspect(tmp_path / "tones")
    told = "\n".join(finding.text for finding in found.findings)
    assert "several sample rates" in told and "more than one channel, which are averaged: 1" in told
    assert "empty.wav" in told or "is empty (0 bytes)" in told
    assert "silent" in told
