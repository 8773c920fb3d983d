"""Servers on loopback that misbehave in one way each, and certificates that are wrong in one way each."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Behaviour = Callable[[socket.socket, threading.Event], None]


@contextlib.contextmanager
def serving(behaviour: Behaviour, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """Run a server whose every connection behaves like that; yields its port."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)

        def one(connection: socket.socket) -> None:
            with contextlib.suppress(OSError), connection:
                if context is None:
                    behaviour(connection, over)
                else:
                    with context.wrap_socket(connection, server_side=True) as secure:
                        behaviour(secure, over)

        def accept() -> None:
            while not over.is_set():
                with contextlib.suppress(TimeoutError):
                    threading.Thread(target=one, args=(listener.accept()[0],), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            over.set()
            thread.join(5)


def trickle(text: bytes, connection: socket.socket, over: threading.Event) -> None:
    """Send a byte every tenth of a second, which outlives every timeout of a single read."""
    for place in range(len(text)):
        if over.wait(0.1):
            return
        connection.sendall(text[place : place + 1])


def silent(connection: socket.socket, over: threading.Event) -> None:
    """Read, and never answer."""
    over.wait(30)


def slow_headers(connection: socket.socket, over: threading.Event) -> None:
    """An answer whose headers trickle in."""
    connection.recv(65536)
    trickle(b"HTTP/1.1 200 OK\r\nX-Made-Up: " + b"x" * 300, connection, over)


def slow_body(connection: socket.socket, over: threading.Event) -> None:
    """An answer whose body trickles in."""
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 300\r\n\r\n")
    trickle(b"{" * 300, connection, over)


def reset(connection: socket.socket, over: threading.Event) -> None:
    """Cut the connection hard in the middle of the headers."""
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")


def half_closed(connection: socket.socket, over: threading.Event) -> None:
    """Say that nothing more comes, and keep the connection."""
    connection.recv(65536)
    connection.shutdown(socket.SHUT_WR)
    over.wait(30)


def garbage(connection: socket.socket, over: threading.Event) -> None:
    """Answer with something that is no HTTP."""
    connection.recv(65536)
    connection.sendall(b"\x00\xff made-up-secret\r\n\r\n" * 50)


def short(connection: socket.socket, over: threading.Event) -> None:
    """Promise more than is sent."""
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 300\r\n\r\n{}")


def well(connection: socket.socket, over: threading.Event) -> None:
    """Answer."""
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")


def certificate(folder: Path, *, name: str = "127.0.0.1", days: int = 1) -> tuple[Path, Path]:
    """A certificate that signs itself; files of certificate and key."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    try:
        place: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        place = x509.DNSName(name)
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=9))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([place]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "certificate.pem", folder / "key.pem"
    public.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return public, private
