"""One HTTP exchange: ended on time, read whole up to a limit, told once, without secrets."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import httpx

from pondctl.clients._answer import MAX_BODY_BYTES, too_large
from pondctl.clients._direct import DirectTransport
from pondctl.clients._network import within
from pondctl.telemetry import exchanges, metrics
from pondctl.telemetry.call_times import note_call
from pondctl.telemetry.logger import Logger

_TOO_MANY_REQUESTS = 429
# The body is handed on decoded and whole, so what described it on the wire is no longer true.
_WIRE_HEADERS = ("content-encoding", "content-length", "transfer-encoding")


_log = Logger()


class CarrierTransport(httpx.BaseTransport):
    """Wraps a transport. Reads `seconds`, `endpoint` and `attempt` from the request's extensions."""

    def __init__(
        self,
        inner: httpx.BaseTransport,
        carrier: str,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._inner = inner
        self._carrier = carrier
        self._clock = clock

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send and read the whole answer, or raise an httpx error or a `RepeatableError`."""
        started = self._clock()
        status: int | None = None
        answer: httpx.Response | None = None
        try:
            with within(request.extensions["seconds"]):
                response = self._inner.handle_request(request)
                status = response.status_code
                try:
                    answer = self._whole(response, started + request.extensions["seconds"])
                finally:
                    response.close()
            return answer
        finally:
            self._tell(request, status, self._clock() - started)
            if exchanges.is_on():
                _show(self._carrier, request, answer, None if answer is not None else sys.exception())

    def prepare(self, url: httpx.URL, seconds: float) -> None:
        """Connect before this thread's next call may go; what goes wrong, that call raises."""
        if isinstance(self._inner, DirectTransport):
            with within(seconds):
                self._inner.prepare(url, seconds)

    def close(self) -> None:
        """Close the connections."""
        self._inner.close()

    def _whole(self, response: httpx.Response, deadline: float) -> httpx.Response:
        if response.is_closed:
            return response
        parts: list[bytes] = []
        size = 0
        for part in response.iter_bytes():
            parts.append(part)
            size += len(part)
            if size > MAX_BODY_BYTES:
                raise too_large()
            if self._clock() > deadline:
                raise httpx.ReadTimeout("the call's time is over")
        headers = [pair for pair in response.headers.multi_items() if pair[0].lower() not in _WIRE_HEADERS]
        return httpx.Response(response.status_code, headers=headers, content=b"".join(parts))

    def _tell(self, request: httpx.Request, status: int | None, seconds: float) -> None:
        endpoint, attempt = request.extensions["endpoint"], request.extensions["attempt"]
        _log.debug(
            "carrier call",
            carrier=self._carrier,
            method=request.method,
            endpoint=endpoint,
            http_status=status,
            seconds=round(seconds, 4),
            attempt=attempt,
        )
        where = {"carrier": self._carrier, "endpoint": endpoint}
        metrics.observe("pondctl_call_seconds", seconds, **where)
        metrics.count("pondctl_calls_total", **where, status=status or "none")
        if attempt > 1:
            metrics.count("pondctl_call_retries_total", **where)
        if status == _TOO_MANY_REQUESTS:
            metrics.count("pondctl_throttled_total", carrier=self._carrier)
        if status is not None:
            note_call(self._carrier, endpoint, seconds)


def _show(
    carrier: str, request: httpx.Request, answer: httpx.Response | None, error: BaseException | None
) -> None:
    exchanges.show_exchange(
        carrier=carrier,
        method=request.method,
        url=str(request.url),
        request=(request.headers.items(), request.content),
        answer=(answer.status_code, answer.headers.items(), answer.content) if answer is not None else None,
        error=None if error is None else f"{type(error).__name__}: {error}",
    )
