"""A web server on loopback that fails a number of times, and counts what it is asked."""

import hashlib
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class FlakyServer:
    """Serves `files` (path → bytes) after `failures` failed requests.

    Attributes:
        how: "503", "dropped" (the connection ends without an answer) or "short" (half a file).
        asked: the method and path of every request that was to send a file.
    """

    files: dict[str, bytes]
    failures: int = 0
    how: str = "503"
    url: str = ""
    asked: list[str] = field(default_factory=list)

    def pinned(self, path: str) -> str:
        """The file's URI with its digest."""
        return f"{self.url}{path}#sha256={hashlib.sha256(self.files[path]).hexdigest()}"


@contextmanager
def serving(server: FlakyServer) -> Iterator[FlakyServer]:
    """Run it on a free port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(head=True)

        def do_GET(self) -> None:
            self._answer(head=False)

        def _answer(self, *, head: bool) -> None:
            server.asked.append(f"{self.command} {self.path}")
            content = server.files.get(self.path)
            if server.failures > 0 and (server.how != "short" or not head):
                server.failures -= 1
                if server.how == "503":
                    self.send_error(503)
                elif server.how == "short" and content:
                    self._send(content[: len(content) // 2], len(content))
                    self.connection.shutdown(2)
                self.close_connection = True
            elif content is None:
                self.send_error(404)
            else:
                self._send(b"" if head else content, len(content))

        def _send(self, content: bytes, length: int) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(length))
            if self.path.endswith("/"):
                self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        server.url = f"http://127.0.0.1:{running.server_port}"
        yield server
        running.shutdown()
