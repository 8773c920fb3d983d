"""One call to POND: sent through the retry layer, its answer read, a refusal told from a fault."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Collection
from typing import Any, TypeVar

import httpx

from pondctl.clients._http import Json, Sender
from pondctl.clients._repeat import RepeatableError
from pondctl.clients.pond_api import Endpoint
from pondctl.clients.pond_parse import UnreadableError, parse_json
from pondctl.clients.pond_refusals import (
    Refusal,
    access_error,
    denied,
    find_refusal,
    read_error,
    temporary_error,
)
from pondctl.errors import Category
from pondctl.telemetry.log_context import log_context
from pondctl.telemetry.logger import Logger

T = TypeVar("T")

# Our own id of a call: the carrier sends it back and can find the call by it. It makes nothing idempotent.
REQUEST_ID = "RequestId"
# So long the first refused read waits for one that is answered: calls begin together.
_LOOK_SECONDS = 2.0

_log = Logger()


class PondCalls:
    """Reads end in a value or an error; writes also in a `Refusal`, which needs a look at the device."""

    def __init__(self, sender: Sender, secrets: Collection[str]) -> None:
        self._sender = sender
        self._secrets = secrets
        self._served = threading.Event()
        self._served_path: tuple[Endpoint, str] | None = None

    def read(self, endpoint: Endpoint, iccid: str, parse: Callable[[Any], T], *, query: str = "") -> T:
        """Send a read, again where that may help, and parse what it says."""
        answer = self.try_read(endpoint, iccid, parse, query=query)
        if isinstance(answer, Refusal):
            raise read_error(answer, iccid)
        return answer

    def try_read(
        self, endpoint: Endpoint, iccid: str, parse: Callable[[Any], T], *, query: str = ""
    ) -> T | Refusal:
        """Like `read`, with a refusal as a value."""
        path = f"{endpoint.path(iccid)}?{query}" if query else endpoint.path(iccid)
        with log_context(iccid=iccid):
            answer = self._send(endpoint, path, None, parse)
            if not isinstance(answer, Refusal):
                self._served_path = (endpoint, path)
                self._served.set()
            elif answer.may_be_about_device and not self._is_served():
                raise denied(answer)
            return answer

    def _is_served(self) -> bool:
        """Whether a read that was answered before, or is by another thread just now, still is."""
        if not self._served.wait(_LOOK_SECONDS) or self._served_path is None:
            return False
        endpoint, path = self._served_path
        return not isinstance(self._send(endpoint, path, None, lambda body: None), Refusal)

    def write(
        self,
        endpoint: Endpoint,
        path: str,
        json: Json,
        parse: Callable[[Any], T],
        before: Callable[[], None],
        *,
        iccid: str,
    ) -> T | Refusal:
        """Send a write once. Unless it provably was not carried out, no answer is an answer lost."""
        with log_context(iccid=iccid):
            return self._send(endpoint, path, json, parse, before)

    def close(self) -> None:
        """Close the connections."""
        self._sender.close()

    def _send(
        self,
        endpoint: Endpoint,
        path: str,
        json: Json | None,
        parse: Callable[[Any], T],
        before: Callable[[], None] = lambda: None,
    ) -> T | Refusal:
        return self._sender.send(
            endpoint.method,
            path,
            endpoint=endpoint.template,
            read=lambda response: self._understand(response, parse),
            safe_to_repeat=json is None,
            json=json,
            headers={REQUEST_ID: uuid.uuid4().hex},
            before=before,
        )

    def _understand(self, response: httpx.Response, parse: Callable[[Any], T]) -> T | Refusal:
        refusal = find_refusal(response.status_code, response.content, self._secrets)
        if refusal is None:
            try:
                return parse(parse_json(response.content))
            except UnreadableError as error:
                raise RepeatableError(f"POND: {error}", category=Category.CARRIER_UNAVAILABLE) from None
        _log.debug(
            "carrier refused", http_status=refusal.status, request_id=response.request.headers.get(REQUEST_ID)
        )
        is_read = response.request.method == "GET"
        judged_later = is_read and refusal.may_be_about_device
        certain = temporary_error(refusal) or (None if judged_later else access_error(refusal))
        if certain is not None:
            raise certain
        return refusal
