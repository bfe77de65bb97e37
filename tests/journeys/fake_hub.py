"""A hub on this machine: as much of Hugging Face's API as making, filling and downloading a repository takes."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

NAME, SHA = "anna/photos", "a" * 40


class _Hub(BaseHTTPRequestHandler):
    files: dict[str, bytes]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/api/repos/create":
            return self._say({"url": f"http://{self.headers['Host']}/{NAME}", "name": NAME})
        if "/preupload/" in self.path:
            asked = json.loads(body)["files"]
            return self._say(
                {"files": [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in asked]}
            )
        if "/commit/" in self.path:
            for line in map(json.loads, body.decode().splitlines()):
                if line["key"] == "file":
                    self.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            return self._say({"commitUrl": f"http://{self.headers['Host']}/{NAME}/commit/{SHA}", "commitOid": SHA})
        return self._say({"valid": True})

    def do_GET(self) -> None:
        if "/resolve/" in self.path:
            name = self.path.split("?")[0].partition("/resolve/")[2].partition("/")[2]
            return self._file(self.files.get(name))
        if "/tree/" in self.path:
            of_files = {"type": "file", "oid": SHA}
            return self._say([{**of_files, "path": n, "size": len(c)} for n, c in sorted(self.files.items())])
        if "/revision/" in self.path or self.path.startswith("/api/models/"):
            siblings = [{"rfilename": name} for name in sorted(self.files)]
            return self._say({"id": NAME, "sha": SHA, "siblings": siblings, "private": True})
        return self._say({})

    do_HEAD = do_GET

    def _file(self, content: bytes | None) -> None:
        self.send_response(404 if content is None else 200)
        self.send_header("X-Repo-Commit", SHA)
        self.send_header("ETag", f'"{hashlib.sha256(content or b"").hexdigest()}"')
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content or b"")

    def _say(self, document: Any) -> None:
        content = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing."""


@contextmanager
def fake_hub() -> Iterator[tuple[str, dict[str, bytes]]]:
    """Its address, and the files that were committed to it."""
    files: dict[str, bytes] = {}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Hub", (_Hub,), {"files": files}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", files
    finally:
        server.shutdown()
        server.server_close()
