"""Every endpoint and every refusal of POND, played from cassettes: what is sent, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from pondctl.clients.pond import PondClient
from pondctl.clients.pond_models import Package, PackageStatus, SimServices
from pondctl.errors import (
    AuthenticationError,
    Category,
    DeviceError,
    PermissionDeniedError,
    PondctlError,
)
from tests.clients.pond_world import ICCID, NEW, OLD, pond_client

Test = TypeVar("Test", bound=Callable[..., None])
BOTH = pytest.mark.parametrize("api", ["devices", "sim"])


@pytest.fixture(scope="module")
def vcr_cassette_dir() -> str:
    return str(Path(__file__).parents[2] / "cassettes" / "pond")


@pytest.fixture
def vcr_config() -> dict[str, Any]:
    return {
        "match_on": ["method", "scheme", "host", "port", "path", "query", "body"],
        "record_mode": "none",
        "filter_headers": ["x-api-key", "authorization"],
    }


@pytest.fixture
def default_cassette_name(request: pytest.FixtureRequest) -> str:
    marker = request.node.get_closest_marker("default_cassette")
    api = request.node.callspec.params.get("api") if hasattr(request.node, "callspec") else None
    return f"{marker.args[0]}-{api}" if api else str(marker.args[0])


@pytest.fixture
def api() -> str:
    return "devices"


@pytest.fixture
def pond(api: str, vcr: Any) -> Iterator[PondClient]:
    # httpx's own transport is the one that can be recorded.
    with pond_client(api=api, transport=httpx.HTTPTransport()) as client:
        yield client
    assert vcr.all_played


def played(name: str) -> Callable[[Test], Test]:
    """The cassette of a test; one for each shape where the test runs in both."""

    def mark(test: Test) -> Test:
        for decorator in marks(name):
            test = decorator(test)
        return test

    return mark


def marks(name: str) -> list[pytest.MarkDecorator]:
    return [pytest.mark.vcr(), pytest.mark.default_cassette(name)]


def refused(pond: PondClient, what: str) -> DeviceError:
    calls: dict[str, Callable[[], object]] = {
        "get": lambda: pond.get_services(ICCID),
        "add": lambda: pond.add_package(ICCID, 1002),
        "activate": lambda: pond.set_package_status(ICCID, NEW, PackageStatus.ACTIVE),
    }
    with pytest.raises(DeviceError) as caught:
        calls[what]()
    return caught.value


@played("list_packages")
@BOTH
def test_packages_are_listed_with_their_times_in_either_unit(pond: PondClient) -> None:
    old, new = pond.list_packages(ICCID)

    assert old == Package(
        package_id=OLD,
        package_type_id=1001,
        status=PackageStatus.ACTIVE,
        carrier_status="ACTIVE",
        created_at=datetime(2024, 6, 10, 6, 13, 20, tzinfo=UTC),
        data_usage_remaining_in_bytes=1 << 30,
        iccid=ICCID,
    )
    assert (new.status, new.created_at) == (
        PackageStatus.NOT_ACTIVE,
        datetime(2024, 6, 10, 6, 21, 40, tzinfo=UTC),
    )


@played("add_package")
@BOTH
def test_an_added_package_comes_back(pond: PondClient) -> None:
    added = pond.add_package(ICCID, 1002)

    assert (added.package_id, added.package_type_id, added.status) == (NEW, 1002, PackageStatus.NOT_ACTIVE)


@played("set_package_status")
@BOTH
def test_a_package_status_is_set_with_an_empty_answer(pond: PondClient) -> None:
    assert pond.set_package_status(ICCID, NEW, PackageStatus.ACTIVE) is None  # else it raises


@played("get_services")
@BOTH
def test_services_are_read(pond: PondClient) -> None:
    assert pond.get_services(ICCID) == SimServices(data=True, voice=True, sms=True, sim_status="In-Service")


@played("set_services")
@BOTH
def test_services_are_set_with_an_empty_answer(pond: PondClient) -> None:
    assert pond.set_services(ICCID, enabled=False) is None  # else it raises


@played("list_packages_none")
def test_a_sim_without_packages_has_an_empty_list(pond: PondClient) -> None:
    assert pond.list_packages(ICCID) == []


@played("list_packages_filtered")
def test_a_filter_that_the_carrier_ignored_is_applied_all_the_same(pond: PondClient) -> None:
    found = pond.list_packages(ICCID, {PackageStatus.ACTIVE, PackageStatus.NOT_ACTIVE})

    assert [package.package_id for package in found] == [NEW]


@played("list_packages_three_pages")
def test_a_listing_does_not_stop_at_its_first_page(pond: PondClient) -> None:
    found = pond.list_packages(ICCID)

    assert len({package.package_id for package in found}) == 23
    assert [package.status for package in found[-3:]] == [PackageStatus.ACTIVE] * 3


@played("list_packages_unknown_status")
def test_an_unknown_status_is_kept_and_not_guessed(pond: PondClient) -> None:
    (package,) = pond.list_packages(ICCID)

    assert (package.status, package.carrier_status) == (PackageStatus.UNKNOWN, "SUSPENDED")


@pytest.mark.parametrize(
    ("what", "category"),
    [
        pytest.param(what, category, id=name, marks=marks(name))
        for name, what, category in [
            ("unknown_sim_404", "get", Category.NOT_FOUND),
            ("unknown_sim_400", "get", Category.NOT_FOUND),
            ("unknown_sim_403", "get", Category.NOT_FOUND),
            ("unknown_sim_on_add", "add", Category.NOT_FOUND),
            ("unknown_package", "activate", Category.NOT_FOUND),
            ("iccid_of_another_form", "get", Category.INVALID_ICCID),
            ("wrong_package_type", "add", Category.CARRIER_REJECTED),
            ("error_inside_200", "add", Category.CARRIER_REJECTED),
            ("add_package_in_a_state_that_forbids", "add", Category.INVALID_STATE),
            ("activate_a_terminated_package", "activate", Category.INVALID_STATE),
        ]
    ],
)
def test_a_refusal_is_permanent_and_proves_that_nothing_was_done(
    pond: PondClient, what: str, category: Category
) -> None:
    error = refused(pond, what)

    assert (error.category, error.temporary, error.answer_lost) == (category, False, False)


@played("wrong_package_type")
def test_the_carriers_reason_is_not_replaced_by_a_fixed_text(pond: PondClient) -> None:
    # Defect 24 of the system before.
    message = refused(pond, "add").message

    assert "Package type 1002 does not belong to the inventory of the SIM; packageTypeId" in message


@played("activate_a_terminated_package")
def test_a_state_that_forbids_is_named(pond: PondClient) -> None:
    assert refused(pond, "activate").carrier_state == "TERMINATED"


@played("set_status_it_has_already")
def test_a_refused_status_that_stands_already_is_no_failure(pond: PondClient) -> None:
    assert pond.set_package_status(ICCID, NEW, PackageStatus.TERMINATED) is None  # else it raises


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, id=name, marks=marks(name))
        for name, kind in [
            ("key_refused", AuthenticationError),
            ("foreign_distributor", PermissionDeniedError),
        ]
    ],
)
def test_refused_credentials_end_the_run(pond: PondClient, kind: type[PondctlError]) -> None:
    with pytest.raises(kind) as caught:
        pond.get_services(ICCID)
    assert "pond." in (caught.value.hint or "")


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(words, id=name, marks=marks(name))
        for name, words in [
            ("unavailable_write", "Provisioning is down for maintenance"),
            ("html_instead_of_a_package", "the answer is no JSON"),
            ("nothing_instead_of_a_package", "the answer holds no package"),
        ]
    ],
)
def test_a_write_that_nobody_can_vouch_for_is_an_answer_lost(pond: PondClient, words: str) -> None:
    error = refused(pond, "add")

    assert (error.answer_lost, error.temporary) == (True, True)
    assert words in error.message


@played("throttled_write")
def test_a_throttled_write_was_not_carried_out_and_is_sent_again(pond: PondClient) -> None:
    assert pond.add_package(ICCID, 1002).package_id == NEW


@played("unavailable_read")
def test_a_read_is_repeated(pond: PondClient) -> None:
    assert pond.get_services(ICCID).data is True
