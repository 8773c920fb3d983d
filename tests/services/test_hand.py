"""What a worker holds stays hidden for as long as it is held, and stops with the worker."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from pondctl.clients.sqs import SqsQueue
from pondctl.models import Stop
from pondctl.services.queueing.hand import Hand
from tests.queue_world import entry
from tests.sqs_server import SqsServer

SECONDS = 3


@pytest.fixture
def queue(sqs: SqsServer) -> Iterator[SqsQueue]:
    url = sqs.create("checks")
    for bulk in (1, 2):
        sqs.queue(url).send(entry(bulk))
    with closing(SqsQueue(url)) as queue:
        yield queue


def test_what_is_held_stays_hidden_longer_than_its_visibility(queue: SqsQueue) -> None:
    held, dropped = [each.receipt for each in queue.receive(10, wait_seconds=0, visibility_seconds=SECONDS)]

    with Hand(queue, Stop(), SECONDS) as hand:
        hand.take([held, dropped])
        hand.drop([dropped])
        time.sleep(SECONDS * 1.5)
        shown = queue.receive(10, wait_seconds=0, visibility_seconds=SECONDS)

    assert [message.receipt.rpartition("/")[0] for message in shown] == [dropped.rpartition("/")[0]]


def test_a_stop_of_the_worker_is_that_of_each_run_at_once(queue: SqsQueue) -> None:
    stop = Stop()
    hand = Hand(queue, stop, SECONDS)
    hand.take(["r"])
    run = hand.stop_of("r")
    assert not run.is_set()

    stop.request("sigterm")

    assert run.is_set()
    assert run.why == "sigterm"
