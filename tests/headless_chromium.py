"""A headless Chromium, driven through the DevTools protocol over a pipe: the page as a reader would meet it.

Nothing but the standard library is needed. Every name is resolved to nothing, so a page that asks the network for
something fails to get it, and `Tab.requests` says that it asked.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

BINARY = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
"""Where it is; None when the machine has none."""

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run --disable-extensions --disable-sync"
    " --disable-background-networking --disable-component-update --disable-quic --hide-scrollbars"
    " --remote-debugging-pipe"
).split()

SECONDS = 60.0
"""How long an answer may take."""


class Tab:
    """One tab; `requests` are the addresses that the pages opened in it asked for, the pages themselves left out."""

    def __init__(self, chromium: _Pipe) -> None:
        """A new, empty tab."""
        self._chromium = chromium
        target = chromium.call("Target.createTarget", {"url": "about:blank"})["targetId"]
        self._session = chromium.call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        for domain in ("Page", "Runtime", "Network"):
            self.call(f"{domain}.enable")
        self.requests: list[str] = []

    def call(self, method: str, parameters: dict[str, Any] | None = None) -> dict[str, Any]:
        """One command of the protocol."""
        return self._chromium.call(method, parameters or {}, self._session)

    def open(self, page: Path | str, *, width: int, height: int = 800, dark: bool = False, scale: float = 1) -> None:
        """Load a file or an address on a screen of this size, `scale` dots to a pixel; a narrow one is a phone."""
        address = page.as_uri() if isinstance(page, Path) else page
        screen = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", screen)
        wishes = {"prefers-color-scheme": "dark" if dark else "light", "prefers-reduced-motion": "reduce"}
        features = [{"name": name, "value": value} for name, value in wishes.items()]
        self.call("Emulation.setEmulatedMedia", {"features": features})
        self._chromium.events.clear()
        self.call("Page.navigate", {"url": address})
        self._chromium.wait_for("Page.loadEventFired")
        asked = [event["params"]["request"]["url"] for event in self._events("Network.requestWillBeSent")]
        self.requests += [url for url in asked if url != address and not url.startswith("data:")]

    def run(self, script: str) -> Any:
        """The value of an expression; that of a promise when it is kept."""
        asked = {"expression": script, "returnByValue": True, "awaitPromise": True}
        answer = self.call("Runtime.evaluate", asked)
        if "exceptionDetails" in answer:
            raise RuntimeError(str(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def press_tab(self) -> None:
        """The tabulator key: the focus goes on."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", {"type": kind, "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9})

    def picture(self, *, whole: bool = False) -> bytes:
        """What is seen, or the whole page, as PNG."""
        answer = self.call("Page.captureScreenshot", {"format": "png", "captureBeyondViewport": whole})
        return base64.b64decode(answer["data"])

    def _events(self, method: str) -> list[dict[str, Any]]:
        return [event for event in self._chromium.events if event["method"] == method]


class _Pipe:
    """Commands and answers as JSON, a zero byte after each."""

    def __init__(self, write_to: int, read_from: int) -> None:
        self.events: list[dict[str, Any]] = []
        self._out, self._in = write_to, read_from
        self._number, self._rest = 0, b""

    def call(self, method: str, parameters: dict[str, Any], session: str | None = None) -> dict[str, Any]:
        self._number += 1
        command = {"id": self._number, "method": method, "params": parameters}
        if session:
            command["sessionId"] = session
        sent = json.dumps(command).encode() + b"\0"
        while sent:
            sent = sent[os.write(self._out, sent) :]
        while True:
            message = self._next()
            if message.get("id") == self._number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return dict(message["result"])
            self.events.append(message)

    def wait_for(self, method: str) -> None:
        while not any(event["method"] == method for event in self.events):
            self.events.append(self._next())

    def _next(self) -> dict[str, Any]:
        ends = time.monotonic() + SECONDS
        while b"\0" not in self._rest:
            if not select.select([self._in], [], [], max(0.0, ends - time.monotonic()))[0]:
                raise TimeoutError(f"Chromium did not answer within {SECONDS:.0f} s")
            read = os.read(self._in, 1 << 16)
            if not read:
                raise RuntimeError("Chromium ended")
            self._rest += read
        message, _, self._rest = self._rest.partition(b"\0")
        return dict(json.loads(message))


@contextmanager
def headless_chromium(profile: Path, known: str = "NOTFOUND") -> Iterator[Tab]:
    """A tab of a browser of its own, which ends with the block; `profile` is an empty folder for what it writes,
    `known` the only host that it finds."""
    if BINARY is None:
        raise RuntimeError("no chromium is installed")
    commands, answers = os.pipe(), os.pipe()
    theirs = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in (commands[0], answers[1])]

    def as_3_and_4() -> None:
        for number, fd in zip((3, 4), theirs):
            os.dup2(fd, number)

    address = [f"--user-data-dir={profile}", f"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE {known}", "about:blank"]
    process = subprocess.Popen(
        [BINARY, *FLAGS, *address],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        close_fds=False,
        preexec_fn=as_3_and_4,
    )
    for fd in (commands[0], answers[1], *theirs):
        os.close(fd)
    pipe = _Pipe(commands[1], answers[0])
    try:
        yield Tab(pipe)
        with suppress(RuntimeError, OSError):  # it may be gone before it has answered
            pipe.call("Browser.close", {})
    finally:
        for fd in (commands[1], answers[0]):
            os.close(fd)  # it ends when nobody speaks to it any more
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
