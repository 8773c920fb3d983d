from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from pondctl.clients._carrier_client import open_client
from pondctl.clients._http import Sender
from pondctl.clients._network import open_transport
from pondctl.errors import CarrierUnavailableError, Category, DeviceError, PondctlError
from pondctl.models import Stop
from tests.clients import servers
from tests.clients.doubles import FreePace

CALL_SECONDS = 1.0


def ask(base_url: str, find: Callable[..., object] = socket.getaddrinfo) -> httpx.Response:
    transport = open_transport(httpx.URL(base_url), 2, find=find)  # type: ignore[arg-type]
    client = open_client(base_url, carrier="made-up", connections=2, transport=transport)
    sender = Sender(client, carrier="made-up", pace=FreePace(), stop=Stop(), call_seconds=CALL_SECONDS)
    try:
        return sender.send("GET", "/x", endpoint="/x", read=lambda answer: answer, safe_to_repeat=True)
    finally:
        sender.close()


FAULTS = [
    servers.silent,
    servers.slow_headers,
    servers.slow_body,
    servers.reset,
    servers.half_closed,
    servers.garbage,
    servers.short,
]


@pytest.mark.parametrize("behaviour", FAULTS, ids=lambda behaviour: behaviour.__name__)
def test_every_call_ends_within_its_deadline(behaviour: servers.Behaviour) -> None:
    began = time.monotonic()
    with servers.serving(behaviour) as port, pytest.raises(DeviceError) as caught:
        ask(f"http://127.0.0.1:{port}")

    assert time.monotonic() - began <= CALL_SECONDS + 1
    assert (caught.value.category, caught.value.temporary) == (Category.NETWORK, True)
    assert "made-up-secret" not in caught.value.message


def test_a_tls_handshake_that_never_comes_ends_within_the_deadline() -> None:
    began = time.monotonic()
    with servers.serving(servers.silent) as port, pytest.raises(DeviceError):
        ask(f"https://127.0.0.1:{port}")

    assert time.monotonic() - began <= CALL_SECONDS + 1


def test_a_port_where_nobody_listens_is_temporary_trouble() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    with pytest.raises(DeviceError, match="refused") as caught:
        ask(f"http://127.0.0.1:{port}")

    assert caught.value.category is Category.NETWORK


def test_a_host_name_that_takes_too_long_to_find_ends_within_the_deadline() -> None:
    over = threading.Event()

    def find(*_: object, **__: object) -> list[object]:
        over.wait(30)
        return []

    began = time.monotonic()
    with pytest.raises(DeviceError, match="no connection in time"):
        ask("http://made-up.invalid", find)
    over.set()

    assert time.monotonic() - began <= CALL_SECONDS + 1


@pytest.mark.parametrize("error", [socket.gaierror(-2, "Name or service not known"), UnicodeError("made-up")])
def test_a_host_name_that_does_not_exist_is_temporary_trouble(error: Exception) -> None:
    def find(*_: object, **__: object) -> None:
        raise error

    with pytest.raises(DeviceError, match="no connection") as caught:
        ask("http://made-up.invalid", find)

    assert caught.value.temporary


def test_the_next_address_of_a_host_is_tried() -> None:
    with servers.serving(servers.well) as port:

        def find(*_: object, **__: object) -> list[object]:
            return [(0, 0, 0, "", (address, port)) for address in ("::1", "127.0.0.1")]

        assert ask(f"http://two.test:{port}", find).status_code == 200


# --- TLS ----------------------------------------------------------------------------------------


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the server's own certificate an accepted authority."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))


def secure(folder: Path, *, name: str = "127.0.0.1", days: int = 1) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*servers.certificate(folder, name=name, days=days))
    return context


def refusal(context: ssl.SSLContext) -> PondctlError:
    with servers.serving(servers.well, context) as port, pytest.raises(PondctlError) as caught:
        ask(f"https://127.0.0.1:{port}")
    return caught.value


def test_a_certificate_of_an_accepted_authority_is_accepted(tmp_path: Path, trusted: None) -> None:
    with servers.serving(servers.well, secure(tmp_path)) as port:
        assert ask(f"https://127.0.0.1:{port}").status_code == 200


def test_a_certificate_that_signed_itself_is_refused_and_not_asked_again(tmp_path: Path) -> None:
    error = refusal(secure(tmp_path))

    assert isinstance(error, CarrierUnavailableError)
    assert "self-signed" in error.message
    assert "SSL_CERT_FILE" in str(error.hint)


def test_an_expired_certificate_is_refused(tmp_path: Path, trusted: None) -> None:
    assert "expired" in refusal(secure(tmp_path, days=-1)).message


def test_a_certificate_of_another_host_is_refused(tmp_path: Path, trusted: None) -> None:
    assert "mismatch" in refusal(secure(tmp_path, name="elsewhere.test")).message


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
def test_tls_1_1_is_refused(tmp_path: Path, trusted: None) -> None:
    context = secure(tmp_path)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1

    error = refusal(context)

    assert isinstance(error, CarrierUnavailableError)
    assert "speaks no TLS that is accepted" in error.message


# --- proxies ------------------------------------------------------------------------------------


def test_a_proxy_of_the_environment_is_used_and_its_password_is_shown_nowhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[bytes] = []

    def proxy(connection: socket.socket, over: threading.Event) -> None:
        seen.append(connection.recv(65536))
        connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")

    with servers.serving(proxy) as port:
        monkeypatch.setenv("https_proxy", f"http://made-up-user:made-up-secret@127.0.0.1:{port}")
        with pytest.raises(DeviceError) as caught:
            ask("https://carrier.test/api")

    assert seen[0].startswith(b"CONNECT carrier.test:443")
    assert b"Proxy-Authorization: Basic " in seen[0]
    assert "made-up-" not in caught.value.message
    assert "the proxy refuses it, HTTP 407" in caught.value.message


def test_loopback_needs_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")

    with servers.serving(servers.well) as port:
        assert ask(f"http://127.0.0.1:{port}").status_code == 200


def test_a_host_that_needs_no_proxy_is_asked_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "carrier.test")

    def find(host: str, port: int, **_: object) -> list[object]:
        return [(0, 0, 0, "", ("127.0.0.1", port))]

    with servers.serving(servers.well) as port:
        assert ask(f"http://carrier.test:{port}", find).status_code == 200
