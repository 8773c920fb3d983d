"""What the faults do to an answer: refusals in the carrier's own shapes, and answers that are wrong."""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import orjson

from pondctl.sandbox.calls import find_iccid
from pondctl.sandbox.faults import Fault, FaultKind
from pondctl.sandbox.pond.errors import error_body as pond_error_body
from pondctl.sandbox.thingspace.errors import api_error, error_body, gateway_fault
from pondctl.sandbox.wire import Answer, Call, json_answer

FOREIGN_ACCOUNT = "0009999999-00009"
_PAGE = b"<!DOCTYPE html><html><head><title>Maintenance</title></head><body>Back soon.</body></html>"
_TOO_MANY, _BAD_REQUEST, _SERVER_ERROR = 429, 400, 500
_GATEWAY_CODES = {401: "900901", _TOO_MANY: "900800"}


def early_answer(call: Call, fired: dict[FaultKind, Fault]) -> Answer | None:
    """The answer that is given instead of handling the call, if one of the faults gives one."""
    for kind, answer in _INSTEAD.items():
        if kind in fired:
            return answer(call, fired[kind])
    return None


def throttled(call: Call, retry_after: str) -> Answer:
    """429 as the carrier's gateway sends it."""
    answer = _error(call, _TOO_MANY, "Message throttled out")
    answer.headers["Retry-After"] = retry_after
    return answer


def _error(call: Call, status: int, message: str) -> Answer:
    if call.endpoint.startswith("pond."):
        return json_answer(pond_error_body(status, message), status)
    return gateway_fault(status, _GATEWAY_CODES.get(status, str(status)), message, message).answer


def _throttle(call: Call, fault: Fault) -> Answer:
    return throttled(call, f"{fault.number:g}")


def _throttle_date(call: Call, fault: Fault) -> Answer:
    return throttled(call, formatdate(time.time() + fault.number, usegmt=True))


def _status(call: Call, fault: Fault) -> Answer:
    return _error(call, int(fault.number), "simulated trouble")


def _refuse(call: Call, fault: Fault) -> Answer:
    if call.endpoint.startswith("pond."):
        return _error(call, _BAD_REQUEST, fault.text or "refused by the carrier")
    return api_error(fault.text or "REQUEST_FAILED.UnexpectedError", "refused by the carrier").answer


def _error_in_200(call: Call, _fault: Fault) -> Answer:
    if call.endpoint.startswith("pond."):
        return json_answer(pond_error_body(_SERVER_ERROR, "simulated trouble"))
    return json_answer(error_body("REQUEST_FAILED.UnexpectedError", "simulated trouble"))


_INSTEAD: dict[FaultKind, Callable[[Call, Fault], Answer]] = {
    FaultKind.THROTTLE: _throttle,
    FaultKind.THROTTLE_DATE: _throttle_date,
    FaultKind.STATUS: _status,
    FaultKind.REFUSE: _refuse,
    FaultKind.ERROR_IN_200: _error_in_200,
}


def spoil(answer: Answer, call: Call, fired: dict[FaultKind, Fault]) -> Answer:
    """Change a handled call's answer as the faults want it."""
    for kind, change in _AFTERWARDS.items():
        if kind in fired:
            answer = change(answer, call)
    return answer


def _html(_answer: Answer, _call: Call) -> Answer:
    return Answer(200, _PAGE, "text/html; charset=utf-8")


def _truncated(answer: Answer, _call: Call) -> Answer:
    return Answer(answer.status, answer.body[: len(answer.body) // 2], answer.content_type, answer.headers)


def _wrong_type(answer: Answer, _call: Call) -> Answer:
    is_list = answer.body.startswith(b"[")
    return Answer(answer.status, b'{"unexpected": true}' if is_list else b'["unexpected"]')


def _other_device(answer: Answer, call: Call) -> Answer:
    """The last two digits of every mention change, so that the answer is about another device."""
    iccid = find_iccid(call.path.encode()) or find_iccid(call.body)
    if iccid is None:
        return answer
    other = f"{iccid[:-2]}{(int(iccid[-2:]) + 11) % 100:02d}"
    body = answer.body.replace(iccid.encode(), other.encode())
    return Answer(answer.status, body, answer.content_type, answer.headers)


def _stuck_cursor(answer: Answer, call: Call) -> Answer:
    cursor = orjson.loads(call.body).get("largestDeviceIdSeen", 0)
    return _change_page(answer, lambda device: _set_device_id(device, str(cursor)), more=True)


def _no_device_id(answer: Answer, _call: Call) -> Answer:
    return _change_page(answer, lambda device: device.pop("extendedAttributes", None), more=True)


def _foreign_account(answer: Answer, _call: Call) -> Answer:
    page = orjson.loads(answer.body)
    for device in page.get("devices", ())[-1:]:
        device["accountName"] = FOREIGN_ACCOUNT
    return json_answer(page, answer.status)


def _change_page(answer: Answer, change: Callable[[dict[str, Any]], object], *, more: bool) -> Answer:
    page = orjson.loads(answer.body)
    for device in page.get("devices", ()):
        change(device)
    return json_answer({**page, "hasMoreData": more}, answer.status)


def _set_device_id(device: dict[str, Any], value: str) -> None:
    for attribute in device["extendedAttributes"]:
        if attribute["key"] == "DeviceId":
            attribute["value"] = value


_AFTERWARDS: dict[FaultKind, Callable[[Answer, Call], Answer]] = {
    FaultKind.OTHER_DEVICE: _other_device,
    FaultKind.STUCK_CURSOR: _stuck_cursor,
    FaultKind.NO_DEVICE_ID: _no_device_id,
    FaultKind.FOREIGN_ACCOUNT: _foreign_account,
    FaultKind.WRONG_TYPE: _wrong_type,
    FaultKind.TRUNCATED: _truncated,
    FaultKind.HTML: _html,
}
