from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from vcr.cassette import Cassette

from pondctl.clients._repeat import RepeatableError
from pondctl.clients._thingspace_bodies import Complaint, Shape
from pondctl.clients.thingspace import ThingSpaceClient, connect
from pondctl.clients.tokens import MemoryTokenStore
from pondctl.errors import (
    AuthenticationError,
    Category,
    ConfigurationError,
    DeviceError,
    PermissionDeniedError,
    PondctlError,
)
from pondctl.models import DeviceState, Stop
from tests.clients.doubles import (
    ACCOUNT,
    ICCID,
    Answer,
    FakeThingSpace,
    FreePace,
    VirtualClock,
    api_error,
    gateway_fault,
    listing,
    record,
    thingspace,
)

CASSETTES = Path(__file__).parents[2] / "cassettes" / "thingspace"


@pytest.fixture(scope="module")
def vcr_cassette_dir() -> str:
    return str(CASSETTES)


@pytest.fixture
def default_cassette_name(request: pytest.FixtureRequest) -> str:
    name: str = request.node.callspec.params["cassette"]
    return name


@pytest.fixture(scope="module")
def vcr_config() -> dict[str, object]:
    return {
        "record_mode": "none",
        "filter_headers": [("authorization", "FILTERED"), ("vz-m2m-token", "FILTERED")],
        "match_on": ["method", "scheme", "host", "port", "path", "query", "body"],
    }


def replayed(lookup: str = "list") -> ThingSpaceClient:
    """The real client over httpx's own transport, which is the one that can be recorded; time is virtual."""
    clock = VirtualClock()
    return connect(
        base_url="https://thingspace.verizon.com/api",
        account_name=ACCOUNT,
        client_id="made-up-id",
        client_secret="made-up-secret",
        username="made-up-user",
        password="made-up-password",
        tokens=MemoryTokenStore(clock),
        pace=FreePace(),
        stop=Stop(),
        lookup=lookup,  # type: ignore[arg-type]
        transport=httpx.HTTPTransport(),
        clock=clock,
        sleep=clock.sleep,
    )


@pytest.mark.vcr
@pytest.mark.parametrize(
    ("cassette", "lookup", "state", "msisdn"),
    [
        ("device_active", "list", DeviceState.ACTIVE, "12015550123"),
        ("device_active_mdn_only", "list", DeviceState.ACTIVE, "12015550123"),
        ("device_deactive", "list", DeviceState.DEACTIVE, None),
        ("device_pending_activation", "list", DeviceState.PENDING_ACTIVATION, None),
        ("device_suspend", "list", DeviceState.SUSPENDED, "12015550123"),
        ("session_expired", "list", DeviceState.ACTIVE, "12015550123"),
        ("bearer_expired", "list", DeviceState.ACTIVE, "12015550123"),
        ("throttled_once", "list", DeviceState.ACTIVE, "12015550123"),
        ("unavailable_once", "list", DeviceState.ACTIVE, "12015550123"),
        ("unexpected_error_once", "list", DeviceState.ACTIVE, "12015550123"),
        ("get_device_flat", "get", DeviceState.ACTIVE, "12015550123"),
        ("get_device_record", "get", DeviceState.ACTIVE, "12015550123"),
    ],
)
def test_a_device_is_read(
    cassette: str, lookup: str, state: DeviceState, msisdn: str | None, vcr: Cassette
) -> None:
    device = replayed(lookup).get_device(ICCID)

    assert (device.iccid, device.state, device.msisdn) == (ICCID, state, msisdn)
    assert vcr.all_played


@pytest.mark.vcr
@pytest.mark.parametrize(
    ("cassette", "lookup", "category", "temporary"),
    [
        ("device_unknown_empty_list", "list", Category.NOT_FOUND, False),
        ("device_unknown_error_code", "list", Category.NOT_FOUND, False),
        ("device_of_another_account", "list", Category.NOT_FOUND, False),
        ("identifier_invalid", "list", Category.INVALID_ICCID, False),
        ("proxy_page_instead_of_json", "list", Category.CARRIER_UNAVAILABLE, True),
        ("get_device_unknown", "get", Category.NOT_FOUND, False),
    ],
)
def test_what_concerns_one_device_is_a_device_error(
    cassette: str, lookup: str, category: Category, temporary: bool, vcr: Cassette
) -> None:
    with pytest.raises(DeviceError) as caught:
        replayed(lookup).get_device(ICCID)

    assert (caught.value.category, caught.value.temporary) == (category, temporary)
    assert vcr.all_played


@pytest.mark.vcr
@pytest.mark.parametrize(
    ("cassette", "lookup", "error", "words"),
    [
        ("gateway_wrong_path", "list", ConfigurationError, "base_url"),
        ("gateway_404_xml", "list", ConfigurationError, "base_url"),
        ("get_wrong_path", "get", ConfigurationError, "base_url"),
        ("gateway_403_xml", "list", AuthenticationError, "HTTP 403"),
        ("token_invalid_client", "list", AuthenticationError, "invalid_client"),
        ("login_refused", "list", AuthenticationError, r"Password\.Invalid"),
    ],
)
def test_what_concerns_the_run_ends_it(
    cassette: str, lookup: str, error: type[PondctlError], words: str, vcr: Cassette
) -> None:
    with pytest.raises(error, match=words):
        replayed(lookup).get_device(ICCID)

    assert vcr.all_played


@pytest.mark.vcr
@pytest.mark.parametrize("cassette", ["account_two_pages"])
def test_an_account_is_read_page_by_page(cassette: str, vcr: Cassette) -> None:
    pages = list(replayed().iter_pages())

    assert [[device.iccid[-4:] for device in page.devices] for page in pages] == [["7001", "7002"], ["7003"]]
    assert [page.last for page in pages] == [False, True]
    assert vcr.all_played


@pytest.mark.vcr
@pytest.mark.parametrize("cassette", ["account_not_found"])
def test_an_account_that_is_not_this_users_ends_the_run(cassette: str, vcr: Cassette) -> None:
    with pytest.raises(PermissionDeniedError, match=f"account_name '{ACCOUNT}'") as caught:
        list(replayed().iter_pages())

    assert caught.value.exit_code == 4


def test_every_cassette_says_where_it_comes_from_and_holds_no_token() -> None:
    for path in CASSETTES.glob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        assert text.startswith("# Not recorded: built from the documented examples"), path.name
        assert "Bearer made" not in text
        assert "Basic " not in text


# --- meanings -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "category", "temporary", "asked"),
    [
        ("REQUEST_FAILED.DeviceNotFound", Category.NOT_FOUND, False, 1),
        ("INPUT_INVALID.Device.Account.Invalid", Category.NOT_FOUND, False, 1),
        ("INPUT_INVALID.Device.Identifier.Invalid", Category.INVALID_ICCID, False, 1),
        ("INPUT_INVALID.Device.Kind.Invalid", Category.CARRIER_REJECTED, False, 1),
        ("INPUT_INVALID.Request.InvalidCharacter", Category.CARRIER_REJECTED, False, 1),
        ("INPUT_INVALID.RequestUndefined", Category.CARRIER_REJECTED, False, 1),
        ("INPUT_INVALID.DeviceState.Invalid", Category.INVALID_STATE, False, 1),
        ("REQUEST_FAILED.DeviceAlreadyActive", Category.INVALID_STATE, False, 1),
        ("REQUEST_FAILED.MadeUpPlan.NotFound", Category.CARRIER_REJECTED, False, 1),
        ("REQUEST_FAILED.DefaultIpPoolNotDefined", Category.CARRIER_REJECTED, False, 1),
        ("REQUEST_FAILED.DeviceGroupNotFound", Category.CARRIER_REJECTED, False, 1),
        ("INPUT_INVALID.MaxRequestsExceeded", Category.CARRIER_REJECTED, False, 1),
        ("INPUT_INVALID.NewlyInvented", Category.CARRIER_REJECTED, False, 1),
        ("REQUEST_FAILED.NewlyInvented", Category.CARRIER_REJECTED, False, 2),
        ("REQUEST_FAILED.UnexpectedError", Category.CARRIER_REJECTED, False, 3),
        ("REQUEST_ONHOLD.CreditCheck", Category.CARRIER_REJECTED, True, 1),
        ("REQUEST_CANCELLED.CreditCheck", Category.CARRIER_REJECTED, False, 1),
        ("DeserializationFailed", Category.CARRIER_REJECTED, False, 1),
        ("", Category.CARRIER_REJECTED, False, 1),
    ],
)
@pytest.mark.parametrize("status", [200, 400])
def test_an_error_code_means_what_the_table_says_under_any_status(
    code: str, category: Category, temporary: bool, asked: int, status: int
) -> None:
    fake = FakeThingSpace()
    fake.always = api_error(code, status)

    with pytest.raises(DeviceError) as caught:
        thingspace(fake).get_device(ICCID)

    assert (caught.value.category, caught.value.temporary) == (category, temporary)
    assert len(fake.reads) == asked
    assert code in caught.value.message
    assert "made-up text" in caught.value.message


@pytest.mark.parametrize("service", ["UnifiedWebService.", "DeviceService.", "Some.Other.Service.", ""])
def test_the_name_of_the_service_does_not_matter(service: str) -> None:
    fake = FakeThingSpace()
    code = f"{service}REQUEST_FAILED.DeviceNotFound"
    fake.always = httpx.Response(400, json={"errorCode": code, "errorMessage": None})

    with pytest.raises(DeviceError) as caught:
        thingspace(fake).get_device(ICCID)

    assert caught.value.category is Category.NOT_FOUND


@pytest.mark.parametrize(
    "code",
    [
        "REQUEST_FAILED.AccountName",
        "REQUEST_FAILED.AccountNotFound",
        "REQUEST_FAILED.NoAccounts",
        "REQUEST_FAILED.MultipleAccounts",
        "INPUT_INVALID.Account.NotDefined",
    ],
)
def test_a_refused_account_concerns_the_run_and_is_named(code: str) -> None:
    fake = FakeThingSpace()
    fake.always = api_error(code)

    with pytest.raises(PermissionDeniedError, match=ACCOUNT):
        thingspace(fake).get_device(ICCID)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx.Response(403, json={"error": "made_up"}), AuthenticationError),
        (gateway_fault("900902"), AuthenticationError),
        (gateway_fault("900908", 403), AuthenticationError),
        (gateway_fault("404", 404), ConfigurationError),
        (httpx.Response(404), ConfigurationError),
        (httpx.Response(404, json={"message": "no route"}), ConfigurationError),
    ],
)
def test_an_answer_about_credentials_or_address_ends_the_run(
    answer: httpx.Response, error: type[PondctlError]
) -> None:
    fake = FakeThingSpace()
    fake.always = answer

    with pytest.raises(error):
        thingspace(fake).get_device(ICCID)

    assert len(fake.reads) == 1


@pytest.mark.parametrize("answer", [httpx.Response(401), httpx.Response(401, json={"made": "up"})])
def test_a_401_that_a_new_bearer_does_not_mend_ends_the_run(answer: httpx.Response) -> None:
    fake = FakeThingSpace()
    fake.always = answer

    with pytest.raises(AuthenticationError):
        thingspace(fake).get_device(ICCID)

    assert (fake.token_requests, fake.logins, len(fake.reads)) == (2, 1, 2)


@pytest.mark.parametrize(
    ("answer", "category", "temporary"),
    [
        (gateway_fault("900800", 429), Category.RATE_LIMITED, True),
        (gateway_fault("900802", 400), Category.RATE_LIMITED, True),
        (gateway_fault("303001", 400), Category.CARRIER_UNAVAILABLE, True),
        (gateway_fault("303001", 200), Category.CARRIER_UNAVAILABLE, True),
        (httpx.Response(200, json={"error": "made_up"}), Category.CARRIER_UNAVAILABLE, True),
        (httpx.Response(400, json={"error": "made_up"}), Category.CARRIER_REJECTED, False),
        (httpx.Response(400, json={"made": "up"}), Category.CARRIER_REJECTED, False),
        (httpx.Response(400, text="<html>"), Category.CARRIER_UNAVAILABLE, True),
        (httpx.Response(204), Category.CARRIER_UNAVAILABLE, True),
        (httpx.Response(302, headers={"Location": "/maintenance"}), Category.CARRIER_REJECTED, True),
        (listing(record("89148000009999999999")), Category.CARRIER_UNAVAILABLE, True),
        (listing(record(), record(state="suspend")), Category.CARRIER_UNAVAILABLE, True),
        (httpx.Response(200, json={}), Category.CARRIER_UNAVAILABLE, True),
    ],
)
def test_an_answer_that_says_nothing_certain_settles_no_device(
    answer: httpx.Response, category: Category, temporary: bool
) -> None:
    fake = FakeThingSpace()
    fake.always = answer

    with pytest.raises(DeviceError) as caught:
        thingspace(fake).get_device(ICCID)

    assert (caught.value.category, caught.value.temporary) == (category, temporary)


def test_the_carriers_words_are_one_short_printable_line() -> None:
    fake = FakeThingSpace()
    fake.always = api_error("INPUT_INVALID.Made.Up", text="first\r\nsecond \x1b[31m" + "x" * 5000)

    with pytest.raises(DeviceError) as caught:
        thingspace(fake).get_device(ICCID)

    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 300


def test_a_complaint_of_the_gateway_is_none_of_the_session() -> None:
    assert not Complaint(Shape.GATEWAY, "X.SessionToken.Y", "").about_session
    assert not Complaint(Shape.API, "900901", "").about_bearer


# --- looking up ---------------------------------------------------------------------------------


def test_one_device_is_asked_for_by_its_iccid_alone() -> None:
    fake = FakeThingSpace()

    thingspace(fake).get_device(ICCID)

    assert fake.reads[0].url.path == "/api/m2m/v1/devices/actions/list"
    assert fake.reads[0].content == b'{"deviceId":{"kind":"iccid","id":"%s"}}' % ICCID.encode()


@pytest.mark.parametrize("base_url", ["https://gateway.test/a/b", "https://gateway.test/a/b/"])
def test_a_gateways_own_prefix_is_kept(base_url: str) -> None:
    fake = FakeThingSpace()

    thingspace(fake, base_url=base_url, lookup="get").get_device(ICCID)

    assert [request.url.path for request in fake.requests] == [
        "/a/b/ts/v1/oauth2/token",
        "/a/b/m2m/v1/session/login",
        f"/a/b/devices/{ICCID}",
    ]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx.Response(404), DeviceError),
        (httpx.Response(404, json={}), DeviceError),
        (httpx.Response(404, json={"message": "unknown"}), DeviceError),
        (api_error("REQUEST_FAILED.DeviceNotFound", 404), DeviceError),
        (httpx.Response(404, text="<html>"), ConfigurationError),
        (gateway_fault("900906", 404), ConfigurationError),
    ],
)
def test_a_404_of_a_gateway_is_the_device_unless_it_is_the_path(
    answer: httpx.Response, error: type[PondctlError]
) -> None:
    fake = FakeThingSpace()
    fake.always = answer

    with pytest.raises(error) as caught:
        thingspace(fake, lookup="get").get_device(ICCID)

    if isinstance(caught.value, DeviceError):
        assert (caught.value.category, caught.value.temporary) == (Category.NOT_FOUND, False)


def test_an_odd_iccid_cannot_leave_its_place_in_the_path() -> None:
    fake = FakeThingSpace()

    with pytest.raises(DeviceError):
        thingspace(fake, lookup="get").get_device("../../x?y#z")

    assert fake.requests[-1].url.raw_path == b"/api/devices/..%2F..%2Fx%3Fy%23z"


def test_defect_16_trouble_with_one_device_is_not_carried_over_to_the_next() -> None:
    fake = FakeThingSpace()
    client = thingspace(fake)

    for _ in range(100):
        fake.scripted.append(httpx.Response(503))
        assert client.get_device(ICCID).state is DeviceState.ACTIVE


def test_defect_27_a_device_that_is_pending_is_told_at_once_and_not_waited_for() -> None:
    fake, clock = FakeThingSpace(), VirtualClock()
    fake.always = listing(record(state="pending activation", number=None))

    device = thingspace(fake, clock=clock).get_device(ICCID)

    assert device.state is DeviceState.PENDING_ACTIVATION
    assert clock.slept == []
    assert len(fake.reads) == 1


@pytest.mark.parametrize("answer", [httpx.Response(400, json={"made": "up"}), api_error("INPUT_INVALID.X")])
def test_defect_30_a_refusal_is_not_treated_like_trouble(answer: Answer) -> None:
    fake = FakeThingSpace()
    fake.always = answer

    with pytest.raises(DeviceError) as caught:
        thingspace(fake).get_device(ICCID)

    assert not isinstance(caught.value, RepeatableError)
    assert len(fake.reads) == 1


def test_closing_ends_no_session() -> None:
    fake = FakeThingSpace()
    client = thingspace(fake)
    client.get_device(ICCID)

    client.close()

    assert [request.url.path.rsplit("/", 1)[1] for request in fake.requests] == ["token", "login", "list"]
