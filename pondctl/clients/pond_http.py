"""The connection to POND: address with the distributor, key header, basic authorisation beside it."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import httpx

from pondctl.clients._carrier_client import CarrierClient, open_client
from pondctl.clients._repeat import RepeatableError, retry_after
from pondctl.clients.pond_refusals import find_refusal
from pondctl.errors import Category, ConfigurationError
from pondctl.models import Carrier

_SERVER_ERROR = 500
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


@dataclass(frozen=True, slots=True)
class Credentials:
    """A static key and, where wanted, a user. Nothing of it is renewed, for nothing of it runs out."""

    api_key: str = field(repr=False)
    api_key_header: str = "x-api-key"
    username: str = ""
    password: str = field(default="", repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be shown, in each form in which it travels."""
        basic = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
        return tuple(filter(None, (self.api_key, self.password, basic if self.username else "")))

    def header(self) -> dict[str, str]:
        """The key's header. Checked here, since httpx shows a value that it cannot encode."""
        if not _HEADER_NAME.fullmatch(self.api_key_header):
            raise ConfigurationError("pond.api_key_header is no name that a header can have")
        key = self.api_key
        if not (key.isascii() and key.isprintable() and key == key.strip() and key):
            raise ConfigurationError(
                "pond.api_key is empty, or has characters that no header can carry",
                hint="a line break at its end is the usual reason",
            )
        return {self.api_key_header: key}


def address_of(base_url: str, distributor_id: int) -> httpx.URL:
    """The base URL with its own path, and the distributor after it."""
    try:
        return httpx.URL(f"{base_url.rstrip('/')}/{distributor_id}")
    except httpx.InvalidURL:
        raise ConfigurationError("pond.base_url is no address") from None


def open_http(
    address: httpx.URL,
    credentials: Credentials,
    *,
    connections: int,
    transport: httpx.BaseTransport | None,
) -> CarrierClient:
    """Build the client that every call goes through; nothing is sent yet."""
    return open_client(
        str(address),
        carrier=Carrier.POND,
        auth=httpx.BasicAuth(credentials.username, credentials.password) if credentials.username else None,
        connections=connections,
        headers=credentials.header(),
        transport=transport,
        look=_keep_words(credentials.secrets),
    )


def _keep_words(secrets: Collection[str]) -> Callable[[httpx.Response], None]:
    """Look at an answer: a 5xx with an error object ends in the carrier's own words, not in a number."""

    def look(response: httpx.Response) -> None:
        if response.status_code < _SERVER_ERROR:
            return
        refusal = find_refusal(response.status_code, response.content, secrets)
        if refusal is not None and refusal.is_error_object:
            raise RepeatableError(
                refusal.sentence,
                category=Category.CARRIER_UNAVAILABLE,
                retry_after=retry_after(response.headers),
            )

    return look
