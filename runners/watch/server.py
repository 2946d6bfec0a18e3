"""`agglab watch`: a page that follows a study, served to this machine alone by the standard library.

It reads what the run folders hold and writes nothing, so it can be started and stopped at any moment, beside any number
of grids, on any machine that sees the folder; over ssh by a tunnel.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any

from aggregation_lab.errors import AgglabError
from runners.store.study_folder import StudyFolder
from runners.watch.overview import Curves, overview

HOST = "127.0.0.1"
_NAMES = ("127.0.0.1", "localhost")
"""What a browser of this machine, or behind a tunnel, calls it: a page of another site that was given this address by
its own name server is refused."""


class WatchServer(ThreadingHTTPServer):
    """Serves the page of one study; `port` 0 takes any that is free."""

    daemon_threads = True

    def __init__(self, folder: StudyFolder, port: int):
        curves = Curves(folder)
        self.answers: dict[str, Callable[[], Any]] = {
            "/state.json": lambda: overview(folder),
            "/curves.json": curves.by_task,
        }
        self.page = files("runners.watch").joinpath("page.html").read_bytes()
        super().__init__((HOST, port), _Handler)

    @property
    def address(self) -> str:
        return f"http://{HOST}:{self.server_port}/"


class _Handler(BaseHTTPRequestHandler):
    server: WatchServer

    def do_GET(self) -> None:
        if self.headers.get("Host", "").rpartition(":")[0] not in _NAMES:
            return self._send(403, "text/plain", b"only for this machine")
        if self.path == "/":
            return self._send(200, "text/html; charset=utf-8", self.server.page)
        answer = self.server.answers.get(self.path)
        if answer is None:
            return self._send(404, "text/plain", b"not here")
        try:
            content, code = answer(), 200
        except AgglabError as error:  # such as a plan that a grid is writing for the first time
            content, code = {"error": str(error)}, 503
        return self._send(code, "application/json", json.dumps(content).encode())

    def _send(self, code: int, kind: str, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Security-Policy", "default-src 'self' 'unsafe-inline'; img-src data:")
        with suppress(ConnectionError):  # a page may be closed before its answer is there
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing is printed for each look of a browser."""
