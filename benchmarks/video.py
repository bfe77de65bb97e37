"""Video: do tracks keep the identity of cars, does prediction stay in its memory, and is it as fast as on pictures?

A minute of video (a clip of half a minute, twice) goes frame by frame through a detector that was trained on blood
cells: what it finds there does not matter. Boxes of the cars were drawn by hand (`tests/reference/car_tracks.json`).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._data import data_folder, own_cache
from benchmarks._identity_f1 import car_identity_f1
from benchmarks.detection_formats import Data
from headstart import fit
from headstart.formats.video.decoding import library

LABELLED = Path(__file__).resolve().parent.parent / "tests" / "reference" / "car_tracks.json"
DRAWS, JITTERS = 20, (0.02, 0.05, 0.1)
ASKED = 0.05
"""Jitter of the figure, a share of a box's sides."""
TIMES = 2
"""Times that the clip is shown one after the other: a minute."""


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:
    """20 draws of jittered boxes; a minute of video, once (`full`: the median of three; `quick`: half a minute)."""
    labelled = json.loads(LABELLED.read_text())
    found = {jitter: [car_identity_f1(labelled, seed, jitter) for seed in range(DRAWS)] for jitter in JITTERS}
    with tempfile.TemporaryDirectory() as folder, own_cache():
        watched = _watched(Path(folder), 1 if quick else TIMES, 3 if full else 1)
    measured: dict[str, float | None] = {
        "video.identity": min(found[ASKED]),
        "video.memory": watched["memory_mb"],
        "video.speed": watched["frames_s"] / watched["clip_s"],
    }
    spread = {str(jitter): {"least": min(of), "mean": round(float(np.mean(of)), 4)} for jitter, of in found.items()}
    return measured, {"draws": DRAWS, "idf1_by_jitter": spread, **watched}


def _watched(home: Path, times: int, repeats: int) -> dict[str, Any]:
    data = Data(home / "cells", 60)
    weights = str(data_folder() / "weights" / "mobilenetv2_100_imagenet")
    settings = {"tuning": {"epochs": 1}}
    fit(data.as_coco("coco"), out=home / "run", backbone=weights, tuning="head_only", settings=settings, scratch=False)
    frames = _clip(home / "clip.mp4", home / "frames", times)
    picture = next((home / "frames").iterdir())
    places = (home / "run", picture, home / "clip.mp4", home / "frames", repeats)
    command = [sys.executable, "-m", "benchmarks._video_cell", *map(str, places)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    watched = {name: round(value, 2) for name, value in json.loads(done.stdout.splitlines()[-1]).items()}
    return {"frames": frames, **watched}


def _clip(clip: Path, folder: Path, times: int) -> int:
    """The clip so many times as a video, and its frames as JPEGs; how many there are."""
    cv2 = library()
    folder.mkdir()
    source = str(data_folder() / "data" / "video_samples" / "car-detection.mp4")
    writer, written = None, 0
    for _ in range(times):
        capture = cv2.VideoCapture(source)
        while (read := capture.read())[0]:
            pixels = read[1]
            if writer is None:
                size = pixels.shape[1], pixels.shape[0]
                code = cv2.VideoWriter_fourcc(*"mp4v")
                writer = cv2.VideoWriter(str(clip), code, capture.get(cv2.CAP_PROP_FPS), size)
            writer.write(pixels)
            cv2.imwrite(str(folder / f"{written:05d}.jpg"), pixels, [cv2.IMWRITE_JPEG_QUALITY, 95])
            written += 1
    if writer is not None:
        writer.release()
    return written
