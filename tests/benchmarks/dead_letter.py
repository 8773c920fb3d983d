"""The dead-letter desk beside what it cannot be faster than: a bare SELECT, and a bare Textual app.

    python -m tests.benchmarks.dead_letter [LETTERS] [REVIEWED]

Pairs, taking turns: reading a list; listing as a whole process beside a script that imports SQLAlchemy alone,
and beside a Typer program of two commands that does the same; and opening the view until its first page
stands: as a whole process on a terminal beside a Typer program that reads a hundred rows and shows them,
and in this process beside a Textual app with empty parts and one that is given as many rows as a screen
shows. Prints medians and ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import pty
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa
from rich.text import Text
from textual.app import App, ComposeResult
from textual.widgets import DataTable, Static

from pondctl.commands._dead_review import review_desk
from pondctl.context import AppContext
from pondctl.db.database import Database
from pondctl.db.schema import init_database
from pondctl.output.review_app import ReviewApp
from pondctl.services.dead_letters.list import list_letters
from pondctl.services.dead_letters.selection import Wanted

ROUNDS = 7
SHOWN = "id, state, category, bulk_change_id, retry_number, created_at, requeue_count, reason"
BARE_SELECT = f"SELECT {SHOWN} FROM pondctl_dead_letter WHERE state = 'open' ORDER BY id LIMIT 100"
BARE_SCRIPT = f"""
import sys
import sqlalchemy as sa
with sa.create_engine(sys.argv[1]).connect() as connection:
    for row in connection.execute(sa.text("{BARE_SELECT}")):
        print(*row)
"""
BARE_PROGRAM = f"""
import typer
app = typer.Typer()
@app.command()
def other() -> None: ...
@app.command("list")
def list_(url: str) -> None:
    import sqlalchemy as sa
    with sa.create_engine(url).connect() as connection:
        for row in connection.execute(sa.text("{BARE_SELECT}")):
            typer.echo(" ".join(map(str, row)))
app()
"""


class Bare(App[None]):
    """The same parts with nothing in them."""

    def compose(self) -> ComposeResult:
        """Lay them out."""
        yield Static("head")
        yield DataTable()
        yield Static("detail")
        yield Static("keys")


class BareRows(Bare):
    """The same with the rows of one screen, which somebody else has read."""

    def on_mount(self) -> None:
        """Fill in the table."""
        row = ("1", "max_receives", "42", "2026-11-20 08:00", "received 5 times and never worked off")
        table = self.query_one(DataTable)
        table.add_columns("ID", "CATEGORY", "BULK", "CREATED", "REASON")
        table.add_rows([Text(cell) for cell in row] for _ in range(20))


BARE_VIEW = f"""
import typer
app = typer.Typer()
@app.command()
def other() -> None: ...
@app.command()
def review(url: str) -> None:
    import sqlalchemy as sa
    from textual.app import App
    from textual.widgets import DataTable, Static
    with sa.create_engine(url).connect() as connection:
        rows = connection.execute(sa.text("{BARE_SELECT}")).all()
    class Bare(App):
        CSS = "DataTable {{ height: 1fr; }} Static {{ height: 1; }}"
        def compose(self):
            table = DataTable()
            table.add_columns("a", "b", "c", "d", "e", "f", "g", "h")
            table.add_rows(list(map(str, row)) for row in rows)
            yield Static("head")
            yield table
            yield Static("detail")
            yield Static("q quit")
    Bare().run()
app()
"""


def seed(path: Path, letters: int) -> str:
    """An inbox of so many open letters."""
    path.touch()
    url = f"sqlite:///{path}"
    database = Database.open(url)
    init_database(database)
    database.close()
    when = "2026-11-20 08:00:00.000000"
    row = {
        "source_queue": "embedded",
        "bulk_change_id": 42,
        "retry_number": 3,
        "receive_count": 5,
        "body": '{"pondctl":{"key":"0d0cbe6f-5f5e-4c0b-a3ee-2a0e0cb3a1f5"}}',
        "attributes": '{"BulkChangeId": "42", "RetryNumber": "3"}',
        "category": "max_receives",
        "reason": "received 5 times and never worked off",
        "attempts": "[]",
        "state": "open",
        "requeue_count": 0,
        "created_at": when,
        "changed_at": when,
    }
    names = ", ".join(row)
    places = ", ".join(f":{name}" for name in row)
    insert = f"INSERT INTO pondctl_dead_letter (letter_key, {names}) VALUES (:letter_key, {places})"
    with sa.create_engine(url).begin() as connection:
        connection.execute(sa.text(insert), [{"letter_key": f"k-{n}", **row} for n in range(letters)])
    return url


def compare(name: str, bare: Callable[[], object], ours: Callable[[], object]) -> dict[str, object]:
    """Take turns, once to warm up; milliseconds and their ratio."""
    times: dict[str, list[float]] = {"bare": [], "pondctl": []}
    for turn in range(ROUNDS + 1):
        for who, work in (("bare", bare), ("pondctl", ours)):
            began = time.perf_counter()
            work()
            if turn:
                times[who].append((time.perf_counter() - began) * 1000)
    bare_ms, ours_ms = (statistics.median(times[who]) for who in ("bare", "pondctl"))
    ratio = round(ours_ms / bare_ms, 2)
    return {"what": name, "bare_ms": round(bare_ms, 2), "pondctl_ms": round(ours_ms, 2), "ratio": ratio}


def listing(url: str) -> list[dict[str, object]]:
    """`dead-letter list`: the first hundred, and how many there are."""
    engine = sa.create_engine(url)
    database = Database.open(url)

    def bare() -> object:
        table = database.own_tables.dead_letter.c
        columns = [table[name] for name in SHOWN.split(", ")]
        query = sa.select(*columns).where(table.state == "open").order_by(table.id).limit(100)
        with engine.connect() as connection:
            return connection.execute(query).all()

    def ours() -> object:
        return list_letters(database, Wanted(), None, 100)

    def run(*words: str) -> None:
        settings = {"PONDCTL_DATABASE__URL": url}
        subprocess.run([sys.executable, *words], env=os.environ | settings, check=True, capture_output=True)

    def program() -> None:
        run("-m", "pondctl", "dead-letter", "list")

    return [
        compare("list, 100 rows, in the process", bare, ours),
        compare("list, whole process, beside a script", lambda: run("-c", BARE_SCRIPT, url), program),
        compare(
            "list, whole process, beside a Typer program",
            lambda: run("-c", BARE_PROGRAM, "list", url),
            program,
        ),
    ]


def until_drawn(*words: str) -> None:
    """Start it on a terminal of 80 by 24, and kill it once its last line stands there."""
    process, terminal = pty.fork()
    if process == 0:
        os.environ |= {"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}
        os.execv(sys.executable, [sys.executable, *words])
    drawn = b""
    while b"q quit" not in drawn:
        drawn += os.read(terminal, 65536)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    os.close(terminal)


def reviewing(url: str) -> list[dict[str, object]]:
    """`dead-letter review` from nothing until its first page and its first letter stand."""
    os.environ["PONDCTL_DATABASE__URL"] = url
    app = AppContext()
    desk = review_desk(app, Wanted())

    def until_it_stands(view: Callable[[], App[None]]) -> None:
        async def run() -> None:
            async with view().run_test(size=(80, 24)) as pilot:
                await pilot.pause()

        asyncio.run(run())

    def ours() -> None:
        until_it_stands(lambda: ReviewApp(desk))

    found = [
        compare(
            "review, whole process, beside a Typer program",
            lambda: until_drawn("-c", BARE_VIEW, "review", url),
            lambda: until_drawn("-m", "pondctl", "dead-letter", "review"),
        ),
        compare("review, beside an empty app", lambda: until_it_stands(Bare), ours),
        compare("review, beside an app with rows", lambda: until_it_stands(BareRows), ours),
    ]
    app.close()
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("letters", nargs="?", type=int, default=100_000)
    parser.add_argument("reviewed", nargs="?", type=int, default=10_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = listing(seed(Path(folder) / "list.db", given.letters))
        found += reviewing(seed(Path(folder) / "review.db", given.reviewed))
    print(json.dumps(found, indent=2))  # noqa: T201


if __name__ == "__main__":
    main()
