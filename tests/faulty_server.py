"""A web server of a folder on this machine that fails as it is told, for tests of data sets at an address."""

import base64
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote


class FaultyServer(ThreadingHTTPServer):
    """A server whose answers to the next requests of a path can be faults: a status, or "cut", "reset", "hang"."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.folder = folder
        self.faults: dict[str, list[Any]] = defaultdict(list)  # by path, such as "images/a.jpg": the next answers
        self.always: dict[str, Any] = {}  # by path: every answer
        self.asked: Counter[str] = Counter()  # "GET images/a.jpg": requests
        self.login = ""  # user:password that requests must have
        self.lists = True  # whether folders are pages with links
        super().__init__(("127.0.0.1", port), _Handler)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of connections that the other side has closed."""


class _Handler(SimpleHTTPRequestHandler):
    server: FaultyServer

    def __init__(self, request: Any, address: Any, server: FaultyServer) -> None:
        super().__init__(request, address, server, directory=str(server.folder))

    def do_GET(self) -> None:
        if not self._fails("GET"):
            super().do_GET()

    def do_HEAD(self) -> None:
        if not self._fails("HEAD"):
            super().do_HEAD()

    def list_directory(self, path: Any) -> Any:
        if self.server.lists:
            return super().list_directory(path)
        return self.send_error(403)

    def log_message(self, *given: Any) -> None:
        """Write no log."""

    def _fails(self, method: str) -> bool:
        path = unquote(self.path.strip("/"))
        self.server.asked[f"{method} {path}"] += 1
        wanted = "Basic " + base64.b64encode(self.server.login.encode()).decode()
        if self.server.login and self.headers.get("Authorization") != wanted:
            self.send_error(401)
            return True
        waiting = self.server.faults[path]
        fault = waiting.pop(0) if waiting and method == "GET" else self.server.always.get(path)
        if isinstance(fault, int):
            self.send_error(fault)
        elif fault == "hang":
            time.sleep(2)
        elif fault == "cut" and method == "GET":
            self._cut(self.server.folder / path, told=True)
        elif fault == "short" and method == "GET":
            self._cut(self.server.folder / path, told=False)
        else:
            return False
        self.close_connection = True
        return True

    def _cut(self, file: Path, told: bool) -> None:
        """Send the first half of a file, with its length or, as an old server does, without."""
        content = file.read_bytes()
        self.send_response(200)
        if told:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2])


@contextmanager
def serving(folder: Path, port: int = 0) -> Iterator[FaultyServer]:
    """Run a server of a folder in a thread."""
    server = FaultyServer(folder, port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
