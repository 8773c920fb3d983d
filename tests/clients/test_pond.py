"""The POND client at its edges: what is sent, what is never sent twice, what is never believed."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pondctl.clients.pond import PondClient
from pondctl.clients.pond_models import PackageStatus
from pondctl.errors import (
    AuthenticationError,
    Category,
    ConfigurationError,
    DeviceError,
    PermissionDeniedError,
    PondctlError,
    UsageError,
)
from pondctl.telemetry import metrics
from tests.clients.pond_world import (
    ICCID,
    KEY,
    NEW,
    ONE_ATTEMPT,
    SERVICES,
    Script,
    answer,
    error_object,
    listing,
    package,
    pond_client,
    refusal,
)

Operation = Callable[[PondClient], object]

WRITES: dict[str, Operation] = {
    "add": lambda pond: pond.add_package(ICCID, 1002),
    "status": lambda pond: pond.set_package_status(ICCID, NEW, PackageStatus.ACTIVE),
    "services": lambda pond: pond.set_services(ICCID, enabled=True),
}
READS: list[Operation] = [
    lambda pond: pond.get_services(ICCID),
    lambda pond: pond.list_packages(ICCID),
    lambda pond: pond.probe(ICCID),
]
EACH_WRITE = pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())


def test_the_path_of_the_base_url_is_kept_and_the_distributor_follows_it() -> None:
    script = Script(answer(listing()))
    with pond_client(script, base_url="https://gw.example.test/a/b/") as pond:
        pond.list_packages(ICCID)

    path = "https://gw.example.test/a/b/1234/devices/8910300000000000005/packages"
    assert str(script.requests[0].url) == f"{path}?offset=0&count=100"


def test_every_call_carries_the_key_and_an_id_of_its_own() -> None:
    script = Script(answer(SERVICES), answer(SERVICES))
    with pond_client(script, api_key_header="ApiKey", username="me", password="geheim") as pond:
        pond.get_services(ICCID)
        pond.get_services(ICCID)

    first, second = (request.headers for request in script.requests)
    assert first["ApiKey"] == KEY
    assert first["Accept"] == "application/json"
    assert base64.b64decode(first["Authorization"].removeprefix("Basic ")) == b"me:geheim"
    assert first["RequestId"] != second["RequestId"]


def test_no_basic_authorisation_is_sent_unless_there_is_a_user() -> None:
    script = Script(answer(SERVICES))
    with pond_client(script) as pond:
        pond.get_services(ICCID)

    assert "authorization" not in script.requests[0].headers


@pytest.mark.parametrize("package_id", ["7", "a/b", "a?b#c", "%2e%2e", "ä ö", "x" * 100])
def test_a_package_id_of_any_form_stays_in_its_segment(package_id: str) -> None:
    script = Script(answer(None, 204))
    with pond_client(script) as pond:
        pond.set_package_status(ICCID, package_id, PackageStatus.ACTIVE)

    segments = script.requests[0].url.raw_path.decode().split("/")
    assert segments[-1] == "status"
    assert len(segments) == 11


@pytest.mark.parametrize("package_id", ["", ".", "..", "a\nb", "x" * 101, " a"])
def test_what_cannot_be_a_package_id_is_never_put_into_a_path(package_id: str) -> None:
    script = Script()
    with pond_client(script) as pond, pytest.raises(UsageError):
        pond.set_package_status(ICCID, package_id, PackageStatus.ACTIVE)
    assert script.requests == []


@EACH_WRITE
def test_switched_off_writing_makes_no_call(write: Operation) -> None:
    script = Script()
    with pond_client(script, write_enabled=False) as pond, pytest.raises(PermissionDeniedError, match="off"):
        write(pond)
    assert script.requests == []


@EACH_WRITE
@pytest.mark.parametrize(
    "trouble",
    [httpx.ReadTimeout("slow"), httpx.ReadError("cut"), httpx.RemoteProtocolError("cut"), answer(None, 500)],
    ids=["timeout", "cut", "half an answer", "500"],
)
def test_a_lost_answer_never_sends_the_write_a_second_time(
    write: Operation, trouble: httpx.Response | Exception
) -> None:
    # Defect 17 of the system before: adding was sent again after whatever failure.
    script = Script(trouble)
    with pond_client(script) as pond, pytest.raises(DeviceError) as caught:
        write(pond)

    assert len(script.requests) == 1
    assert (caught.value.answer_lost, caught.value.temporary) == (True, True)


@pytest.mark.parametrize("status", [400, 403, 404, 409, 422])
def test_a_refused_add_package_is_never_sent_a_second_time(status: int) -> None:
    # Defect 17 of the system before: a 4xx was repeated like a timeout.
    script = Script(refusal(status, "no"), answer(SERVICES))
    with pond_client(script) as pond, pytest.raises(DeviceError) as caught:
        pond.add_package(ICCID, 1002)

    assert len(script.writes) == 1
    assert caught.value.answer_lost is False


@EACH_WRITE
def test_a_write_that_found_no_connection_was_not_done(write: Operation) -> None:
    script = Script(*[httpx.ConnectError("refused")] * 10)
    with pond_client(script, call_seconds=ONE_ATTEMPT) as pond, pytest.raises(DeviceError) as caught:
        write(pond)

    assert (caught.value.answer_lost, caught.value.category) == (False, Category.NETWORK)


@pytest.mark.parametrize("inside", [False, True], ids=["under 429", "inside 200"])
def test_a_throttled_write_is_not_an_answer_lost(inside: bool) -> None:
    body = error_object(429, "slow down")
    script = Script(*[answer(body, 200 if inside else 429, retry_after="0") for _ in range(10)])
    with pond_client(script) as pond, pytest.raises(DeviceError) as caught:
        pond.add_package(ICCID, 1002)

    assert (caught.value.answer_lost, caught.value.category) == (False, Category.RATE_LIMITED)


def test_a_server_error_inside_200_is_an_answer_lost() -> None:
    script = Script(answer(error_object(500, "internal")))
    with pond_client(script) as pond, pytest.raises(DeviceError, match="internal") as caught:
        pond.add_package(ICCID, 1002)

    assert (caught.value.answer_lost, len(script.requests)) == (True, 1)


@pytest.mark.parametrize(
    "body",
    [
        [],
        {"packageId": ""},
        {"packageId": ".."},
        package(simIccid="8910300000000000013"),
        package(packageTypeId=9),
        {"status": "NOT_ACTIVE"},
    ],
)
def test_an_answer_that_proves_no_package_is_an_answer_lost(body: Any) -> None:
    with pond_client(Script(answer(body))) as pond, pytest.raises(DeviceError) as caught:
        pond.add_package(ICCID, 1002)

    assert caught.value.answer_lost is True


def test_a_status_answer_that_shows_another_status_is_an_answer_lost() -> None:
    script = Script(answer(package(status="NOT_ACTIVE")))
    with pond_client(script) as pond, pytest.raises(DeviceError) as caught:
        pond.set_package_status(ICCID, NEW, PackageStatus.ACTIVE)

    assert caught.value.answer_lost is True


@pytest.mark.parametrize("write", [WRITES["status"], WRITES["services"]])
@pytest.mark.parametrize("body", [b'["unexpected"]', b'"OK"', b"7", b"OK", b"<html></html>", b'{"a": '])
def test_a_change_answered_by_something_odd_is_an_answer_lost(write: Operation, body: bytes) -> None:
    with pond_client(Script(httpx.Response(200, content=body))) as pond, pytest.raises(DeviceError) as caught:
        write(pond)

    assert caught.value.answer_lost is True


def test_a_status_answer_may_show_the_package() -> None:
    script = Script(answer(package(status="ACTIVE")))
    with pond_client(script) as pond:
        pond.set_package_status(ICCID, NEW, PackageStatus.ACTIVE)

    assert len(script.requests) == 1


def test_a_refused_switch_that_stands_already_is_no_failure() -> None:
    script = Script(refusal(409, "no change"), answer(SERVICES))
    with pond_client(script) as pond:
        pond.set_services(ICCID, enabled=True)

    assert [request.method for request in script.requests] == ["PUT", "GET"]


@pytest.mark.parametrize(
    ("message", "state", "category"),
    [
        ("Package type 5 is not active", "In-Service", Category.CARRIER_REJECTED),
        ("The package template is expired", "In-Service", Category.CARRIER_REJECTED),
        ("A package cannot go from ACTIVE to NOT_ACTIVE", "In-Service", Category.INVALID_STATE),
        ("The SIM is suspended", "In-Service", Category.INVALID_STATE),
        ("Bad Request", "Terminated", Category.INVALID_STATE),
        ("No permission for this package type", "In-Service", Category.CARRIER_REJECTED),
    ],
)
def test_a_refusal_is_told_by_its_words_and_by_the_device(
    message: str, state: str, category: Category
) -> None:
    script = Script(refusal(403, message), answer(SERVICES | {"statusOfSim": state}))
    with pond_client(script) as pond, pytest.raises(DeviceError, match=message) as caught:
        pond.add_package(ICCID, 1002)

    assert caught.value.category is category


@pytest.mark.parametrize(
    "look",
    [
        answer(None, 401),
        httpx.RemoteProtocolError("cut"),
        answer("nonsense"),
        refusal(403, "No permission for this distributor"),
    ],
)
def test_a_refused_write_stays_refused_when_the_device_cannot_be_looked_at(
    look: httpx.Response | Exception,
) -> None:
    script = Script(refusal(400, "no such thing"), look)
    with (
        pond_client(script, call_seconds=ONE_ATTEMPT) as pond,
        pytest.raises(DeviceError, match="no such thing") as caught,
    ):
        pond.add_package(ICCID, 1002)

    assert (caught.value.category, caught.value.answer_lost) == (Category.CARRIER_REJECTED, False)


@pytest.mark.parametrize(
    ("again", "kind"),
    [(answer(SERVICES), DeviceError), (refusal(403, "Access denied"), PermissionDeniedError)],
    ids=["served", "not served any more"],
)
def test_a_denied_read_is_about_its_sim_as_long_as_another_sim_is_served(
    again: httpx.Response, kind: type[PondctlError]
) -> None:
    script = Script(answer(SERVICES), refusal(403, "Access denied"), again)
    with pond_client(script) as pond:
        pond.get_services(ICCID)
        with pytest.raises(kind, match="Access denied") as caught:
            pond.list_packages("8910300000000000013")

    assert getattr(caught.value, "category", Category.NOT_FOUND) is Category.NOT_FOUND
    assert script.requests[2].url == script.requests[0].url


def test_a_listing_goes_on_after_its_first_page_and_ends_after_its_last() -> None:
    # Defect 39 of the system before: it never got past page 0 of many.
    packages = [package(f"p{n}") for n in range(250)]
    asked: list[int] = []

    def serve(request: httpx.Request) -> httpx.Response:
        offset, count = int(request.url.params["offset"]), int(request.url.params["count"])
        asked.append(offset)
        return answer(listing(*packages[offset : offset + count], total=250, offset=offset, count=count))

    with pond_client(serve) as pond:
        found = pond.list_packages(ICCID)

    assert [package.package_id for package in found] == [f"p{n}" for n in range(250)]
    assert sorted(asked) == [0, 100, 200]


def test_several_pages_are_asked_at_once() -> None:
    together = threading.Barrier(3, timeout=5)

    def serve(request: httpx.Request) -> httpx.Response:
        offset = int(request.url.params["offset"])
        if offset:
            together.wait()
        return answer(listing(package(f"p{offset}"), total=4, offset=offset))

    with pond_client(serve) as pond:
        assert len(pond.list_packages(ICCID)) == 4


@pytest.mark.parametrize(
    "pages",
    [
        [listing(package("a"), total=2), listing(package("b"), total=3, offset=1)],
        [listing(package("a"), total=2), listing(package("a"), total=2, offset=1)],
        [listing(package("a"), total=2), listing(total=2, offset=1)],
        [listing(package("a"), total=2), listing(package("b"), total=2, offset=0)],
        [listing(package("a"), total=2), listing(package("b"), package("c"), total=2, offset=1)],
        [listing(package("a"), package("a"))],
        [listing(package("a"), package("b"), total=1)],
        [listing(total=1)],
        [listing(package("a"), offset=7)],
        [listing(package("a"), total=1_000_000)],
    ],
    ids=[
        "total changes",
        "page repeats",
        "page is empty",
        "page of another place",
        "page is too long",
        "package twice",
        "more than the total",
        "fewer than the total",
        "first page of another place",
        "too many to be true",
    ],
)
def test_a_listing_that_does_not_add_up_is_no_listing(pages: list[Any]) -> None:
    script = Script(*[answer(page) for page in pages])
    with pond_client(script) as pond, pytest.raises(DeviceError) as caught:
        pond.list_packages(ICCID)

    assert (caught.value.category, caught.value.temporary) == (Category.CARRIER_UNAVAILABLE, True)
    assert caught.value.answer_lost is False


def test_a_carrier_that_refuses_large_pages_is_asked_for_small_ones() -> None:
    script = Script(refusal(400, "count must not exceed 50"), answer(listing(package())))
    with pond_client(script) as pond:
        assert len(pond.list_packages(ICCID)) == 1

    assert [request.url.params["count"] for request in script.requests] == ["100", "10"]


def test_a_carrier_that_refuses_every_page_ends_the_listing() -> None:
    script = Script(refusal(400, "count is not allowed"), refusal(400, "count is not allowed"))
    with pond_client(script) as pond, pytest.raises(DeviceError):
        pond.list_packages(ICCID)


@pytest.mark.parametrize("body", [None, [], {"elements": []}, listing(total=-1), listing(package(""))])
def test_an_unreadable_page_is_asked_for_again_and_never_taken_for_an_empty_one(body: Any) -> None:
    script = Script(answer(body), answer(listing(package())))
    with pond_client(script) as pond:
        assert len(pond.list_packages(ICCID)) == 1


def test_an_unknown_status_cannot_be_asked_for_but_picked_out() -> None:
    script = Script(answer(listing(package("a", "SUSPENDED"), package("b", "ACTIVE"))))
    with pond_client(script) as pond:
        found = pond.list_packages(ICCID, [PackageStatus.UNKNOWN])

    assert [package.carrier_status for package in found] == ["SUSPENDED"]
    assert "packageStatuses" not in script.requests[0].url.params


@pytest.mark.parametrize("status", [400, 403, 404])
def test_a_probe_of_an_unknown_sim_proves_the_key(status: int) -> None:
    script = Script(refusal(status, "The SIM does not exist"))
    with pond_client(script) as pond:
        pond.probe(ICCID)

    assert len(script.requests) == 1


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (refusal(401, "who are you"), AuthenticationError),
        (refusal(403, "No permission for this distributor"), PermissionDeniedError),
        (refusal(403, "Forbidden"), PermissionDeniedError),
        (answer(None, 404), ConfigurationError),
        (refusal(404, "No resource for GET /1234/devices"), ConfigurationError),
        (refusal(405, "Method not allowed"), ConfigurationError),
    ],
)
def test_a_probe_fails_where_the_key_or_the_address_is_wrong(
    reply: httpx.Response, kind: type[PondctlError]
) -> None:
    with pond_client(Script(reply)) as pond, pytest.raises(kind):
        pond.probe(ICCID)


@pytest.mark.parametrize("status", [200, 401, 403, 400, 500, 418])
def test_no_secret_that_a_carrier_repeats_is_shown(status: int) -> None:
    basic = base64.b64encode(b"me:geheim").decode()
    text = f"key {KEY} password geheim basic {basic} \x1b[31m"
    script = Script(*[answer(error_object(max(status, 400), text), status) for _ in range(9)])
    with (
        pond_client(script, username="me", password="geheim", call_seconds=ONE_ATTEMPT) as pond,
        pytest.raises(PondctlError) as caught,
    ):
        pond.get_services(ICCID)

    shown = f"{caught.value.message} {caught.value.hint}"
    assert "***" in shown
    assert not any(secret in shown for secret in (KEY, "geheim", basic, "\x1b"))


@pytest.mark.parametrize("settings", [{"api_key": "ke\ny"}, {"api_key": "schlüssel"}, {"api_key": ""}])
def test_a_key_that_no_header_can_carry_is_configuration_and_is_not_shown(settings: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError) as caught, pond_client(Script(), **settings):
        pass
    assert "schlüssel" not in str(caught.value)


def test_a_header_name_that_is_none_is_configuration() -> None:
    with pytest.raises(ConfigurationError), pond_client(Script(), api_key_header="x api key"):
        pass


def test_a_base_url_that_is_none_is_configuration() -> None:
    with pytest.raises(ConfigurationError), pond_client(Script(), base_url="http://a:b"):
        pass


def test_calls_are_counted_by_template_and_never_by_iccid() -> None:
    metrics.switch(on=True)
    with pond_client(Script(answer(SERVICES))) as pond:
        pond.get_services(ICCID)
    counted = metrics.take().counters
    metrics.switch(on=False)

    labels = (("carrier", "pond"), ("endpoint", "/devices/{iccid}"), ("status", "200"))
    assert counted == {("pondctl_calls_total", labels): 1}


documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from([*package(), *listing(), *SERVICES, "message", "dateCreated"]), inner, max_size=6
        )
    ),
    max_leaves=20,
)
bodies = st.binary(max_size=80) | documents.map(lambda value: json.dumps(value).encode())


@settings(deadline=None)
@given(body=bodies, status=st.sampled_from([200, 204, 301, 400, 401, 403, 404, 409, 429, 500]))
def test_whatever_is_answered_only_our_own_errors_come_out(body: bytes, status: int) -> None:
    def serve(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, content=body, headers={"retry-after": "999"})

    told: list[str] = []
    for operation in [*WRITES.values(), *READS]:
        with pond_client(serve, call_seconds=ONE_ATTEMPT) as pond:
            try:
                operation(pond)
            except PondctlError as error:
                told.append(error.message)

    assert all(told)
