from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest
import structlog

from pondctl.clients.tokens import MemoryTokenStore
from pondctl.errors import (
    AuthenticationError,
    CarrierUnavailableError,
    ConfigurationError,
    DeviceError,
    PondctlError,
)
from pondctl.models import DeviceState, Stop
from tests.clients.doubles import (
    ICCID,
    Answer,
    FakeThingSpace,
    FreePace,
    VirtualClock,
    api_error,
    gateway_fault,
    thingspace,
)


@pytest.fixture
def fake() -> FakeThingSpace:
    return FakeThingSpace()


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


def test_every_read_carries_both_tokens(fake: FakeThingSpace) -> None:
    thingspace(fake).get_device(ICCID)

    headers = fake.reads[0].headers
    assert headers["authorization"] == f"Bearer {fake.bearer}"
    assert headers["vz-m2m-token"] == fake.session
    assert headers["accept"] == "application/json"


def test_the_bearer_is_asked_for_with_the_client_credentials_as_a_form(fake: FakeThingSpace) -> None:
    thingspace(fake).get_device(ICCID)

    request = fake.requests[0]
    assert request.url.path == "/api/ts/v1/oauth2/token"
    assert request.content == b"grant_type=client_credentials"
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert base64.b64decode(request.headers["authorization"][6:]) == b"made-up-id:made-up-secret"


@pytest.mark.parametrize(
    "password", ['with "quotes"', "back\\slash", "ünïcödé", "}{", "line\nbreak", "\u2028"]
)
def test_defect_38_a_quote_in_the_password_does_not_break_the_login(
    fake: FakeThingSpace, password: str
) -> None:
    thingspace(fake, password=password).get_device(ICCID)

    assert json.loads(fake.requests[1].content) == {"username": "made-up-user", "password": password}


def test_one_bearer_and_one_login_serve_any_number_of_devices_and_threads(fake: FakeThingSpace) -> None:
    client = thingspace(fake)

    with ThreadPoolExecutor(32) as pool:
        devices = list(pool.map(client.get_device, [ICCID] * 300))

    assert {device.state for device in devices} == {DeviceState.ACTIVE}
    assert (fake.token_requests, fake.logins) == (1, 1)


def test_two_processes_with_one_store_log_in_once(fake: FakeThingSpace) -> None:
    store, at_once = MemoryTokenStore(), threading.Barrier(16)
    clients = [thingspace(fake, tokens=store) for _ in range(16)]

    def ask(number: int) -> None:
        at_once.wait()
        clients[number].get_device(ICCID)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(ask, range(16)))

    assert (fake.token_requests, fake.logins) == (1, 1)


# --- expiry -------------------------------------------------------------------------------------


def test_defect_29_an_expired_bearer_does_not_fail_the_run_it_is_renewed_once(fake: FakeThingSpace) -> None:
    client = thingspace(fake)
    client.get_device(ICCID)
    fake.bearer = ""

    assert client.get_device(ICCID).state is DeviceState.ACTIVE
    assert (fake.token_requests, fake.logins, len(fake.reads)) == (2, 1, 3)


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(401),
        httpx.Response(401, text="<ams:fault><ams:code>900901</ams:code></ams:fault>"),
        httpx.Response(401, json={"error": "invalid_token", "error_description": "made-up"}),
    ],
    ids=["empty", "xml", "oauth"],
)
def test_an_expired_bearer_does_not_fail_the_run_in_whatever_words_the_gateway_says_so(
    fake: FakeThingSpace, answer: httpx.Response
) -> None:
    fake.scripted.append(answer)

    assert thingspace(fake).get_device(ICCID).state is DeviceState.ACTIVE
    assert (fake.token_requests, fake.logins, len(fake.reads)) == (2, 1, 2)


@pytest.mark.parametrize("status", [200, 400, 401])
@pytest.mark.parametrize(
    "code",
    ["REQUEST_FAILED.SessionToken.Expired", "INPUT_INVALID.SessionToken.Invalid", "X.SessionToken.New"],
)
def test_defect_29_an_expired_session_does_not_fail_the_run_whatever_its_status(
    fake: FakeThingSpace, status: int, code: str
) -> None:
    fake.scripted.append(api_error(code, status))

    assert thingspace(fake).get_device(ICCID).state is DeviceState.ACTIVE
    assert (fake.token_requests, fake.logins, len(fake.reads)) == (1, 2, 2)


def test_a_session_that_had_worked_and_ended_under_the_replay_is_renewed_again(fake: FakeThingSpace) -> None:
    client = thingspace(fake)

    def ends_after_another_call(request: httpx.Request) -> httpx.Response:
        client.get_device(ICCID)
        fake.session = "ended"
        return api_error("REQUEST_FAILED.SessionToken.Expired")

    fake.scripted += [api_error("REQUEST_FAILED.SessionToken.Expired"), ends_after_another_call]

    assert client.get_device(ICCID).state is DeviceState.ACTIVE
    assert fake.logins == 3


def test_both_tokens_may_expire_at_once(fake: FakeThingSpace) -> None:
    fake.scripted.extend([gateway_fault("900901"), api_error("REQUEST_FAILED.SessionToken.Expired")])

    assert thingspace(fake).get_device(ICCID).state is DeviceState.ACTIVE
    assert (fake.logins, len(fake.reads)) == (2, 3)


@pytest.mark.parametrize(
    "answer",
    [gateway_fault("900901"), api_error("REQUEST_FAILED.SessionToken.Expired")],
    ids=["bearer", "session"],
)
def test_a_token_that_is_refused_again_after_its_renewal_is_not_renewed_for_ever(
    fake: FakeThingSpace, answer: httpx.Response
) -> None:
    fake.always = answer

    with pytest.raises(AuthenticationError):
        thingspace(fake).get_device(ICCID)

    assert len(fake.reads) == 2
    assert fake.logins <= 2


def test_a_bearer_is_renewed_before_it_runs_out(fake: FakeThingSpace, clock: VirtualClock) -> None:
    client = thingspace(fake, clock=clock)
    client.get_device(ICCID)

    for _ in range(10):  # stays busy, so that the session never idles
        clock.now += 324
        client.get_device(ICCID)
        fake.bearer = ""

    assert fake.token_requests > 1
    assert fake.reads[0].headers["authorization"] != fake.reads[-1].headers["authorization"]


def test_a_bearer_that_is_issued_with_little_left_is_used_and_not_fetched_for_every_call(
    fake: FakeThingSpace, clock: VirtualClock
) -> None:
    fake.lifetime = 40
    client = thingspace(fake, clock=clock)

    for _ in range(50):
        client.get_device(ICCID)

    assert fake.token_requests == 1


@pytest.mark.parametrize("lifetime", [None, "soon", -5, 1e400, [], True, "3312"])
def test_an_odd_lifetime_is_no_crash(fake: FakeThingSpace, lifetime: object) -> None:
    fake.lifetime = lifetime if lifetime != 1e400 else "1e400"

    assert thingspace(fake).get_device(ICCID).iccid == ICCID


def test_a_session_idle_for_fifteen_minutes_is_not_used_again(
    fake: FakeThingSpace, clock: VirtualClock
) -> None:
    client = thingspace(fake, clock=clock)
    client.get_device(ICCID)
    clock.now += 14 * 60
    client.get_device(ICCID)
    assert fake.logins == 1

    clock.now += 15 * 60
    client.get_device(ICCID)

    assert fake.logins == 2


def test_a_session_that_another_process_kept_alive_is_used(fake: FakeThingSpace, clock: VirtualClock) -> None:
    store = MemoryTokenStore(clock)
    here, there = (thingspace(fake, tokens=store, clock=clock) for _ in range(2))
    here.get_device(ICCID)
    for _ in range(4):
        clock.now += 10 * 60
        there.get_device(ICCID)

    here.get_device(ICCID)

    assert fake.logins == 1


def test_a_session_that_another_process_replaced_is_taken_over_and_not_replaced_again(
    fake: FakeThingSpace,
) -> None:
    store = MemoryTokenStore()
    here, there = thingspace(fake, tokens=store), thingspace(fake, tokens=store)
    here.get_device(ICCID)
    there.get_device(ICCID)
    fake.session = "ended"
    there.get_device(ICCID)

    here.get_device(ICCID)

    assert fake.logins == 2


class CountingStore(MemoryTokenStore):
    touches = 0
    loads = 0

    def touch_session(self) -> None:
        self.touches += 1
        super().touch_session()

    def load(self):  # type: ignore[no-untyped-def]
        self.loads += 1
        return super().load()


def test_a_call_that_waited_for_somebody_elses_login_waits_for_a_turn_of_its_own(
    fake: FakeThingSpace, clock: VirtualClock
) -> None:
    class SlowTurn(MemoryTokenStore):
        """Another process logs in while this one waits for its turn to do so."""

        @contextmanager
        def login_turn(self) -> Iterator[None]:
            clock.now += 2.0
            self.save_bearer("made-up-bearer", 3000)
            self.save_session("made-up-session")
            yield

    pace = FreePace()
    client = thingspace(fake, tokens=SlowTurn(clock), clock=clock, pace=pace)
    fake.bearer, fake.session = "made-up-bearer", "made-up-session"

    client.get_device(ICCID)
    assert (fake.logins, pace.waits) == (0, 2)

    client.get_device(ICCID)
    assert pace.waits == 3


def test_the_store_is_not_asked_or_told_on_every_call(fake: FakeThingSpace, clock: VirtualClock) -> None:
    store = CountingStore(clock)
    client = thingspace(fake, tokens=store, clock=clock)

    for _ in range(1200):
        clock.now += 0.25
        client.get_device(ICCID)

    assert store.touches in (4, 5)
    assert store.loads <= 3


# --- refusals -----------------------------------------------------------------------------------

REFUSED = [
    api_error("INPUT_INVALID.Password.Invalid"),
    api_error("REQUEST_FAILED.LockedOut", 401),
    api_error("REQUEST_FAILED.LockedOut", 200),
    httpx.Response(401),
    httpx.Response(403, text="<am:fault><am:code>404</am:code></am:fault>"),
]


@pytest.mark.parametrize("answer", REFUSED, ids=lambda answer: f"{answer.status_code} {answer.text[:60]}")
def test_a_refused_login_is_not_repeated_and_is_counted(fake: FakeThingSpace, answer: httpx.Response) -> None:
    store = MemoryTokenStore()
    fake.scripted_logins.append(answer)
    client = thingspace(fake, tokens=store)

    for _ in range(5):
        with pytest.raises(AuthenticationError, match="refuses the login"):
            client.get_device(ICCID)

    assert (fake.logins, store.load().refused) == (1, 1)


def test_sixty_four_threads_do_not_lock_the_user(fake: FakeThingSpace) -> None:
    fake.scripted_logins.extend([api_error("INPUT_INVALID.Password.Invalid")] * 64)
    client = thingspace(fake)

    def ask(_: int) -> type[Exception] | None:
        try:
            client.get_device(ICCID)
        except AuthenticationError as error:
            return type(error)
        return None

    with ThreadPoolExecutor(64) as pool:
        assert set(pool.map(ask, range(64))) == {AuthenticationError}
    assert fake.logins == 1


def test_after_two_refusals_no_process_logs_in_by_itself_and_the_message_says_so(
    fake: FakeThingSpace,
) -> None:
    store = MemoryTokenStore()
    fake.scripted_logins.extend([api_error("INPUT_INVALID.Password.Invalid")] * 10)
    for _ in range(4):
        with pytest.raises(AuthenticationError) as caught:
            thingspace(fake, tokens=store).get_device(ICCID)

    assert fake.logins == 2
    assert "last 2 logins" in caught.value.message
    assert "Five refusals" in str(caught.value.hint)
    assert caught.value.exit_code == 4


def test_a_login_that_is_accepted_clears_the_count(fake: FakeThingSpace) -> None:
    store = MemoryTokenStore()
    store.count_refusal()

    thingspace(fake, tokens=store).get_device(ICCID)

    assert store.load().refused == 0


def test_a_bearer_fault_at_the_login_says_nothing_about_the_password(fake: FakeThingSpace) -> None:
    store = MemoryTokenStore()
    store.save_bearer("ended early", 3000)

    thingspace(fake, tokens=store).get_device(ICCID)

    assert (fake.token_requests, fake.logins, store.load().refused) == (1, 2, 0)


def test_a_bearer_that_the_login_refuses_twice_is_an_error_but_no_strike(fake: FakeThingSpace) -> None:
    store = MemoryTokenStore()
    fake.scripted_logins.extend([gateway_fault("900901")] * 9)

    with pytest.raises(AuthenticationError):
        thingspace(fake, tokens=store).get_device(ICCID)

    assert (fake.logins, store.load().refused) == (2, 0)


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(503),
        httpx.Response(429),
        httpx.ReadTimeout("late"),
        httpx.ConnectError("refused"),
        httpx.Response(200, text="<html>maintenance</html>"),
        httpx.Response(200, json={"sessionToken": "line\nbreak"}),
        httpx.Response(200, json=["odd"]),
    ],
    ids=str,
)
def test_trouble_at_the_login_is_no_refusal_and_is_tried_again(fake: FakeThingSpace, answer: Answer) -> None:
    store = MemoryTokenStore()
    fake.scripted_logins.append(answer)

    assert thingspace(fake, tokens=store).get_device(ICCID).state is DeviceState.ACTIVE
    assert (fake.token_requests, fake.logins, store.load().refused) == (1, 2, 0)


@pytest.mark.parametrize(
    "answer", [httpx.Response(503), httpx.ReadTimeout("late"), httpx.Response(200, json={"x": 1})], ids=str
)
def test_trouble_at_the_token_endpoint_is_tried_again(fake: FakeThingSpace, answer: Answer) -> None:
    fake.scripted_tokens.append(answer)

    assert thingspace(fake).get_device(ICCID).state is DeviceState.ACTIVE


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(401, json={"error": "invalid_client", "error_description": "made-up"}),
        httpx.Response(400, json={"error": "invalid_request"}),
        httpx.Response(400, text="Missing grant_type parameter value"),
        httpx.Response(200, json={"error": "invalid_client"}),
        gateway_fault("900902"),
    ],
    ids=lambda answer: answer.text[:60],
)
def test_refused_client_credentials_are_not_sent_again(fake: FakeThingSpace, answer: httpx.Response) -> None:
    store = MemoryTokenStore()
    fake.scripted_tokens.append(answer)
    client = thingspace(fake, tokens=store)

    for _ in range(3):
        with pytest.raises(AuthenticationError, match="client credentials"):
            client.get_device(ICCID)

    assert (fake.token_requests, fake.logins, store.load().refused) == (1, 0, 0)


@pytest.mark.parametrize("place", ["scripted_tokens", "scripted_logins"])
def test_a_wrong_base_url_is_a_matter_of_configuration(fake: FakeThingSpace, place: str) -> None:
    getattr(fake, place).append(httpx.Response(404, text="<am:fault/>"))

    with pytest.raises(ConfigurationError, match=r"thingspace\.base_url"):
        thingspace(fake).get_device(ICCID)


def test_a_login_that_hangs_is_not_tried_again_by_everyone_who_waited_for_it(fake: FakeThingSpace) -> None:
    entered, everyone_waits = threading.Event(), threading.Event()

    def hang(request: httpx.Request) -> httpx.Response:
        entered.set()
        everyone_waits.wait(5)
        raise httpx.ReadTimeout("late")

    fake.scripted_logins.extend([hang] * 100)
    client = thingspace(fake)

    def ask(_: int) -> type[PondctlError]:
        try:
            client.get_device(ICCID)
        except (DeviceError, CarrierUnavailableError) as error:
            return type(error)
        raise AssertionError

    with ThreadPoolExecutor(16) as pool:
        answers = [pool.submit(ask, number) for number in range(16)]
        entered.wait(5)
        everyone_waits.set()
        assert all(issubclass(answer.result(30), PondctlError) for answer in answers)
    # Sixteen calls of up to four attempts each; the retry budget lets few of them through.
    assert fake.logins <= 16 + 4


def test_a_stop_while_tokens_are_fetched_starts_nothing_more(fake: FakeThingSpace) -> None:
    stop = Stop()

    def stop_now(request: httpx.Request) -> httpx.Response:
        stop.request("sigterm")
        return httpx.Response(200, json={"access_token": "made-up", "expires_in": 3000})

    fake.scripted_tokens.append(stop_now)

    with pytest.raises(DeviceError):
        thingspace(fake, stop=stop).get_device(ICCID)
    assert fake.logins == 0


# --- secrets ------------------------------------------------------------------------------------

SECRETS = ("planted-client", "planted-user", "planted-password", "planted-bearer", "planted-session")
ECHOES = [
    httpx.Response(401, json={"error": "invalid_client", "error_description": "planted-client"}),
    api_error("INPUT_INVALID.SessionToken.Invalid", text="token planted-session is wrong"),
    gateway_fault("900901"),
    httpx.Response(500, text=" ".join(SECRETS)),
    httpx.Response(403, text=" ".join(SECRETS)),
]


@pytest.mark.parametrize("place", ["scripted_tokens", "scripted_logins", "scripted"])
@pytest.mark.parametrize("answer", ECHOES, ids=lambda answer: str(answer.status_code))
def test_no_secret_reaches_a_log_or_a_message(
    fake: FakeThingSpace, place: str, answer: httpx.Response
) -> None:
    fake.bearer = "planted-bearer"
    getattr(fake, place).extend([answer] * 20)
    client = thingspace(
        fake,
        base_url="https://planted-user:planted-password@thingspace.test/api",
        client_secret="planted-client",
        password="planted-password",
    )
    structlog.reset_defaults()
    with structlog.testing.capture_logs() as logs, pytest.raises(PondctlError) as caught:
        client.get_device(ICCID)

    shown = f"{logs} {caught.value} {caught.value.hint} {client!r}"
    assert not [secret for secret in SECRETS if secret in shown]
    assert logs
    assert ICCID not in str(logs)


def test_a_good_run_logs_no_secret_either(fake: FakeThingSpace) -> None:
    structlog.reset_defaults()
    with structlog.testing.capture_logs() as logs:
        thingspace(fake).get_device(ICCID)

    text = str(logs)
    assert [log["endpoint"] for log in logs][-1] == "/m2m/v1/devices/actions/list"
    assert not [word for word in ("made-up", fake.bearer, fake.session, ICCID) if word in text]
