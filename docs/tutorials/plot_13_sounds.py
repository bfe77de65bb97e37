"""
Sounds
======

Class folders of sounds are read as pictures are. The backbone is a log-mel spectrogram, which has no weights;
pretrained ones (wav2vec 2.0, HuBERT, Whisper's encoder) take its place by name.
"""

import tempfile
from pathlib import Path

import numpy as np
import soundfile

import headstart

folder = Path(tempfile.mkdtemp()) / "sounds"
time = np.arange(8000) / 16000
for number in range(120):
    draw = np.random.default_rng(number)
    kind = ("rising", "falling", "steady")[number % 3]
    slope = {"rising": 600, "falling": -600, "steady": 0}[kind]
    phase = 2 * np.pi * (draw.uniform(500, 1200) * time + slope * time**2)
    sound = 0.3 * np.sin(phase) + draw.normal(0, 0.05, len(time))
    (folder / kind).mkdir(parents=True, exist_ok=True)
    soundfile.write(folder / kind / f"{number:03}.wav", sound, 16000)

# %%

run = headstart.fit(folder, backbone="log_mel", out=folder.parent / "run", scratch=False)
print(run.verdict)
print(run.predict(sorted((folder / "rising").glob("*.wav"))[:3])[["origin", "prediction"]])
