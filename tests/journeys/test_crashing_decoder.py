"""A picture on which the decoder crashes: it ends a worker process, and is named like any that cannot be read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import headstart
from headstart.engine.frozen import feeding, reading_workers
from headstart.engine.frozen.reading_workers import POSSIBLE, STOPPED
from headstart.evidence import image_fingerprints

CRASHING_DECODER = """
import os, signal
from PIL import PngImagePlugin

class Crashing(PngImagePlugin.PngImageFile):
    def load(self):
        if os.path.basename(self.filename) == "crash.png":
            os.kill(os.getpid(), signal.SIGSEGV)
        return super().load()

PngImagePlugin.PngImageFile = Crashing
from PIL import Image
Image.register_open("PNG", Crashing, lambda prefix: prefix.startswith(b"\\x89PNG"))
Image.preinit = lambda: None
"""


@pytest.mark.slow
@pytest.mark.skipif(not POSSIBLE, reason="worker processes need POSIX")
def test_a_picture_that_crashes_the_decoder_is_named_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "python").mkdir()
    (tmp_path / "python" / "sitecustomize.py").write_text(CRASHING_DECODER)
    search = reading_workers._search_path()
    monkeypatch.setattr(reading_workers, "_search_path", lambda: f"{tmp_path / 'python'}:{search}")
    for module in (feeding, image_fingerprints):
        monkeypatch.setattr(module, "cores", lambda: 1)
    monkeypatch.setattr(feeding, "PROCESSES_FROM", 4)
    draws = np.random.default_rng(0)
    for name in ("cats/1.png", "cats/2.png", "dogs/1.png", "dogs/crash.png"):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draws.integers(0, 255, (20, 24, 3), dtype=np.uint8)).save(tmp_path / "photos" / name)
    found = headstart.inspect(tmp_path / "photos")
    assert [(trouble.origin, trouble.reason) for trouble in found.unreadable] == [("dogs/crash.png", STOPPED)]
