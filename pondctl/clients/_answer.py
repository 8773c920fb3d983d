"""One HTTP answer, read as it comes in and bounded in its size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import httptools
import httpx

from pondctl.clients._repeat import RepeatableError
from pondctl.errors import Category

MAX_BODY_BYTES: Final = 32 * 1024 * 1024
_LARGEST_HEAD: Final = 100 * 1024
_FIRST_FINAL_STATUS: Final = 200


class Answer:
    """One answer as it comes in; the `on_` methods are what httptools calls."""

    def __init__(self) -> None:
        parser = httptools.HttpResponseParser(self)
        # Old gateways end their lines with LF alone; a reader may take that (RFC 9112, 2.2).
        parser.set_dangerous_leniencies(lenient_optional_cr_before_lf=True)
        self._parser: httptools.HttpResponseParser | None = parser
        self._status = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._parts: list[bytes] = []
        self._taken = self._size = 0
        self._has_head = False
        self.is_whole = self.keeps_connection = False

    def take(self, data: bytes) -> None:
        """Read on; nothing means that the other side has closed."""
        if not data:
            self._closed()
            return
        self._taken += len(data)
        assert self._parser is not None
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.keeps_connection = False
            if not self.is_whole:
                raise httpx.RemoteProtocolError("the answer is no HTTP") from None
        if not self._has_head and self._taken > _LARGEST_HEAD:
            raise httpx.RemoteProtocolError("the head of the answer does not end")
        if self._size > MAX_BODY_BYTES:
            raise too_large()

    def forget_parser(self) -> None:
        """It holds this answer as this answer holds it: the garbage collector would part them much later."""
        self._parser = None

    def response(self) -> httpx.Response:
        """The answer; its body still packed where it came packed."""
        if any(name.lower() == b"content-encoding" for name, _ in self._headers):
            return httpx.Response(self._status, headers=self._headers, stream=_Packed(self._parts))
        return httpx.Response(self._status, headers=self._headers, content=b"".join(self._parts))

    def on_message_begin(self) -> None:
        if self.is_whole:
            # Nobody asked for another one.
            self.keeps_connection = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.is_whole:
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        if not self.is_whole and self._parser is not None:
            self._status = self._parser.get_status_code()
            self._has_head = self._status >= _FIRST_FINAL_STATUS
            self.keeps_connection = self._parser.should_keep_alive()

    def on_body(self, part: bytes) -> None:
        if not self.is_whole:
            self._parts.append(part)
            self._size += len(part)

    def on_message_complete(self) -> None:
        if self._has_head:
            self.is_whole = True
        else:
            # "100 Continue" and its like come before the answer.
            self._headers.clear()

    def _closed(self) -> None:
        told = {name.lower() for name, _ in self._headers}
        if not self._has_head or told & {b"content-length", b"transfer-encoding"}:
            raise httpx.RemoteProtocolError("the connection was closed before the answer was whole")
        self.is_whole, self.keeps_connection = True, False


class _Packed(httpx.SyncByteStream):
    """A packed body as it came, piece by piece: unpacked as one, a small one could fill the memory."""

    def __init__(self, parts: list[bytes]) -> None:
        self._parts = parts

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._parts)


def too_large() -> RepeatableError:
    """The error for an answer that nobody should hold in memory."""
    return RepeatableError(
        f"the answer is larger than {MAX_BODY_BYTES} bytes",
        category=Category.CARRIER_UNAVAILABLE,
        attempts=1,
    )
