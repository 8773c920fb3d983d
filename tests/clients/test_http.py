from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable

import httpx
import pytest

from pondctl.clients._answer import MAX_BODY_BYTES
from pondctl.clients._carrier_client import open_client
from pondctl.clients._http import Sender
from pondctl.clients._repeat import RepeatableError
from pondctl.errors import (
    CarrierUnavailableError,
    Category,
    ConfigurationError,
    DeviceError,
    PondctlError,
)
from pondctl.models import Stop
from pondctl.telemetry import metrics
from tests.clients.doubles import Answer, FreePace, VirtualClock

OK = httpx.Response(200, json={})


class Carrier:
    """Gives its answers in turn, the last one for ever, and remembers when it was asked."""

    def __init__(self, clock: VirtualClock, answers: Iterable[Answer], takes: float = 0.0) -> None:
        self.clock = clock
        self.answers = itertools.chain(answers, itertools.repeat(list(answers)[-1]))  # type: ignore[call-overload]
        self.takes = takes
        self.asked_at: list[float] = []
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked_at.append(self.clock.now)
        self.requests.append(request)
        self.clock.now += self.takes
        answer = next(self.answers)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx.Response) else answer(request)


class Line:
    """A sender in front of scripted answers, in virtual time."""

    def __init__(self, *answers: Answer, takes: float = 0.0, **more: float) -> None:
        self.clock = VirtualClock()
        self.stop = Stop()
        self.pace = FreePace()
        self.carrier = Carrier(self.clock, answers, takes)
        client = open_client(
            "https://user:made-up@carrier.test/prefix",
            carrier="pond",
            connections=4,
            transport=httpx.MockTransport(self.carrier),
            clock=self.clock,
        )
        self.sender = Sender(
            client,
            carrier="POND",
            pace=self.pace,
            stop=self.stop,
            clock=self.clock,
            sleep=self.clock.sleep,
            **more,
        )

    def ask(
        self, *, write: bool = False, patience: float = 1.0, before: Callable[[], None] = lambda: None
    ) -> httpx.Response:
        return self.sender.send(
            "POST" if write else "GET",
            "/1/devices/891",
            endpoint="/{d}/devices/{iccid}",
            read=lambda response: response,
            safe_to_repeat=not write,
            patience=patience,
            before=before,
        )

    def trouble(self, *, write: bool = False) -> DeviceError:
        with pytest.raises(DeviceError) as caught:
            self.ask(write=write)
        return caught.value


def test_the_path_comes_after_the_base_urls_own_prefix() -> None:
    line = Line(OK)

    line.ask()

    assert line.carrier.requests[0].url.path == "/prefix/1/devices/891"


@pytest.mark.parametrize(
    "answer",
    [
        *(httpx.Response(status) for status in (408, 429, 500, 502, 503, 504, 521, 522, 524)),
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("late"),
        httpx.RemoteProtocolError("Server disconnected without sending a response."),
        httpx.DecodingError("bad gzip"),
    ],
    ids=str,
)
def test_a_read_that_met_trouble_is_asked_again(answer: Answer) -> None:
    line = Line(answer, OK)

    assert line.ask().status_code == 200
    assert len(line.carrier.requests) == 2


@pytest.mark.parametrize("status", [200, 201, 202, 400, 401, 403, 404, 409, 413, 422])
def test_any_definite_answer_is_handed_to_the_reader_and_not_asked_again(status: int) -> None:
    line = Line(httpx.Response(status))

    assert line.ask().status_code == status
    assert len(line.carrier.requests) == 1


@pytest.mark.parametrize(
    ("answer", "category"),
    [
        (httpx.Response(503), Category.CARRIER_UNAVAILABLE),
        (httpx.Response(429), Category.RATE_LIMITED),
        (httpx.ConnectError("refused"), Category.NETWORK),
    ],
    ids=str,
)
def test_trouble_that_stays_ends_after_four_attempts_and_is_temporary(
    answer: Answer, category: Category
) -> None:
    line = Line(answer)

    error = line.trouble()

    assert (error.category, error.temporary, error.answer_lost) == (category, True, False)
    assert len(line.carrier.requests) == 4


def test_a_reader_can_call_an_answer_unusable_and_it_is_asked_again() -> None:
    line = Line(httpx.Response(200, text="<html>"), OK)

    def read(response: httpx.Response) -> str:
        if response.text.startswith("<"):
            raise RepeatableError("a page", category=Category.CARRIER_UNAVAILABLE)
        return "read"

    assert line.sender.send("GET", "/x", endpoint="/x", read=read, safe_to_repeat=True) == "read"


def test_a_redirect_is_never_followed_so_no_credential_leaves_for_another_host() -> None:
    line = Line(httpx.Response(302, headers={"Location": "https://elsewhere.test/"}))

    error = line.trouble()

    assert error.category is Category.CARRIER_REJECTED
    assert [request.url.host for request in line.carrier.requests] == ["carrier.test"]


# --- time ---------------------------------------------------------------------------------------


def test_defect_30_the_carriers_retry_after_is_not_ignored() -> None:
    line = Line(httpx.Response(429, headers={"Retry-After": "20"}), OK)

    line.ask()

    first, second = line.carrier.asked_at
    assert 20 <= second - first <= 21
    assert line.pace.throttles == [20]


def test_a_retry_after_of_an_hour_is_no_nap_and_nobody_calls_meanwhile() -> None:
    line = Line(httpx.Response(429, headers={"Retry-After": "3600"}), OK)

    first = line.trouble()
    second = line.trouble()

    assert first.category is second.category is Category.RATE_LIMITED
    assert first.temporary
    assert second.temporary
    assert len(line.carrier.requests) == 1
    assert sum(line.clock.slept) == 0
    line.clock.now += 3601
    assert line.ask().status_code == 200


def test_the_read_timeout_grows_by_half_from_attempt_to_attempt_within_the_calls_time() -> None:
    line = Line(httpx.Response(503))
    line.trouble()

    reads = [request.extensions["timeout"]["read"] for request in line.carrier.requests]

    assert reads[:2] == pytest.approx([6.0, 9.0])
    assert max(reads) <= 15


def test_defect_30_a_call_does_not_hang_all_attempts_together_end_within_its_time() -> None:
    line = Line(httpx.ReadTimeout("late"))

    def hang(request: httpx.Request) -> httpx.Response:
        line.clock.now += request.extensions["timeout"]["read"]
        raise httpx.ReadTimeout("late")

    line.carrier.answers = itertools.repeat(hang)
    began = line.clock.now
    line.trouble()

    assert line.clock.now - began <= 15 + 0.1
    assert len(line.carrier.requests) == 2


def test_an_answer_without_end_is_cut_off() -> None:
    def endless(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=itertools.repeat(b"x" * 1024 * 1024))

    line = Line(endless)

    assert str(MAX_BODY_BYTES) in line.trouble().message
    assert len(line.carrier.requests) == 1


def test_an_answer_that_trickles_in_is_cut_off_at_its_deadline() -> None:
    line = Line(OK)

    def trickle(request: httpx.Request) -> httpx.Response:
        def body() -> Iterable[bytes]:
            while True:
                line.clock.now += 1
                yield b" "

        return httpx.Response(200, content=body())

    line.carrier.answers = itertools.repeat(trickle)
    began = line.clock.now
    line.trouble()

    assert line.clock.now - began <= 15 + 1 + 0.1


# --- writes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    # A POST that was carried out may well be answered with "see other".
    [
        httpx.Response(503),
        httpx.Response(303, headers={"Location": "/done"}),
        httpx.ReadTimeout("late"),
        httpx.RemoteProtocolError("cut"),
    ],
    ids=str,
)
def test_a_write_whose_answer_is_lost_is_not_sent_again(answer: Answer) -> None:
    line = Line(answer, OK)

    error = line.trouble(write=True)

    assert error.answer_lost
    assert error.temporary
    assert len(line.carrier.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(429),
        httpx.ConnectError("refused"),
        httpx.ConnectTimeout("late"),
        httpx.ProxyError("407 Proxy Authentication Required"),
    ],
    ids=str,
)
def test_a_write_that_provably_was_not_carried_out_is_sent_again(answer: Answer) -> None:
    line = Line(answer, OK)

    assert line.ask(write=True).status_code == 200


def test_a_write_that_never_got_through_is_not_called_lost() -> None:
    line = Line(httpx.ConnectError("refused"))

    assert not line.trouble(write=True).answer_lost


def test_a_write_has_the_whole_time_of_a_call_a_read_leaves_some_for_its_repetition() -> None:
    line = Line(OK, OK, call_seconds=10)

    line.ask(write=True)
    line.ask()

    assert [request.extensions["seconds"] for request in line.carrier.requests] == [10, 4]


def test_what_is_raised_before_a_write_is_looked_at_after_every_wait_and_nothing_is_sent() -> None:
    line = Line(httpx.Response(429, headers={"Retry-After": "40"}), OK)
    lease_until = line.clock.now + 30

    def check() -> None:
        if line.clock.now > lease_until:
            raise DeviceError("slept", category=Category.DATABASE, temporary=True)

    with pytest.raises(DeviceError, match="slept") as caught:
        line.ask(write=True, before=check)

    assert not caught.value.answer_lost
    assert len(line.carrier.requests) == 1
    assert line.ask().status_code == 200


# --- outages ------------------------------------------------------------------------------------


def outage(line: Line, seconds: float) -> int:
    """Ask again and again for so long; the number of calls that were begun."""
    first_attempts, end = 0, line.clock.now + seconds
    while line.clock.now < end:
        first_attempts += 1
        line.trouble()
    return first_attempts


def test_ten_minutes_of_outage_cost_a_tenth_more_calls_and_a_few_probes() -> None:
    line = Line(httpx.Response(503), outage_seconds=10_000)

    first_attempts = outage(line, 600)

    probes = line.sender.gate.probes
    assert len(line.carrier.requests) <= 1.1 * first_attempts + probes
    # After the first minute a probe goes about every 5 to 10 seconds.
    assert probes <= 600 / 5 + 20


def test_an_outage_after_good_times_spends_the_saved_retries_and_no_more() -> None:
    line = Line(OK, outage_seconds=10_000)
    for _ in range(200):
        line.ask()
    line.carrier.answers = itertools.repeat(httpx.Response(503))

    first_attempts = 200 + outage(line, 600)

    assert len(line.carrier.requests) <= 1.1 * first_attempts + line.sender.gate.probes


def test_an_outage_ends_the_run_when_its_time_is_over() -> None:
    line = Line(httpx.Response(503), outage_seconds=60)
    began = line.clock.now

    with pytest.raises(CarrierUnavailableError, match="no good answer for 6") as caught:
        outage(line, 600)

    assert line.clock.now - began <= 61
    assert caught.value.exit_code == 7


def test_a_hanging_carrier_ends_the_run_in_the_same_time() -> None:
    line = Line(httpx.ReadTimeout("late"), outage_seconds=60)

    def hang(request: httpx.Request) -> httpx.Response:
        line.clock.now += request.extensions["timeout"]["read"]
        raise httpx.ReadTimeout("late")

    line.carrier.answers = itertools.repeat(hang)
    began = line.clock.now
    with pytest.raises(CarrierUnavailableError):
        outage(line, 600)

    assert line.clock.now - began <= 61


def test_a_good_answer_ends_the_suspicion() -> None:
    line = Line(*[httpx.Response(503)] * 6, OK, outage_seconds=60)
    line.trouble()
    line.ask()
    asked = len(line.carrier.requests)
    slept = sum(line.clock.slept)

    for _ in range(50):
        line.ask()

    assert len(line.carrier.requests) == asked + 50
    assert sum(line.clock.slept) == slept


def test_a_pause_without_calls_is_no_outage() -> None:
    line = Line(httpx.Response(503), outage_seconds=60)
    line.trouble()

    line.clock.now += 600

    assert line.trouble().category is Category.CARRIER_UNAVAILABLE


def test_a_worker_may_try_afresh_some_time_after_a_run_has_given_up() -> None:
    line = Line(httpx.Response(503), outage_seconds=60)
    with pytest.raises(CarrierUnavailableError):
        outage(line, 600)
    with pytest.raises(CarrierUnavailableError):
        line.ask()

    line.clock.now += 60
    line.carrier.answers = itertools.repeat(OK)

    assert line.ask().status_code == 200


# --- stop ---------------------------------------------------------------------------------------


def test_after_a_stop_nothing_is_sent() -> None:
    line = Line(OK)
    line.stop.request("sigterm")

    error = line.trouble()

    assert error.category is Category.CANCELLED
    assert error.temporary
    assert line.carrier.requests == []


def test_a_stop_during_a_call_lets_no_retry_begin() -> None:
    line = Line(OK)

    def stop_and_fail(request: httpx.Request) -> httpx.Response:
        line.stop.request("sigterm")
        return httpx.Response(503)

    line.carrier.answers = itertools.repeat(stop_and_fail)

    assert line.trouble().category is Category.CARRIER_UNAVAILABLE
    assert len(line.carrier.requests) == 1


# --- what is told -------------------------------------------------------------------------------


def test_each_exchange_is_counted_once_under_a_name_without_an_iccid() -> None:
    line = Line(httpx.Response(429), httpx.ConnectError("refused"), OK)
    metrics.switch(on=True)

    line.ask()
    counted = metrics.take().counters
    metrics.switch(on=False)

    where = {"carrier": "pond", "endpoint": "/{d}/devices/{iccid}"}
    assert {
        (name, *(value for _, value in labels)): number for (name, labels), number in counted.items()
    } == {
        ("pondctl_calls_total", *where.values(), "429"): 1,
        ("pondctl_calls_total", *where.values(), "none"): 1,
        ("pondctl_calls_total", *where.values(), "200"): 1,
        ("pondctl_call_retries_total", *where.values()): 2,
        ("pondctl_throttled_total", "pond"): 1,
    }


@pytest.mark.parametrize(
    "error",
    [
        lambda: httpx.LocalProtocolError("Illegal header value b'made-up-secret'"),
        lambda: httpx.RemoteProtocolError("illegal status line: b'made-up-secret'"),
        lambda: httpx.ConnectError("https://user:made-up-secret@carrier.test"),
        lambda: httpx.ProxyError("made-up-secret"),
    ],
)
def test_no_word_of_the_http_library_reaches_a_message(error: Callable[[], Exception]) -> None:
    line = Line(error())

    with pytest.raises(PondctlError) as caught:
        line.ask()

    shown = f"{caught.value} {caught.value.hint}"
    assert "made-up" not in shown
    assert caught.value.__suppress_context__


def test_a_header_that_cannot_be_sent_is_a_matter_of_configuration() -> None:
    line = Line(httpx.LocalProtocolError("Illegal header value"))

    with pytest.raises(ConfigurationError, match=r"carrier\.test"):
        line.ask()
