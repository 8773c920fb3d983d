"""Random interleavings of commands, faults, crashes and late effects; the simulated carrier is the model."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from pondctl.db.database import Database
from pondctl.db.schema import init_database
from pondctl.sandbox import Fault, FaultKind, Sandbox, SandboxConfig
from tests.pond_life import FULL, OTHER, WANTED, in_database, own_table, sims, standing, steps
from tests.world import ICCIDS, Result, World

pytestmark = pytest.mark.faults

# An effect comes later than its answer was lost, and earlier than absence is taken for proven.
LATE, SETTLE = 0.15, 0.5
DEVICES = ICCIDS[:3]
CALLS = ["add_package", "package_active", "package_terminated", "set_sim_status", "list_packages"]
TROUBLES = [
    (FaultKind.CUT_AFTER, None),
    (FaultKind.CUT_BEFORE, None),
    (FaultKind.LATE, LATE),
    (FaultKind.STATUS, 503),
    (FaultKind.HTML, None),
    (FaultKind.REFUSE, "no"),
]
TRUTH = (({"unknown"}, 9), ({"failed", "skipped"}, 3), ({"deferred"}, 8))
faults = st.none() | st.tuples(st.sampled_from(CALLS), st.sampled_from(TROUBLES), st.integers(0, 1))
some = st.lists(st.sampled_from(DEVICES), min_size=1, unique=True)
types = st.sampled_from([WANTED, OTHER])


class LifeCycle(RuleBasedStateMachine):
    """Three SIMs in anybody's hands."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        path = self.folder / "world.db"
        database = Database.open(f"sqlite:///{path}")
        path.touch()
        init_database(database)
        database.close()
        self.sandbox = Sandbox(SandboxConfig())
        self.sandbox.start()
        environment = self.sandbox.environment() | {
            "PONDCTL_DATABASE__URL": f"sqlite:///{path}",
            "PONDCTL_POND__REQUESTS_PER_SECOND": "1000",
            "PONDCTL_POND__SETTLE_SECONDS": str(SETTLE),
            "PONDCTL_LIMITS__OUTAGE_SECONDS": "5",
            "XDG_STATE_HOME": str(self.folder),
            "XDG_CONFIG_HOME": str(self.folder),
        }
        self.world = World(f"sqlite:///{path}", self.sandbox, environment)
        # Of each locked device the packages that must not end while it is locked.
        self.locked: dict[str, set[str]] = {}

    @initialize(held=st.lists(st.sampled_from([(), ((OTHER, "ACTIVE"),), ((WANTED, "NOT_ACTIVE"),)])))
    def some_hold_packages(self, held: list[tuple[tuple[int, str], ...]]) -> None:
        for place, iccid in enumerate(DEVICES):
            sims(self.world, iccid, packages=held[place] if place < len(held) else ())

    @rule(iccids=some, wanted=types, fault=faults)
    def activate(self, iccids: list[str], wanted: int, fault: object) -> None:
        result = self.run(fault, "activate", *iccids, "--package-type", wanted)
        self.check(result, iccids, wanted)

    @rule(iccids=some, wanted=types, fault=faults, calls=st.integers(0, 12))
    def activate_and_be_killed(self, iccids: list[str], wanted: int, fault: object, calls: int) -> None:
        self.arm(fault)
        held = self.sandbox.fault(Fault("pond.*", FaultKind.LATENCY, 0.05))
        before = self.world.calls("pond.")
        process = self.world.spawn("activate", *iccids, "--package-type", str(wanted))
        while process.poll() is None and self.world.calls("pond.") < before + calls:
            time.sleep(0.005)
        process.kill()
        process.communicate()
        self.sandbox.clear_faults()
        assert held.fault

    @rule(iccids=some, fault=faults)
    def terminate(self, iccids: list[str], fault: object) -> None:
        result = self.run(fault, "terminate", *iccids, "--reason", "x", "--yes")
        for device in self.devices(result):
            if device["outcome"] in ("done", "unchanged"):
                assert standing(self.world, device["iccid"]) == []
                assert standing(self.world, device["iccid"], "NOT_ACTIVE") == []
                assert device["iccid"] not in self.locked

    @rule(iccids=some, word=st.sampled_from(["suspend", "resume"]), fault=faults)
    def switch(self, iccids: list[str], word: str, fault: object) -> None:
        result = self.run(fault, word, *iccids)
        for device in self.devices(result):
            if device["outcome"] in ("done", "unchanged"):
                wanted = "DISABLED" if word == "suspend" else "ENABLED"
                assert self.sandbox.pond.sim(device["iccid"]).data == wanted

    @rule(iccid=st.sampled_from(DEVICES), on=st.booleans())
    def lock(self, iccid: str, on: bool) -> None:
        self.world.run("device", "lock" if on else "unlock", iccid, "--reason", "x")
        self.locked.pop(iccid, None)
        if on:
            time.sleep(2 * LATE)  # what was sent before the lock has taken effect by now
            self.locked[iccid] = self.standing_ids(iccid)

    @rule(iccid=st.sampled_from(DEVICES))
    def the_carrier_ends_a_package_by_itself(self, iccid: str) -> None:
        for package in self.sandbox.pond.packages(iccid, "ACTIVE")[:1]:
            self.sandbox.pond.set_package_status(package.package_id, "TERMINATED")
            self.locked.get(iccid, set()).discard(package.package_id)

    @invariant()
    def what_a_locked_device_holds_stays(self) -> None:
        for iccid, held in self.locked.items():
            assert held <= self.standing_ids(iccid), iccid

    @invariant()
    def there_is_never_a_second_package_of_a_type(self) -> None:
        for iccid in DEVICES:
            if iccid not in {sim.iccid for sim in self.sandbox.pond.store.stored()}:
                continue
            idle, active = standing(self.world, iccid, "NOT_ACTIVE"), standing(self.world, iccid)
            for type_id in (WANTED, OTHER):
                assert [*idle, *active].count(type_id) <= 1, (iccid, idle, active)

    def teardown(self) -> None:
        """Whatever happened: one quiet run, and all is as it should be."""
        try:
            for iccid in self.locked:
                self.world.run("device", "unlock", iccid, "--reason", "x")
            result = self.run(None, "activate", *DEVICES, "--package-type", WANTED)
            assert result.exit_code == 0, result.stdout + result.stderr
            self.check(result, list(DEVICES), WANTED)
            self.there_is_never_a_second_package_of_a_type()
            for word in ("resume",):
                self.run(None, word, *DEVICES)
            assert not [s for s in steps(self.world) if s["state"] in ("open", "unknown")]
            open_ = f"{own_table(self.world, 'step')} WHERE kind = 'claim' AND state = 'open'"
            assert self.world._select(open_) == []
        finally:
            self.world.close()
            self.sandbox.stop()
            shutil.rmtree(self.folder)

    def run(self, fault: object, *words: object) -> Result:
        self.arm(fault)
        result = self.world.run(*words, "-o", "json")
        self.sandbox.clear_faults()
        outcomes = {device["outcome"] for device in self.devices(result)}
        truth = next((code for words, code in TRUTH if outcomes & words), 0)
        assert result.exit_code == truth, result.stdout + result.stderr
        return result

    def standing_ids(self, iccid: str) -> set[str]:
        found = [self.sandbox.pond.packages(iccid, word) for word in ("ACTIVE", "NOT_ACTIVE")]
        return {package.package_id for packages in found for package in packages}

    def arm(self, fault: object) -> None:
        if fault is not None:
            call, (kind, value), after = fault  # type: ignore[misc]
            self.sandbox.fault(Fault(f"pond.{call}", kind, value, count=1, after=after))

    def devices(self, result: Result) -> list[dict[str, str]]:
        found: list[dict[str, str]] = json.loads(result.stdout)["devices"]
        return found

    def check(self, result: Result, iccids: list[str], wanted: int) -> None:
        """Done means done: at the carrier and in the database."""
        for device in self.devices(result):
            if device["outcome"] in ("done", "unchanged"):
                assert standing(self.world, device["iccid"]) == [wanted]
                assert in_database(self.world, device["iccid"]) == [wanted]
        assert {device["iccid"] for device in self.devices(result)} == set(iccids)


LifeCycle.TestCase.settings = settings(
    max_examples=80 if FULL else 5,
    stateful_step_count=15 if FULL else 8,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestLifeCycle = pytest.mark.timeout(3600 if FULL else 300)(LifeCycle.TestCase)
