from __future__ import annotations

import itertools
import json
from collections.abc import Callable

import httpx
import pytest

from pondctl.errors import ListingError, PermissionDeniedError
from pondctl.models import Stop
from tests.clients.doubles import ACCOUNT, ICCID, FakeThingSpace, api_error, listing, record, thingspace


def iccid(number: int) -> str:
    return f"891480{number:014d}"


class Account:
    """Answers list calls with pages of two devices, as the cursor asks."""

    def __init__(self, size: int) -> None:
        self.records = [record(iccid(number), cursor=10 * number) for number in range(1, size + 1)]
        self.bodies: list[dict[str, object]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        self.bodies.append(body)
        start = body["largestDeviceIdSeen"] // 10
        return listing(*self.records[start : start + 2], more=start + 2 < len(self.records))


def scan(answer: Callable[[httpx.Request], httpx.Response], **more: object) -> list[list[str]]:
    fake = FakeThingSpace()
    fake.always = answer
    return [[device.iccid for device in page.devices] for page in thingspace(fake, **more).iter_pages()]


def scripted(*answers: httpx.Response) -> Callable[[httpx.Request], httpx.Response]:
    turns = itertools.chain(answers, itertools.repeat(answers[-1]))
    return lambda request: next(turns)


def test_the_whole_account_is_read_with_the_last_device_of_a_page_as_cursor() -> None:
    account = Account(5)

    assert scan(account) == [[iccid(1), iccid(2)], [iccid(3), iccid(4)], [iccid(5)]]
    assert account.bodies == [
        {"accountName": ACCOUNT, "largestDeviceIdSeen": cursor, "maxNumberOfDevices": 2000}
        for cursor in (0, 20, 40)
    ]


def test_only_the_last_page_says_that_it_is_the_last() -> None:
    fake = FakeThingSpace()
    fake.always = Account(4)

    assert [page.last for page in thingspace(fake).iter_pages()] == [False, True]


def test_an_empty_account_is_one_empty_page() -> None:
    assert scan(scripted(listing())) == [[]]


def test_without_an_account_name_the_user_s_devices_are_read_and_no_account_is_foreign() -> None:
    account = Account(2)

    assert len(scan(account, account_name="")[0]) == 2
    assert "accountName" not in account.bodies[0]


def test_records_without_an_iccid_are_counted_and_left_out() -> None:
    fake = FakeThingSpace()
    fake.always = listing({"deviceIds": [{"kind": "meid", "id": "A1"}]}, record(cursor=9))

    (page,) = thingspace(fake).iter_pages()

    assert ([device.iccid for device in page.devices], page.unreadable) == ([ICCID], 1)


@pytest.mark.parametrize(
    ("pages", "words"),
    [
        ([listing(record(), more=True)], "not after which one"),
        ([listing(more=True)], "not after which one"),
        ([listing(record(cursor=7), more=True)], "same page"),
        (
            [listing(record(cursor=7), more=True), listing(record(iccid(1), cursor=7), more=True)],
            "not advance",
        ),
        ([listing(record(cursor=7), more=True), listing(record(iccid(1), cursor=6))], "not advance"),
        ([listing(record(cursor=7), more=True), listing(record(cursor=9))], "same page"),
        ([listing(record(cursor=7, account_name="0000000001-00001"))], "0000000001-00001"),
        ([httpx.Response(503)], "broke off: ThingSpace answered HTTP 503"),
        ([httpx.Response(200, text="<html>")], "broke off: .*no JSON"),
        ([api_error("INPUT_INVALID.Request.InvalidCharacter")], "broke off: .*InvalidCharacter"),
    ],
)
def test_a_listing_that_contradicts_itself_ends(pages: list[httpx.Response], words: str) -> None:
    with pytest.raises(ListingError, match=words) as caught:
        scan(scripted(*pages))

    assert caught.value.exit_code == 7


def test_a_page_that_failed_once_is_asked_again_and_nothing_is_missed() -> None:
    account = Account(3)
    failing = itertools.cycle([True, False])

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(504) if next(failing) else account(request)

    assert scan(answer) == [[iccid(1), iccid(2)], [iccid(3)]]


@pytest.mark.parametrize(
    ("more", "status", "complete"),
    [(None, 202, False), (None, 200, True), (False, 202, True), (True, 200, False)],
)
def test_what_the_body_says_about_more_counts_before_the_status(
    more: bool | None, status: int, complete: bool
) -> None:
    body: dict[str, object] = {"devices": [record(cursor=7)]}
    if more is not None:
        body["hasMoreData"] = more
    fake = FakeThingSpace()
    fake.always = scripted(httpx.Response(status, json=body), listing())

    assert next(thingspace(fake).iter_pages()).last is complete


def test_a_page_may_take_longer_than_a_device() -> None:
    fake = FakeThingSpace()
    fake.always = Account(1)
    client = thingspace(fake, call_seconds=15.0)

    list(client.iter_pages())

    assert fake.reads[0].extensions["timeout"]["read"] == pytest.approx(24)


def test_a_refused_account_ends_the_run() -> None:
    with pytest.raises(PermissionDeniedError, match=ACCOUNT):
        scan(scripted(api_error("REQUEST_FAILED.AccountNotFound")))


def test_a_stop_ends_the_listing_without_a_complaint_and_without_a_last_page() -> None:
    stop, fake = Stop(), FakeThingSpace()

    def stop_now(request: httpx.Request) -> httpx.Response:
        stop.request("sigint")
        return listing(record(cursor=7), more=True)

    fake.always = stop_now

    assert [page.last for page in thingspace(fake, stop=stop).iter_pages()] == [False]
