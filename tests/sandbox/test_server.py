from __future__ import annotations

import gc
import logging
import socket
import threading
import time
import warnings
from contextlib import closing

import httpx
import pytest

from pondctl.errors import ConfigurationError
from pondctl.sandbox import Sandbox, SandboxConfig
from tests.sandbox.callers import PondCaller, ThingSpaceCaller


def sandbox_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "sandbox"]


def test_two_sandboxes_live_side_by_side_and_end_without_a_trace(caplog: pytest.LogCaptureFixture) -> None:
    before = len(sandbox_threads())
    with Sandbox() as one, Sandbox() as other:
        assert one.url != other.url
        one.thingspace.add("89148000001234567898")
        assert len(other.thingspace.devices) == 0
        assert len(sandbox_threads()) == before + 2

    assert len(sandbox_threads()) == before
    for sandbox in (one, other):
        with pytest.raises(httpx.ConnectError):
            httpx.get(sandbox.url)
    one.stop()
    assert caplog.records == []


def test_an_end_in_the_middle_of_everything_leaves_no_open_socket() -> None:
    """A silent connection, one that waits, one that reads slowly and one that does not read at all."""
    with Sandbox(SandboxConfig(devices=20_000)) as sandbox:
        sandbox.fault("pond.get_sim:latency=60")
        sandbox.fault("pond.get_device:slow_body=1")
        port = int(sandbox.url.rpartition(":")[2])
        caller = ThingSpaceCaller(sandbox)
        with caller.http:
            caller.enter()
        key = f"x-api-key: {sandbox.config.api_key}\r\n"
        base = f"{sandbox.config.prefix}/{sandbox.config.distributor_id}"
        sandbox.pond.add_sim("8910300000001234567")
        tokens = "".join(f"{name}: {value}\r\n" for name, value in caller.headers.items())
        body = '{"accountName": "0000998877-00001"}'
        requests = [
            "",
            f"GET {base}/sim/8910300000001234567 HTTP/1.1\r\nHost: x\r\n{key}\r\n",
            f"GET {base}/devices/8910300000001234567 HTTP/1.1\r\nHost: x\r\n{key}\r\n",
            "POST /api/m2m/v1/devices/actions/list HTTP/1.1\r\nHost: x\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n{tokens}\r\n{body}",
        ]
        connections = [socket.create_connection(("127.0.0.1", port)) for _ in requests]
        for connection, request in zip(connections, requests, strict=True):
            connection.sendall(request.encode())
        deadline = time.monotonic() + 5
        while sandbox.calls.count("pond.*") + sandbox.calls["thingspace.page"] < 3:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        started = time.monotonic()

    assert time.monotonic() - started < 3
    for connection in connections:
        with closing(connection):
            connection.settimeout(5)
            while connection.recv(1 << 20):
                pass
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gc.collect()


def test_a_port_that_is_taken_is_named() -> None:
    with Sandbox() as sandbox:
        port = int(sandbox.url.rpartition(":")[2])
        with pytest.raises(ConfigurationError, match=str(port)):
            Sandbox(SandboxConfig(port=port)).start()


def test_the_environment_points_at_the_sandbox() -> None:
    with Sandbox() as sandbox:
        environment = sandbox.environment()

    assert environment["PONDCTL_THINGSPACE__BASE_URL"] == f"{sandbox.url}/api"
    assert environment["PONDCTL_POND__BASE_URL"] == f"{sandbox.url}/ds/u/distributorPPUService/v1"
    assert environment["PONDCTL_POND__DISTRIBUTOR_ID"] == "1234"
    assert "PONDCTL_POND__USERNAME" not in environment


def test_it_listens_on_the_sixth_version_too() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        sandbox = Sandbox(SandboxConfig(host="::1"))
        sandbox.start()
    except ConfigurationError:
        pytest.skip("no IPv6 loopback here")
    answer = httpx.get(f"{sandbox.url}/_sandbox/state")
    sandbox.stop()
    assert answer.status_code == 200


def test_a_reset_brings_back_the_start_on_the_same_port(sandbox: Sandbox, pond: PondCaller) -> None:
    url = sandbox.url
    sandbox.thingspace.add("89148000001234567898")
    sandbox.fault("*:status=503")
    sandbox.advance(1000)

    sandbox.reset()

    assert sandbox.url == url
    assert len(sandbox.thingspace.devices) == 60
    assert sandbox.thingspace.changed == 0
    assert pond.http.get("devices/8910300000001234567").status_code == 404


def test_a_bug_of_the_sandbox_is_a_500_and_stands_in_the_log(
    sandbox: Sandbox, pond: PondCaller, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.pond.add_sim("8910300000001234567", [(1001, "NONSENSE")])
    sandbox.pond.store.find("8910300000001234567").packages = None  # type: ignore[union-attr]

    with caplog.at_level(logging.ERROR):
        answer = pond.http.get("devices/8910300000001234567/packages")

    assert answer.status_code == 500
    assert "the sandbox failed on GET" in caplog.text


def test_latency_is_added_to_every_answer_and_many_wait_together() -> None:
    with Sandbox(SandboxConfig(latency_ms=150)) as sandbox:
        started = time.monotonic()
        threads = [threading.Thread(target=httpx.get, args=(sandbox.url,)) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert 0.15 <= time.monotonic() - started < 1.4
