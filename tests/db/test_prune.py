from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from pondctl.db.database import Database
from pondctl.db.dialects import utc_in
from pondctl.db.prune import prune
from pondctl.db.records import NewDeadLetter, NewMessage
from pondctl.db.unit import Unit
from pondctl.models import DeviceOutcome, Outcome
from tests.db.test_runs import claim

_DAY = 86_400


def make_old(database: Database, table: sa.Table, columns: Sequence[str]) -> None:
    update = sa.update(table).values({column: utc_in(-100 * _DAY) for column in columns})
    database.write(lambda unit: unit.state.execute(update).close())


def fill(database: Database, name: str, *, ended: bool) -> None:
    claim(database, name, target=None)

    def write(unit: Unit) -> None:
        unit.outcomes.add(name, [DeviceOutcome("8901", Outcome.PENDING)] * 3)
        unit.messages.add(NewMessage(key=name, queue="database", attributes={}, body=""))
        unit.dead_letters.add(NewDeadLetter(name, "database", "", {}, "not_found", "no"))
        if ended:
            unit.runs.finish(name, "done", {}, None)
            unit.messages.close(name)
            letter = unit.dead_letters.find(name)
            assert letter is not None
            unit.dead_letters.mark(letter.id, "discarded", from_state="open", by="ann", reason="old")

    database.write(write)


def counts(database: Database) -> tuple[int, int, int, int]:
    own = database.own_tables
    tables = (own.run, own.outcome, own.message, own.dead_letter)
    queries = [sa.select(sa.func.count()).select_from(table) for table in tables]
    return database.read(lambda unit: tuple(unit.state.execute(query).scalar_one() for query in queries))


def age(database: Database) -> None:
    own = database.own_tables
    ended = (
        sa.update(own.run).where(own.run.c.finished_at.is_not(None)).values(finished_at=utc_in(-100 * _DAY))
    )
    database.write(lambda unit: unit.state.execute(ended).close())
    make_old(database, own.message, ["changed_at"])
    make_old(database, own.dead_letter, ["changed_at"])


def test_what_ended_long_ago_goes_and_what_is_open_stays(database: Database) -> None:
    fill(database, "ended", ended=True)
    fill(database, "open", ended=False)
    age(database)

    removed = prune(database, 90)

    assert sum(removed.values()) == 1 + 3 + 1 + 1
    assert counts(database) == (1, 3, 1, 1)
    assert sum(prune(database, 90).values()) == 0, "a second run changes nothing"


def test_of_the_journal_goes_whatever_has_ended_and_stays_whatever_is_not_known(database: Database) -> None:
    states = ("open", "unknown", "done", "refused", "not_sent", "absent", "repeated", "released", "pending")
    step = database.own_tables.step
    row = {"run_id": "r", "carrier": "pond", "operation": "activate", "kind": "add_package", "iccid": "8901"}
    more = {"service_provider_id": 4, "intent": "{}", "opened_at": utc_in(0), "closed_at": utc_in(0)}

    def write(unit: Unit) -> None:
        for number, state in enumerate(states):
            values = {**row, **more, "claim": f"r:{number}", "sequence": number, "state": state}
            unit.state.execute(sa.insert(step).inline().values(values))

    database.write(write)
    make_old(database, step, ["closed_at"])

    prune(database, 90)

    left = database.read(lambda unit: set(unit.state.execute(sa.select(step.c.state)).scalars()))
    assert left == {"open", "unknown"}


def test_what_is_younger_than_the_retention_stays(database: Database) -> None:
    fill(database, "ended", ended=True)

    assert sum(prune(database, 90).values()) == 0
    assert counts(database) == (1, 3, 1, 1)
