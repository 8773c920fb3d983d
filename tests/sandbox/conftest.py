"""One running sandbox for all tests of a worker, as at the start for each of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pondctl.sandbox import Sandbox, SandboxConfig
from tests.sandbox.callers import PondCaller, ThingSpaceCaller


@pytest.fixture(scope="session")
def running() -> Iterator[Sandbox]:
    with Sandbox(SandboxConfig(devices=60, pond_sims=100, activation_seconds=600)) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: Sandbox) -> Sandbox:
    running.reset()
    return running


@pytest.fixture
def outside(sandbox: Sandbox) -> Iterator[ThingSpaceCaller]:
    """A caller of ThingSpace without tokens."""
    caller = ThingSpaceCaller(sandbox)
    with caller.http:
        yield caller


@pytest.fixture
def thingspace(outside: ThingSpaceCaller) -> ThingSpaceCaller:
    """A caller of ThingSpace with both tokens."""
    return outside.enter()


@pytest.fixture
def pond(sandbox: Sandbox) -> Iterator[PondCaller]:
    caller = PondCaller(sandbox)
    with caller.http:
        yield caller
