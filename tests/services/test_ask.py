"""Many devices at once: nothing lost, nothing asked after a stop, one thread gets the answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from pondctl.errors import AuthenticationError, Category, DeviceError
from pondctl.models import Stop
from pondctl.services.syncing.ask import ask_all


def values(answers: Iterator[object]) -> list[object]:
    return [answer.value for answer in answers if answer is not None]  # type: ignore[attr-defined]


def test_every_item_gets_one_answer() -> None:
    answers = values(ask_all(range(500), lambda n: n * 2, workers=8, stop=Stop()))

    assert sorted(answers) == [n * 2 for n in range(500)]  # type: ignore[type-var]


def test_a_device_error_is_an_answer() -> None:
    def ask(number: int) -> int:
        if number == 3:
            raise DeviceError("no", category=Category.CARRIER_REJECTED, temporary=False)
        return number

    answers = values(ask_all(range(10), ask, workers=4, stop=Stop()))

    assert len(answers) == 10
    assert sum(isinstance(answer, DeviceError) for answer in answers) == 1


def test_an_error_of_the_run_comes_after_what_was_in_flight() -> None:
    barrier = threading.Barrier(4)

    def ask(number: int) -> int:
        barrier.wait(timeout=5)
        if number == 0:
            raise AuthenticationError("refused")
        time.sleep(0.05)
        return number

    answers = ask_all(range(4), ask, workers=4, stop=Stop())
    seen = []
    with pytest.raises(AuthenticationError):
        seen.extend(a.value for a in answers if a is not None)

    assert sorted(seen) == [1, 2, 3]  # type: ignore[type-var]


def test_nothing_new_is_asked_after_an_error_of_the_run() -> None:
    asked = []

    def ask(number: int) -> int:
        asked.append(number)
        raise AuthenticationError("refused")

    with pytest.raises(AuthenticationError):
        list(ask_all(range(1000), ask, workers=2, stop=Stop()))

    assert len(asked) <= 4


def test_after_a_stop_what_is_in_flight_is_still_handed_out() -> None:
    stop = Stop()
    asked = []

    def ask(number: int) -> int:
        asked.append(number)
        if len(asked) == 5:
            stop.request("sigterm")
        time.sleep(0.01)
        return number

    answers = values(ask_all(range(1000), ask, workers=4, stop=stop))

    assert sorted(answers) == sorted(asked)  # type: ignore[type-var]
    assert len(asked) < 20


def test_items_are_read_only_a_little_ahead() -> None:
    read = []

    def items() -> Iterator[int]:
        for number in range(1000):
            read.append(number)
            yield number

    answers = ask_all(items(), lambda n: n, workers=4, stop=Stop())
    next(answers)

    assert len(read) <= 16
    answers.close()  # type: ignore[attr-defined]


def test_the_caller_gets_a_turn_while_answers_are_slow() -> None:
    def ask(number: int) -> int:
        time.sleep(0.7)
        return number

    assert None in list(ask_all([1], ask, workers=1, stop=Stop()))
