"""A run of a model that writes what is said is read again, reads recordings of any length, and can tell times."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import headstart
from headstart.kernel.errors import SettingsError
from headstart.media.audio import soundfile
from tiny_sound_models import save_sound_model, save_writer

pytest.importorskip("soundfile", reason="audio needs the extra 'audio'")
pytest.importorskip("jiwer", reason="transcripts are judged by the extra 'audio'")


def clips(folder: Path, count: int = 12) -> Path:
    folder.mkdir()
    lines = ["file,transcript"]
    for row in range(count):
        noise = np.random.default_rng(row).normal(0, 0.1, 6000)
        soundfile().write(folder / f"{row}.wav", noise, 16000)
        lines.append(f"{row}.wav,{('yes', 'no yes', 'no')[row % 3]}")
    (folder / "transcripts.csv").write_text("\n".join(lines), "utf-8")
    return folder


def fitted(folder: Path, backbone: Path, **task: Any) -> headstart.Run:
    common: dict[str, Any] = {"tuning": "probe", "scratch": False, "runner": "eager", "label_curve": False}
    settings = {"task": {"longest": 12, **task}}
    return headstart.fit(
        clips(folder / "clips"), backbone=str(backbone), out=folder / "run", settings=settings, **common
    )


@pytest.mark.slow
def test_a_saved_run_predicts_windows_of_a_long_recording_with_times(tmp_path: Path) -> None:
    run = fitted(tmp_path, save_writer(tmp_path / "model"), times=True)
    (tmp_path / "new").mkdir()
    soundfile().write(
        tmp_path / "new" / "long.wav", np.random.default_rng(0).normal(0, 0.1, 40000), 16000
    )  # 2.5 s of 1 s
    found = headstart.load(run.folder).predict(tmp_path / "new").loc[0]
    phrases = json.loads(found["phrases"])
    assert found["prediction"] and phrases and phrases[-1]["start"] > 1
    starts = [phrase["start"] for phrase in phrases]
    assert starts == sorted(starts) and "".join(p["text"] for p in phrases) == found["prediction"].replace(" ", "")
    assert headstart.evaluate(run.folder, tmp_path / "clips").figures["cer"].value >= 0


def test_times_are_refused_where_nothing_tells_them(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"task\.times needs a decoder that writes times"):
        fitted(tmp_path, save_writer(tmp_path / "model", "moonshine"), times=True)
    (tmp_path / "other").mkdir()
    with pytest.raises(SettingsError, match="by CTC each word has its time without it"):
        fitted(tmp_path / "other", save_sound_model(tmp_path / "encoder", "wav2vec2"), times=True)
