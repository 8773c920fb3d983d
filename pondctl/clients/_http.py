"""The one place that sends to a carrier: retried once, here, and bounded in attempts and time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, NoReturn, TypeVar

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception_type

from pondctl.clients._carrier_client import CarrierClient
from pondctl.clients._outage import Gate, Turn
from pondctl.clients._repeat import RepeatableError, pause, stopped
from pondctl.clients._trouble import check_status, translate
from pondctl.clients.pacing import Pace
from pondctl.errors import Category, DeviceError, PondctlError
from pondctl.models import Stop
from pondctl.telemetry import metrics

T = TypeVar("T")
Json = Mapping[str, object]

# Of a call's whole time the first attempt gets 0.4 and the second, half as long again, the rest.
_FIRST_SHARE = 0.4
_GROWTH = 1.5
_LEAST_SECONDS = 0.25
_CONNECT_SECONDS = 5.0
_LONGEST_HOLD_SECONDS = 3600.0
_READ = httpx.ByteStream(b"")


@dataclass(slots=True)
class _Call(Generic[T]):
    """One call and what its attempts have used up so far."""

    method: str
    path: str
    endpoint: str
    read: Callable[[httpx.Response], T]
    safe_to_repeat: bool
    seconds: float
    before: Callable[[], None]
    content: dict[str, Any] = field(default_factory=dict)
    attempt: int = 0
    used_seconds: float = 0.0
    # What the first attempt has ended with, until the retry layer has heard of it.
    first_error: RepeatableError | None = None


class Sender:
    """Sends one call at a time for each thread that asks, with shared pacing and a shared view of outages.

    A call's time is what it spends on the wire and between its attempts. Waiting for the pace, for
    the end of a suspected outage and for a `Retry-After` is not part of it.
    """

    def __init__(
        self,
        client: CarrierClient,
        *,
        carrier: str,
        pace: Pace,
        stop: Stop,
        call_seconds: float = 15.0,
        outage_seconds: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self._client = client
        self._carrier = carrier
        self._pace = pace
        self._stop = stop
        self._call_seconds = call_seconds
        self._patience = outage_seconds
        self._clock = clock
        self._sleep = sleep or stop.wait
        self._held: tuple[float, Category] = (float("-inf"), Category.RATE_LIMITED)
        self.gate = Gate(carrier, outage_seconds, stop, clock=clock, sleep=sleep)
        self._retrying = Retrying(
            retry=retry_if_exception_type(RepeatableError),
            stop=self._is_enough,
            wait=pause,
            before_sleep=_count_pause,
            sleep=self._rest,
            reraise=True,
        )

    def send(
        self,
        method: str,
        path: str,
        *,
        endpoint: str,
        read: Callable[[httpx.Response], T],
        safe_to_repeat: bool,
        json: Json | None = None,
        data: Mapping[str, str] | None = None,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        patience: float = 1.0,
        before: Callable[[], None] = lambda: None,
    ) -> T:
        """Send and return what `read` makes of the answer (anything but 3xx, 408, 429 and 5xx).

        `endpoint` is the path as a template, for logs and metrics. `read` runs inside the retry
        layer: a `RepeatableError` from it is repeated like a 5xx. `patience` times `call_seconds` is
        all the time this call may take on the wire. A write (`safe_to_repeat=False`) is repeated
        only when it provably was not carried out; else it ends in a `DeviceError` with `answer_lost`.
        `before` is called last of all, after every wait; what it raises is not sent.
        """
        content: dict[str, Any] = {"json": json, "data": data, "params": params, "headers": headers}
        seconds = self._call_seconds * patience
        call = _Call(method, path, endpoint, read, safe_to_repeat, seconds, before, content)
        try:
            return self._attempt(call)
        except RepeatableError as error:
            # Only now, because tenacity costs as much as a tenth of a call.
            call.first_error = error
        answer: T = self._retrying(self._attempt, call)
        return answer

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _attempt(self, call: _Call[T]) -> T:
        if call.first_error is not None:
            error, call.first_error = call.first_error, None
            raise error
        turn = self._enter(call)
        call.attempt += 1
        began = self._clock()
        try:
            value = call.read(self._exchange(call))
        except RepeatableError as error:
            self._note(error, turn, began)
            self._raise(call, error)
        except PondctlError:
            self.gate.good(turn)
            raise
        except BaseException:
            self.gate.leave(turn)
            raise
        finally:
            call.used_seconds += self._clock() - began
        self.gate.good(turn)
        return value

    def _enter(self, call: _Call[T]) -> Turn:
        """Wait until this attempt may go: no stop, no hold, no outage, and its turn in the pace."""
        while not self._stop.is_set():
            until, category = self._held
            if self._clock() < until:
                waiting = (
                    f"{self._carrier} asked to be left alone for {until - self._clock():.0f} more seconds"
                )
                raise DeviceError(waiting, category=category, temporary=True)
            turn = self.gate.enter(retry=call.attempt > 0)
            self._wait(call, turn)
            if self._stop.is_set():
                self.gate.leave(turn)
            elif self.gate.still_open(turn):
                return self._check_again(call, turn)
        raise stopped()

    def _wait(self, call: _Call[T], turn: Turn) -> None:
        began, used = self._clock(), call.used_seconds
        try:
            self._pace.wait(partial(self._prepare, call))
        except BaseException:
            self.gate.leave(turn)
            raise
        finally:
            # To connect takes part of a wait that is there anyway, or would have to be waited for without it.
            waited = self._clock() - began - (call.used_seconds - used)
            metrics.observe("pondctl_pace_wait_seconds", waited, carrier=self._carrier.lower())

    def _prepare(self, call: _Call[T]) -> None:
        began = self._clock()
        self._client.prepare(min(_CONNECT_SECONDS, max(_LEAST_SECONDS, call.seconds - call.used_seconds)))
        call.used_seconds += self._clock() - began

    def _check_again(self, call: _Call[T], turn: Turn) -> Turn:
        try:
            call.before()
        except BaseException:
            self.gate.leave(turn)
            raise
        return turn

    def _exchange(self, call: _Call[T]) -> httpx.Response:
        share = self._call_seconds_for(call)
        request = self._client.build_request(
            call.method,
            call.path,
            extensions={
                "timeout": httpx.Timeout(share, connect=min(_CONNECT_SECONDS, share)).as_dict(),
                "seconds": share,
                "endpoint": call.endpoint,
                "attempt": call.attempt,
            },
            **call.content,
        )
        try:
            response = self._client.send(request)
        except httpx.HTTPError as error:
            raise translate(error, request, share, self._carrier) from None
        # httpx ties an answer and its stream together; the garbage collector would part them much later.
        response.stream = _READ
        check_status(response, self._carrier)
        return response

    def _call_seconds_for(self, call: _Call[T]) -> float:
        # A write has but one attempt: cut short, its answer would be lost for nothing.
        first = _FIRST_SHARE if call.safe_to_repeat else 1.0
        share = call.seconds * first * _GROWTH ** (call.attempt - 1)
        return max(_LEAST_SECONDS, min(share, call.seconds - call.used_seconds, self.gate.seconds_left()))

    def _note(self, error: RepeatableError, turn: Turn, began: float) -> None:
        asked = error.retry_after
        if asked is not None and asked > self._patience:
            self._held = (self._clock() + min(asked, _LONGEST_HOLD_SECONDS), error.category)
        if error.category is Category.RATE_LIMITED:
            # While calls are held back nobody needs to wait for a slot, but all shall know of it.
            self._pace.throttled(None if asked is not None and asked > self._patience else asked)
        if error.counts:
            self.gate.bad(turn, error.message, began, asked)
        else:
            self.gate.leave(turn)

    def _raise(self, call: _Call[T], error: RepeatableError) -> NoReturn:
        if call.safe_to_repeat or error.unreached:
            raise error
        raise DeviceError(error.message, category=error.category, temporary=True, answer_lost=True) from error

    def _rest(self, seconds: float) -> None:
        self._sleep(seconds)

    def _is_enough(self, state: RetryCallState) -> bool:
        call, error = state.args[0], state.outcome.exception() if state.outcome else None
        if not isinstance(error, RepeatableError) or self._stop.is_set():
            return True
        left = call.seconds - call.used_seconds - (state.upcoming_sleep if error.retry_after is None else 0)
        if call.attempt >= error.attempts or left < _LEAST_SECONDS:
            return True
        return error.retry_after is not None and error.retry_after > self._patience


def _count_pause(state: RetryCallState) -> None:
    call, error = state.args[0], state.outcome.exception() if state.outcome else None
    if isinstance(error, RepeatableError) and error.retry_after is None:
        call.used_seconds += state.upcoming_sleep
