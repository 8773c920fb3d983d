"""Defects of the system that ran before, by their number in its list; each shows that they are not here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from pondctl.clients.message import parse
from pondctl.models import Outcome
from pondctl.sandbox import Fault, FaultKind
from pondctl.services.syncing.next_check import Cause, CheckPolicy, decide_next, is_last_try, pending_is_over
from tests.world import ICCIDS, World

A, B = ICCIDS[:2]
NOW = datetime(2026, 11, 20, 8, 0)
POLICY = CheckPolicy()


class _Middle:
    """Full jitter without the chance: always the middle."""

    def uniform(self, low: float, high: float) -> float:
        return (low + high) / 2


def cause(retry_number: int = 1, stalled: int = 0, since: datetime = NOW) -> Cause:
    body = json.dumps({"pondctl": {"key": "k", "stalled": stalled}})
    return Cause(parse({"BulkChangeId": "42", "RetryNumber": str(retry_number)}, body), since)


@contextmanager
def counted_statements() -> Iterator[list[str]]:
    seen: list[str] = []

    def count(_c: object, _cur: object, statement: str, *_rest: object) -> None:
        seen.append(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", count)
    try:
        yield seen
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", count)


def active(world: World, *iccids: str) -> int:
    for number, iccid in enumerate(iccids):
        world.thingspace.add(iccid, state="active", msisdn=f"1201555{number:04}")
    return world.given(*iccids)


def test_4_many_devices_make_one_check_and_one_call_each(world: World) -> None:
    bulk = world.given(*ICCIDS)
    for iccid in ICCIDS:
        world.thingspace.add(iccid, state="pending activation")

    world.run("sync-bulk", bulk, "--strategy", "lookup")

    assert len(world.messages(bulk)) == 1
    assert world.calls("thingspace.lookup") == len(ICCIDS)


def test_5_the_number_of_the_check_is_never_the_tenant(world: World) -> None:
    bulk = world.given(A, TenantId=4711)
    world.thingspace.add(A, state="pending activation")

    world.run("sync-bulk", bulk)

    [message] = world.messages(bulk)
    assert message["attributes"]["RetryNumber"] == "1"


def test_6_rows_that_failed_validation_do_not_keep_a_bulk_change_open(world: World) -> None:
    failed = {"ICCID": "no ICCID", "IsProcessed": True, "HasErrors": True, "Status": "ERROR"}
    bulk = active(world, A)
    other = world.given(failed, A)

    result = world.run("sync-bulk", other)

    assert result.exit_code == 0
    assert world.header(other)["Status"] == "PROCESSED"
    assert world.header(bulk)["Status"] == "NEW"


def test_7_no_row_is_complete_with_an_empty_number(world: World) -> None:
    bulk = world.given(A)
    world.thingspace.add(A, state="active", msisdn=None)

    world.run("sync-bulk", bulk)

    [row] = world.rows(bulk)
    assert (row["MSISDN"], row["IsProcessed"]) == (None, False)


def test_9_trouble_with_the_database_is_not_taken_for_a_running_job(world: World, tmp_path: object) -> None:
    broken = f"{tmp_path}/broken.db"
    with open(broken, "w", encoding="ascii") as file:
        file.write("this is no database, but it is long enough to be read as one " * 20)

    result = world.run("sync-bulk", 1, PONDCTL_DATABASE__URL=f"sqlite:///{broken}")

    assert result.exit_code in (2, 7)
    assert "Traceback" not in result.stderr
    assert world.calls() == 0


def test_12_a_second_start_of_the_same_job_asks_for_nothing_twice(world: World) -> None:
    bulk = active(world, *ICCIDS)

    world.run("sync-bulk", bulk, "--strategy", "lookup")
    world.run("sync-bulk", bulk, "--strategy", "lookup")

    assert world.calls("thingspace.lookup") == len(ICCIDS)


def test_13_rows_that_cannot_be_read_never_close_the_header(world: World) -> None:
    if world.engine.dialect.name != "sqlite":
        pytest.skip("made with a statement of SQLite")
    bulk = active(world, A)
    world.execute('ALTER TABLE "M2M_DeviceChange" RENAME TO hidden')
    try:
        result = world.run("sync-bulk", bulk)
    finally:
        world.execute('ALTER TABLE hidden RENAME TO "M2M_DeviceChange"')

    assert result.exit_code == 2
    assert "M2M_DeviceChange" in result.stderr
    assert world.header(bulk)["Status"] == "NEW"


def test_16_one_good_check_clears_the_count_of_bad_ones() -> None:
    bad = {Outcome.DEFERRED: 5}
    after_bad = decide_next(bad, cause(stalled=3), POLICY, NOW, _Middle())  # type: ignore[arg-type]
    after_good = decide_next(
        bad | {Outcome.DONE: 1},
        cause(stalled=3),
        POLICY,
        NOW,
        _Middle(),  # type: ignore[arg-type]
    )

    assert after_bad is not None
    assert after_good is not None
    assert (after_bad.stalled, after_good.stalled) == (4, 0)


def test_waiting_never_uses_up_the_retries_and_trouble_never_the_deadline() -> None:
    waiting = decide_next({Outcome.PENDING: 3}, cause(95), POLICY, NOW, _Middle())  # type: ignore[arg-type]

    assert waiting is not None
    assert (waiting.stalled, waiting.delay_seconds, waiting.retry_number) == (0, 900, 96)
    assert not is_last_try(cause(95), POLICY)
    assert is_last_try(cause(stalled=4), POLICY)
    assert not pending_is_over(cause(since=NOW), POLICY, NOW + timedelta(hours=23))
    assert pending_is_over(cause(since=NOW), POLICY, NOW + timedelta(hours=24))


@pytest.mark.parametrize(("stalled", "ceiling"), [(0, 120), (1, 240), (2, 480), (3, 900), (9, 900)])
def test_the_delay_after_trouble_doubles_up_to_the_longest(stalled: int, ceiling: int) -> None:
    check = decide_next({Outcome.DEFERRED: 1}, cause(stalled=stalled), POLICY, NOW, _Middle())  # type: ignore[arg-type]

    assert check is not None
    assert check.delay_seconds == round(ceiling / 2)


def test_27_devices_are_asked_side_by_side(world: World) -> None:
    bulk = active(world, *ICCIDS)
    world.sandbox.fault(Fault("thingspace.lookup", FaultKind.LATENCY, 0.2))

    world.run("sync-bulk", bulk, "--strategy", "lookup", "--workers", "16")

    assert world.sandbox.calls.most_at_once >= 12


def test_28_what_was_done_before_a_kill_is_not_done_again(world: World) -> None:
    bulk = active(world, *ICCIDS)
    world.sandbox.fault(Fault("thingspace.lookup", FaultKind.STATUS, 503, after=25))
    world.run("sync-bulk", bulk, "--strategy", "lookup", PONDCTL_LIMITS__OUTAGE_SECONDS="2")
    done = sum(bool(row["MSISDN"]) for row in world.rows(bulk))
    world.sandbox.clear_faults()
    before = world.calls("thingspace.lookup")

    world.run("sync-bulk", bulk, "--strategy", "lookup")

    assert done >= 20
    assert world.calls("thingspace.lookup") - before == len(ICCIDS) - done


def test_29_tokens_that_end_in_the_middle_are_renewed_once(world: World) -> None:
    bulk = active(world, *ICCIDS)
    world.sandbox.fault(Fault("thingspace.lookup", FaultKind.EXPIRE_BEARER, after=10, count=1))
    world.sandbox.fault(Fault("thingspace.lookup", FaultKind.EXPIRE_SESSION, after=20, count=1))

    result = world.run("sync-bulk", bulk, "--strategy", "lookup")

    assert result.exit_code == 0
    assert world.calls("thingspace.token") == 2
    assert world.calls("thingspace.login") == 2


@pytest.mark.parametrize(("status", "outcome"), [(429, "deferred"), (503, "deferred"), (400, "failed")])
def test_30_answers_of_different_kinds_are_told_apart(world: World, status: int, outcome: str) -> None:
    bulk = active(world, A, B)
    kind = {429: FaultKind.THROTTLE, 503: FaultKind.STATUS, 400: FaultKind.REFUSE}[status]
    value = {429: 1, 503: 503, 400: "INPUT_INVALID.Device.Identifier.Invalid"}[status]
    world.sandbox.fault(Fault("thingspace.lookup", kind, value, contains=A))

    result = world.run("sync-bulk", bulk, "--strategy", "lookup", "-o", "json")

    assert {d["iccid"]: d["outcome"] for d in result.json["devices"]} == {A: outcome, B: "done"}


def test_31_a_thousand_devices_cost_no_thousand_statements(world: World) -> None:
    many = [f"8914802222{number:010d}" for number in range(1000)]
    bulk = active(world, *many)

    with counted_statements() as statements:
        result = world.run("sync-bulk", bulk, "--strategy", "lookup", "--workers", "32")

    assert result.exit_code == 0
    assert len(statements) < 300


def test_38_a_password_may_hold_quotes(world: World) -> None:
    bulk = active(world, A)
    odd = 'quote " and \\ and {brace}'

    result = world.run("sync-bulk", bulk, PONDCTL_THINGSPACE__PASSWORD=odd)

    # The sandbox has another password: what matters is that the login is well-formed and refused as wrong.
    assert result.exit_code == 4
    assert "Password.Invalid" in result.stderr


def test_a_bug_says_that_it_is_one_and_where_the_log_is(world: World) -> None:
    bulk = active(world, A)
    world.run("sync-bulk", bulk, "--strategy", "scan")
    other = world.given(A, B)
    own = world.own_name("meta")
    world.execute(f"UPDATE {own} SET value = 'nonsense' WHERE name LIKE 'account_size:%'")

    result = world.run("sync-bulk", other)

    assert result.exit_code == 1
    assert "a bug in pondctl" in result.stderr
    assert "Traceback" not in result.stderr
