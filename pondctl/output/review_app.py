"""The screen: a table that loads as one goes down, the letter below it, one line to type into."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from functools import partial
from typing import ClassVar, Final, TypeVar

from rich.text import Text
from textual import on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.events import Key
from textual.widgets import DataTable, Input, Static

from pondctl.errors import PondctlError
from pondctl.output.review_desk import Acted, ReviewDesk, Row
from pondctl.output.review_text import cells, columns_of, head_line, letter_text
from pondctl.output.safe import plain

T = TypeVar("T")

# More than a screen holds; the next pages are loaded when the cursor comes so near to the last row.
_FIRST_PAGE: Final = 20
_PAGE: Final = 100
_NEAR: Final = 10
_STATES: Final[Sequence[str | None]] = ("open", "discarded", "requeued", None)
_KEYS: Final = "r requeue  e edit  d discard  u undo  / filter  s state  Tab pane  q quit"
_TYPING_KEYS: Final = "Enter do it  Esc forget it"
_ALWAYS: Final = ("leave_line", "quit")
_PROMPTS: Final = {
    "filter": "only with this text (empty: all)",
    "edit": "Attribute=Value, such as RetryNumber=0; then it is requeued",
    "discard": "reason for discarding",
}


class Letters(DataTable[Text]):
    """Home and End go to the first and the last line, not sideways, where the ids are out of sight."""

    def action_scroll_home(self) -> None:
        """Go to the first row."""
        self.action_scroll_top()

    def action_scroll_end(self) -> None:
        """Go to the last row."""
        self.action_scroll_bottom()


class ReviewApp(App[None]):
    """Everything it does goes through the desk; nothing from outside is taken for markup."""

    ENABLE_COMMAND_PALETTE = False
    CSS = """
    #head, #keys { height: 1; text-style: reverse; }
    #said { height: 1; }
    #table { height: 1fr; overflow-x: hidden; }
    #table > .datatable--cursor { text-style: reverse bold; }
    #detail { height: 1fr; border-top: solid; }
    Input { height: 1; border: none; padding: 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "requeue"),
        Binding("e", "ask('edit')"),
        Binding("d", "ask('discard')"),
        Binding("u", "undo"),
        Binding("slash", "ask('filter')"),
        Binding("s", "next_state"),
        Binding("escape", "leave_line", priority=True),
        Binding("q", "leave"),
        Binding("ctrl+c", "quit", priority=True),
    ]

    def __init__(self, desk: ReviewDesk) -> None:
        super().__init__()
        self._desk = desk
        self._state = desk.state
        self._text = desk.text
        self._asked = ""
        self._ids: list[int] = []
        self._all_loaded = False
        self._discarded: list[int] = []
        self._busy = False
        self._looked_at: int | None = None
        self._head = Static(id="head", markup=False)
        self._letter = Static(id="letter", markup=False)
        self._said = Static(id="said", markup=False)
        self._keys = Static(_KEYS, id="keys", markup=False)

    def compose(self) -> ComposeResult:
        """Lay out the parts, filled with the first page: drawn once, and not empty at first."""
        self._table = Letters(id="table", cursor_type="row", zebra_stripes=False)
        self._reload()
        yield self._head
        yield self._table
        with VerticalScroll(id="detail"):
            yield self._letter
        yield self._said
        yield self._keys

    def on_mount(self) -> None:
        """Everything else comes when it is asked for."""
        self._table.focus()
        self.set_interval(0.25, self._leave_when_stopped)

    @property
    def _current(self) -> int | None:
        row = self._table.cursor_row
        return self._ids[row] if 0 <= row < len(self._ids) else None

    def action_requeue(self) -> None:
        """Queue the letter again as it is."""
        self._act(lambda letter_id: self._desk.requeue(letter_id, ()))

    def action_undo(self) -> None:
        """Take back the last discard of this session, else that of the letter under the cursor."""
        letter_id = self._discarded[-1] if self._discarded else self._current
        self._act(self._desk.restore, letter_id)

    def action_leave(self) -> None:
        """End; not while something is being typed."""
        self.exit()

    def action_next_state(self) -> None:
        """Show the letters in the next state."""
        self._state = _STATES[(_STATES.index(self._state) + 1) % len(_STATES)]
        self._reload()

    def action_ask(self, what: str) -> None:
        """Let the person type."""
        if what != "filter" and self._current is None:
            self._say("there is no letter here")
            return
        self._asked = what
        value = self._text if what == "filter" else ""
        self._line = Input(value, placeholder=_PROMPTS[what], compact=True)
        self.mount(self._line, after=self._said)
        self._keys.update(_TYPING_KEYS)
        self._line.focus()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """While something is being typed no letter of it is a command."""
        return not self._asked or action in _ALWAYS

    def on_key(self, event: Key) -> None:
        """What was typed ahead, before the line had the focus, belongs into the line."""
        if self._asked and event.is_printable and event.character:
            self._line.insert_text_at_cursor(event.character)

    def action_leave_line(self) -> None:
        """Forget what was being typed, or go back to the table."""
        self._asked = ""
        self.query(Input).remove()
        self._keys.update(_KEYS)
        self._table.focus()

    @on(Input.Submitted)
    def take_line(self, event: Input.Submitted) -> None:
        """Do what the line was for."""
        what, typed = self._asked, event.value.strip()
        self.action_leave_line()
        if what == "filter":
            self._text = typed
            self._reload()
        elif what == "discard":
            self._act(lambda letter_id: self._desk.discard(letter_id, typed))
        elif what == "edit":
            try:
                words = shlex.split(typed)
            except ValueError:
                self._say("a quotation mark is not closed: nothing was done")
                return
            self._act(lambda letter_id: self._desk.requeue(letter_id, words))

    @on(DataTable.RowHighlighted)
    def look(self) -> None:
        """Show the letter under the cursor, and load on where the end is near."""
        if self._table.cursor_row >= len(self._ids) - _NEAR:
            self._load()
        if self._current != self._looked_at:
            self._show()

    def _act(self, act: Callable[[int], Acted], letter_id: int | None = None) -> None:
        """In a thread: sending may take a while, and the screen must not stand still."""
        target = letter_id if letter_id is not None else self._current
        if target is None or self._busy:
            self._say("there is no letter here" if target is None else "still at work")
            return
        self._busy = True
        self._say(f"letter {target} …")
        self.run_worker(partial(self._work, act, target), thread=True)

    def _work(self, act: Callable[[int], Acted], letter_id: int) -> None:
        try:
            row, warnings = act(letter_id)
        except PondctlError as error:
            said = f"{letter_id}: {error.message}"
            self.call_from_thread(self._acted, None, said)
            return
        words = [str(row["outcome"]), str(row["detail"] or ""), *warnings]
        self.call_from_thread(self._acted, row, f"{letter_id}: {'; '.join(word for word in words if word)}")

    def _acted(self, row: Row | None, said: str) -> None:
        self._busy = False
        if row is not None:
            letter_id = int(str(row["id"]))
            self._discarded = [each for each in self._discarded if each != letter_id]
            self._discarded += [letter_id] if row["outcome"] == "discarded" else []
        self._say(said)
        self._reload(self._table.cursor_row)

    def _reload(self, cursor: int = 0) -> None:
        """From the first page on, so far that the cursor stands where it stood."""
        self._table.clear(columns=True)
        self._table.add_columns(*columns_of(self._state).values())
        self._ids.clear()
        self._all_loaded = False
        self._load()
        while len(self._ids) <= cursor and not self._all_loaded:
            self._load()
        if self._ids:
            self._table.move_cursor(row=min(cursor, len(self._ids) - 1))
        self._count()
        self._show()

    def _load(self) -> None:
        if self._all_loaded:
            return
        after, size = (self._ids[-1], _PAGE) if self._ids else (0, _FIRST_PAGE)
        rows = self._try(lambda: self._desk.page(self._state, self._text, after, size)) or ()
        self._all_loaded = len(rows) < size
        self._ids += [int(str(row["id"])) for row in rows]
        names = columns_of(self._state)
        self._table.add_rows(cells(row, names) for row in rows)

    def _count(self) -> None:
        count = self._try(lambda: self._desk.count(self._state, self._text)) or 0
        head = head_line(self._desk, self._state, self._text, count)
        self._head.update(Text(head))

    def _show(self) -> None:
        letter_id = self._looked_at = self._current
        record = None if letter_id is None else self._try(partial(self._desk.show, letter_id))
        self._letter.update(Text(letter_text(record)))
        if self._letter.is_attached:
            self.query_one("#detail").scroll_home(animate=False)

    def _try(self, ask: Callable[[], T]) -> T | None:
        try:
            return ask()
        except PondctlError as error:
            self._say(error.message)
            return None

    def _say(self, text: str) -> None:
        self._said.update(Text(plain(text)))

    def _leave_when_stopped(self) -> None:
        if self._desk.stopped():
            self.exit()
