"""An account listing, held to its word from page to page."""

from __future__ import annotations

from dataclasses import dataclass

from pondctl.clients._thingspace_devices import Listing, cursor_of, parse_device
from pondctl.errors import ListingError
from pondctl.models import Device


@dataclass(frozen=True, slots=True)
class DevicePage:
    """One page of the account. `unreadable` records had no ICCID, or were no records."""

    devices: list[Device]
    last: bool
    unreadable: int = 0


class Pages:
    """Where a listing stands; raises `ListingError` as soon as it contradicts itself."""

    def __init__(self, account_name: str) -> None:
        self._account_name = account_name
        self._last_iccid: str | None = None
        self.cursor = 0
        self.complete = False

    def advance(self, listing: Listing) -> None:
        """Move the cursor behind one more page: the next one can be asked for before this one is read."""
        record = listing.records[-1] if listing.records else None
        cursor, last = cursor_of(record), parse_device(record)
        if last is not None and last.iccid == self._last_iccid:
            raise ListingError("ThingSpace sent the same page of devices twice")
        if cursor is None and listing.more:
            raise ListingError("ThingSpace says that there are more devices, but not after which one")
        if cursor is not None and cursor <= self.cursor:
            raise ListingError("ThingSpace's listing does not advance: its cursor did not rise")
        self.cursor = cursor or self.cursor
        self._last_iccid = last.iccid if last else None
        self.complete = not listing.more

    def read(self, listing: Listing) -> DevicePage:
        """Check and read the page that the cursor was moved behind."""
        devices = [device for record in listing.records if (device := parse_device(record)) is not None]
        self._check_account(devices)
        return DevicePage(devices, self.complete, len(listing.records) - len(devices))

    def _check_account(self, devices: list[Device]) -> None:
        if not self._account_name:
            return
        for device in devices:
            if device.account_name is not None and device.account_name != self._account_name:
                raise ListingError(
                    f"ThingSpace listed devices of account {device.account_name!r} "
                    f"instead of {self._account_name!r}",
                    hint="Compare thingspace.account_name with the ThingSpace portal, leading zeros and all.",
                )
