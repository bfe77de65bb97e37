"""Prediction on a video, watched: `python -m benchmarks._video_cell RUN PICTURE CLIP FRAMES REPEATS`.

Prints JSON: the highest private memory above that after one picture, seconds for the clip, and for its frames as files.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil

import headstart

EVERY = {"format": {"every": "frame"}}


class Watch:
    """The highest private memory (USS) of this process and its children while a block runs, MB."""

    def __enter__(self) -> Watch:
        self.peak, self._done = 0.0, threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def _look(self) -> None:
        me = psutil.Process()
        while not self._done.wait(0.05):
            family = [me, *me.children(recursive=True)]
            try:
                self.peak = max(self.peak, sum(one.memory_full_info().uss for one in family) / 1e6)
            except psutil.NoSuchProcess:  # a child that ended between two looks
                continue

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()


def main(run: Path, picture: Path, clip: Path, frames: Path, repeats: int) -> dict[str, Any]:
    """Memory first, as in a process of a user; then the clip and its frames in turn."""
    with tempfile.TemporaryDirectory() as folder:
        with Watch() as before:
            headstart.predict(run, picture, out=Path(folder) / "one.csv")
        begun = time.perf_counter()
        with Watch() as during:
            headstart.predict(run, clip, out=Path(folder) / "found", settings=EVERY)
        whole = time.perf_counter() - begun
    seconds: dict[str, list[float]] = {"clip": [], "frames": []}
    for _ in range(repeats):
        for name, source, settings in (("clip", clip, EVERY), ("frames", frames, {})):
            begun = time.perf_counter()
            headstart.predict(run, source, settings=settings)
            seconds[name].append(time.perf_counter() - begun)
    return {
        "memory_mb": during.peak - before.peak,
        "after_one_picture_mb": before.peak,
        "with_tracks_and_drawn_video_s": whole,
        **{f"{name}_s": statistics.median(times) for name, times in seconds.items()},
    }


if __name__ == "__main__":
    run, picture, clip, frames = map(Path, sys.argv[1:5])
    print(json.dumps(main(run, picture, clip, frames, int(sys.argv[5]))))
