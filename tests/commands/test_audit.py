"""From the command line: who did what is on record, and nobody can change the record unseen."""

from __future__ import annotations

import hmac
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from pondctl.db.database import Database
from pondctl.services.auditing.check import ChainCheck
from pondctl.services.auditing.reading import helper, take_parts, take_span
from pondctl.telemetry.audit import (
    MAIN,
    NOTHING,
    AuditEntry,
    AuditKey,
    Draft,
    Link,
    RunChain,
    Who,
    end_of,
    spelled,
)
from tests.long_form import LONG
from tests.pond_life import PROVIDER, WANTED, A, B, own_table, sims, writes
from tests.world import ICCIDS, World

WHO = Who("ops", "host-1", "production")
NOW = datetime(2026, 11, 27, 8)
Rows = list[AuditEntry]


def listed(world: World, *words: object) -> list[dict[str, Any]]:
    result = world.run("audit", "list", "--all", "-o", "json", *words)
    assert result.exit_code == 0, result.stderr
    return list(reversed(result.json))


def verdict(world: World, *words: object, **settings: str) -> tuple[int, Any]:
    result = world.run("audit", "verify", "-o", "json", *words, **settings)
    return result.exit_code, result.json


def activate(world: World, *iccids: str) -> None:
    sims(world, *iccids)
    done = world.run("activate", *iccids, "--package-type", WANTED, "--service-provider", PROVIDER)
    assert done.exit_code == 0, done.stderr


def test_an_activation_is_on_record_before_it_happens_and_after(world: World) -> None:
    activate(world, A)

    rows = listed(world)
    events = [row["event"] for row in rows]
    intent, outcome = rows[0], rows[-1]
    sent = [row for row in rows if row["event"].startswith("write.")]
    assert events[:2] == ["action.intent", "run.begun"]
    assert events[-2:] == ["run.ended", "action.outcome"]
    assert [row["event"] for row in sent] == ["write.intent", "write.outcome"] * 2
    assert [row["body"]["kind"] for row in sent[::2]] == ["add_package", "activate_package"]
    assert [row["body"]["step"] for row in sent[::2]] == [row["body"]["step"] for row in sent[1::2]]
    assert events.count("device.changed") == 1
    assert intent["body"]["arguments"]["package_type"] == WANTED
    assert (outcome["body"]["exit_code"], outcome["body"]["runs"]) == (0, [sent[0]["run_id"]])
    assert rows[-2]["body"]["counts"] == {"done": 1}
    assert all(row["actor"] and row["host"] and row["profile"] == "default" for row in rows)
    assert verdict(world)[0] == 0


def test_devices_stand_there_under_the_pseudonym_that_device_show_tells(world: World) -> None:
    activate(world, A)

    shown = world.run("device", "show", A, "-o", "json").json
    everything = world.run("audit", "list", "--all", "-o", "json").stdout
    assert A not in everything
    assert shown["pseudonym"] in everything


def test_a_bulk_change_is_one_run_whatever_the_number_of_its_devices(world: World) -> None:
    bulk = world.given(*ICCIDS[:20])

    world.run("sync-bulk", bulk)

    rows = listed(world)
    assert [row["event"] for row in rows] == ["action.intent", "run.begun", "run.ended", "action.outcome"]
    assert sum(rows[2]["body"]["counts"].values()) == 20


def test_looking_and_trying_leave_no_row(world: World) -> None:
    bulk = world.given(A)
    sims(world, A)

    world.run("sync-bulk", bulk, "--dry-run")
    world.run("activate", A, "--package-type", WANTED, "--dry-run")
    world.run("status")

    assert listed(world) == []


WRITING: tuple[tuple[str, ...], ...] = (
    ("device", "lock", A, "--reason", "on loan"),
    ("device", "unlock", A, "--reason", "back"),
    ("device", "forget", A, "--reason", "asked for", "--yes"),
    ("dead-letter", "requeue", "1", "--reason", "mended"),
    ("dead-letter", "discard", "1", "--reason", "noise"),
    ("dead-letter", "restore", "1"),
    ("runs", "cancel", "nosuch"),
    ("runs", "resume", "nosuch"),
    ("bulk", "cancel", "1", "--reason", "wrong list"),
    ("retry-failed", "1"),
    ("reconcile", "--apply", "--max-changes", "0", "--local"),
    ("worker", "--once"),
    ("db", "prune"),
    ("db", "upgrade"),
    ("db", "init"),
)


def test_every_writing_command_is_on_record_with_its_reason_and_how_it_ended(world: World) -> None:
    world.given()
    codes = [world.run(*words).exit_code for words in WRITING]

    rows = [row for row in listed(world) if row["event"].startswith("action.")]
    pairs = list(zip(rows[::2], rows[1::2], strict=True))
    names = [" ".join(words[: 2 if words[0] in ("device", "dead-letter", "runs", "bulk", "db") else 1])
             for words in WRITING]  # fmt: skip
    assert [intent["command"] for intent, _ in pairs] == names
    assert [outcome["body"]["exit_code"] for _, outcome in pairs] == codes
    assert all(intent["body"]["action"] == outcome["body"]["action"] for intent, outcome in pairs)
    assert [intent["reason"] for intent, _ in pairs][:2] == ["on loan", "back"]
    code, found = verdict(world)
    assert (code, found["open_actions"], found["open_runs"]) == (0, [], [])


def test_a_new_database_begins_its_trail_with_its_own_making(world: World, tmp_path: Path) -> None:
    url = {"PONDCTL_DATABASE__URL": f"sqlite:///{tmp_path / 'new.db'}"}

    assert world.run("db", "init", **url).exit_code == 0

    rows = world.run("audit", "list", "-o", "json", **url).json
    assert [row["command"] for row in rows] == ["db init", "db init"]
    assert verdict(world, **url)[0] == 0


def test_without_a_key_nothing_is_done(world: World, tmp_path: Path) -> None:
    bulk = world.given(A)
    sims(world, A)
    (tmp_path / "file").touch()
    before = world.everything()

    for words in (["sync-bulk", bulk], ["activate", A, "--package-type", WANTED], ["device", "lock", A]):
        result = world.run(*words, "-o", "json", XDG_STATE_HOME=str(tmp_path / "file"))
        assert result.exit_code == 4
        assert "telemetry.audit_key" in result.json["error"]["hint"]

    assert world.everything() == before
    assert world.calls() == 0
    # With a key of the settings the home may be read-only.
    given = {"XDG_STATE_HOME": str(tmp_path / "file"), "PONDCTL_TELEMETRY__AUDIT_KEY": "k" * 32}
    assert world.run("activate", A, "--package-type", WANTED, **given).exit_code == 0


def test_where_the_trail_cannot_be_written_nothing_is_done(world: World) -> None:
    if world.engine.dialect.name != "sqlite":
        pytest.skip("the trigger is written for SQLite")
    table = own_table(world, "audit")
    sims(world, A)
    world.execute(
        f"CREATE TRIGGER no_more BEFORE INSERT ON {table} WHEN NEW.event = 'write.intent' "
        "BEGIN SELECT RAISE(ABORT, 'disk I/O error'); END"
    )

    first = world.run("activate", A, "--package-type", WANTED)
    sent = writes(world)
    world.execute("DROP TRIGGER no_more")
    world.execute(
        f"CREATE TRIGGER no_more BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'disk I/O error'); END"
    )
    calls = world.calls()
    second = world.run("activate", A, "--package-type", WANTED)

    assert (first.exit_code, sent) == (7, 0), first.stderr
    assert (second.exit_code, world.calls()) == (7, calls), second.stderr


def entries(world: World) -> tuple[Rows, sa.Table]:
    table = sa.Table("pondctl_audit", sa.MetaData(), autoload_with=world.engine)
    with world.engine.connect() as connection:
        found = connection.execute(sa.select(table).order_by(table.c.id)).mappings().all()
    return [AuditEntry(**{k: v for k, v in row.items() if k != "id"}) for row in found], table


TAMPERING: dict[str, tuple[str, ...]] = {
    "changed": ("UPDATE {t} SET reason = 'other' WHERE id = 4",),
    "changed in its body": (
        "UPDATE {t} SET body = replace(body, 'add_package', 'end_package') WHERE id = 3",
    ),
    "dated back": ("UPDATE {t} SET recorded_at = '2026-01-01 00:00:00.000000' WHERE id = 4",),
    "deleted": ("DELETE FROM {t} WHERE id = 4",),
    "inserted": (
        "INSERT INTO {t} SELECT 900, chain, 900, run_id, event, command, actor, host, profile, reason, "
        "device, body, recorded_at, key_id, previous_mac, mac FROM {t} WHERE id = 4",
    ),
    "inserted before all": (
        "INSERT INTO {t} SELECT -7, chain, 900, run_id, event, command, actor, host, profile, reason, "
        "device, body, recorded_at, key_id, previous_mac, mac FROM {t} WHERE id = 4",
    ),
    "a body that is no text": ("UPDATE {t} SET body = CAST(x'fffe' AS TEXT) WHERE id = 4",),
    "a time that is none": ("UPDATE {t} SET recorded_at = 'noon' WHERE id = 4",),
    "binary where text belongs": ("UPDATE {t} SET device = x'fffe' WHERE id = 4",),
    "swapped": (
        "UPDATE {t} SET id = 901 WHERE id = 3",
        "UPDATE {t} SET id = 3 WHERE id = 4",
        "UPDATE {t} SET id = 4 WHERE id = 901",
    ),
    "cut at the end": ("DELETE FROM {t} WHERE id > (SELECT max(id) - 1 FROM {t})",),
    "cut at the end of a run": ("DELETE FROM {t} WHERE chain <> 'main' AND sequence > 2",),
    "all gone": ("DELETE FROM {t}",),
}
# A server gives the numbers itself, and keeps in a column only what its type allows.
ON_SQLITE_ALONE = {
    "inserted",
    "inserted before all",
    "swapped",
    "a body that is no text",
    "a time that is none",
    "binary where text belongs",
}


@pytest.mark.parametrize("how", TAMPERING)
def test_verify_finds_what_was_done_to_the_table(world: World, how: str) -> None:
    if how in ON_SQLITE_ALONE and world.engine.dialect.name != "sqlite":
        pytest.skip("only SQLite lets anybody do this")
    activate(world, A)
    assert verdict(world)[0] == 0

    for statement in TAMPERING[how]:
        world.execute(statement.format(t=own_table(world, "audit")))

    code, found = verdict(world)
    assert code == 3
    assert found["whole"] is False
    assert found["first_bad"]["place"]
    assert found["first_bad"]["what"]
    assert world.run("audit", "list", "--all", "-o", "json").exit_code == 0


def test_a_head_that_was_kept_elsewhere_finds_a_cut_that_this_host_cannot_see(
    world: World, tmp_path: Path
) -> None:
    activate(world, A)
    head = verdict(world)[1]["head"]
    key = {"PONDCTL_TELEMETRY__AUDIT_KEY": (tmp_path / "state/pondctl/audit.key").read_bytes().hex()}
    world.execute(f"DELETE FROM {own_table(world, 'audit')} WHERE chain = 'main' AND sequence > 1")
    world.execute(f"DELETE FROM {own_table(world, 'audit')} WHERE chain <> 'main'")

    # Another host: its own state folder, with the key of this one.
    elsewhere = {"XDG_STATE_HOME": str(tmp_path / "elsewhere")}
    key_file = tmp_path / "state/pondctl/audit.key"
    unseen = world.run("audit", "verify", "--key-file", key_file, **elsewhere)
    seen = verdict(world, "--key-file", key_file, "--head", head, **elsewhere)
    strange = verdict(world, **key)

    assert (unseen.exit_code, "no head is kept on this host" in unseen.stderr) == (0, True)
    assert (seen[0], "cut off" in seen[1]["first_bad"]["what"]) == (3, True)
    assert (strange[0], "--key-file" in strange[1]["first_bad"]["what"]) == (3, True)


def test_list_narrows_by_run_actor_command_and_time(world: World) -> None:
    activate(world, A)
    world.run("device", "lock", B, "--reason", "on loan")
    run = next(row["run_id"] for row in listed(world) if row["run_id"])

    assert {row["run_id"] for row in listed(world, "--run", run)} == {run}
    assert {row["command"] for row in listed(world, "--command", "device lock")} == {"device lock"}
    assert listed(world, "--actor", "nobody") == []
    assert len(listed(world, "--since", "1h")) == len(listed(world))
    table = world.run("audit", "list", "--limit", 2)
    assert "action.outcome" in table.stdout
    assert f"2 of {len(listed(world))}" in table.stderr
    assert world.run("audit", "list", "-o", "csv").stdout.startswith("id,recorded,event")


def test_a_forgotten_device_has_another_pseudonym_and_the_trail_is_whole(world: World) -> None:
    activate(world, A)
    activate(world, B)
    bulk = world.given({"ICCID": A, "MSISDN": "12015550123"})
    before = {iccid: world.run("device", "show", iccid, "-o", "json").json["pseudonym"] for iccid in (A, B)}

    refused = world.run("device", "forget", A, "--reason", "asked for")
    result = world.run("device", "forget", A, "--reason", "asked for", "--yes", "-o", "json")

    after = {iccid: world.run("device", "show", iccid, "-o", "json").json["pseudonym"] for iccid in (A, B)}
    assert refused.exit_code == 2
    assert (result.json["known"], result.json["numbers_forgotten"]) == (True, 1)
    assert any("backups" in line for line in result.json["not_touched"])
    assert after[A] != before[A]
    assert after[B] == before[B]
    assert world.rows(bulk)[0]["ICCID"] == A
    assert world.run("device", "forget", A, "--reason", "again", "--yes").exit_code == 0
    assert verdict(world)[0] == 0
    now = world.run("device", "show", A, "-o", "json").json["pseudonym"]
    assert now not in (before[A], after[A])
    activate(world, A)
    assert now in world.run("audit", "list", "--all", "-o", "json").stdout


def test_a_device_that_nothing_names_is_forgotten_with_a_doubt(world: World) -> None:
    activate(world, A)

    mistyped = world.run("device", "forget", ICCIDS[7], "--reason", "asked for", "--yes", "-o", "json")
    known = world.run("device", "forget", A, "--reason", "asked for", "--yes")
    silent = world.run("device", "forget", A)

    assert (mistyped.exit_code, mistyped.json["known"]) == (0, False)
    assert f"nothing in this database names {ICCIDS[7]}" in mistyped.stderr
    assert "is that the device" not in known.stderr
    assert "\nnot touched\n  the host's tables" in known.stdout
    assert (silent.exit_code, "needs a reason" in silent.stderr) == (2, True)


def chain_of(count: int, key: AuditKey) -> Rows:
    """A trail of three runs that write in turns."""
    rows: Rows = []
    main = Link(0, NOTHING)

    def add(draft: Draft) -> AuditEntry:
        nonlocal main
        rows.append(key.add(MAIN, main, draft, WHO, spelled(NOW + timedelta(seconds=len(rows)))))
        main = end_of(rows)
        return rows[-1]

    runs = [RunChain(key, WHO, add(Draft("run.begun", "activate", {}, f"r{number}"))) for number in range(3)]
    while len(rows) < count:
        run = runs[len(rows) % 3]
        step = {"step": f"{run.run_id}:{len(rows)}", "state": "done"}
        new = run.sign([Draft("write.intent", "activate", step), Draft("write.outcome", "activate", step)])
        run.added(new)
        rows += new
    for run in runs:
        add(Draft("run.ended", "activate", {"rows": run.end.sequence, "last": run.end.mac}, run.run_id))
    return rows


def check(rows: Rows, key: AuditKey, end: Link) -> ChainCheck:
    found = ChainCheck({key.id: key}, {end.sequence: end.mac})
    for number, row in enumerate(rows, 1):
        if not found.take([(*row, number)]):
            break
    found.finish()
    return found


def _swap(rows: Rows, at: int) -> Rows:
    return [*rows[:at], rows[at + 1], rows[at], *rows[at + 2 :]]


ATTACKS: dict[str, Callable[[Rows, int], Rows]] = {
    "change": lambda rows, at: [*rows[:at], rows[at]._replace(reason="other"), *rows[at + 1 :]],
    "delete": lambda rows, at: [*rows[:at], *rows[at + 1 :]],
    "insert": lambda rows, at: [*rows[:at], rows[at]._replace(body="{}"), *rows[at:]],
    "repeat": lambda rows, at: [*rows[:at], rows[at], *rows[at:]],
    "swap": _swap,
    "cut": lambda rows, at: rows[:at],
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_whichever_row_is_touched_it_is_found(attack: str) -> None:
    count = 1000 if LONG else 120
    key = AuditKey(b"k" * 32)
    rows = chain_of(count, key)
    end = [Link(row.sequence, row.mac) for row in rows if row.chain == MAIN][-1]
    assert check(rows, key, end).bad is None

    places = range(count) if LONG else random.Random(7).sample(range(count), 60)
    missed = [at for at in places if check(ATTACKS[attack](rows, at), key, end).bad is None]

    # Rows of two runs that have nothing to do with each other have no order.
    free = {at for at in missed if attack == "swap" and rows[at].chain != rows[at + 1].chain}
    assert set(missed) == free


def in_parts(rows: Rows, key: AuditKey, end: Link, cuts: list[int]) -> ChainCheck | None:
    """The same where each part is looked at on its own first; None where a part does not fit."""
    ends = {end.sequence: end.mac}
    whole = ChainCheck({key.id: key}, ends)
    for first, last in pairwise([0, *sorted(cuts), len(rows)]):
        alone = ChainCheck({key.id: key}, ends, of_part=True)
        alone.take((*row, number) for number, row in enumerate(rows[first:last], first + 1))
        if alone.part is None or not whole.join(alone.part):
            return None
    whole.finish()
    return whole


def told(found: ChainCheck) -> tuple[object, ...]:
    ends = {chain: tuple(end) for chain, end in found.ends.items()}
    return found.rows, found.bad, ends, found.open_actions, found.open_writes


def test_parts_come_to_what_the_whole_comes_to_wherever_they_are_cut() -> None:
    key = AuditKey(b"k" * 32)
    dice = random.Random(11)
    for _ in range(200 if LONG else 20):
        rows = chain_of(60, key)[: dice.randrange(40, 62)]
        end = [Link(row.sequence, row.mac) for row in rows if row.chain == MAIN][-1]
        cuts = dice.sample(range(1, len(rows)), 5)

        found = in_parts(rows, key, end, cuts)
        assert found is not None
        assert told(found) == told(check(rows, key, end))
        for attack, at in [(each, dice.randrange(len(rows))) for each in ATTACKS]:
            touched = ATTACKS[attack](rows, min(at, len(rows) - 2))
            split = in_parts(touched, key, end, cuts)
            assert (split is None or split.bad is not None) == (check(touched, key, end).bad is not None)


@pytest.mark.parametrize("changed", [None, 41])
def test_other_processes_come_to_the_same_verdict(world: World, changed: int | None) -> None:
    key = AuditKey(b"k" * 32)
    rows = chain_of(100, key)
    end = [Link(row.sequence, row.mac) for row in rows if row.chain == MAIN][-1]
    kept = {end.sequence: end.mac}
    database = Database.open(world.url)
    database.write(lambda unit: [unit.audit_rows.add([row]) for row in rows])
    first, last = database.read(lambda unit: unit.audit_rows.ids())
    if changed is not None:
        world.execute(f"UPDATE {own_table(world, 'audit')} SET reason = 'x' WHERE id = {first + changed}")
    spans = [(start, min(start + 19, last)) for start in range(first, last + 1, 20)]

    split, whole = ChainCheck({key.id: key}, kept), ChainCheck({key.id: key}, kept)
    take_parts(database, split, [key], kept, spans)
    take_span(database, whole, (first, last))
    with helper(database, [key], kept, spans) as parts:
        answers = [part is not None and part.rows for part in parts]

    assert told(split) == told(whole)
    assert (whole.bad and whole.bad.row_id) == (None if changed is None else first + changed)
    expected = [20, 20, 20, 20, 20, len(rows) - 100]
    assert answers == [n if changed is None or changed // 20 != i else False for i, n in enumerate(expected)]
    database.close()


@pytest.mark.parametrize("secret", [b"k" * 32, b"long" * 40])
def test_a_signature_is_the_hmac_of_all_that_a_row_says(secret: bytes) -> None:
    draft = Draft("write.intent", "activate", {"step": "ü:1"}, "r1", reason=None, device="d-1")
    row = AuditKey(secret).add(MAIN, Link(6, NOTHING), draft, WHO, spelled(NOW))

    said = (
        "4:main1:72:r112:write.intent8:activate3:ops6:host-110:production-3:d-1"
        f"{len(row.body)}:{row.body}23:2026-11-27 08:00:00.00016:{row.key_id}64:{NOTHING}"
    )
    assert row.mac == hmac.digest(secret, said.encode(), "sha256").hex()
    assert row.key_id == hmac.digest(secret, b"pondctl audit key", "sha256").hex()[:16]
