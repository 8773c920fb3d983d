"""`dead-letter review` as a person has it: a terminal of 80x24, over the whole program."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from tests.dead_letters import bury, queued, states
from tests.world import World


class Screen:
    """The program on a terminal; everything that it draws is read."""

    def __init__(self, world: World, *words: str) -> None:
        self.drawn = b""
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pondctl", *words],
            env=os.environ | world.settings | {"TERM": "xterm", "NO_COLOR": "1"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with suppress(OSError):
            while piece := os.read(self._ours, 65536):
                self.drawn += piece

    def type(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def wait(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while not condition():
            assert self.process.poll() is None, self.drawn[-2000:]
            assert time.monotonic() < deadline, self.drawn[-2000:]
            time.sleep(0.05)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._ours)


@contextmanager
def review(world: World) -> Iterator[Screen]:
    screen = Screen(world, "dead-letter", "review")
    try:
        screen.wait(lambda: b"max_receives" in screen.drawn)
        yield screen
    finally:
        screen.close()


def test_a_person_discards_takes_back_edits_and_leaves(world: World) -> None:
    bury(world, 3)
    with review(world) as screen:
        screen.type("d")
        screen.wait(lambda: b"reason for discarding" in screen.drawn)
        screen.type("test data\r")
        screen.wait(lambda: states(world) == ["discarded", "open", "open"])
        screen.wait(lambda: b"1: discarded" in screen.drawn)
        screen.type("u")
        screen.wait(lambda: states(world) == ["open", "open", "open"])
        screen.wait(lambda: b"restored" in screen.drawn)
        screen.type("e")
        screen.wait(lambda: b"Attribute=Value" in screen.drawn)
        screen.type("RetryNumber=0\r")
        screen.wait(lambda: "requeued" in states(world))
        screen.wait(lambda: b"requeued" in screen.drawn)
        screen.type("q")
        assert screen.process.wait(20) == 0
    assert queued(world)[0]["attributes"]["RetryNumber"] == "0"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_leaves_the_screen_in_order(world: World, number: int, code: int) -> None:
    bury(world)
    with review(world) as screen:
        screen.process.send_signal(number)
        assert screen.process.wait(20) == code
        time.sleep(0.2)
        assert b"\x1b[?1049l" in screen.drawn, "the terminal is given back"
