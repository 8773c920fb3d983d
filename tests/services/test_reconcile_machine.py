"""Random worlds: whatever events were missed, doubled or shuffled, one pass puts the database right.

`PONDCTL_TEST_LONG=1` runs 500 worlds of 50 steps; a short form runs otherwise.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from pondctl.sandbox import Sandbox
from tests.commands.test_reconcile import POND, untouched
from tests.long_form import LONG
from tests.pond_life import given_plan, own_table, plans
from tests.world import ICCIDS, World

pytestmark = [pytest.mark.scale, pytest.mark.timeout(3600 if LONG else 300)]

WORLDS, STEPS = (500, 50) if LONG else (12, 20)
DEVICES, SIMS = ICCIDS[:8], ICCIDS[10:15]
NUMBERS = [f"1201555{n:04}" for n in range(6)]
STATES = ("active", "active", "active", "suspend", "deactive", "pending activation")
DONE = {"Status": "PROCESSED", "IsProcessed": True, "HasErrors": False}
FAILED = {"Status": "API_FAILED", "IsProcessed": True, "HasErrors": True, "StatusDetails": "network: no"}
OPEN: dict[str, Any] = {"Status": "PENDING"}

devices = st.sampled_from(DEVICES)
sims = st.sampled_from(SIMS)
numbers = st.sampled_from([*NUMBERS, None])
rows = st.sampled_from([DONE, FAILED, OPEN])
headers = st.sampled_from(["NEW", "PENDING", "PROCESSING", "PROCESSED", "ERROR"])
statuses = st.sampled_from(["NOT_ACTIVE", "ACTIVE", "TERMINATED"])


class Drifting(RuleBasedStateMachine):
    """Carriers and database go their own ways; at the end of each world they are brought together."""

    build: ClassVar[Callable[[], World]]

    def __init__(self) -> None:
        super().__init__()
        self.world = type(self).build()
        self.bulks: list[int] = []
        self.lost = 0

    @rule(chosen=st.lists(st.tuples(devices, numbers, rows), min_size=1, max_size=4), status=headers)
    def a_bulk_change(self, chosen: list[tuple[str, str | None, dict[str, Any]]], status: str) -> None:
        """The host writes one; a device may be in it twice, and numbers may be old."""
        made = [{"ICCID": iccid, "MSISDN": number, **row} for iccid, number, row in chosen]
        self.bulks.append(self.world.given(*made, Status=status))

    @rule(iccid=devices, state=st.sampled_from(STATES), number=numbers)
    def the_carrier_changes(self, iccid: str, state: str, number: str | None) -> None:
        """An event that nobody hears of."""
        self.world.thingspace.add(iccid, state=state, msisdn=number if state == "active" else None)

    @rule(iccid=devices)
    def the_carrier_forgets(self, iccid: str) -> None:
        """A device leaves the account."""
        if iccid in self.world.thingspace.devices:
            self.world.thingspace.remove(iccid)

    @rule(iccid=devices, number=numbers, twice=st.booleans(), newest=st.booleans())
    def an_event_arrives(self, iccid: str, number: str | None, twice: bool, newest: bool) -> None:
        """A notification is applied: late, twice, or to the wrong row."""
        which = "MAX" if newest else "MIN"
        for _ in range(1 + twice):
            self.world.execute(
                'UPDATE "M2M_DeviceChange" SET "MSISDN" = :number, "Status" = \'PROCESSED\', '
                f'"IsProcessed" = 1, "HasErrors" = 0 WHERE "Id" = (SELECT {which}("Id") FROM '
                '"M2M_DeviceChange" WHERE "ICCID" = :iccid)',
                number=number,
                iccid=iccid,
            )

    @rule(status=headers, place=st.integers(0, 5))
    def somebody_sets_a_header(self, status: str, place: int) -> None:
        """By hand, whatever the rows say."""
        if place < len(self.bulks):
            self.world.execute(
                'UPDATE "BulkChange" SET "Status" = :status WHERE "Id" = :id',
                status=status,
                id=self.bulks[place],
            )

    @rule()
    def a_queue_is_lost(self) -> None:
        """Messages are gone."""
        self.world.execute(f"UPDATE {own_table(self.world, 'message')} SET state = 'done'")

    @rule(iccid=sims, types=st.lists(st.tuples(st.sampled_from([1001, 1002]), statuses), max_size=3))
    def a_sim(self, iccid: str, types: list[tuple[int, str]]) -> None:
        """POND has packages that the database may never have heard of."""
        for package in self.world.sandbox.pond.add_sim(iccid, types):
            if package.package_type_id == 1001:
                given_plan(self.world, iccid, package.package_id, 1001, package.status)

    @rule(iccid=sims, status=statuses, place=st.integers(0, 2))
    def pond_changes(self, iccid: str, status: str, place: int) -> None:
        """A package goes its way behind everybody's back."""
        known = self.world.sandbox.pond.packages(iccid) if self._has(iccid) else []
        if place < len(known):
            self.world.sandbox.pond.set_package_status(known[place].package_id, status)

    @rule(iccid=sims, status=statuses, number=st.integers(0, 2))
    def a_package_row(self, iccid: str, status: str, number: int) -> None:
        """The host writes a package that may not exist."""
        given_plan(self.world, iccid, f"P{number}", 1001, status)

    @rule(iccid=sims)
    def an_answer_is_lost(self, iccid: str) -> None:
        """A run dies with a write whose answer is not known."""
        if not self._has(iccid):
            self.world.sandbox.pond.add_sim(iccid)
        self.lost += 1
        lose_answer(self.world, iccid, f"gone{self.lost}")

    @rule(place=st.integers(0, 5))
    def a_dead_letter(self, place: int) -> None:
        """A message was given up."""
        if place < len(self.bulks):
            bury(self.world, self.bulks[place], f"letter-{len(self.world.own('dead_letter'))}")

    def teardown(self) -> None:
        """Two passes at most; the third writes nothing; then the database says what the carriers say."""
        try:
            first = self._pass()
            assert first.exit_code in (0, 5), first.stderr
            second = self._pass()
            assert second.json["mended"] == {}, (first.stdout, second.stdout)
            before = untouched(self.world)
            third = self._pass()
            assert untouched(self.world) == before, third.stdout
            assert third.json["counts"] == second.json["counts"]
            self._compare_devices()
            self._compare_packages()
            assert not [s for s in self.world.own("step") if s["state"] in ("open", "unknown")]
        finally:
            self.world.close()

    def _pass(self) -> Any:
        return self.world.run("reconcile", "--apply", "--max-changes", 10_000, "-o", "json", **POND)

    def _has(self, iccid: str) -> bool:
        try:
            self.world.sandbox.pond.sim(iccid)
        except KeyError:
            return False
        return True

    def _compare_devices(self) -> None:
        """Worked out here, by the plainest means."""
        newest: dict[str, dict[str, Any]] = {}
        for row in sorted(self.world.everything()['"M2M_DeviceChange"'], key=lambda r: r["Id"]):
            newest[row["ICCID"]] = row
        for iccid, row in newest.items():
            shown = self.world.thingspace.devices.get(iccid)
            if shown is not None and shown.state == "active" and shown.msisdn:
                assert (row["MSISDN"], row["Status"], row["IsProcessed"], row["HasErrors"]) == (
                    shown.msisdn,
                    "PROCESSED",
                    True,
                    False,
                )

    def _compare_packages(self) -> None:
        for row in plans(self.world):
            if not self._has(row["ICCID"]):
                continue
            shown = {p.package_id: p.status for p in self.world.sandbox.pond.packages(row["ICCID"])}
            assert row["Status"] == shown.get(row["PackageId"], "TERMINATED")
        kept = {(row["ICCID"], row["PackageId"]) for row in plans(self.world)}
        looked_at = {row["ICCID"] for row in plans(self.world)}
        for iccid in looked_at:
            known = self.world.sandbox.pond.packages(iccid) if self._has(iccid) else []
            assert all((iccid, p.package_id) in kept for p in known if p.status == "ACTIVE")


def lose_answer(world: World, iccid: str, run_id: str) -> None:
    """An `add_package` of a run that is gone, sent long ago."""
    world.execute(
        f"INSERT INTO {own_table(world, 'run')} (run_id, claim, command, state, actor, host, host_key, pid, "
        "process_started, profile, arguments, cancel_requested, started_at, heartbeat_at, lease_until) "
        "VALUES (:run, :run, 'activate', 'failed', 'ann', 'h', 'k', 1, 0, 'p', '{}', 0, "
        "'2026-01-01 08:00:00', '2026-01-01 08:00:00', '2026-01-01 08:00:45')",
        run=run_id,
    )
    world.execute(
        f"INSERT INTO {own_table(world, 'step')} (claim, run_id, sequence, carrier, operation, kind, iccid, "
        "service_provider_id, intent, state, opened_at, cut_at) VALUES (:claim, :run, 2, 'pond', 'activate', "
        "'add_package', :iccid, 4, :intent, 'unknown', '2026-01-01 08:00:00', '2026-01-01 08:00:45')",
        claim=f"{run_id}:2",
        run=run_id,
        iccid=iccid,
        intent=json.dumps({"package_type_id": 1002, "seen": []}),
    )


def bury(world: World, bulk: int, key: str) -> None:
    """A dead letter about a bulk change."""
    world.execute(
        f"INSERT INTO {own_table(world, 'dead_letter')} (letter_key, source_queue, bulk_change_id, "
        "retry_number, receive_count, body, attributes, category, reason, attempts, state, requeue_count, "
        "created_at, changed_at) VALUES (:key, 'embedded', :bulk, 6, 1, '', '{}', 'retries_exhausted', 'no', "
        "'[]', 'open', 0, '2026-01-01 08:00:00', '2026-01-01 08:00:00')",
        key=key,
        bulk=bulk,
    )


@pytest.fixture
def build(shared_sandbox: Sandbox, made_file: Path, tmp_path: Path) -> Callable[[], World]:
    """Makes one fresh world after the other."""

    def make() -> World:
        shared_sandbox.reset()
        path = tmp_path / f"world{random.getrandbits(32)}.db"
        shutil.copyfile(made_file, path)
        own = {"PONDCTL_DATABASE__URL": f"sqlite:///{path}", "PONDCTL_POND__REQUESTS_PER_SECOND": "1000"}
        paced = {"PONDCTL_THINGSPACE__REQUESTS_PER_SECOND": "1000"}
        return World(f"sqlite:///{path}", shared_sandbox, shared_sandbox.environment() | own | paced)

    return make


def test_random_worlds_converge(build: Callable[[], World]) -> None:
    class Worlds(Drifting):
        pass

    Worlds.build = staticmethod(build)
    phases = [phase for phase in Phase if phase is not Phase.explain]
    run_state_machine_as_test(
        Worlds,
        settings=settings(
            max_examples=WORLDS,
            stateful_step_count=STEPS,
            deadline=None,
            phases=phases,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
