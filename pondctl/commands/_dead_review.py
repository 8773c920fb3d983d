"""Brings together what the full-screen view of dead letters can ask for."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pondctl.commands._dead_letter import desk_of
from pondctl.context import AppContext
from pondctl.errors import UsageError

if TYPE_CHECKING:
    from pondctl.output.review_desk import Acted, ReviewDesk, Row
    from pondctl.services.dead_letters.result import DeskResult
    from pondctl.services.dead_letters.selection import Wanted


def require_screen() -> None:
    """Raise where there is no terminal; everything the view can do has a plain command."""
    if not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        raise UsageError(
            "review needs a terminal",
            hint="`pondctl dead-letter list`, `show`, `requeue`, `discard` and `restore` do the same without",
        )


def review_desk(app: AppContext, wanted: Wanted) -> ReviewDesk:
    """The services as the view calls them, each for one letter at a time."""
    from pondctl.output.review_desk import ReviewDesk
    from pondctl.services.dead_letters.edit import read_edit
    from pondctl.services.dead_letters.list import COUNTED, count_letters, page_lines
    from pondctl.services.dead_letters.selection import Scope
    from pondctl.services.dead_letters.show import for_people, show_letter

    plain_desk = desk_of(app, None)
    retention_days = app.settings.limits.retention_days

    filtered = " (filtered)" if replace(wanted, text=None).narrows else ""

    def narrowed(state: str | None, text: str) -> Wanted:
        return replace(wanted, state=state, text=text or None)

    def page(state: str | None, text: str, after: int, limit: int) -> Sequence[Row]:
        return page_lines(app.database, narrowed(state, text), after, limit)

    def requeue(letter_id: int, edits: Sequence[str]) -> Acted:
        return _one(plain_desk.requeue(Scope([letter_id]), read_edit(edits, ())))

    def discard(letter_id: int, reason: str) -> Acted:
        return _one(replace(plain_desk, actor=app.actor(reason)).discard(Scope([letter_id])))

    return ReviewDesk(
        title=f"dead letters of {app.settings.profile}{filtered}",
        most=COUNTED,
        page=page,
        count=lambda state, text: count_letters(app.database, narrowed(state, text)),
        show=lambda letter_id: for_people(show_letter(app.database, letter_id, retention_days)),
        requeue=requeue,
        discard=discard,
        restore=lambda letter_id: _one(plain_desk.restore(Scope([letter_id]))),
        stopped=app.stop.is_set,
        state=wanted.state,
        text=wanted.text or "",
    )


def _one(result: DeskResult) -> Acted:
    if result.trouble is not None:
        result.warn(result.trouble.message)
    return result.letters[0].as_row(), result.warnings
