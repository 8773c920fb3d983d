from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time

import pytest
import sqlalchemy as sa

from pondctl.db.database import Database
from pondctl.db.dialects import utc_in
from pondctl.db.tokens import DatabaseTokenStore
from pondctl.services.running.process import is_gone, this_process

CREDENTIAL = {
    "base_url": "https://thingspace.example/api",
    "client_id": "client",
    "client_secret": "client-secret",
    "username": "ann",
    "password": "password",
}


def store_on(database: Database, **other: str) -> DatabaseTokenStore:
    return DatabaseTokenStore(database, **{**CREDENTIAL, **other}, process=this_process(), is_gone=is_gone)


@pytest.fixture
def store(database: Database) -> DatabaseTokenStore:
    return store_on(database)


def test_a_new_store_is_empty(store: DatabaseTokenStore) -> None:
    stored = store.load()

    assert (stored.bearer, stored.session, stored.refused, stored.version) == (None, None, 0, 0)


def test_tokens_come_back_with_their_times_by_the_databases_clock(
    database: Database, store: DatabaseTokenStore
) -> None:
    store.save_bearer("bearer-1", 3600)
    store.save_session("session-1")

    stored = store_on(database).load()

    assert (stored.bearer, stored.session, stored.version) == ("bearer-1", "session-1", 2)
    assert stored.bearer_seconds_left == pytest.approx(3600, abs=30)
    assert stored.session_idle_seconds == pytest.approx(0, abs=30)


def test_no_token_and_no_credential_is_in_the_table(database: Database, store: DatabaseTokenStore) -> None:
    store.save_bearer("bearer-1", 3600)
    store.save_session("session-1")

    table = database.own_tables.token
    rows = database.read(lambda unit: unit.state.execute(sa.select(table)).all())

    text = repr(rows)
    for secret in ("bearer-1", "session-1", *CREDENTIAL.values()):
        assert secret not in text


def test_a_changed_credential_has_no_tokens_and_no_refusals(
    database: Database, store: DatabaseTokenStore
) -> None:
    store.save_bearer("bearer-1", 3600)
    assert (store.count_refusal(), store.count_refusal()) == (1, 2)

    for changed in CREDENTIAL:
        other = store_on(database, **{changed: "another"}).load()
        assert (other.bearer, other.refused) == (None, 0)
    assert store.load().refused == 2

    store.clear_refusals()
    assert store.load().refused == 0


def test_what_does_not_decrypt_counts_as_absent(database: Database, store: DatabaseTokenStore) -> None:
    store.save_bearer("bearer-1", 3600)
    store.save_session("session-1")
    spoilt = sa.update(database.own_tables.token).values(bearer="gAAAA", session="no token at all")
    database.write(lambda unit: unit.state.execute(spoilt).close())

    stored = store.load()

    assert (stored.bearer, stored.session) == (None, None)


def test_a_token_is_forgotten_only_while_it_is_the_stored_one(
    database: Database, store: DatabaseTokenStore
) -> None:
    store.save_bearer("bearer-1", 3600)
    store.save_session("session-1")
    store_on(database).save_bearer("bearer-2", 3600)

    store.drop(bearer="bearer-1")
    assert store.load().bearer == "bearer-2"

    store.drop(bearer="bearer-2", session="session-1")
    stored = store.load()
    assert (stored.bearer, stored.session) == (None, None)


def test_dropping_from_an_empty_store_does_nothing(store: DatabaseTokenStore) -> None:
    store.drop(bearer="bearer-1")
    store.touch_session()

    assert store.load().version == 0


def test_a_session_in_use_does_not_grow_idle(database: Database, store: DatabaseTokenStore) -> None:
    store.save_session("session-1")
    older = sa.update(database.own_tables.token).values(session_used_at=utc_in(-600))
    database.write(lambda unit: unit.state.execute(older).close())
    assert store.load().session_idle_seconds == pytest.approx(600, abs=30)

    store.touch_session()

    assert store.load().session_idle_seconds < 60


def test_one_login_at_a_time_over_all_stores(database: Database) -> None:
    inside: list[int] = []
    most: list[int] = []

    def log_in() -> None:
        with store_on(database).login_turn():
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.02)
            inside.pop()

    threads = [threading.Thread(target=log_in) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert most == [1] * 6


def test_the_turn_of_a_dead_holder_ends_by_the_databases_clock(
    database: Database, store: DatabaseTokenStore
) -> None:
    turns: list[str] = []
    store.load()
    with store.login_turn():
        over = sa.update(database.own_tables.token).values(login_until=utc_in(-1))
        database.write(lambda unit: unit.state.execute(over).close())
        with store_on(database).login_turn():
            turns.append("another's")

    with store.login_turn():
        turns.append("one's own again")
    assert turns == ["another's", "one's own again"]


def _die_in_turn(url: str) -> None:
    store = store_on(Database.open(url))
    with store.login_turn():
        os.kill(os.getpid(), signal.SIGKILL)


def test_the_turn_of_a_process_that_was_killed_on_this_host_is_free_at_once(
    database: Database, store: DatabaseTokenStore
) -> None:
    url = database.host_address.url.render_as_string(hide_password=False)
    dead = multiprocessing.get_context("spawn").Process(target=_die_in_turn, args=(url,))
    dead.start()
    dead.join()
    began = time.monotonic()

    with store.login_turn():
        assert time.monotonic() - began < 10, "waited for the lease of a minute"


def _save_elsewhere(url: str) -> None:
    database = Database.open(url)
    store_on(database).save_bearer("from another process", 60)
    database.close()


def test_another_process_shares_the_tokens(database: Database, store: DatabaseTokenStore) -> None:
    url = database.host_address.url.render_as_string(hide_password=False)
    process = multiprocessing.get_context("spawn").Process(target=_save_elsewhere, args=(url,))
    process.start()
    process.join(30)

    assert process.exitcode == 0
    assert store.load().bearer == "from another process"
