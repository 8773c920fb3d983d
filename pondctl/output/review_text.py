"""What the full-screen view shows, as plain text: whatever comes from outside is spelt out."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Final

from rich.text import Text

from pondctl.output.lists import write_record
from pondctl.output.review_desk import ReviewDesk, Row
from pondctl.output.safe import plain, shown

_COLUMNS: Final = {
    "id": "ID",
    "state": "STATE",
    "category": "CATEGORY",
    "bulk_change_id": "BULK",
    "created": "CREATED",
    "reason": "REASON",
}
_MINUTES: Final = 16


def columns_of(state: str | None) -> dict[str, str]:
    """Names and titles of the columns; 80 of them are few, and the state mostly stands in the first line."""
    return {name: title for name, title in _COLUMNS.items() if state is None or name != "state"}


def cells(row: Row, names: Iterable[str]) -> list[Text]:
    """A line of the table; `Text` is never read as markup."""
    return [Text(_cell(name, row[name])) for name in names]


def head_line(desk: ReviewDesk, state: str | None, text: str, count: int) -> str:
    """What is shown, and how much of it there is."""
    many = f"more than {desk.most:,}" if count > desk.most else f"{count:,}"
    only = f"  with {plain(text)!r}" if text else ""
    return f"{plain(desk.title)}  {state or 'any state'}: {many}{only}"


def letter_text(record: Row | None) -> str:
    """One letter, as `dead-letter show` prints it, without what it has not."""
    if record is None:
        return "no dead letters"
    page = io.StringIO()
    write_record(page, "table", {name: value for name, value in record.items() if value not in (None, [])})
    return page.getvalue()


def _cell(name: str, value: object) -> str:
    text = shown(value)
    return text[:_MINUTES].replace("T", " ") if name == "created" else text
