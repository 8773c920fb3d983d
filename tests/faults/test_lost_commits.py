"""A commit whose answer is lost was done all the same: it is not done twice, and nobody is blamed."""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
import sqlalchemy as sa

from pondctl.db.catalogue import Catalogue
from pondctl.db.database import Database
from tests.pond_life import WANTED, A, B, sims
from tests.world import Result, World

_WRITES = re.compile(r"\s*(?:CREATE TABLE|INSERT INTO|UPDATE|DELETE FROM) (\S+)")
_SHARED = ("pace", "token")


class LostCommit:
    """Does the commit of that number, or not, and loses the answer; it counts those that keep something."""

    def __init__(self, number: int, *, happens: bool = True) -> None:
        self._number = number
        self._happens = happens
        self._wrote: set[sa.Connection] = set()
        self.count = 0

    def __enter__(self) -> Self:
        sa.event.listen(sa.Engine, "before_cursor_execute", self._note)
        sa.event.listen(sa.Engine, "commit", self._commit)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        sa.event.remove(sa.Engine, "before_cursor_execute", self._note)
        sa.event.remove(sa.Engine, "commit", self._commit)

    def _note(self, connection: sa.Connection, _cursor: object, statement: str, *_: object) -> None:
        written = _WRITES.match(statement)
        if written and not written[1].endswith(_SHARED):
            self._wrote.add(connection)

    def _commit(self, connection: sa.Connection) -> None:
        if connection not in self._wrote:
            return
        self._wrote.discard(connection)
        self.count += 1
        if self.count == self._number:
            if self._happens:
                connection.connection.commit()
            else:
                connection.connection.rollback()
            lost = sqlite3.OperationalError("the answer did not arrive")
            lost.sqlite_errorcode = sqlite3.SQLITE_IOERR
            raise sa.exc.OperationalError(None, None, lost)


def sync(world: World) -> Callable[[], Result]:
    bulk = world.given(A, B, "no ICCID")
    world.thingspace.add(A, state="active", msisdn="12015550123")
    world.thingspace.add(B, state="pending activation")
    return lambda: world.run("sync-bulk", bulk)


def activate(world: World) -> Callable[[], Result]:
    sims(world, A)
    bulk = world.given(A, provider=4)
    return lambda: world.run("activate", "--bulk-change", bulk, "--package-type", WANTED)


def cancel(world: World) -> Callable[[], Result]:
    bulk = world.given(A, B)
    return lambda: world.run("bulk", "cancel", bulk, "--reason", "ended", "--yes")


def mend(world: World) -> Callable[[], Result]:
    world.given({"ICCID": A, "MSISDN": "1", "Status": "PROCESSED", "IsProcessed": True}, B)
    world.thingspace.add(A, state="active", msisdn="12015550123")
    world.thingspace.add(B, state="active", msisdn="12015550124")
    return lambda: world.run("reconcile", "--apply", "--max-changes", 10)


COMMITS = {sync: 8, activate: 9, cancel: 5, mend: 8}


@pytest.mark.parametrize(
    ("given", "number"), [(given, n) for given, most in COMMITS.items() for n in range(1, most + 1)]
)
def test_a_commit_that_was_not_heard_of_changes_nothing(
    world: World, given: Callable[[World], Callable[[], Result]], number: int
) -> None:
    go = given(world)
    with LostCommit(number) as lost:
        exit_code = go().exit_code

    assert lost.count >= number, "it makes fewer commits than COMMITS says"
    assert exit_code == (3 if given is sync else 0)
    assert all(count == 1 for count in _told(world).values())
    assert [run["state"] for run in world.own("run")] == ["done"]
    assert world.run("audit", "verify").exit_code == 0


def _told(world: World) -> Counter[tuple[Any, ...]]:
    """What is said of each device: in the host's log, and in what the run keeps."""
    said = [("log", row["M2MDeviceChangeId"], row["LogEntryDescription"]) for row in world.whole_log()]
    kept = [("outcome", row["device_change_id"], row["outcome"]) for row in world.own("outcome")]
    return Counter([*said, *kept])


@pytest.mark.parametrize("number", range(1, COMMITS[sync] + 1))
def test_own_tables_in_another_database_are_no_worse_off(world: World, tmp_path: Path, number: int) -> None:
    world.settings["PONDCTL_DATABASE__STATE_URL"] = f"sqlite:///{tmp_path}/own.db"
    assert world.run("db", "upgrade").exit_code == 0
    go = sync(world)
    with LostCommit(number) as lost:
        exit_code = go().exit_code

    assert (exit_code, lost.count >= number) == (3, True)
    assert [run["state"] for run in world.run("runs", "list", "-o", "json").json] == ["done"]
    assert [row["IsProcessed"] for row in world.rows(1)] == [True, False, True]
    assert world.header(1)["Status"] == "PROCESSING"
    assert world.run("audit", "verify").exit_code == 0


@pytest.mark.parametrize("happens", [True, False])
@pytest.mark.parametrize("number", range(1, 5))
def test_tables_whose_making_was_not_heard_of_are_there_once(
    world: World, tmp_path: Path, number: int, happens: bool
) -> None:
    new = {"PONDCTL_DATABASE__URL": f"sqlite:///{tmp_path}/new.db"}
    with LostCommit(number, happens=happens) as lost:
        exit_code = world.run("db", "init", **new).exit_code

    assert lost.count >= number, "it makes fewer commits than that"
    assert exit_code == 0
    assert world.run("db", "check", **new).exit_code == 0


@pytest.mark.parametrize("happens", [True, False])
def test_where_nothing_tells_what_was_kept_the_work_looks_for_itself(tmp_path: Path, happens: bool) -> None:
    (tmp_path / "empty.db").touch()
    database = Database.open(f"sqlite:///{tmp_path}/empty.db")
    with LostCommit(1, happens=happens) as lost:
        database.apply(lambda unit: unit.state.exec_driver_sql("CREATE TABLE IF NOT EXISTS made (n int)"))

    assert lost.count == 2
    assert database.look(lambda unit: Catalogue(unit.state).columns("made", None)) == {"n"}
    database.close()
