"""Does a service answer as fast as the model runs, with many clients at once, and does it survive bad ones?

A probe on a MobileNetV2 serves in a process of its own. One picture after another measures the median answer beside the
model's own time for the same picture in this process; then 64 clients ask at once, each as soon as it has its answer.
"""

from __future__ import annotations

import http.client
import io
import os
import re
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
from PIL import Image

import headstart
from benchmarks._data import data_folder, own_cache
from headstart.contracts.examples import Examples, Schema
from headstart.engine.frozen.infer import Predictor

SEQUENTIAL = 60


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:
    """64 clients for 60 s (`quick`: 8 for 5 s)."""
    del full
    clients, seconds = (8, 5.0) if quick else (64, 60.0)
    with own_cache(), TemporaryDirectory() as place:
        files = sorted((data_folder() / "data" / "img_ants_bees" / "train").glob("*/*.jpg"))
        frame = pd.DataFrame({"image": map(str, files), "label": [file.parent.name for file in files]})
        weights = str(data_folder() / "weights" / "mobilenetv2_100_imagenet")
        columns: dict[str, Any] = {"image": "image", "label": "label", "backbone": weights}
        folder = headstart.fit(frame, out=Path(place, "run"), scratch=False, label_curve=False, **columns).folder
        pictures = [file.read_bytes() for file in files[:64]]
        own = _own(folder, pictures[0])
        with _served(folder) as (port, process):
            alone = [_asked(port, pictures[0])[1] for _ in range(SEQUENTIAL)][5:]
            many = _together(port, process, pictures, clients, seconds)
            bad = _bad_clients(port)
    p50 = statistics.median(alone)
    measured: dict[str, float | None] = {
        "serve.single": p50 / own,
        "serve.errors": many["errors"],
        "serve.memory": many["memory_growth_mb"],
        "serve.refused": float(sum(bad.values())),
    }
    milliseconds = {"own": round(1000 * own, 2), "p50": round(1000 * p50, 2)}
    return measured, {"clients": clients, "milliseconds": milliseconds, "together": many, "refused": bad}


def _own(folder: Path, picture: bytes) -> float:
    """Median seconds of the model for one picture, reading included."""
    model = headstart.load(folder).model  # type: ignore[union-attr]
    table = pa.table({"input": pa.array([picture], pa.binary()), "origin": ["picture"]})
    examples, predictor = (
        Examples(table, Schema(modality="image", inputs=("input",), origin="origin")),
        Predictor(model),
    )
    seconds = []
    for _ in range(SEQUENTIAL):
        started = time.perf_counter()
        predictor(examples)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[5:])


@contextmanager
def _served(folder: Path) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    command = [sys.executable, "-m", "headstart", "serve", str(folder), "--port", "0", "--seconds", "20"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | {"COLUMNS": "300"})
    try:
        for line in process.stderr or ():
            if found := re.search(r"http://127\.0\.0\.1:(\d+)", line):
                yield int(found[1]), process
                break
    finally:
        process.terminate()
        process.wait()


def _asked(port: int, body: bytes, connection: http.client.HTTPConnection | None = None) -> tuple[int, float]:
    """Status and seconds."""
    started = time.perf_counter()
    connection = connection or http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", "/predict", body, {"Content-Type": "image/jpeg"})
    answer = connection.getresponse()
    answer.read()
    return answer.status, time.perf_counter() - started


def _together(
    port: int, process: subprocess.Popen[str], pictures: list[bytes], clients: int, seconds: float
) -> dict[str, float]:
    """Errors, requests per second, p50 and p99 in ms, and how much memory grows after a tenth of the time."""
    found: list[tuple[int, float]] = []
    ends, watched = time.monotonic() + seconds, psutil.Process(process.pid)

    def client(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        while time.monotonic() < ends:
            try:
                found.append(_asked(port, pictures[number % len(pictures)], connection))
            except (OSError, http.client.HTTPException):
                found.append((0, 0.0))
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    time.sleep(seconds / 10)
    before = watched.memory_info().rss
    for thread in threads:
        thread.join()
    times = 1000 * np.array([one for status, one in found if status == 200])
    return {
        "errors": float(sum(status != 200 for status, _ in found)),
        "requests_per_second": round(len(found) / seconds, 1),
        "p50_ms": round(float(np.quantile(times, 0.5)), 1),
        "p99_ms": round(float(np.quantile(times, 0.99)), 1),
        "memory_growth_mb": round((watched.memory_info().rss - before) / 1e6, 1),
    }


def _bad_clients(port: int) -> dict[str, bool]:
    """For each bad client whether it was refused, and the service answered the next one."""
    bomb = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(bomb, "PNG")
    tries = {
        "bomb": lambda: _asked(port, bomb.getvalue())[0] in (400, 413),
        "200 MB": lambda: _raw(port, b"Content-Length: 200000000\r\n\r\n", b" 413 "),
        "truncated": lambda: _raw(port, b"Content-Length: 5000\r\n\r\nabc", None),
        "slow": lambda: _raw(port, b"Content-Length: 5000\r\n\r\nabc", b" 408 "),
        "no picture": lambda: _asked(port, b"nonsense")[0] == 400,
    }
    good = io.BytesIO()
    Image.new("RGB", (64, 64)).save(good, "JPEG")
    return {name: refused() and _asked(port, good.getvalue())[0] == 200 for name, refused in tries.items()}


def _raw(port: int, rest: bytes, expected: bytes | None) -> bool:
    """Send the head of a request and no more; whether the answer has that status, or nothing is waited for."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\n" + rest)
        return expected is None or expected in connection.recv(4096)
