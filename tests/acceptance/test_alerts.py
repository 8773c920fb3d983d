"""Alerts and notifications, from the command line to the table and to a webhook."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.pond_life import SETTLE, WANTED, sims
from tests.queue_world import QueueWorld
from tests.read_only import can_be_tried, run_read_only
from tests.sqs_server import SqsServer
from tests.webhook import Webhook, listening
from tests.world import ICCIDS, World

A, B = ICCIDS[:2]
LONG_AGO = "2026-01-01 00:00:00.000000"


@pytest.fixture
def hook(world: World) -> Iterator[Webhook]:
    """A webhook that the program notifies."""
    with listening() as hook:
        world.settings["PONDCTL_TELEMETRY__NOTIFY"] = f'["{hook.url}"]'
        yield hook
        world.settings.pop("PONDCTL_TELEMETRY__NOTIFY", None)


def alerts(world: World, **settings: str) -> dict[str, dict[str, Any]]:
    """What `status` shows, by kind."""
    shown = world.run("status", "-o", "json", **settings)
    assert shown.exit_code == 0, shown.stderr
    return {each["kind"]: each for each in shown.json["alerts"]}


def bad_run(world: World) -> None:
    """One device of two is not known to the carrier."""
    world.thingspace.add(A, state="active", msisdn="12015550123")
    assert world.run("sync-bulk", world.given(A, B), "--strategy", "lookup").exit_code == 3


def good_run(world: World) -> None:
    world.thingspace.add(A, state="active", msisdn="12015550123")
    assert world.run("sync-bulk", world.given(A), "--strategy", "lookup").exit_code == 0


def age(world: World, table: str, column: str) -> None:
    """Let it have happened long ago."""
    world.execute(f"UPDATE {world.own_name(table)} SET {column} = :at", at=LONG_AGO)


def test_failures_are_raised_once_and_resolved_once_and_told_each_time(world: World, hook: Webhook) -> None:
    bad_run(world)
    bad_run(world)

    shown = alerts(world)
    assert list(shown) == ["failures"]
    assert shown["failures"]["subject"] == "sync-bulk"
    assert "1 of 2 devices failed" in shown["failures"]["detail"]
    assert [title for title in hook.titles if "alert" in title] == ["pondctl default: alerts: 1 raised"]

    age(world, "run", "finished_at")
    good_run(world)
    good_run(world)

    assert alerts(world) == {}
    told = [title for title in hook.titles if "alert" in title]
    assert told == ["pondctl default: alerts: 1 raised", "pondctl default: alerts: 1 resolved"]
    [row] = world.own("alert")
    assert (row["state"], row["told"]) == ("resolved", "resolved")


def test_processes_that_see_it_together_raise_and_tell_it_once(world: World, hook: Webhook) -> None:
    world.account_is_large()
    bulks = [world.given(B) for _ in range(3)]

    running = [world.spawn("sync-bulk", bulk, "-q") for bulk in bulks]
    told = [process.communicate(timeout=90)[1] for process in running]

    assert [process.returncode for process in running] == [3, 3, 3], told
    assert [(row["kind"], row["state"]) for row in world.own("alert")] == [("failures", "open")]
    # On a busy machine loading Apprise may take longer than they wait: then the next one tells it.
    age(world, "alert", "tried_at")
    bad_run(world)
    assert hook.titles.count("pondctl default: alerts: 1 raised") == 1


def test_a_status_change_is_told_once_and_without_devices(world: World, hook: Webhook) -> None:
    world.thingspace.add(A, state="pending activation")
    bulk = world.given(A)
    assert world.run("sync-bulk", bulk).exit_code == 8
    assert hook.taken == []
    world.thingspace.remove(A)
    world.thingspace.add(A, state="active", msisdn="12015550123")

    assert world.run("sync-bulk", bulk).exit_code == 0
    assert world.run("sync-bulk", bulk).exit_code == 0

    [told] = hook.taken
    assert told["title"] == "pondctl default: the status of 1 device changed"
    assert f"sync-bulk of bulk change {bulk}" in told["message"]
    assert "1 went from pending activation to active" in told["message"]
    assert not any(word in hook.text for word in (A, "12015550123"))


@pytest.mark.parametrize("trouble", ["refuses", "hangs"])
def test_a_failing_channel_costs_the_run_nothing_and_is_tried_again(
    world: World, hook: Webhook, trouble: str
) -> None:
    hook.status, hook.delay = (500, 0.0) if trouble == "refuses" else (200, 30.0)
    began = time.monotonic()
    bad_run(world)
    assert time.monotonic() - began < 20
    assert [row["told"] for row in world.own("alert")] == [None]

    hook.status, hook.delay = 200, 0.0
    age(world, "alert", "tried_at")
    bad_run(world)

    assert "pondctl default: alerts: 1 raised" in hook.titles


def test_without_apprise_the_run_goes_on_and_says_what_to_install(
    world: World, hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    world.thingspace.add(A, state="active", msisdn="12015550123")

    result = world.run("sync-bulk", world.given(A))

    assert result.exit_code == 0
    assert "pip install 'pondctl[notify]'" in result.stderr
    assert world.run("doctor", "-o", "json").exit_code == 2


def test_the_secret_of_a_channel_is_never_shown(world: World, hook: Webhook) -> None:
    hook.status = 500
    shown = [
        world.run("sync-bulk", world.given(B), "-v"),
        world.run("config", "show"),
        world.run("status", PONDCTL_TELEMETRY__NOTIFY='["json://planted-secret:@bad url"]'),
    ]
    assert not any("planted-secret" in each.stdout + each.stderr for each in shown)


def test_refused_credentials_are_an_alert_until_a_run_goes_well(world: World) -> None:
    bulk = world.given(A)
    assert world.run("sync-bulk", bulk, PONDCTL_THINGSPACE__PASSWORD="another one").exit_code == 4

    assert alerts(world)["authentication"]["subject"] == "sync-bulk"

    good_run(world)
    assert alerts(world) == {}


@pytest.mark.parametrize("seconds", ["0.05", "3600"])
def test_a_carrier_that_throttles_is_an_alert_for_a_while(world: World, seconds: str) -> None:
    world.sandbox.fault(f"thingspace.lookup:throttle={seconds},count=1")
    world.thingspace.add(A, state="active", msisdn="12015550123")
    world.run("sync-bulk", world.given(A), "--strategy", "lookup")

    assert "thingspace" in alerts(world)["rate_limited"]["subject"]
    assert alerts(world, PONDCTL_ALERTS__RATE_LIMIT_MINUTES="0.00001") == {}


def test_a_long_run_a_stuck_header_and_a_dead_worker_are_alerts(world: World) -> None:
    good_run(world)
    stuck = world.given(A, Status="PROCESSING")
    age(world, "run", "started_at")
    table = world.own_name("meta")
    world.execute(
        f"INSERT INTO {table} (name, value, changed_at) VALUES (:name, :value, :at)",
        name="worker:elsewhere:x:7",
        value='{"host": "elsewhere", "pid": 7}',
        at=LONG_AGO,
    )

    shown = alerts(world)

    assert set(shown) == {"slow_run", "stuck_header", "stale_worker"}
    assert shown["stuck_header"]["subject"] == str(stuck)
    assert shown["stale_worker"]["subject"] == "elsewhere process 7"
    assert "sync-bulk on bulk change" in shown["slow_run"]["detail"]
    assert world.run("worker", "--once").exit_code == 0
    assert "stuck_header" not in alerts(world)


def test_an_answer_that_was_lost_is_counted(world: World) -> None:
    sims(world, A)
    world.sandbox.fault("pond.add_package:cut_after,count=1")
    world.sandbox.fault("pond.list_packages:status=503,after=1")

    ended = world.run("activate", A, "--package-type", WANTED, PONDCTL_LIMITS__OUTAGE_SECONDS="1", **SETTLE)

    shown = world.run("status", "-o", "json").json
    assert ended.exit_code in (7, 9), ended.stderr
    assert shown["open_unknown"] == 1


def test_a_worker_signs_off_however_it_ends(world: World, sqs: SqsServer) -> None:
    at = QueueWorld(world, sqs)
    assert world.run("worker", "--once").exit_code == 0
    at.put(world.given(A), IsRetryNewActivateThingSpaceDevice="False", IsRetryUpdateIdentifier="True")
    assert at.work().exit_code == 2

    assert world.run("status", "-o", "json").json["workers"] == 0


def test_dead_letters_that_nobody_saves_are_an_alert(world: World, sqs: SqsServer) -> None:
    at = QueueWorld(world, sqs)
    dead = sqs.create("dead")
    sqs.queue(dead).send({"MessageBody": "x", "MessageAttributes": {}})
    settings = at.settings | {"PONDCTL_QUEUE__DEAD_LETTER_URL": dead}

    assert alerts(world, **settings) == {}
    age(world, "meta", "changed_at")

    shown = alerts(world, **settings)
    assert shown["dead_letters"]["subject"] == "dead"
    assert world.run("status", "-o", "json", **settings).json["dead_letters_unsaved"] == 1


def test_status_shows_everything_in_table_and_json(world: World) -> None:
    bad_run(world)
    keys = {
        *("profile", "open_bulk_changes", "open_unknown", "queue_waiting", "queue_oldest_seconds"),
        *("dead_letters", "dead_letters_oldest_seconds", "stale_runs", "refused_logins"),
        *("last_reconcile", "alerts"),
    }
    world.run("reconcile", "--local")

    shown = world.run("status", "-o", "json").json
    table = world.run("status").stdout

    assert keys <= shown.keys()
    assert shown["last_reconcile_state"] == "done"
    assert all(key.replace("_", " ") in table for key in keys)
    assert "1 of 2 devices failed" in table


def test_a_bulk_change_that_was_made_just_now_is_not_stuck(world: World, tmp_path: Path) -> None:
    (tmp_path / "devices").write_text(A)
    made = world.run(
        *("bulk", "create", "--operation", "sync", "--service-provider", 2, "--from", tmp_path / "devices")
    )

    assert made.exit_code == 0, made.stderr
    assert "stuck_header" not in alerts(world)
    yesterday = datetime.now(UTC) - timedelta(days=1)
    world.execute('UPDATE "BulkChange" SET "CreatedDate" = :at', at=f"{yesterday:%Y-%m-%d %H:%M:%S}")
    assert "stuck_header" in alerts(world)


def test_who_may_only_read_sees_alerts_that_nobody_has_recorded(world: World) -> None:
    if not can_be_tried(world):
        pytest.skip("needs a file that cannot be written")
    stuck = world.given(A, Status="PROCESSING")
    before = world.everything()

    shown = run_read_only(world, "status", "-o", "json", PONDCTL_THINGSPACE__PASSWORD="file:none")

    assert shown.exit_code == 0, shown.stderr
    [alert] = shown.json["alerts"]
    assert (alert["kind"], alert["subject"], alert["since"]) == ("stuck_header", str(stuck), None)
    assert shown.json["refused_logins"] is None
    assert world.everything() == before


def test_a_queue_that_does_not_answer_is_unknown_and_exit_7(world: World, sqs: SqsServer) -> None:
    at = QueueWorld(world, sqs)

    shown = world.run("status", "-o", "json", PONDCTL_QUEUE__URL=f"{at.url}-gone")

    assert shown.exit_code == 7
    assert shown.json["queue_waiting"] is None
