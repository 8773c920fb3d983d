"""A webhook on loopback that keeps what it is sent."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Webhook:
    """`taken` holds the documents in the order they came; `status` is what it answers, after `delay`."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.status = 200
        self.delay = 0.0
        self.port = 0

    @property
    def url(self) -> str:
        """The channel as Apprise spells it, with a secret in it."""
        return f"json://hook:planted-secret@127.0.0.1:{self.port}/hook"

    @property
    def titles(self) -> list[str]:
        """What was said."""
        return [document["title"] for document in self.taken]

    @property
    def text(self) -> str:
        """All of it."""
        return json.dumps(self.taken)


@contextmanager
def listening() -> Iterator[Webhook]:
    """A webhook that listens while the block runs."""
    hook = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            time.sleep(hook.delay)
            if hook.status == 200:
                hook.taken.append(json.loads(body))
            self.send_response(hook.status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hook.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield hook
    server.shutdown()
    server.server_close()
    thread.join()
