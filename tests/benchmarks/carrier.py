"""The simulated carrier in a process of its own, so that it takes nothing from who is measured."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Collection
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.request import Request, urlopen

from pondctl.sandbox import Sandbox, SandboxConfig
from tests.program import ROOT

LOOKUP, PAGE = "thingspace.lookup", "thingspace.page"
_EVERY_CALL = 10_000_000


@dataclass(frozen=True)
class Calls:
    """What the carrier was asked, on its own clock: when each call came and how long it was answered."""

    counts: dict[str, int]
    at: list[float]
    seconds: list[float]
    worst_second: int

    @property
    def span(self) -> float:
        """From the first call to the last answer."""
        return max(a + s for a, s in zip(self.at, self.seconds, strict=True)) - self.at[0]


class Carrier:
    """`with Carrier(devices, latency_ms) as carrier:` runs one; it ends with its standard input."""

    def __init__(self, devices: int, latency_ms: float = 0.0) -> None:
        words = [sys.executable, "-m", "tests.benchmarks.carrier", str(devices), str(latency_ms)]
        self._process = subprocess.Popen(
            words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        told = json.loads(self._process.stdout.readline())
        self.url: str = told["url"]
        self.thingspace_url: str = told["thingspace_url"]
        self.environment: dict[str, str] = told["environment"]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()

    def calls(self, endpoint: str = "*") -> Calls:
        """The calls since the last `forget`."""
        found = self._ask("GET", f"calls?endpoint={endpoint}&limit={_EVERY_CALL}")
        at = [call["at"] for call in found["calls"]]
        seconds = [call["seconds"] or 0.0 for call in found["calls"]]
        return Calls(self.counts(), at, seconds, found["worst_second"])

    def times_of(self, endpoint: str, iccids: Collection[str]) -> list[float]:
        """When each call about one of these devices came."""
        found = self._ask("GET", f"calls?endpoint={endpoint}&limit={_EVERY_CALL}")
        return [call["at"] for call in found["calls"] if call["iccid"] in iccids]

    def counts(self) -> dict[str, int]:
        """How many calls each endpoint had."""
        counts: dict[str, int] = self._ask("GET", "state")["calls"]
        return counts

    def forget(self) -> None:
        """Begin to count anew."""
        self._ask("DELETE", "calls")

    def _ask(self, method: str, path: str) -> Any:
        with urlopen(Request(f"{self.url}/_sandbox/{path}", method=method)) as answer:
            return json.load(answer)


def serve(devices: int, latency_ms: float) -> None:
    """Be the carrier until standard input ends."""
    with Sandbox(SandboxConfig(devices=devices, latency_ms=latency_ms)) as sandbox:
        told = {
            "url": sandbox.url,
            "thingspace_url": sandbox.thingspace_url,
            "environment": sandbox.environment(),
        }
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    serve(int(sys.argv[1]), float(sys.argv[2]))
