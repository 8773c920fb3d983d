"""What a row of a POND bulk change asks for. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from pondctl.errors import Category
from pondctl.models import DeviceChange, Operation, normalize_iccid
from pondctl.services._change_request import load_request
from pondctl.services.lifecycle.request import LifeRequest, Work

# In any case. A row without a word asks for what bulk changes are made for: an active device.
_WORDS: Final = {
    "active": (Operation.ACTIVATE, Operation.RESUME),
    "suspended": (Operation.SUSPEND,),
    "terminated": (Operation.TERMINATE,),
}
_DEFAULT_WORD: Final = "active"
NO_PACKAGE_TYPE: Final = "the row names no package type; --package-type names one for all rows"
_NO_ICCID: Final = "no ICCID: 89 and 16 to 20 more digits are needed"


@dataclass(frozen=True, slots=True)
class Wish:
    """A ChangeRequest as far as it concerns a carrier. `problem`: it cannot be understood."""

    word: str = _DEFAULT_WORD
    package_type_id: int | None = None
    billing: bool = False
    problem: str | None = None


@lru_cache(maxsize=256)  # rows of one bulk change mostly share one request
def read_wish(change_request: str | None) -> Wish:
    """What the ChangeRequest says; absent: the default word alone."""
    if not change_request or not change_request.strip():
        return Wish()
    try:
        request = load_request(change_request)
    except (ValueError, RecursionError):
        return Wish(problem="ChangeRequest is no JSON")
    if not isinstance(request, dict):
        return Wish(problem="ChangeRequest is no JSON object")
    word = request.get("updatestatus")
    if word is not None and not isinstance(word, str):
        return Wish(problem="UpdateStatus is no text")
    return Wish((word or "").strip().lower() or _DEFAULT_WORD, _package_type(request), _has_billing(request))


def operation_of(change_request: str | None) -> Operation | None:
    """The operation that a row asks for by itself; None where it cannot be told."""
    wish = read_wish(change_request)
    asked = _WORDS.get(wish.word)
    return asked[0] if asked and wish.problem is None else None


def judge_row(change: DeviceChange, request: LifeRequest) -> Work:
    """The work that a row asks this command for; refused where it asks for something else."""
    iccid = normalize_iccid(change.iccid)
    if iccid is None:
        return Work(change.iccid or "", (change.id,), refusal=(Category.INVALID_ICCID, _NO_ICCID))
    wish = read_wish(change.change_request)
    package_type_id = request.package_type_id
    if package_type_id is None:
        package_type_id = wish.package_type_id
    objection = _objection(wish, request, package_type_id)
    refusal = None if objection is None else (Category.GUARDED, objection)
    return Work(iccid, (change.id,), package_type_id, refusal)


def _objection(wish: Wish, request: LifeRequest, package_type_id: int | None) -> str | None:
    if wish.problem is not None:
        return wish.problem
    asked = _WORDS.get(wish.word)
    if asked is None:
        return f"UpdateStatus {wish.word[:40]!r} is none of Active, Suspended, Terminated"
    if request.operation not in asked:
        return f"the row asks for {wish.word}, the command was {request.operation}"
    if wish.billing and not request.without_billing:
        return "the row asks for billing too, which pondctl does not do; --without-billing leaves that out"
    if request.operation is Operation.ACTIVATE and package_type_id is None:
        return NO_PACKAGE_TYPE
    return None


def _package_type(request: Mapping[str, Any]) -> int | None:
    inner = _object(request.get("request"))
    update = _object(request.get("carrierrateplanupdate")) or _object(inner.get("carrierrateplanupdate"))
    found = _whole(inner.get("packagetypeid"))
    return found if found is not None else _whole(update.get("rateplanid"))


def _has_billing(request: Mapping[str, Any]) -> bool:
    service = _object(request.get("revservice"))
    return bool(service.get("createrevservice")) or bool(request.get("revserviceproductcreatemodel"))


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _whole(value: Any) -> int | None:
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdecimal():
        value = int(value.strip()[:19])
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        return None
    return value
