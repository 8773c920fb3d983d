"""The text of a target file, line by line: which cell of which line should hold an ICCID."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterable, Iterator
from typing import BinaryIO, Final, NamedTuple

from pondctl.errors import UsageError
from pondctl.models import normalize_iccid

_CHUNK_BYTES: Final = 1 << 16
# Far above any honest row, and far below what would matter to memory.
_LONGEST_LINE: Final = 1 << 16
_DELIMITERS: Final = (",", ";", "\t")
_BYTE_ORDER_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NO_TEXT: Final = ((b"PK\x03\x04", "a spreadsheet or archive"), (b"\x1f\x8b", "compressed"))
_COMMENT = re.compile(r"(^|\s)#.*", re.DOTALL)
_SEPARATOR_LINE = re.compile(r"sep=[,;\t]\s*", re.IGNORECASE)
_ICCID_INSIDE = re.compile(r"(?<!\d)89\d{16,20}(?!\d)", re.ASCII)
_ROUNDED = re.compile(r"[+-]?\d+([.,]\d+)?[eE][+-]?\d+|\d+[.,]0*", re.ASCII)
_SHOWN_COLUMNS: Final = 10


class Cell(NamedTuple):
    """What stands where an ICCID should; `problem` says what is wrong with the row, if not the cell."""

    line: int
    text: str
    problem: str = ""


class _Layout(NamedTuple):
    """A CSV file: which delimiter, which column, how many of them."""

    delimiter: str
    column: int
    width: int


def read_cells(stream: BinaryIO, name: str) -> Iterator[Cell]:
    """Yield the cells of a list (one a line) or of a CSV file with a column named ICCID.

    Blank lines and comments yield nothing. Raises `UsageError`, naming the file, where it is neither.
    """
    numbered = enumerate(_lines(stream, name), start=1)
    for number, line in numbered:
        if not _is_content(line) or _SEPARATOR_LINE.fullmatch(line):
            continue
        layout = _layout(line, number, name)
        if layout is None or layout.width == 1:
            # A list, or a single column under its heading: quotes are all it can have.
            listed = [] if layout else [(number, line)]
            yield from _list_cells(listed)
            yield from _list_cells(numbered)
        else:
            rest = (text + "\n" for _, text in numbered)
            yield from _table_cells(rest, layout, number, name)


def _lines(stream: BinaryIO, name: str) -> Iterator[str]:
    """Decoded lines without their ends. Bytes that are no UTF-8 may stand in columns nobody reads."""
    chunk = stream.read(_CHUNK_BYTES)
    decoder = io.IncrementalNewlineDecoder(
        codecs.getincrementaldecoder(_encoding(chunk, name))("replace"), translate=True
    )
    number, rest = 1, ""
    while True:
        *lines, rest = (rest + decoder.decode(chunk, final=not chunk)).split("\n")
        for line in (*lines, rest):
            if "\0" in line:
                raise UsageError(f"{name} is no text file", hint="export it as CSV, in UTF-8")
            if len(line) > _LONGEST_LINE:
                where = f"line {number} of {name}"
                raise UsageError(f"{where} is longer than {_LONGEST_LINE:,} characters")
            number += 1
        number -= 1
        yield from lines
        if not chunk:
            break
        chunk = stream.read(_CHUNK_BYTES)
    if rest:
        yield rest


def _encoding(head: bytes, name: str) -> str:
    for magic, what in _NO_TEXT:
        if head.startswith(magic):
            raise UsageError(f"{name} is {what}, no text file", hint="export it as CSV, in UTF-8")
    return next((encoding for mark, encoding in _BYTE_ORDER_MARKS if head.startswith(mark)), "utf-8")


def _is_content(line: str) -> bool:
    bare = line.strip()
    return bool(bare) and not bare.startswith("#")


def _layout(first: str, number: int, name: str) -> _Layout | None:
    """Read the first line as a header; None where it is an entry of a list already."""
    tables = [(delimiter, _header(first, delimiter)) for delimiter in _DELIMITERS if delimiter in first]
    tables = tables or [(",", _header(first, ","))]
    delimiter, names = min(tables, key=_clumsiness)
    columns = [at for at, title in enumerate(names) if "iccid" in title]
    exact = [at for at in columns if names[at] == "iccid"]
    if len(exact) == 1 or len(columns) == 1:
        return _Layout(delimiter, (exact or columns)[0], len(names))
    shown = ", ".join(repr(title[:40]) for title in names[:_SHOWN_COLUMNS])
    if columns:
        raise UsageError(
            f"line {number} of {name} names more than one ICCID column: {shown}",
            hint="name the column that counts ICCID, and no other",
        )
    is_entry = looks_rounded(unwrap(first)) or any(normalize_iccid(title) for title in names)
    if len(names) == 1 or is_entry:
        return None
    raise UsageError(
        f"{name} has no column named ICCID; line {number} has {shown}",
        hint="name the column ICCID in the header, or give one ICCID a line",
    )


def _clumsiness(table: tuple[str, list[str]]) -> tuple[int, int]:
    """Low where the delimiter is right: `ICCID;Name, first` gives a short name, and many cells."""
    _, names = table
    return min((len(name) for name in names if "iccid" in name), default=0), -len(names)


def _header(line: str, delimiter: str) -> list[str]:
    try:
        names = next(csv.reader([line], delimiter=delimiter, strict=True))
    except csv.Error:
        names = line.split(delimiter)
    return [unwrap(name).strip().lower() for name in names]


def _list_cells(numbered: Iterable[tuple[int, str]]) -> Iterator[Cell]:
    for number, line in numbered:
        if not _is_content(line):
            continue
        text = unwrap(_COMMENT.sub("", line))
        several = any(delimiter in text for delimiter in _DELIMITERS) and _ICCID_INSIDE.search(text)
        yield Cell(
            number, text, "several columns, but no header line that names one ICCID" if several else ""
        )


def _table_cells(lines: Iterator[str], layout: _Layout, header_line: int, name: str) -> Iterator[Cell]:
    reader = csv.reader(lines, delimiter=layout.delimiter, strict=True)
    number = header_line + 1
    while True:
        try:
            row = next(reader, None)
        except csv.Error:
            # What follows an open quote cannot be told from its text: no row of it is safe to leave out.
            raise UsageError(
                f"line {number} of {name}: a quotation mark is not closed as it should be"
            ) from None
        if row is None:
            return
        end = header_line + reader.line_num
        if end > number and any("\n" in cell and _ICCID_INSIDE.search(cell) for cell in row):
            raise UsageError(
                f"lines {number} to {end} of {name} are one quoted cell that holds an ICCID",
                hint="a quotation mark is missing or one too many",
            )
        yield from _row_cell(row, layout, number)
        number = end + 1


def _row_cell(row: list[str], layout: _Layout, number: int) -> Iterator[Cell]:
    if not any(cell.strip() for cell in row):
        return
    text = unwrap(row[layout.column]) if len(row) > layout.column else ""
    if not row[0].lstrip().startswith("#"):
        yield Cell(number, text)
    elif layout.column and len(row) == layout.width and any(char.isdigit() for char in text):
        yield Cell(number, text, "begins with # like a comment, but names a number")


def unwrap(text: str) -> str:
    """The cell without blanks, quotes, byte order marks, and the `="…"` or `'` that make Excel keep text."""
    bare = text.strip().lstrip("\ufeff").removeprefix("=").strip()
    if len(bare) > 1 and bare[0] == bare[-1] and bare[0] in "\"'":
        bare = bare[1:-1]
    return bare.removeprefix("'").strip()


def looks_rounded(text: str) -> bool:
    """Whether a spreadsheet has made a number of it: `8.9E+19`, `8,9E+19`, `89.0`."""
    return _ROUNDED.fullmatch(text) is not None
