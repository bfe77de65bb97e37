"""A run behind HTTP: its page in a real browser, a real client of the Open Inference Protocol, a graceful end."""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_data import png

from conftest import Command
from headless_chromium import BINARY, headless_chromium

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(photo_run: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "headstart", "serve", str(photo_run), "--port", "0", "--megabytes", "1"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | {"COLUMNS": "300"})
    yield process
    if process.poll() is None:
        process.kill()
    process.wait()


@pytest.fixture(scope="module")
def address(server: subprocess.Popen[str]) -> str:
    assert server.stderr is not None
    for line in server.stderr:
        if found := re.search(r"http://127\.0\.0\.1:\d+", line):
            return found[0]
    pytest.fail("the server ended before it listened")


def post(address: str, body: bytes, kind: str = "image/png") -> tuple[int, Any]:
    request = urllib.request.Request(f"{address}/predict", body, {"Content-Type": kind})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def picture(photos: Path, kind: str) -> bytes:
    return sorted((photos / kind).glob("*.png"))[0].read_bytes()


def test_pictures_are_predicted_also_many_at_once(address: str, photos: Path) -> None:
    found: dict[int, Any] = {}

    def one(number: int) -> None:
        found[number] = post(address, picture(photos, ("dark", "light")[number % 2]))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[n][1]["predictions"][0]["prediction"] for n in range(8)] == ["dark", "light"] * 4


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"no picture", 400, "is not an image"),
        (png((60_000, 1_000)), 413, "60000x1000 pixels"),
    ],
)
def test_bad_uploads_are_refused_and_the_service_lives(
    body: bytes, status: int, words: str, address: str, photos: Path
) -> None:
    found = post(address, body)
    assert found[0] == status and words in found[1]["error"]
    assert post(address, picture(photos, "dark"))[0] == 200


def test_a_large_upload_is_refused_before_it_comes(address: str) -> None:
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=60)
    connection.putrequest("POST", "/predict")
    connection.putheader("Content-Length", "200000000")
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.status == 413 and "at most 1,000,000 are allowed" in json.load(answer)["error"]


def test_a_truncated_body_leaves_the_service_alive(address: str, photos: Path) -> None:
    with socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2]))) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\nabc")
    assert post(address, picture(photos, "light"))[0] == 200


def test_a_real_client_of_the_open_inference_protocol(address: str, photos: Path) -> None:
    client_of = pytest.importorskip("tritonclient.http")
    client = client_of.InferenceServerClient(address.removeprefix("http://"))
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("photos")
    assert client.get_model_metadata("photos")["inputs"][0]["datatype"] == "BYTES"
    files = np.array([picture(photos, "dark"), picture(photos, "light")], dtype=object)
    asked = client_of.InferInput("content", [2], "BYTES")
    asked.set_data_from_numpy(files)
    found = client.infer("photos", [asked])
    assert [str(one) for one in found.as_numpy("prediction")] == ["dark", "light"]
    assert found.as_numpy("p_dark").shape == (2,)


@pytest.mark.skipif(BINARY is None, reason="no chromium is installed")
def test_the_page_predicts_in_a_browser_without_the_network(address: str, photos: Path, tmp_path: Path) -> None:
    content = base64.b64encode(picture(photos, "light")).decode()
    script = f"""(async () => {{
        send(await (await fetch("data:image/png;base64,{content}")).blob());
        while (document.getElementById("answer").hidden) await new Promise(done => setTimeout(done, 20));
        const bars = [...document.querySelectorAll(".bar")].map(bar => bar.textContent);
        return [document.getElementById("prediction").textContent, bars, document.getElementById("seen").width];
    }})()"""
    with headless_chromium(tmp_path / "profile", known="127.0.0.1") as tab:
        tab.open(address + "/", width=800)
        prediction, bars, width = tab.run(script)
        assert tab.run("document.documentElement.scrollWidth <= innerWidth")
        asked = [url for url in tab.requests if not url.startswith((address, "blob:"))]
    assert prediction == "light" and bars[0].startswith("light") and bars[0].endswith("%") and width == 32
    assert not asked


def test_a_port_in_use_is_refused(address: str, photo_run: Path, headstart_command: Command) -> None:
    ended = headstart_command("serve", photo_run, "--port", address.rpartition(":")[2])
    assert ended.code == 2 and "Give another --port" in ended.err


def test_it_ends_gracefully(address: str, server: subprocess.Popen[str], photos: Path) -> None:
    answers: list[Any] = []
    asking = threading.Thread(target=lambda: answers.append(post(address, picture(photos, "dark"))))
    asking.start()
    asking.join()
    server.send_signal(signal.SIGTERM)
    assert server.wait(30) in (0, -signal.SIGTERM) and answers[0][0] == 200
