"""What each error answer of ThingSpace means, for a device or for the run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

import httpx

from pondctl.clients._repeat import RepeatableError, retry_after
from pondctl.clients._thingspace_bodies import NOT_JSON, Complaint, Shape, body_of, complaint_in
from pondctl.errors import (
    AuthenticationError,
    Category,
    ConfigurationError,
    DeviceError,
    PermissionDeniedError,
    PondctlError,
)


@dataclass(frozen=True, slots=True)
class _Meaning:
    category: Category
    temporary: bool = False
    attempts: int = 1


_REFUSED: Final = _Meaning(Category.CARRIER_REJECTED)
# The service name before the code varies, so the code is what follows it. First match counts.
_MEANINGS: Final[tuple[tuple[str, _Meaning | type[PondctlError]], ...]] = (
    ("*SessionToken.*", AuthenticationError),
    ("REQUEST_FAILED.DeviceNotFound", _Meaning(Category.NOT_FOUND)),
    ("INPUT_INVALID.Device.Account.Invalid", _Meaning(Category.NOT_FOUND)),
    ("INPUT_INVALID.Device.Identifier.Invalid", _Meaning(Category.INVALID_ICCID)),
    ("INPUT_INVALID.DeviceState.Invalid", _Meaning(Category.INVALID_STATE)),
    ("REQUEST_FAILED.DeviceAlreadyActive", _Meaning(Category.INVALID_STATE)),
    ("REQUEST_FAILED.AccountName", PermissionDeniedError),
    ("REQUEST_FAILED.AccountNotFound", PermissionDeniedError),
    ("REQUEST_FAILED.NoAccounts", PermissionDeniedError),
    ("REQUEST_FAILED.MultipleAccounts", PermissionDeniedError),
    ("INPUT_INVALID.Account.NotDefined", PermissionDeniedError),
    ("REQUEST_FAILED.DefaultIpPoolNotDefined", _REFUSED),
    ("REQUEST_FAILED.DeviceGroup*", _REFUSED),
    ("REQUEST_FAILED.*.NotFound", _REFUSED),
    ("REQUEST_FAILED.UnexpectedError", _Meaning(Category.CARRIER_REJECTED, attempts=3)),
    ("REQUEST_FAILED.*", _Meaning(Category.CARRIER_REJECTED, attempts=2)),
    ("REQUEST_ONHOLD.*", _Meaning(Category.CARRIER_REJECTED, temporary=True)),
)
_CODE: Final = re.compile(
    r"(?:^|\.)((?:REQUEST_FAILED|INPUT_INVALID|REQUEST_ONHOLD|REQUEST_CANCELLED)\..*)", re.S
)
_THROTTLED: Final = re.compile(r"9008[0-9]{2}")
_OK, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND = range(200, 300), 401, 403, 404


def checked_body(response: httpx.Response, *, account_name: str, base_url: str) -> object:
    """Return the body of a good answer; raise what any other answer means."""
    body, status = body_of(response), response.status_code
    complaint = complaint_in(body)
    if complaint is not None:
        raise _error(complaint, response, account_name, base_url)
    if status in _OK and body is not NOT_JSON:
        return body
    if status in (_UNAUTHORIZED, _FORBIDDEN):
        raise AuthenticationError(
            f"ThingSpace refuses the credentials (HTTP {status})", hint=_CREDENTIALS_HINT
        )
    if status == _NOT_FOUND:
        raise wrong_address(base_url)
    if body is NOT_JSON:
        raise RepeatableError(
            f"ThingSpace answered HTTP {status} with something that is no JSON",
            category=Category.CARRIER_UNAVAILABLE,
        )
    raise DeviceError(
        f"ThingSpace refuses the request (HTTP {status})", category=Category.CARRIER_REJECTED, temporary=False
    )


def wrong_address(base_url: str) -> ConfigurationError:
    """The error for a path that the gateway does not know."""
    shown = httpx.URL(base_url).copy_with(username=None, password=None)
    return ConfigurationError(
        f"There is no ThingSpace API at thingspace.base_url ({shown})",
        hint="For Verizon itself it ends in /api: https://thingspace.verizon.com/api",
    )


_CREDENTIALS_HINT: Final = "Look at client_id, client_secret, username and password under thingspace."


def _error(complaint: Complaint, response: httpx.Response, account_name: str, base_url: str) -> PondctlError:
    if complaint.shape is Shape.API:
        return _api_error(complaint, account_name)
    if complaint.shape is Shape.GATEWAY:
        return _gateway_error(complaint, response, base_url)
    if response.status_code in (_UNAUTHORIZED, _FORBIDDEN):
        return AuthenticationError(
            f"ThingSpace refuses the credentials: {complaint.code}", hint=_CREDENTIALS_HINT
        )
    if response.status_code in _OK:
        return RepeatableError(
            f"ThingSpace answered with an error: {complaint.code}", category=Category.CARRIER_UNAVAILABLE
        )
    return DeviceError(_told(complaint), category=Category.CARRIER_REJECTED, temporary=False)


def _api_error(complaint: Complaint, account_name: str) -> PondctlError:
    found = _CODE.search(complaint.code)
    code = found[1] if found else complaint.code.partition(".")[2] or complaint.code
    meaning = next((meaning for glob, meaning in _MEANINGS if fnmatchcase(code, glob)), _REFUSED)
    if meaning is PermissionDeniedError:
        return PermissionDeniedError(
            f"ThingSpace gives this user no thingspace.account_name {account_name!r}: {complaint.code}",
            hint="Compare the account name, leading zeros and all, with the ThingSpace portal.",
        )
    if not isinstance(meaning, _Meaning):
        return AuthenticationError(
            f"ThingSpace does not accept the session, also after a new login: {complaint.code}",
            hint="Another program may be logging in as the same user; a new login ends the old session.",
        )
    if meaning.attempts > 1:
        return RepeatableError(
            _told(complaint),
            category=meaning.category,
            temporary=meaning.temporary,
            attempts=meaning.attempts,
            counts=False,
        )
    return DeviceError(_told(complaint), category=meaning.category, temporary=meaning.temporary)


def _gateway_error(complaint: Complaint, response: httpx.Response, base_url: str) -> PondctlError:
    if _THROTTLED.fullmatch(complaint.code):
        return RepeatableError(
            f"ThingSpace throttles: fault {complaint.code}",
            category=Category.RATE_LIMITED,
            retry_after=retry_after(response.headers),
            unreached=True,
        )
    if complaint.code == "900906" or response.status_code == _NOT_FOUND:
        return wrong_address(base_url)
    if complaint.code.startswith("9009") or response.status_code in (_UNAUTHORIZED, _FORBIDDEN):
        return AuthenticationError(
            f"ThingSpace's gateway refuses the credentials: fault {complaint.code}", hint=_CREDENTIALS_HINT
        )
    return RepeatableError(
        f"ThingSpace's gateway answered with fault {complaint.code}", category=Category.CARRIER_UNAVAILABLE
    )


def _told(complaint: Complaint) -> str:
    return f"ThingSpace: {complaint.code}" + (f" ({complaint.text})" if complaint.text else "")
