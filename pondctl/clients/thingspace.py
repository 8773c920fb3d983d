"""Verizon ThingSpace: what a device is now, one by one or the whole account."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count
from typing import Final, Literal
from urllib.parse import quote

import httpx

from pondctl.clients._carrier_client import open_client
from pondctl.clients._http import Sender
from pondctl.clients._repeat import stopped
from pondctl.clients._thingspace_bodies import NOT_JSON, Shape, body_of, complaint_in
from pondctl.clients._thingspace_devices import Listing, parse_gateway_device, parse_listing, parse_single
from pondctl.clients._thingspace_errors import checked_body
from pondctl.clients._thingspace_pages import DevicePage, Pages
from pondctl.clients.pacing import Pace
from pondctl.clients.thingspace_auth import ThingSpaceAuth
from pondctl.clients.tokens import TokenStore
from pondctl.errors import Category, DeviceError, ListingError
from pondctl.models import Carrier, Device, Stop
from pondctl.telemetry.log_context import in_log_context, log_context

Lookup = Literal["list", "get"]

PAGE_SIZE: Final = 2000
_LIST: Final = "/m2m/v1/devices/actions/list"
_GET: Final = "/devices/{iccid}"
_NOBODYS_ICCID: Final = "8900000000000000000"
# A page of 2,000 devices takes the carrier longer than one device.
_PAGE_PATIENCE: Final = 4.0
_ACCEPTED, _NOT_FOUND = 202, 404


class ThingSpaceClient:
    """Reads devices. Safe to share between threads; raises a `DeviceError` for what concerns one device."""

    def __init__(self, sender: Sender, *, base_url: str, account_name: str, lookup: Lookup = "list") -> None:
        self._sender = sender
        self._base_url = base_url
        self._account_name = account_name
        self._lookup = lookup

    def get_device(self, iccid: str) -> Device:
        """Return the device as ThingSpace sees it now. `iccid` goes out as it is given."""
        with log_context(iccid=iccid):
            device = self._get(iccid) if self._lookup == "get" else self._list_one(iccid)
        if device is None:
            raise DeviceError(
                "ThingSpace does not know this device", category=Category.NOT_FOUND, temporary=False
            )
        return device

    def iter_pages(self, most: int | None = None) -> Iterator[DevicePage]:
        """Read the account page by page, at most so many; only a page with `last` makes it complete.

        The next page is on its way while the caller works on one.
        A listing that contradicts itself raises `ListingError`: pages that do not advance, records
        of another account, no cursor although there is more. A stop ends it early, without a last page.
        """
        pages = Pages(self._account_name)
        list_page = in_log_context(self._list_page)
        with ThreadPoolExecutor(1, thread_name_prefix="page") as ahead:
            coming = ahead.submit(list_page, pages.cursor)
            for number in count(1):
                listing = _arrived(coming)
                if listing is None:
                    return
                pages.advance(listing)
                over = pages.complete or number == most
                if not over:
                    coming = ahead.submit(list_page, pages.cursor)
                yield pages.read(listing)
                if over:
                    return

    def probe(self) -> None:
        """Prove address, credentials and account by one read, as the work itself reads."""
        if self._lookup == "get" or not self._account_name:
            self._probe_by_device()
            return
        self._sender.send(
            "POST",
            _LIST,
            endpoint=_LIST,
            read=lambda response: parse_listing(self._body(response)),
            safe_to_repeat=True,
            json={"accountName": self._account_name, "largestDeviceIdSeen": 0, "maxNumberOfDevices": 1},
        )

    def _probe_by_device(self) -> None:
        """A device that nobody has: that ThingSpace does not know it proves all that is asked."""
        try:
            self.get_device(_NOBODYS_ICCID)
        except DeviceError as error:
            if error.temporary or error.category not in (Category.NOT_FOUND, Category.INVALID_ICCID):
                raise

    def close(self) -> None:
        """Close the connections. The session stays open: other processes use it too."""
        self._sender.close()

    def _list_one(self, iccid: str) -> Device | None:
        return self._sender.send(
            "POST",
            _LIST,
            endpoint=_LIST,
            read=lambda response: parse_single(self._body(response), iccid),
            safe_to_repeat=True,
            json={"deviceId": {"kind": "iccid", "id": iccid}},
        )

    def _get(self, iccid: str) -> Device | None:
        def read(response: httpx.Response) -> Device | None:
            if response.status_code == _NOT_FOUND and _says_not_found(response):
                return None
            return parse_gateway_device(self._body(response), iccid)

        path = _GET.format(iccid=quote(iccid, safe=""))
        return self._sender.send("GET", path, endpoint=_GET, read=read, safe_to_repeat=True)

    def _list_page(self, cursor: int) -> Listing:
        def read(response: httpx.Response) -> Listing:
            listing = parse_listing(self._body(response))
            if listing.more is not None:
                return listing
            more = response.status_code == _ACCEPTED or len(listing.records) >= PAGE_SIZE
            return Listing(listing.records, more)

        account = {"accountName": self._account_name} if self._account_name else {}
        return self._sender.send(
            "POST",
            _LIST,
            endpoint=_LIST,
            read=read,
            safe_to_repeat=True,
            json={**account, "largestDeviceIdSeen": cursor, "maxNumberOfDevices": PAGE_SIZE},
            patience=_PAGE_PATIENCE,
        )

    def _body(self, response: httpx.Response) -> object:
        return checked_body(response, account_name=self._account_name, base_url=self._base_url)


def _arrived(coming: Future[Listing]) -> Listing | None:
    """The page that was asked for; None where a stop came first."""
    try:
        return coming.result()
    except DeviceError as error:
        if error.category is Category.CANCELLED:
            return None
        raise ListingError(f"The listing of the account broke off: {error.message}") from error


def _says_not_found(response: httpx.Response) -> bool:
    """Whether a 404 means the device; a page or XML means that the path itself is wrong."""
    body = body_of(response)
    complaint = complaint_in(body)
    return not response.content or (
        body is not NOT_JSON and (complaint is None or complaint.shape is Shape.OAUTH)
    )


def connect(
    *,
    base_url: str,
    account_name: str,
    client_id: str,
    client_secret: str,
    username: str,
    password: str,
    tokens: TokenStore,
    pace: Pace,
    stop: Stop,
    call_seconds: float = 15.0,
    outage_seconds: float = 60.0,
    lookup: Lookup = "list",
    workers: int = 8,
    transport: httpx.BaseTransport | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] | None = None,
) -> ThingSpaceClient:
    """Build a client for up to `workers` threads; nothing is sent yet.

    `clock` and `sleep` (default: the stop's own wait) let time pass faster than it does.
    """

    def wait_turn() -> None:
        pace.wait()
        if stop.is_set():
            raise stopped()

    auth = ThingSpaceAuth(
        base_url=base_url,
        client_id=client_id,
        client_secret=client_secret,
        username=username,
        password=password,
        tokens=tokens,
        wait_turn=wait_turn,
        clock=clock,
    )
    client = open_client(
        base_url,
        carrier=Carrier.THINGSPACE,
        auth=auth,
        connections=workers,
        transport=transport,
        find_tokens=auth.find_tokens,
    )
    sender = Sender(
        client,
        carrier="ThingSpace",
        pace=pace,
        stop=stop,
        call_seconds=call_seconds,
        outage_seconds=outage_seconds,
        clock=clock,
        sleep=sleep,
    )
    return ThingSpaceClient(sender, base_url=base_url, account_name=account_name, lookup=lookup)
