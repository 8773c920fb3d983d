"""The full-screen view: each key, at 80x24, without a mouse and without colour."""

from __future__ import annotations

import asyncio
import html
import os
import re
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from textual.events import Key
from textual.pilot import Pilot
from textual.widgets import DataTable, Input, Static

from pondctl.errors import ConfigurationError, MessageError
from pondctl.output.review import open_review
from pondctl.output.review_app import ReviewApp
from pondctl.output.review_desk import Acted, ReviewDesk, Row

HOSTILE = "\x1b]0;owned\x07[red]not red[/red]\u202e"
SNAPSHOT = Path(__file__).parent / "review.svg"
WHEN = datetime(2026, 11, 20, 8, 0)


class Inbox:
    """Letters in memory, and what was asked of them."""

    def __init__(self, count: int = 3, reason: str = "received 5 times") -> None:
        self.letters = {number: self._letter(number, reason) for number in range(1, count + 1)}
        self.asked: list[tuple[Any, ...]] = []
        self.pages = 0
        self.is_over = False

    def _letter(self, number: int, reason: str) -> dict[str, Any]:
        about = {"id": number, "state": "open", "category": "max_receives", "bulk_change_id": 42}
        return {**about, "created": WHEN, "requeued": 0, "reason": reason}

    def desk(self) -> ReviewDesk:
        return ReviewDesk(
            title="dead letters of tests",
            most=1000,
            page=self.page,
            count=lambda state, text: len(self._matching(state, text)),
            show=lambda number: {**self.letters[number], "body": f"body of {number} {HOSTILE}"},
            requeue=self.requeue,
            discard=self.discard,
            restore=self.restore,
            stopped=lambda: self.is_over,
        )

    def _matching(self, state: str | None, text: str) -> list[dict[str, Any]]:
        found = [each for each in self.letters.values() if state in (None, each["state"])]
        return [each for each in found if text in each["reason"]]

    def page(self, state: str | None, text: str, after: int, limit: int) -> Sequence[Row]:
        self.pages += 1
        return [each for each in self._matching(state, text) if each["id"] > after][:limit]

    def requeue(self, number: int, edits: Sequence[str]) -> Acted:
        self.asked.append(("requeue", number, *edits))
        if "RetryNumber=x" in edits:
            raise MessageError("RetryNumber", "is no whole number in plain digits")
        return self._move(number, "requeued", "requeued"), ["it will likely come back"]

    def discard(self, number: int, reason: str) -> Acted:
        self.asked.append(("discard", number, reason))
        return self._move(number, "discarded", "discarded"), []

    def restore(self, number: int) -> Acted:
        self.asked.append(("restore", number))
        return self._move(number, "open", "restored"), []

    def _move(self, number: int, state: str, outcome: str) -> Row:
        self.letters[number]["state"] = state
        return {"id": number, "outcome": outcome, "detail": None}


Steps = Callable[[ReviewApp, Pilot[None]], Awaitable[None]]


def drive(inbox: Inbox, steps: Steps) -> None:
    """Open the view, and do the steps in it."""

    async def run() -> None:
        app = ReviewApp(inbox.desk())
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.pause()
            await steps(app, pilot)

    asyncio.run(run())


async def settle(app: ReviewApp, pilot: Pilot[None]) -> None:
    await app.workers.wait_for_complete()
    await pilot.pause()


def text_of(app: ReviewApp, name: str) -> str:
    return str(app.query_one(f"#{name}", Static).render())


def rows(app: ReviewApp) -> int:
    return app.query_one(DataTable).row_count


def test_it_opens_on_the_first_letter_with_its_details() -> None:
    async def steps(app: ReviewApp, pilot: Pilot[None]) -> None:
        assert rows(app) == 3
        assert "open: 3" in text_of(app, "head")
        assert "body of 1" in text_of(app, "letter")

    drive(Inbox(), steps)


def test_up_and_down_show_another_letter() -> None:
    async def steps(app: ReviewApp, pilot: Pilot[None]) -> None:
        await pilot.press("down", "down", "up")
        await pilot.pause()
        assert "body of 2" in text_of(app, "letter")

    drive(Inbox(), steps)


def test_end_and_home_go_to_the_last_and_the_first_letter_and_the_ids_stay_in_sight() -> None:
    async def steps(app: ReviewApp, pilot: Pilot[None]) -> None:
        await pilot.press("s", "s", "s", "end")
        await pilot.pause()
        assert "body of 3" in text_of(app, "letter")
        assert app.query_one(DataTable).scroll_target_x == 0
        await pilot.press("home")
        await pilot.pause()
        assert "body of 1" in text_of(app, "letter")

    drive(Inbox(), steps)


def test_r_requeues_the_letter_under_the_cursor_and_says_so() -> None:
    inbox = Inbox()

    async def steps(app: ReviewApp, pilot: Pilot[None]) -> None:
        await pilot.press("down", "r")
        await settle(app, pilot)
        assert rows(app) == 2
        assert text_of(app, "said") == "2: requeued; it will likely come back"
        assert "body of 3" in text_of(app, "letter"), "the cursor stays where it was"

    drive(inbox, steps)
    assert inbox.asked == [("requeue", 2)]


def test_e_edits_and_requeues() -> None:
    inbox = Inbox()

    async def steps(app: ReviewApp, pilot: Pilot[None]) -> None:
        await pilot.press("e", *"RetryNumber=0 'RequestId=a b'", "enter")
        await settle(app, pilot)
        assert rows(app) == 2

    drive(inbox, steps)
    assert inbox.asked == [("requeue", 1, "RetryNumber=0", "RequestId=a b")]


def test_a_refused_edit_is_shown_and_the_letter_stays() -> None:
    async def steps(app: ReviewApp, pilot: Pilot[None]) -> None:
        await pilot.press("e", *"RetryNumber=x", "enter")
        await settle(app, pilot)
        assert "RetryNumber: is no whole number" in text_of(app, "said")
        assert rows(app) == 3
        await pilot.press("e", *"RequestId='a", "enter")
        await settle(app, pilot)
        assert "quotation mark" in text_of(app, "said")

    drive(Inbox(), steps)


def test_d_discards_with_the_reason_typed() -> None:
    inbox = Inbox()

    async def steps(app: ReviewApp, pilot: Pilot[None]) -> None:
        await pilot.press("d", *"test data, quit", "enter")
        await settle(app, pilot)
        assert rows(app) == 2

    drive(inbox, steps)
    assert inbox.asked == [("discard", 1, "test data, quit")]


def test_what_is_typed_ahead_is_text_and_no_command() -> None:
    inbox = Inbox()

    async def steps(app: ReviewApp, pilot: Pilot[None]) -> None:
        table = app.query_one(DataTable)
        for key in "drsuq":
            table._forward_event(Key(key, key))
        await settle(app, pilot)
        line = app.query_one(Input)
        assert (line.value, line.placeholder) == ("rsuq", "reason for discarding")
        assert app.is_running

    drive(inbox, steps)
    assert inbox.asked == []


def test_u_takes_the_last_discard_back() -> None:
    inbox = Inbox()

    async def steps(app: ReviewApp, pilot: Pilot[None]) -> None:
        await pilot.press("down", "d", *"oops", "enter")
        await settle(app, pilot)
        await pilot.press("u")
        await settle(app, pilot)
        assert rows(app) == 3

    drive(inbox, steps)
    assert inbox.asked[-1] == ("restore", 2)


def test_escape_forgets_what_was_typed() -> None:
    inbox = Inbox()

    async def steps(app: ReviewApp, pilot: Pilot[None]) -> None:
        await pilot.press("d", *"never")
        assert "Esc" in text_of(app, "keys")
        await pilot.press("escape")
        await settle(app, pilot)
        assert not app.query(Input)
        assert "d discard" in text_of(app, "keys")
        assert app.focused is app.query_one(DataTable)

    drive(inbox, steps)
    assert inbox.asked == []


def test_slash_filters_by_text() -> None:
    inbox = Inbox()
    inbox.letters[2]["reason"] = "another one"

    async def steps(app: ReviewApp, pilot: Pilot[None]) -> None:
        await pilot.press("slash", *"another", "enter")
        await settle(app, pilot)
        assert rows(app) == 1
        assert "open: 1  with 'another'" in text_of(app, "head")
        await pilot.press("slash", *["backspace"] * 7, "enter")
        await settle(app, pilot)
        assert rows(app) == 3

    drive(inbox, steps)


def test_s_goes_through_the_states() -> None:
    inbox = Inbox()
    inbox.letters[3]["state"] = "discarded"

    async def steps(app: ReviewApp, pilot: Pilot[None]) -> None:
        seen = []
        for _ in range(4):
            await pilot.press("s")
            await pilot.pause()
            seen.append((rows(app), text_of(app, "head").split("  ")[1].split(":")[0]))
        assert seen == [(1, "discarded"), (0, "requeued"), (3, "any state"), (2, "open")]

    drive(inbox, steps)


def test_tab_reaches_the_letter_and_comes_back() -> None:
    async def steps(app: ReviewApp, pilot: Pilot[None]) -> None:
        await pilot.press("tab")
        assert app.focused is app.query_one("#detail")
        await pilot.press("tab")
        assert app.focused is app.query_one(DataTable)

    drive(Inbox(), steps)


@pytest.mark.parametrize("key", ["q", "ctrl+c"])
def test_q_and_ctrl_c_leave(key: str) -> None:
    async def steps(app: ReviewApp, pilot: Pilot[None]) -> None:
        await pilot.press(key)
        await pilot.pause()
        assert not app.is_running or app._exit

    drive(Inbox(), steps)


def test_a_signal_leaves() -> None:
    inbox = Inbox()

    async def steps(app: ReviewApp, pilot: Pilot[None]) -> None:
        inbox.is_over = True
        await pilot.pause(0.6)
        assert app._exit

    drive(inbox, steps)


def test_an_empty_inbox_has_nothing_to_act_on() -> None:
    inbox = Inbox(0)

    async def steps(app: ReviewApp, pilot: Pilot[None]) -> None:
        for key in ("r", "e", "d", "u"):
            await pilot.press(key)
            await settle(app, pilot)
            assert text_of(app, "said") == "there is no letter here"

    drive(inbox, steps)
    assert inbox.asked == []


def test_many_letters_are_loaded_as_one_goes_down() -> None:
    inbox = Inbox(10_000)

    async def steps(app: ReviewApp, pilot: Pilot[None]) -> None:
        assert rows(app) == 20
        assert "more than 1,000" in text_of(app, "head")
        app.query_one(DataTable).move_cursor(row=15)
        await pilot.pause()
        assert rows(app) == 120

    drive(inbox, steps)
    assert inbox.pages == 2


def test_nothing_from_outside_is_markup_or_controls_the_terminal() -> None:
    async def steps(app: ReviewApp, pilot: Pilot[None]) -> None:
        drawn = "\n".join(_lines(app.export_screenshot()))
        assert "[red]not red[/red]" in drawn
        assert not set(drawn) & set("\x1b\x07\u202e")

    drive(Inbox(reason=HOSTILE), steps)


def test_it_looks_as_it_did() -> None:
    """Compares what is drawn where, not fonts, ids or colours; DRAW_SNAPSHOTS=1 draws it anew."""

    async def steps(app: ReviewApp, pilot: Pilot[None]) -> None:
        drawn = app.export_screenshot(title="review")
        if os.environ.get("DRAW_SNAPSHOTS"):
            SNAPSHOT.write_text(drawn, encoding="utf-8")
        assert _lines(drawn) == _lines(SNAPSHOT.read_text(encoding="utf-8"))

    drive(Inbox(), steps)


def test_without_colour_the_line_under_the_cursor_still_stands_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    async def steps(app: ReviewApp, pilot: Pilot[None]) -> None:
        style = app.query_one(DataTable).get_component_styles("datatable--cursor")
        assert style.text_style.reverse

    drive(Inbox(), steps)


def test_without_the_extra_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "textual", None)

    with pytest.raises(ConfigurationError) as caught:
        open_review(Inbox().desk())

    assert "pip install 'pondctl[review]'" in str(caught.value.hint)


def _lines(svg: str) -> list[str]:
    """The text of a screenshot by line, whatever its spans."""
    found: dict[float, list[tuple[float, str]]] = {}
    for x, y, text in re.findall(r'<text [^>]*?x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]*)</text>', svg):
        found.setdefault(float(y), []).append((float(x), html.unescape(text)))
    lines = ["".join(text for _, text in sorted(spans)) for _, spans in sorted(found.items())]
    return [line.replace("\xa0", " ").rstrip() for line in lines]
