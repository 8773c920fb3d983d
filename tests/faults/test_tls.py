"""A server that cannot be trusted is never talked to: for both carriers and the queue."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from tests.clients import servers
from tests.world import ICCIDS, Result, World

CAUSES = {
    "self-signed": "self-signed certificate",
    "expired": "expired",
    "wrong host": "mismatch",
    "TLS 1.1": "speaks no TLS that is accepted",
}


def context_of(kind: str, folder: Path) -> ssl.SSLContext:
    """A server's side of TLS that is wrong in one way."""
    name, days = ("elsewhere.test" if kind == "wrong host" else "127.0.0.1"), (-1 if kind == "expired" else 1)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*servers.certificate(folder, name=name, days=days))
    if kind == "TLS 1.1":
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


def asked(world: World, which: str, address: str, trust: dict[str, str]) -> Result:
    """Let the program need that server."""
    if which == "thingspace":
        bulk = world.given(ICCIDS[0])
        return world.run("sync-bulk", bulk, **trust, PONDCTL_THINGSPACE__BASE_URL=f"{address}/api")
    if which == "pond":
        words = ("activate", ICCIDS[0], "--package-type", 1001)
        return world.run(*words, **trust, PONDCTL_POND__BASE_URL=f"{address}/ds")
    queue = {
        "PONDCTL_QUEUE__URL": "https://sqs.us-east-1.amazonaws.com/1/q",
        "PONDCTL_QUEUE__ENDPOINT_URL": address,
    }
    keys = {"AWS_ACCESS_KEY_ID": "made-up", "AWS_SECRET_ACCESS_KEY": "made-up"}
    return world.run("worker", "--once", "--max-runtime", "5s", **trust, **queue, **keys)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
@pytest.mark.parametrize("kind", CAUSES)
@pytest.mark.parametrize("which", ["thingspace", "pond", "sqs"])
def test_a_server_that_cannot_be_trusted_ends_the_run(
    world: World, tmp_path: Path, which: str, kind: str
) -> None:
    authority = str(tmp_path / "certificate.pem")
    # All but the self-signed one are signed by an authority that is accepted.
    trust = {} if kind == "self-signed" else {"SSL_CERT_FILE": authority, "AWS_CA_BUNDLE": authority}
    heard: list[bytes] = []

    with servers.serving(lambda c, _: heard.append(c.recv(65536)), context_of(kind, tmp_path)) as port:
        ended = asked(world, which, f"https://127.0.0.1:{port}", trust)

    assert ended.exit_code == 7, ended.stderr
    assert CAUSES[kind] in ended.stderr
    assert "127.0.0.1" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not any(heard)


@pytest.mark.parametrize("which", ["thingspace", "pond", "sqs"])
def test_a_server_with_a_good_certificate_is_talked_to(world: World, tmp_path: Path, which: str) -> None:
    authority = str(tmp_path / "certificate.pem")
    heard: list[bytes] = []

    with servers.serving(lambda c, _: heard.append(c.recv(65536)), context_of("good", tmp_path)) as port:
        trust = {
            "SSL_CERT_FILE": authority,
            "AWS_CA_BUNDLE": authority,
            "PONDCTL_LIMITS__OUTAGE_SECONDS": "1",
        }
        asked(world, which, f"https://127.0.0.1:{port}", trust)

    assert any(heard)


def test_no_line_of_the_program_turns_the_check_off() -> None:
    package = Path(__file__).parent.parent.parent / "pondctl"
    words = ("verify=False", "CERT_NONE", "check_hostname", "_create_unverified", "verify_mode")
    lines = [line for path in package.rglob("*.py") for line in path.read_text(encoding="utf-8").splitlines()]

    assert [line for line in lines if any(word in line for word in words)] == []


def test_a_protected_profile_takes_no_database_whose_certificate_is_not_checked(world: World) -> None:
    url = "mssql+pyodbc://sa:pw@db1/iot?driver=ODBC+Driver+18+for+SQL+Server&TrustServerCertificate=yes"

    ended = world.run("status", PONDCTL_DATABASE__URL=url, PONDCTL_PROTECTED="true")

    assert ended.exit_code == 2
    assert "certificate check" in ended.stderr
