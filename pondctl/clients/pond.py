"""POND: packages and services of a SIM. One method per operation, in either shape of the API.

Nothing is sent twice that could add twice: a write whose answer is lost ends in a `DeviceError` with
`answer_lost`, and the caller reads back. Any other error of a write proves that it was not done.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any, Final

import httpx

from pondctl.clients import pond_api
from pondctl.clients._http import Sender
from pondctl.clients.pacing import Pace
from pondctl.clients.pond_calls import PondCalls
from pondctl.clients.pond_http import Credentials, address_of, open_http
from pondctl.clients.pond_models import Package, PackageStatus, SimServices
from pondctl.clients.pond_pages import AskPage, read_all
from pondctl.clients.pond_parse import (
    PackagePage,
    UnreadableError,
    check_acceptance,
    parse_package,
    parse_page,
    parse_services,
)
from pondctl.clients.pond_refusals import Refusal, not_known, read_error, rejected, write_error
from pondctl.errors import Category, ConfigurationError, DeviceError, PermissionDeniedError, PondctlError
from pondctl.models import Stop
from pondctl.telemetry.log_context import in_log_context

__all__ = ["Package", "PackageStatus", "PondClient", "SimServices", "connect"]

PAGES_AT_ONCE: Final = 4
_BAD_REQUEST, _FORBIDDEN, _NOT_FOUND = 400, 403, 404
_SIM_TERMINATED: Final = "terminated"
_NO_SUCH_DEVICE: Final = {Category.NOT_FOUND, Category.INVALID_ICCID}

Before = Callable[[], None]


def _nothing() -> None:
    """Before most writes there is nothing to check."""


class PondClient:
    """Thread-safe. Raises `DeviceError` for what concerns one device; any other error ends the run.

    `before` of a write is called last of all, after every wait; what it raises is not sent.
    """

    def __init__(self, calls: PondCalls, shape: pond_api.Shape, *, write_enabled: bool = True) -> None:
        self._calls = calls
        self._shape = shape
        self._write_enabled = write_enabled
        self._pages = ThreadPoolExecutor(PAGES_AT_ONCE, thread_name_prefix="pond-pages")

    def list_packages(self, iccid: str, statuses: Collection[PackageStatus] | None = None) -> list[Package]:
        """Return all packages of the SIM (of these statuses); a listing that may lack one raises."""
        # A status that the carrier has no word for cannot be asked for, only picked out.
        asked = [] if statuses is None or PackageStatus.UNKNOWN in statuses else sorted(statuses)

        def ask(offset: int, count: int) -> PackagePage:
            query = pond_api.listing_query(offset, count, asked)
            page = self._calls.try_read(
                self._shape.list_packages, iccid, lambda body: parse_page(body, iccid), query=query
            )
            if not isinstance(page, Refusal):
                return page
            if page.is_about_paging and count > pond_api.DEFAULT_PAGE_SIZE:
                return ask(offset, pond_api.DEFAULT_PAGE_SIZE)
            raise read_error(page, iccid)

        try:
            packages = read_all(ask, self._ask_pages)
        except UnreadableError as error:
            raise DeviceError(
                f"POND: {error}", category=Category.CARRIER_UNAVAILABLE, temporary=True
            ) from None
        return [package for package in packages if statuses is None or package.status in statuses]

    def get_services(self, iccid: str) -> SimServices:
        """Return the SIM's three switches and its state."""
        return self._calls.read(self._shape.get_services, iccid, lambda body: parse_services(body, iccid))

    def add_package(self, iccid: str, package_type_id: int, before: Before = _nothing) -> Package:
        """Add one more package, each time it is called."""
        self._check_writable()

        def added(body: Any) -> Package:
            package = parse_package(body, iccid)
            if package.package_type_id not in (None, package_type_id):
                raise UnreadableError("the answer shows a package of another type")
            return replace(package, package_type_id=package_type_id)

        json = {pond_api.PACKAGE_TYPE_FIELD: package_type_id}
        endpoint = self._shape.add_package
        answer = self._calls.write(endpoint, endpoint.path(iccid), json, added, before, iccid=iccid)
        if isinstance(answer, Refusal):
            raise _reason(answer, lambda: self._judge_by_sim(answer, iccid)) or rejected(answer)
        return answer

    def set_package_status(
        self, iccid: str, package_id: str, status: PackageStatus, before: Before = _nothing
    ) -> None:
        """Set a package's status. A refusal counts for nothing where the package has that status."""
        self._check_writable()

        def accepted(body: Any) -> None:
            check_acceptance(body, status)

        json = {pond_api.PACKAGE_STATUS_FIELD: status.value}
        checked = pond_api.check_package_id(package_id)
        endpoint = self._shape.set_package_status
        answer = self._calls.write(
            endpoint, endpoint.path(iccid, checked), json, accepted, before, iccid=iccid
        )
        if isinstance(answer, Refusal):
            error = _reason(answer, lambda: self._judge_by_package(answer, iccid, checked, status))
            if error is not None:
                raise error

    def set_services(self, iccid: str, *, enabled: bool, before: Before = _nothing) -> None:
        """Switch data, voice and SMS together. A refusal counts for nothing where all stand so."""
        self._check_writable()
        json = dict.fromkeys(pond_api.SERVICE_FIELDS, "ENABLED" if enabled else "DISABLED")
        endpoint = self._shape.set_services
        answer = self._calls.write(
            endpoint, endpoint.path(iccid), json, check_acceptance, before, iccid=iccid
        )
        if isinstance(answer, Refusal):
            error = _reason(answer, lambda: self._judge_by_sim(answer, iccid, enabled=enabled))
            if error is not None:
                raise error

    def probe(self, iccid: str) -> None:
        """Prove address, distributor and key by one read; the SIM need not exist."""
        answer = self._calls.try_read(
            self._shape.get_services, iccid, lambda body: parse_services(body, iccid)
        )
        if not isinstance(answer, Refusal):
            return
        if answer.status == _FORBIDDEN and not answer.is_about_device:
            raise PermissionDeniedError(answer.sentence, hint="check pond.distributor_id")
        known = answer.is_error_object and answer.status in {_BAD_REQUEST, _FORBIDDEN, _NOT_FOUND}
        if not known or answer.is_about_address:
            raise ConfigurationError(
                f"the server did not answer as POND does ({answer.status})",
                hint="check pond.base_url and pond.api",
            )

    def close(self) -> None:
        """Close the connections."""
        self._pages.shutdown(wait=False, cancel_futures=True)
        self._calls.close()

    def _ask_pages(self, ask: AskPage, offsets: Iterable[int], count: int) -> Iterable[PackagePage]:
        return self._pages.map(in_log_context(partial(_ask_at, ask, count)), offsets)

    def _check_writable(self) -> None:
        if not self._write_enabled:
            raise PermissionDeniedError(
                "writing to POND is switched off", hint="pond.write_enabled = true switches it on"
            )

    def _judge_by_sim(
        self, refusal: Refusal, iccid: str, *, enabled: bool | None = None
    ) -> DeviceError | None:
        services = self.get_services(iccid)
        if enabled is not None and {services.data, services.voice, services.sms} == {enabled}:
            return None
        state = services.sim_status
        return write_error(refusal, state, final=(state or "").lower() == _SIM_TERMINATED)

    def _judge_by_package(
        self, refusal: Refusal, iccid: str, package_id: str, status: PackageStatus
    ) -> DeviceError | None:
        found = [package for package in self.list_packages(iccid) if package.package_id == package_id]
        if not found:
            return not_known(f"package {package_id} of {iccid}", refusal)
        if found[0].status is status:
            return None
        final = found[0].status is PackageStatus.TERMINATED
        return write_error(refusal, found[0].carrier_status, final=final)


def _ask_at(ask: AskPage, count: int, offset: int) -> PackagePage:
    return ask(offset, count)


def _reason(refusal: Refusal, judge: Callable[[], DeviceError | None]) -> DeviceError | None:
    """Why a write was refused. One status stands for many reasons, so the device itself is looked at."""
    try:
        return judge()
    except DeviceError as error:
        return error if error.category in _NO_SUCH_DEVICE else rejected(refusal)
    except PondctlError:
        # That the write was not done stays certain; what is wrong now, the next call will find.
        return rejected(refusal)


def connect(
    *,
    base_url: str,
    distributor_id: int,
    api_key: str,
    pace: Pace,
    stop: Stop,
    api: pond_api.ApiName = "devices",
    api_key_header: str = "x-api-key",
    username: str = "",
    password: str = "",
    write_enabled: bool = True,
    call_seconds: float = 15.0,
    outage_seconds: float = 60.0,
    workers: int = 8,
    transport: httpx.BaseTransport | None = None,
) -> PondClient:
    """Build the client; nothing is sent yet. `workers` threads may call at once."""
    credentials = Credentials(api_key, api_key_header, username, password)
    http = open_http(
        address_of(base_url, distributor_id),
        credentials,
        connections=workers + PAGES_AT_ONCE,
        transport=transport,
    )
    sender = Sender(
        http,
        carrier="POND",
        pace=pace,
        stop=stop,
        call_seconds=call_seconds,
        outage_seconds=outage_seconds,
    )
    return PondClient(
        PondCalls(sender, credentials.secrets), pond_api.SHAPES[api], write_enabled=write_enabled
    )
