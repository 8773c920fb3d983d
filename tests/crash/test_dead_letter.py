"""A requeue and a pull cut anywhere: every letter is in the inbox or in the queue, none is lost.

A few cuts by default; PONDCTL_TEST_LONG=1 makes 50 of them in 1,000 letters.
"""

from __future__ import annotations

import random
import signal
import time
from collections import Counter

import pytest

from tests.dead_letters import bury, letters, ours, put_in_queue, queued
from tests.long_form import LONG
from tests.sqs_server import SqsServer
from tests.world import World

pytestmark = pytest.mark.crash
CUTS = 50 if LONG else 4
BATCH = 10


@pytest.fixture
def queues(world: World, sqs: SqsServer) -> tuple[str, str]:
    url, dead = sqs.create("bulk"), sqs.create("bulk-dlq")
    world.settings |= {"PONDCTL_QUEUE__URL": url, "PONDCTL_QUEUE__DEAD_LETTER_URL": dead}
    return url, dead


def sent(sqs: SqsServer, url: str) -> list[tuple[str, str]]:
    """Parent and key of every message that the queue has."""
    found = [ours(message.body) for message in sqs.queue(url).messages.values()]
    return [(each["lineage"][-1], each["key"]) for each in found]


@pytest.mark.timeout(2400)
def test_a_requeue_cut_at_random_moments_loses_nothing_and_doubles_a_batch_at_most(
    world: World, sqs: SqsServer, queues: tuple[str, str]
) -> None:
    count = CUTS * 20
    bury(world, count, source_queue=queues[0])
    original = set(letters(world))
    rng = random.Random(4)
    command = ["dead-letter", "requeue", "--category", "max_receives", "--yes", "--rps", "200"]
    cut = 0
    for _ in range(CUTS):
        before = sqs.queue(queues[0]).sends
        process = world.spawn(*command)
        began = time.monotonic()
        while sqs.queue(queues[0]).sends == before and process.poll() is None:
            assert time.monotonic() - began < 120
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.3))
        cut += process.poll() is None
        process.kill()
        process.communicate()

        open_now = {key for key, row in letters(world).items() if row["state"] == "open"}
        waiting = {row["lineage"] for row in queued(world) if row["state"] != "sent"}
        arrived = Counter(parent for parent, _ in sent(sqs, queues[0]))
        assert open_now | waiting | set(arrived) == original, "a letter is lost"
        assert not open_now & (waiting | set(arrived)), "a letter that was sent is still open"

    # Whoever sends from the outbox next takes a dead sender's claim for void after a minute.
    world.execute(f"UPDATE {world.own_name('message')} SET visible_at = created_at WHERE state = 'in_flight'")
    last = world.run(*command[:-2])
    assert last.exit_code == 0, last.stderr

    by_parent = Counter(parent for parent, _ in sent(sqs, queues[0]))
    keys = Counter(sent(sqs, queues[0]))
    assert cut >= CUTS // 2
    assert {row["state"] for row in letters(world).values() if row["letter_key"] in original} == {"requeued"}
    assert set(by_parent) == original
    assert sum(times - 1 for times in by_parent.values()) <= BATCH * cut
    assert len(keys) == len(by_parent), "a double carries the key of its twin, by which a worker knows it"


@pytest.mark.parametrize("moment", range(4) if LONG else (0, 2))
def test_a_pull_cut_at_random_moments_loses_nothing(
    world: World, sqs: SqsServer, queues: tuple[str, str], moment: int
) -> None:
    for number in range(200):
        put_in_queue(sqs, queues[1], {"BulkChangeId": str(number + 1)})
    original = set(range(1, 201))
    process = world.spawn("dead-letter", "pull")
    began = time.monotonic()
    while not letters(world) and time.monotonic() - began < 30:
        time.sleep(0.01)
    time.sleep(moment * 0.05)
    process.kill()
    process.communicate()

    inbox = {row["bulk_change_id"] for row in letters(world).values()}
    left = {
        int(message.attributes["BulkChangeId"]["StringValue"])
        for message in sqs.queue(queues[1]).messages.values()
    }
    assert inbox | left == original
    for message in sqs.queue(queues[1]).messages.values():
        sqs.queue(queues[1]).change(f"{message.id}/{message.receives}", 0)
    assert world.run("dead-letter", "pull").exit_code == 0
    assert sorted(row["bulk_change_id"] for row in letters(world).values()) == sorted(original)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_requeue_between_two_batches(
    world: World, sqs: SqsServer, queues: tuple[str, str], number: int, code: int
) -> None:
    bury(world, 60, source_queue=queues[0])
    process = world.spawn("dead-letter", "requeue", "--bulk-change", 42, "--yes", "--rps", 20, "-o", "json")
    began = time.monotonic()
    while not sqs.queue(queues[0]).sends:
        assert time.monotonic() - began < 120
        time.sleep(0.02)

    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=20)

    assert process.returncode == code, stderr
    requeued = sum(row["state"] == "requeued" for row in letters(world).values())
    assert 0 < requeued < 60
    assert len(sent(sqs, queues[0])) == requeued
    assert f'"requeued": {requeued}' in stdout
    assert "the same command again: pondctl" in stderr
