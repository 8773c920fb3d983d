"""The transport to a carrier, over real sockets: what is kept, what is opened anew, what is refused."""

from __future__ import annotations

import contextlib
import gc
import gzip
import json
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from pondctl.clients._direct import DirectTransport
from pondctl.clients._network import open_transport
from pondctl.errors import DeviceError
from tests.clients import servers

TIMES = {"timeout": httpx.Timeout(2.0).as_dict()}


class Server(ThreadingHTTPServer):
    """Answers with who asked (the port of the connection) and what; `manners` says how."""

    daemon_threads = True

    def __init__(self, manners: Callable[[BaseHTTPRequestHandler, bytes], None]) -> None:
        self.manners = manners
        self.connections = 0
        super().__init__(("127.0.0.1", 0), Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        self.connections += 1
        return super().get_request()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.manners(self, asked)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def plain(handler: BaseHTTPRequestHandler, asked: bytes) -> None:
    content = json.dumps([handler.client_address[1], asked.decode()]).encode()
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


def closing(handler: BaseHTTPRequestHandler, asked: bytes) -> None:
    """Answer well, and close without having said so."""
    plain(handler, asked)
    handler.close_connection = True


def packed(handler: BaseHTTPRequestHandler, asked: bytes) -> None:
    content = gzip.compress(asked * 100)
    handler.send_response(200)
    handler.send_header("Content-Encoding", "gzip")
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    for place in range(0, len(content), 10):
        part = content[place : place + 10]
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
    handler.wfile.write(b"0\r\n\r\n")


@contextmanager
def serving(manners: Callable[[BaseHTTPRequestHandler, bytes], None]) -> Iterator[Server]:
    server = Server(manners)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def client(url: str, connections: int = 4) -> Iterator[httpx.Client]:
    transport = open_transport(httpx.URL(url), connections)
    assert isinstance(transport, DirectTransport)
    with httpx.Client(base_url=url, transport=transport, timeout=2.0, trust_env=False) as built:
        yield built


def test_a_connection_is_used_again_and_again() -> None:
    with serving(plain) as server, client(server.url) as carrier:
        answers = [carrier.post("/x", content=f"question {number}").json() for number in range(20)]

    assert len({port for port, _ in answers}) == 1
    assert [asked for _, asked in answers] == [f"question {number}" for number in range(20)]


def test_a_connection_that_was_prepared_is_the_one_that_is_used() -> None:
    with serving(plain) as server, client(server.url) as carrier:
        transport = carrier._transport
        assert isinstance(transport, DirectTransport)
        for _ in range(3):
            transport.prepare(httpx.URL(server.url), 2.0)

        answers = [carrier.post("/x", content="?").json() for _ in range(3)]

        assert (server.connections, len({port for port, _ in answers})) == (1, 1)


def test_a_prepared_connection_that_cannot_be_used_any_more_is_closed() -> None:
    with serving(plain) as server, serving(plain) as other, client(server.url) as carrier:
        transport = carrier._transport
        assert isinstance(transport, DirectTransport)
        transport.prepare(httpx.URL(server.url), 2.0)
        (before,) = transport._prepared.values()
        assert not isinstance(before, Exception)

        transport.prepare(httpx.URL(other.url), 2.0)

        assert before._stream.get_extra_info("socket").fileno() == -1


def test_what_goes_wrong_while_a_connection_is_prepared_is_raised_by_the_request() -> None:
    with serving(plain) as server, client(server.url) as carrier:
        transport = carrier._transport
        assert isinstance(transport, DirectTransport)
        with socket.create_server(("127.0.0.1", 0)) as closed:
            nobody = httpx.URL(f"http://127.0.0.1:{closed.getsockname()[1]}")
        transport.prepare(nobody, 2.0)

        with pytest.raises(httpx.ConnectError):
            carrier.post("/x", content="?")
        assert carrier.post("/x", content="again").json()[1] == "again"


def test_many_threads_have_a_connection_each_and_get_their_own_answers() -> None:
    with serving(plain) as server, client(server.url, 8) as carrier:

        def ask(number: int) -> bool:
            return bool(carrier.post("/x", content=str(number)).json()[1] == str(number))

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(ask, range(400)))


def test_a_connection_that_the_carrier_closed_meanwhile_is_not_used() -> None:
    with serving(closing) as server, client(server.url) as carrier:
        ports = []
        for _ in range(5):
            ports.append(carrier.post("/x", content="?").json()[0])
            # The other side's goodbye is on its way.
            threading.Event().wait(0.05)

    assert len(set(ports)) == 5


def test_an_answer_that_comes_packed_and_in_pieces_is_read_whole() -> None:
    with serving(packed) as server, client(server.url) as carrier:
        answers = [carrier.post("/x", content="abc").text for _ in range(3)]

    assert answers == ["abc" * 100] * 3


def test_an_answer_is_gone_as_soon_as_nobody_holds_it() -> None:
    """Pages are megabytes each: left to the garbage collector, a hundred of them stand in memory."""
    gc.disable()
    try:
        with serving(plain) as server, client(server.url) as carrier:
            for _ in range(5):
                carrier.post("/x", content="?")
        left = [one for one in gc.get_objects() if type(one).__module__ == DirectTransport.__module__]
    finally:
        gc.enable()

    assert [one for one in left if type(one).__name__ == "_Answer"] == []


def test_no_more_connections_are_kept_than_were_asked_for() -> None:
    all_are_here = threading.Barrier(5)

    def together(handler: BaseHTTPRequestHandler, asked: bytes) -> None:
        if asked == b"together":
            all_are_here.wait(5)
        plain(handler, asked)

    with serving(together) as server, client(server.url, 2) as carrier:
        with ThreadPoolExecutor(5) as pool:
            ports = set(pool.map(lambda _: carrier.post("/x", content="together").json()[0], range(5)))
        with ThreadPoolExecutor(2) as pool:
            after = set(pool.map(lambda _: carrier.post("/x", content="?").json()[0], range(20)))

    assert len(ports) == 5
    assert len(after) <= 2
    assert after < ports


def test_what_follows_an_answer_unasked_is_never_taken_for_the_next_answer() -> None:
    def twice(connection: socket.socket, over: threading.Event) -> None:
        while connection.recv(65536):
            answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n"
            connection.sendall(answer + b"1" + answer + b"2")

    with servers.serving(twice) as port, client(f"http://127.0.0.1:{port}") as carrier:
        answers = [carrier.post("/x", content="?").text for _ in range(5)]

    assert answers == ["1"] * 5


def test_a_refusal_that_comes_before_the_question_was_read_is_heard() -> None:
    def impatient(connection: socket.socket, over: threading.Event) -> None:
        connection.recv(10)
        connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        over.wait(2)

    with servers.serving(impatient) as port, client(f"http://127.0.0.1:{port}") as carrier:
        assert carrier.post("/x", content=b"?" * 100_000).status_code == 413


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n12",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000,
        b"what is this?\r\n\r\n",
    ],
    ids=["nothing", "half a head", "half a body", "half a piece", "two lengths", "endless head", "no HTTP"],
)
def test_an_answer_that_is_not_whole_is_no_answer(answer: bytes) -> None:
    def one(connection: socket.socket, over: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(answer)

    with (
        servers.serving(one) as port,
        client(f"http://127.0.0.1:{port}") as carrier,
        pytest.raises(httpx.TransportError),
    ):
        carrier.post("/x", content="?")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\n\r\nwhole",
        b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nwhole",
        b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nwh\r\n3\r\nole\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole and more",
    ],
    ids=["ended by closing", "old", "told to go on first", "in pieces", "more than it said"],
)
@pytest.mark.parametrize("piece", [1, 7, 1000])
def test_an_answer_is_whole_however_it_is_cut(answer: bytes, piece: int) -> None:
    def one(connection: socket.socket, over: threading.Event) -> None:
        connection.recv(65536)
        for place in range(0, len(answer), piece):
            with contextlib.suppress(OSError):
                connection.sendall(answer[place : place + piece])

    with servers.serving(one) as port, client(f"http://127.0.0.1:{port}") as carrier:
        answered = carrier.post("/x", content="?")

    assert (answered.status_code, answered.text) == (200, "whole")
    assert "x" not in answered.headers


def test_an_answer_that_is_too_large_is_not_read_to_its_end() -> None:
    def endless(connection: socket.socket, over: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        with contextlib.suppress(OSError):
            while not over.is_set():
                connection.sendall(b"x" * 1_000_000)

    with (
        servers.serving(endless) as port,
        client(f"http://127.0.0.1:{port}") as carrier,
        pytest.raises(DeviceError, match="larger than"),
    ):
        carrier.post("/x", content="?")


def test_a_header_with_a_line_break_is_never_sent() -> None:
    with (
        serving(plain) as server,
        client(server.url) as carrier,
        pytest.raises(httpx.LocalProtocolError),
    ):
        carrier.post("/x", content="?", headers={"X-Made-Up": "a\r\nX-Other: b"})


def test_an_answer_whose_lines_end_with_lf_alone_is_read() -> None:
    def old_gateway(connection: socket.socket, over: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\nX-Made-Up: 1\nContent-Length: 5\n\nwhole")

    with servers.serving(old_gateway) as port, client(f"http://127.0.0.1:{port}") as carrier:
        answered = carrier.post("/x", content="?")

    assert (answered.text, answered.headers["x-made-up"]) == ("whole", "1")


def test_a_packed_body_comes_in_pieces_so_that_a_bomb_is_never_unpacked_whole() -> None:
    bomb = gzip.compress(bytes(20_000_000), 1)

    def manners(handler: BaseHTTPRequestHandler, asked: bytes) -> None:
        handler.send_response(200)
        handler.send_header("Content-Encoding", "gzip")
        handler.send_header("Content-Length", str(len(bomb)))
        handler.end_headers()
        handler.wfile.write(bomb)

    with serving(manners) as server, open_transport(httpx.URL(server.url), 1) as transport:
        question = httpx.Request("POST", server.url, content="?", extensions=TIMES)
        largest = max(map(len, transport.handle_request(question).iter_bytes()))

    assert len(bomb) > 65536
    assert largest < 20_000_000
