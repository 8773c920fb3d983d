"""Carrier notifications from a file: one document, an array of them, or one a line. Read as a whole first."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

from pondctl.clients.callback import CarrierHint, parse_callback
from pondctl.errors import MessageError, UsageError
from pondctl.services.targets.store import PackedIccids

# A document of its own cannot be longer than a queue message; what is not one a line is read at once.
_LONGEST_LINE: Final = 262_144
_LONGEST_WHOLE: Final = 64 * 1024 * 1024
_CODE: Final = re.compile(r"[A-Za-z0-9_.-]{1,100}")


@dataclass(slots=True)
class Hints:
    """The devices that notifications name, each once; `faults` has the fault's code where one claims a fault.

    Nothing else of a notification is kept: neither its login, nor the number it claims, nor its free text.
    """

    iccids: PackedIccids = field(default_factory=PackedIccids)
    faults: dict[str, str] = field(default_factory=dict)
    documents: int = 0
    not_iccids: int = 0

    def add(self, hint: CarrierHint) -> None:
        """Take the devices of one notification; of two about one device the later one counts."""
        self.documents += 1
        self.not_iccids += hint.not_iccids
        code = hint.fault_code if hint.fault_code and _CODE.fullmatch(hint.fault_code) else None
        for iccid in hint.iccids:
            self.iccids.add(iccid)
            self.faults.pop(iccid, None)
            if code:
                self.faults[iccid] = code


def hints_of(hint: CarrierHint) -> Hints:
    """One notification, as it comes with a queue message."""
    hints = Hints()
    hints.add(hint)
    return hints


def read_hints(path: str, stdin: BinaryIO) -> Hints:
    """Read the file (`-`: stdin). Raises `UsageError` that names the line or the document, and the field.

    Nobody has signed these documents, so one that cannot be read may mean that all are something else.
    """
    name = "standard input" if path == "-" else path
    hints = Hints()
    try:
        with nullcontext(stdin) if path == "-" else _open(path) as stream:
            for place, body in _documents(stream, name):
                hints.add(_parse(place, body))
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {error.strerror or error}") from error
    if not hints.documents:
        raise UsageError(f"{name} holds no notification")
    return hints


def _open(path: str) -> BinaryIO:
    if "\0" in path:
        raise UsageError("a file name cannot hold NUL")
    return Path(path).open("rb")


def _documents(stream: BinaryIO, name: str) -> Iterator[tuple[str, str]]:
    """Each document with its place. JSON lines are told by their first line: it is complete in itself."""
    lines = enumerate(_lines(stream), start=1)
    first = next(((number, line) for number, line in lines if line.strip()), None)
    if first is None:
        return
    if _is_object(first[1]):
        yield f"line {first[0]} of {name}", _text(first[1], f"line {first[0]} of {name}")
        for number, line in lines:
            place = f"line {number} of {name}"
            if len(line) > _LONGEST_LINE:
                raise UsageError(f"{place} is longer than {_LONGEST_LINE:,} bytes, nothing was done")
            if line.strip():
                yield place, _text(line, place)
        return
    yield from _whole(_join([first[1]], (line for _, line in lines), name), name)


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    """Lines, cut where one is longer than a document may be."""
    line = stream.readline(_LONGEST_LINE + 1).removeprefix(b"\xef\xbb\xbf")
    while line:
        yield line
        line = stream.readline(_LONGEST_LINE + 1)


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _join(head: list[bytes], rest: Iterable[bytes], name: str) -> bytes:
    text, room = b"".join(head), _LONGEST_WHOLE
    parts = [text]
    for part in rest:
        parts.append(part)
        room -= len(part)
        if room < 0:
            raise UsageError(
                f"{name} is longer than {_LONGEST_WHOLE // 1024**2} MiB, nothing was done",
                hint="write one document a line",
            )
    return b"".join(parts)


def _whole(content: bytes, name: str) -> Iterator[tuple[str, str]]:
    text = _text(content, name)
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} of {name}"
        raise UsageError(f"{where}: no JSON ({error.msg}, column {error.colno}), nothing was done") from None
    except (ValueError, RecursionError):
        raise UsageError(f"{name}: no JSON that can be read, nothing was done") from None
    if not isinstance(document, list):
        yield name, text
        return
    for number, part in enumerate(document, start=1):
        yield f"document {number} of {name}", json.dumps(part)


def _text(content: bytes, place: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"{place} is no UTF-8 text, nothing was done") from None


def _parse(place: str, body: str) -> CarrierHint:
    try:
        return parse_callback(body)
    except MessageError as error:
        raise UsageError(
            f"{place}: {error.field} {error.reason}, nothing was done",
            hint="expected: a CarrierService document with deviceIds of kind ICCID",
        ) from None
