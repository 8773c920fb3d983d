from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from pondctl.clients.tokens import MemoryTokenStore
from tests.clients.doubles import VirtualClock


def test_times_pass_in_the_store() -> None:
    clock = VirtualClock()
    store = MemoryTokenStore(clock)
    store.save_bearer("b", 3000)
    store.save_session("s")

    clock.now += 100
    assert (store.load().bearer_seconds_left, store.load().session_idle_seconds) == (2900, 100)

    store.touch_session()
    assert store.load().session_idle_seconds == 0


def test_only_the_value_that_is_meant_is_dropped() -> None:
    store = MemoryTokenStore()
    store.save_bearer("b", 3000)
    store.save_session("s")

    store.drop(bearer="older", session="older")
    assert (store.load().bearer, store.load().session) == ("b", "s")

    store.drop(session="s")
    assert (store.load().bearer, store.load().session) == ("b", None)


def test_each_change_raises_the_version() -> None:
    store = MemoryTokenStore()
    before = store.load().version

    store.save_bearer("b", 1)
    store.save_session("s")

    assert store.load().version == before + 2


def test_refusals_are_counted_until_one_login_is_accepted() -> None:
    store = MemoryTokenStore()

    assert [store.count_refusal(), store.count_refusal()] == [1, 2]
    store.clear_refusals()
    assert store.load().refused == 0


def test_one_at_a_time_holds_the_turn_to_log_in() -> None:
    store, inside, most = MemoryTokenStore(), [], []

    def hold(_: int) -> None:
        with store.login_turn():
            inside.append(1)
            most.append(len(inside))
            inside.pop()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(hold, range(200)))

    assert max(most) == 1
