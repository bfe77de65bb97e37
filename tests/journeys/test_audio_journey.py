"""From class folders of sounds to predictions, figures and a report that plays them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import headstart
from small_sounds import save_tone


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
