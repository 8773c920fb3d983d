"""SIGINT and SIGTERM: the first asks for an orderly stop, the second ends the process."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_SIGNALS: dict[int, str] = {signal.SIGINT: "sigint", signal.SIGTERM: "sigterm"}


@contextmanager
def stopping_on_signals(
    request_stop: Callable[[str], None], stops_in_order: Callable[[], bool]
) -> Iterator[list[int]]:
    """Let SIGINT and SIGTERM ask for an orderly stop; the second one ends the process at once.

    A thread listens, because a handler must not take locks and does not run at all while the main
    thread waits inside a driver. Yields the numbers that came. What does not stop in order is interrupted.
    """
    caught: list[int] = []

    def note(number: int, _frame: object) -> None:
        caught.append(number)
        if not stops_in_order():
            raise KeyboardInterrupt

    # Who started us with a signal ignored (nohup, a background job) wants it ignored.
    wanted = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, note) for number in wanted}
    ear, mouth = os.pipe()
    os.set_blocking(mouth, False)
    woken_before = signal.set_wakeup_fd(mouth, warn_on_full_buffer=False)
    listener = threading.Thread(target=_listen, args=(ear, request_stop), name="signals", daemon=True)
    listener.start()
    try:
        yield caught
    finally:
        signal.set_wakeup_fd(woken_before)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(mouth)
        listener.join()
        os.close(ear)


def _listen(ear: int, request_stop: Callable[[str], None]) -> None:
    asked = False
    while number := os.read(ear, 1):
        if number[0] not in _SIGNALS:
            continue
        if asked:
            os._exit(128 + number[0])
        asked = True
        request_stop(_SIGNALS[number[0]])
