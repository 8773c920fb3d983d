"""Device claims: one run at a time, locks in the same statement, dead runs taken over."""

from __future__ import annotations

import threading

from pondctl.db.database import Database
from pondctl.db.records import NewRun
from pondctl.db.step_records import ClaimEnd, NewClaim, StepKey, Subject

A, B = "89148000000000000018", "89148000000000000028"


def new_run(run_id: str) -> NewRun:
    return NewRun(run_id, "activate", None, "me", "here", "key", 1, 1.0, "default", None, {})


def started(database: Database, *run_ids: str) -> None:
    for run_id in run_ids:
        database.write(lambda unit, run_id=run_id: unit.runs.claim(new_run(run_id), lambda *_: True))  # type: ignore[misc]


def claim(run_id: str, sequence: int, iccid: str, *, refuse_locked: bool = False) -> NewClaim:
    subject = Subject("terminate", iccid, 4)
    return NewClaim(StepKey(run_id, sequence), f"pond:1234:{iccid}", subject, refuse_locked)


def claimed(database: Database, *claims: NewClaim) -> set[StepKey]:
    return database.write(lambda unit: unit.claims.claim(claims))


def end(made: NewClaim, state: str = "done") -> ClaimEnd:
    return ClaimEnd(made.key, made.claim, state, {"before": [], "after": []}, "words", None)


def test_a_free_device_is_claimed_and_another_run_is_refused(database: Database) -> None:
    mine, other = claim("r1", 1, A), claim("r2", 1, A)

    assert claimed(database, mine) == {mine.key}
    assert claimed(database, other, claim("r2", 2, B)) == {StepKey("r2", 2)}
    assert database.read(lambda unit: unit.claims.holders([mine.claim])) == {mine.claim: mine.key}


def test_claiming_again_by_the_same_step_holds_and_by_another_step_does_not(database: Database) -> None:
    mine = claim("r1", 1, A)
    claimed(database, mine)

    assert claimed(database, mine) == {mine.key}
    assert claimed(database, claim("r1", 2, A)) == set()


def test_a_locked_device_is_refused_to_those_who_look_at_locks(database: Database) -> None:
    database.write(lambda unit: unit.locks.add(A, "lifts", "me"))

    assert claimed(database, claim("r1", 1, A, refuse_locked=True)) == set()
    assert claimed(database, claim("r1", 2, A)) == {StepKey("r1", 2)}


def test_a_claim_given_back_is_free_and_keeps_what_was_decided(database: Database) -> None:
    mine = claim("r1", 1, A)
    claimed(database, mine)

    database.write(lambda unit: unit.claims.give_back([end(mine)]))

    assert claimed(database, claim("r2", 1, A)) == {StepKey("r2", 1)}
    [step] = database.read(lambda unit: unit.steps.page("r1", 0, 10))
    assert (step.state, step.detail, step.answer) == ("done", "words", {"before": [], "after": []})
    assert step.closed_at is not None
    decided = database.read(lambda unit: unit.claims.decided("r1", [A, B], ["done"]))
    assert decided == {A}


def test_giving_back_twice_or_what_another_holds_changes_nothing(database: Database) -> None:
    mine, theirs = claim("r1", 1, A), claim("r2", 1, A)
    claimed(database, mine)
    database.write(lambda unit: unit.claims.give_back([end(mine)]))
    claimed(database, theirs)

    database.write(lambda unit: unit.claims.give_back([end(mine, "failed")]))

    assert database.read(lambda unit: unit.claims.holders([mine.claim])) == {mine.claim: theirs.key}


def test_taking_over_ends_the_run_and_frees_all_its_devices(database: Database) -> None:
    started(database, "r1", "r2")
    claimed(database, claim("r1", 1, A), claim("r1", 2, B))
    dead = database.read(lambda unit: unit.runs.get("r1"))

    assert database.write(lambda unit: unit.claims.take_over(dead))

    assert claimed(database, claim("r2", 1, A), claim("r2", 2, B)) == {StepKey("r2", 1), StepKey("r2", 2)}
    assert database.read(lambda unit: unit.runs.get("r1")).state == "abandoned"
    assert not database.write(lambda unit: unit.runs.heartbeat("r1"))


def test_a_run_that_gives_a_sign_of_life_is_not_taken_over(database: Database) -> None:
    started(database, "r1")
    claimed(database, claim("r1", 1, A))
    seen = database.read(lambda unit: unit.runs.get("r1"))
    threading.Event().wait(0.01)
    database.write(lambda unit: unit.runs.heartbeat("r1"))

    assert not database.write(lambda unit: unit.claims.take_over(seen))
    assert database.read(lambda unit: unit.claims.holders([claim("r1", 1, A).claim])) != {}


def test_claims_that_a_finished_run_has_left_can_be_taken(database: Database) -> None:
    started(database, "r1")
    claimed(database, claim("r1", 1, A))
    database.write(lambda unit: unit.runs.finish("r1", "failed", {}, None))
    ended = database.read(lambda unit: unit.runs.get("r1"))

    assert database.write(lambda unit: unit.claims.take_over(ended))
    assert claimed(database, claim("r2", 1, A)) == {StepKey("r2", 1)}


def test_of_many_who_claim_together_one_gets_it(database: Database) -> None:
    won: list[set[StepKey]] = []

    def race(run_id: str) -> None:
        won.append(claimed(database, claim(run_id, 1, A), claim(run_id, 2, B)))

    threads = [threading.Thread(target=race, args=(f"r{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    keys = [key for keys in won for key in keys]
    assert len(keys) == 2
    assert {key.sequence for key in keys} == {1, 2}
