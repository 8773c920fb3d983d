"""`pondctl sandbox start` as a process of its own, and what it refuses."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from pondctl.commands.sandbox import start
from pondctl.errors import ConfigurationError, UsageError
from pondctl.sandbox import SandboxConfig
from pondctl.sandbox.fleet import seeded_iccids
from pondctl.sandbox.launch import serve

_PROGRAM = "import typer; from pondctl.commands.sandbox import start; typer.run(start)"


@contextmanager
def started(*words: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """The process, and the variables that it said to export."""
    command = [sys.executable, "-W", "error", "-c", _PROGRAM, *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        assert "Simulated ThingSpace and POND on http://" in process.stderr.readline()
        variables: dict[str, str] = {}
        while "PONDCTL_POND__API_KEY_HEADER" not in variables:
            found = re.fullmatch(r"export (\w+)='(.*)'\n", process.stderr.readline())
            assert found is not None
            variables[found[1]] = found[2]
        yield process, variables
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_ended_and_says_how_to_use_it(number: int) -> None:
    with started("--devices", "25", "--seed", "4", "--pond-sims", "3") as (process, variables):
        base = variables["PONDCTL_THINGSPACE__BASE_URL"]
        auth = (variables["PONDCTL_THINGSPACE__CLIENT_ID"], variables["PONDCTL_THINGSPACE__CLIENT_SECRET"])
        form = {"grant_type": "client_credentials"}
        token = httpx.post(f"{base}/ts/v1/oauth2/token", data=form, auth=auth)
        state = httpx.get(base.removesuffix("/api") + "/_sandbox/state").json()

        process.send_signal(number)
        out, err = process.communicate(timeout=20)

    assert token.status_code == 200
    assert (state["thingspace"]["devices"], state["pond"]["sims"]) == (25, 3)
    assert (process.returncode, out, err) == (0, "", "")


def test_faults_and_latency_come_from_the_command_line() -> None:
    fault = "thingspace.token:status=503,count=1"
    with started("--fault", fault, "--fault", "pond.*:html", "--latency-ms", "1") as (_, variables):
        base = variables["PONDCTL_THINGSPACE__BASE_URL"]
        statuses = [httpx.post(f"{base}/ts/v1/oauth2/token").status_code for _ in range(2)]

    assert statuses == [503, 401]


def test_the_same_seed_shows_the_devices_that_a_demo_can_seed() -> None:
    with started("--devices", "5", "--seed", "9") as (_, variables):
        base = variables["PONDCTL_THINGSPACE__BASE_URL"].removesuffix("/api")
        for iccid in seeded_iccids(SandboxConfig(devices=5, seed=9)):
            assert httpx.get(f"{base}/_sandbox/devices/{iccid}").status_code == 200


def test_a_fault_that_cannot_be_read_is_a_usage_error_that_names_it() -> None:
    with pytest.raises(UsageError, match=r"thingspace\.lokup:status=503"):
        start(fault=["thingspace.lokup:status=503"])


def test_an_address_that_others_can_reach_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match=r"not on 0\.0\.0\.0"):
        start(host="0.0.0.0")


def test_without_its_extra_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "pondctl.sandbox.server", raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)

    with pytest.raises(ConfigurationError, match="uvicorn") as error:
        serve(SandboxConfig(), print)

    assert error.value.hint == "pip install 'pondctl[sandbox]'"
