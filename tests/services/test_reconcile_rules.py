"""The rules of `reconcile` by themselves: what is drift, who is right, and what is never touched."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from errno import ENOSPC
from pathlib import Path
from typing import Any

import pytest

from pondctl.clients.pond_models import Package, PackageStatus
from pondctl.db.compared_rows import ComparedRow
from pondctl.db.open_intents import OpenIntent
from pondctl.db.package_rows import PackageRow
from pondctl.db.scratch_rows import NewestRow, Pair
from pondctl.db.scratch_sims import Sim
from pondctl.db.step_records import StepKey, StepKind, UnresolvedWrite
from pondctl.errors import UnavailableError, UsageError
from pondctl.models import Carrier, Device, DeviceChange, normalize_state
from pondctl.services.drift.bulk import HeaderFacts, judge_bulk_change
from pondctl.services.drift.device import absent, judge_pair
from pondctl.services.drift.kinds import Drift, Kind, Mender
from pondctl.services.drift.letters import holds_as_asked, shown_as_asked
from pondctl.services.drift.local import judge_row_alone
from pondctl.services.drift.packages import judge_intent, judge_sim, judge_unknown_sim
from pondctl.services.drift.plan_file import PlanFile, PlanHead, refuse_existing, write_plan
from pondctl.services.drift.report import ReconcileResult

ICCID, NUMBER = "89148000000000000018", "12015550123"
NOW = datetime(2026, 11, 23, 12)


def row(**changes: Any) -> NewestRow:
    values: dict[str, Any] = {
        "iccid": ICCID,
        "id": 7,
        "bulk_change_id": 42,
        "msisdn": NUMBER,
        "status": "PROCESSED",
        "is_processed": 1,
        "has_errors": 0,
        "target": "active",
        "is_cancelled": 0,
        "passed_over": 0,
    }
    return NewestRow(**(values | changes))


OPEN = {"status": "PENDING", "is_processed": 0, "has_errors": None, "msisdn": None}
FAILED = {"status": "API_FAILED", "has_errors": 1, "msisdn": None}


@pytest.mark.parametrize(
    ("here", "state", "number", "kind"),
    [
        ({}, "active", NUMBER, None),
        ({}, "active", None, None),
        ({"msisdn": None}, "active", None, None),
        ({"msisdn": None}, "active", NUMBER, Kind.MSISDN_MISSING),
        ({"msisdn": ""}, "active", NUMBER, Kind.MSISDN_MISSING),
        ({"msisdn": "1"}, "active", NUMBER, Kind.MSISDN_DIFFERENT),
        ({"has_errors": None, "msisdn": None}, "Active", NUMBER, Kind.MSISDN_MISSING),
        ({}, "suspend", None, Kind.SETTLED_NOT_ACTIVE),
        ({}, "pending activation", None, Kind.SETTLED_NOT_ACTIVE),
        ({}, "", None, Kind.SETTLED_NOT_ACTIVE),
        ({"target": "suspend"}, "suspend", None, None),
        ({"target": "suspend"}, "active", NUMBER, Kind.SETTLED_NOT_AS_ASKED),
        ({"target": "deactive"}, "pending deactivation", None, None),
        (OPEN, "active", NUMBER, Kind.ACTIVE_NOT_SETTLED),
        (OPEN, "active", None, None),
        (OPEN, "pending activation", None, None),
        (OPEN | {"target": "suspend"}, "suspend", None, Kind.ACTIVE_NOT_SETTLED),
        (FAILED, "active", NUMBER, Kind.ACTIVE_NOT_SETTLED),
        (FAILED, "deactive", None, None),
        (FAILED | {"is_cancelled": 1}, "active", NUMBER, None),
    ],
)
def test_a_row_beside_its_device(
    here: dict[str, Any], state: str, number: str | None, kind: Kind | None
) -> None:
    drift = judge_pair(Pair(row(**here), True, state, number))

    assert (drift.kind if drift else None) == kind
    if drift and drift.mender is Mender.APPLY:
        assert drift.fix["row"] == 7
        assert drift.fix["msisdn"] == (None if here.get("target") else number)


def test_nothing_is_said_of_a_device_that_was_not_shown() -> None:
    assert judge_pair(Pair(row(), False, "", None)) is None
    assert absent(row()).there is None


def package(name: str, status: str = "ACTIVE", type_id: int | None = 1001, day: int = 1) -> Package:
    known = status if status in set(PackageStatus) else "UNKNOWN"
    made = datetime(2026, 1, day, tzinfo=UTC)
    return Package(name, type_id, PackageStatus(known), status, made, 5, ICCID)


def plan_row(name: str, status: str = "ACTIVE", type_id: int = 1001) -> PackageRow:
    return PackageRow(1, ICCID, name, type_id, status, 4)


def sim(operation: str | None = None, is_right: int = 0) -> Sim:
    return Sim(ICCID, 4, 42, operation, 1001, is_right, 1, "", 0)


@pytest.mark.parametrize(
    ("rows", "packages", "found"),
    [
        ([plan_row("a")], [package("a")], []),
        ([plan_row("a", "active")], [package("a")], []),
        ([plan_row("a", "TERMINATED")], [], []),
        ([], [package("a", "TERMINATED")], []),
        ([plan_row("a", "TERMINATED")], [package("a")], [Kind.PACKAGE_ROW_DIFFERS]),
        ([plan_row("a", type_id=9)], [package("a")], [Kind.PACKAGE_ROW_DIFFERS]),
        ([plan_row("a")], [package("a", type_id=None)], []),
        ([plan_row("a")], [], [Kind.PACKAGE_ROW_EXTRA]),
        ([plan_row("a", "NOT_ACTIVE")], [], [Kind.PACKAGE_ROW_EXTRA]),
        ([], [package("a")], [Kind.PACKAGE_ROW_MISSING]),
        ([], [package("a", "SUSPENDED")], [Kind.PACKAGE_ROW_MISSING]),
        ([], [package("a", "NOT_ACTIVE")], [Kind.ORPHAN_PACKAGE]),
        ([plan_row("a", "NOT_ACTIVE")], [package("a", "NOT_ACTIVE")], []),
        ([plan_row("a"), plan_row("b")], [package("a"), package("b")], [Kind.TWO_ACTIVE_PACKAGES]),
    ],
)
def test_package_rows_beside_packages(
    rows: list[PackageRow], packages: list[Package], found: list[Kind]
) -> None:
    assert [drift.kind for drift in judge_sim(sim(), rows, packages, 4)] == found


def test_of_two_active_packages_the_newest_stays_and_only_a_plan_ends_the_other() -> None:
    packages = [package("old", day=1), package("new", day=2)]

    [drift] = judge_sim(sim(), [plan_row("old"), plan_row("new")], packages, 4)

    assert (drift.mender, drift.fix["end"]) == (Mender.PLAN, ["old"])


def test_a_package_of_an_unreadable_type_is_reported_and_not_written() -> None:
    [drift] = judge_sim(sim(), [], [package("a", type_id=None)], 4)

    assert (drift.kind, drift.mender) == (Kind.PACKAGE_ROW_MISSING, Mender.NOBODY)


def test_of_a_sim_that_pond_does_not_know_nothing_is_ended() -> None:
    drifts = list(judge_unknown_sim(sim("activate", 1), [plan_row("a"), plan_row("b", "TERMINATED")]))

    assert [drift.kind for drift in drifts] == [Kind.PACKAGE_ROW_EXTRA, Kind.SETTLED_NOT_ACTIVE]
    assert {drift.mender for drift in drifts} == {Mender.NOBODY}


@pytest.mark.parametrize(
    ("kind", "intent", "packages", "there"),
    [
        (StepKind.ADD_PACKAGE, {"package_type_id": 1001, "seen": []}, [package("a")], True),
        (StepKind.ADD_PACKAGE, {"package_type_id": 1001, "seen": ["a"]}, [package("a")], False),
        (StepKind.ADD_PACKAGE, {"package_type_id": 1001, "seen": []}, [], False),
        (StepKind.ADD_PACKAGE, {"package_type_id": 1001, "seen": []}, None, False),
        (StepKind.SET_SERVICES, {}, [package("a")], False),
    ],
)
def test_an_open_intent_is_always_reported_with_what_pond_shows_of_it(
    kind: StepKind, intent: dict[str, Any], packages: list[Package] | None, there: bool
) -> None:
    write = UnresolvedWrite(StepKey("gone", 2), kind, ICCID, intent, 90.0)

    drift = judge_intent(OpenIntent(1, write, "unknown", 4, 42, NOW), packages)

    assert (drift.kind, drift.iccid, drift.bulk_change_id) == (Kind.OPEN_INTENT, ICCID, 42)
    assert (drift.there is not None, drift.mender) == (there, Mender.APPLY)


@pytest.mark.parametrize(
    ("wanted", "state", "number", "right"),
    [
        (None, "active", NUMBER, True),
        (None, "active", None, False),
        (None, "pending activation", NUMBER, False),
        ("suspend", "suspend", None, True),
        ("no such word", "active", NUMBER, False),
    ],
)
def test_a_letter_has_no_use_once_thingspace_shows_the_device_as_asked(
    wanted: str | None, state: str, number: str | None, right: bool
) -> None:
    request = None if wanted is None else json.dumps({"UpdateStatus": wanted})

    assert shown_as_asked(asks(request), Device(ICCID, normalize_state(state), state, number)) is right
    assert not shown_as_asked(asks(request), None)


@pytest.mark.parametrize(
    ("wanted", "held", "right"),
    [
        ("Active", {"active_types": "7 1001", "standing": 2}, True),
        ("Active", {"active_types": "7", "standing": 1}, False),
        ("Active", {"active_types": "1001", "standing": 1, "seen": 0}, False),
        ("Terminated", {}, True),
        ("Terminated", {"standing": 1}, False),
        ("Suspended", {}, False),
    ],
)
def test_a_letter_has_no_use_once_pond_holds_the_packages_as_asked(
    wanted: str, held: dict[str, Any], right: bool
) -> None:
    row = asks(json.dumps({"UpdateStatus": wanted, "Request": {"PackageTypeId": 1001}}))

    assert holds_as_asked(row, sim()._replace(**held)) is right
    assert not holds_as_asked(row, None)


def asks(request: str | None) -> DeviceChange:
    return DeviceChange(7, 42, ICCID, None, "API_FAILED", None, True, True, change_request=request)


def test_a_settled_activation_needs_an_active_package_and_a_suspension_does_not() -> None:
    assert [d.kind for d in judge_sim(sim("activate", 1), [], [], 4)] == [Kind.SETTLED_NOT_ACTIVE]
    assert list(judge_sim(sim("suspend", 1), [], [], 4)) == []
    assert list(judge_sim(sim("activate", 0), [], [], 4)) == []


@pytest.mark.parametrize(
    ("facts", "kind", "mender"),
    [
        ({"status": "PROCESSING"}, Kind.HEADER_OPEN, Mender.APPLY),
        ({"status": "NEW"}, Kind.HEADER_OPEN, Mender.APPLY),
        ({"status": "PROCESSED"}, None, None),
        ({"status": "PROCESSED", "unsettled": 2}, Kind.HEADER_CLOSED, Mender.APPLY),
        ({"status": "ERROR", "unsettled": 2}, Kind.HEADER_CLOSED, Mender.APPLY),
        ({"status": "ERROR", "unsettled": 2, "is_leased": True}, None, None),
        ({"status": "ERROR", "unsettled": 2, "carrier": None}, None, None),
        ({"status": "PROCESSING", "unsettled": 1}, None, None),
        ({"status": "PROCESSING", "unsettled": 1, "is_forgotten": True}, Kind.NOTHING_QUEUED, Mender.APPLY),
        ({"status": "PENDING", "unsettled": 1, "is_forgotten": True, "is_coming": True}, None, None),
        (
            {"status": "PENDING", "unsettled": 1, "is_forgotten": True, "carrier": Carrier.POND},
            Kind.NOTHING_QUEUED,
            Mender.NOBODY,
        ),
    ],
)
def test_a_header_beside_its_rows(facts: dict[str, Any], kind: Kind | None, mender: Mender | None) -> None:
    given: dict[str, Any] = {"bulk_change_id": 42, "unsettled": 0, "carrier": Carrier.THINGSPACE}
    found = list(judge_bulk_change(HeaderFacts(**(given | facts))))

    assert [(drift.kind, drift.mender) for drift in found] == ([(kind, mender)] if kind else [])


def test_a_life_cycle_at_pond_is_never_begun_by_a_message_of_ours() -> None:
    [drift] = judge_bulk_change(HeaderFacts(42, "PROCESSED", 1, Carrier.POND))

    assert drift.fix["queue"] is False


def local(**changes: Any) -> ComparedRow:
    values: dict[str, Any] = {
        "id": 7,
        "bulk_change_id": 42,
        "service_provider_id": 2,
        "moving": 0,
        "iccid": ICCID,
        "msisdn": None,
        "status": "PENDING",
        "status_details": None,
        "has_errors": False,
        "is_processed": False,
        "change_request": None,
    }
    return ComparedRow(**(values | changes))


SETTLED = {"is_processed": True, "status": "PROCESSED"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, []),
        (SETTLED, []),
        ({"has_errors": None}, []),
        (SETTLED | {"msisdn": NUMBER}, []),
        ({"is_processed": True, "status": "API_FAILED", "has_errors": True}, []),
        ({"service_provider_id": None}, ["does not exist"]),
        (SETTLED | {"msisdn": NUMBER, "status": "API_FAILED", "has_errors": True}, ["MSISDN is set"]),
        ({"status": "PROCESSED"}, ["IsProcessed = 0 and PROCESSED"]),
        ({"status": "API_FAILED"}, ["IsProcessed = 0 and API_FAILED"]),
        ({"has_errors": True}, ["IsProcessed = 0 and HasErrors = 1"]),
        (SETTLED | {"has_errors": None}, ["HasErrors is NULL"]),
        (SETTLED | {"status": "NEW"}, ["IsProcessed = 1 and NEW"]),
        (SETTLED | {"has_errors": True}, ["HasErrors = 1 and PROCESSED"]),
        (SETTLED | {"status": "ERROR"}, ["HasErrors = 0 and ERROR"]),
        ({"msisdn": " "}, ["MSISDN is empty text"]),
        ({"status": None}, ["Status is empty"]),
        ({"status": "WHAT"}, ["'WHAT'"]),
        ({"iccid": None}, ["names no device"]),
        ({"change_request": "{"}, ["ChangeRequest"]),
        ({"status": "PROCESSED", "iccid": "x"}, ["IsProcessed = 0", "names no device"]),
    ],
)
def test_a_row_by_itself(changes: dict[str, Any], words: list[str]) -> None:
    found = list(judge_row_alone(local(**changes), Carrier.THINGSPACE))

    assert len(found) == len(words)
    for drift, word in zip(found, words, strict=True):
        assert word in (drift.here or "")
        assert (drift.mend, drift.mender) == (None, Mender.NOBODY)


def test_a_pond_row_is_read_as_pond_reads_it() -> None:
    terminate = local(change_request=json.dumps({"UpdateStatus": "Terminated"}))
    other = local(change_request=json.dumps({"UpdateStatus": "explode"}))

    assert list(judge_row_alone(terminate, Carrier.POND)) == []
    assert [d.kind for d in judge_row_alone(other, Carrier.POND)] == [Kind.UNEXPLAINED_ROW]


def drift(number: int = 1) -> Drift:
    return Drift(
        Kind.MSISDN_MISSING,
        ICCID,
        number,
        None,
        "x\n\u2028\U0001f600",
        "write",
        Mender.APPLY,
        {"row": number},
        {"left_bytes": 5},
    )


def head(**changes: Any) -> PlanHead:
    values: dict[str, Any] = {
        "profile": "p",
        "database": "d",
        "run_id": "r",
        "created": NOW,
        "complete": True,
    }
    return PlanHead(**(values | changes))


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_plan_is_one_json_document_and_reads_back_as_written(tmp_path: Path, count: int) -> None:
    path = tmp_path / "plan.json"
    drifts = [drift(number) for number in range(count)]

    assert write_plan(path, head(), drifts) == count

    assert len(json.loads(path.read_text())["items"]) == count
    assert path.stat().st_mode & 0o777 == 0o600
    plan = PlanFile(path)
    assert list(plan.drifts()) == list(plan.drifts()) == drifts
    assert plan.head == head()


def test_half_a_plan_is_not_left_behind(tmp_path: Path) -> None:
    def until_the_disk_is_full() -> Iterator[Drift]:
        yield drift(1)
        raise OSError(ENOSPC, "No space left on device")

    path = tmp_path / "plan.json"
    with pytest.raises(UnavailableError, match=r"plan\.json cannot be written: No space left"):
        write_plan(path, head(), until_the_disk_is_full())
    assert not path.exists()


def test_every_single_byte_of_a_plan_counts(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    write_plan(path, head(), [drift(1), drift(2)])
    whole = path.read_bytes()

    for place in range(0, len(whole), 3):
        changed = bytearray(whole)
        changed[place] ^= 1
        path.write_bytes(bytes(changed))
        with pytest.raises(UsageError):
            PlanFile(path)


@pytest.mark.parametrize(
    ("profile", "database", "now", "ok"),
    [
        ("p", "d", datetime(2026, 11, 24, 11), True),
        ("p", "d", datetime(2026, 11, 24, 13), False),
        ("p", "d", datetime(2026, 11, 23, 11), False),
        ("q", "d", NOW, False),
        ("p", "e", NOW, False),
    ],
)
def test_a_plan_is_for_one_profile_one_database_and_one_day(
    tmp_path: Path, profile: str, database: str, now: datetime, ok: bool
) -> None:
    path = tmp_path / "plan.json"
    write_plan(path, head(), [])
    plan = PlanFile(path)

    if ok:
        plan.require_ours(profile, database, now)
    else:
        with pytest.raises(UsageError):
            plan.require_ours(profile, database, now)


def test_a_plan_is_never_written_over_a_file_nor_into_nowhere(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text("mine")

    for there in (path, tmp_path / "no folder" / "plan.json"):
        with pytest.raises(UsageError):
            refuse_existing(there)
    with pytest.raises(UsageError):
        write_plan(path, head(), [])
    assert path.read_text() == "mine"


def test_the_same_finding_has_the_same_key_whatever_comes_along_with_it() -> None:
    one, two = drift(), Drift(**{**_fields(drift()), "aside": {"left_bytes": 6}})

    assert one.as_key() == two.as_key()
    assert one.as_text() != two.as_text()
    assert Drift.from_text(one.as_text()) == one
    assert drift(2).as_key() != one.as_key()


def _fields(given: Drift) -> dict[str, Any]:
    return {name: getattr(given, name) for name in given.__dataclass_fields__}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"kind": "what", "mender": 0}', "\x00"])
def test_a_line_that_is_no_finding_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        Drift.from_text(text)


@pytest.mark.parametrize(
    ("left", "skipped", "dry_run", "code", "status"),
    [
        (0, 0, False, 0, "success"),
        (1, 0, False, 5, "drift"),
        (1, 1, False, 3, "partial"),
        (1, 0, True, 0, "drift"),
    ],
)
def test_how_it_ends(left: int, skipped: int, dry_run: bool, code: int, status: str) -> None:
    result = ReconcileResult("r", True, {}, {}, left, skipped, dry_run=dry_run)

    assert (result.exit_code, result.status) == (code, status)
