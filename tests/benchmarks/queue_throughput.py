"""Messages whose bulk change is settled: pondctl's worker against plain boto3, receive and delete.

    python -m tests.benchmarks.queue_throughput [MESSAGES] [--server URL]

Both sides take turns on one queue server in a process of its own; `--server` names another one, such as
ministack's. Both run in this process, on one core; what starts the program is not counted.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import sqlalchemy as sa

from pondctl.commands._life_cycle import life_cycle
from pondctl.context import AppContext
from pondctl.db.database import Database
from pondctl.db.schema import init_database
from pondctl.services.queueing.tally import WorkerOptions
from pondctl.services.worker import Worker
from tests.sqs_server import AWS_ENVIRONMENT

ROUNDS = 3
# Nothing is asked of the carrier: everything is settled.
THINGSPACE = {
    "PONDCTL_THINGSPACE__CLIENT_ID": "x",
    "PONDCTL_THINGSPACE__CLIENT_SECRET": "x",
    "PONDCTL_THINGSPACE__USERNAME": "x",
    "PONDCTL_THINGSPACE__PASSWORD": "x",
}
BULK_CHANGES = 200
ROWS = 10


def seed_database(path: Path) -> str:
    """A database of settled bulk changes."""
    path.touch()
    url = f"sqlite:///{path}"
    database = Database.open(url)
    init_database(database)
    database.close()
    date = "2026-11-20 08:00:00"
    header = {"ServiceProviderId": 2, "ChangeRequestType": "StatusUpdate", "Status": "PROCESSED"}
    row = {"Status": "PROCESSED", "MSISDN": "12015550123", "IsProcessed": True, "HasErrors": False}
    common = {"CreatedBy": "x", "CreatedDate": date, "IsActive": True, "IsDeleted": False}
    with sa.create_engine(url).begin() as connection:
        for number in range(1, BULK_CHANGES + 1):
            _insert(connection, "BulkChange", {"Id": number, **header, **common})
            for device in range(ROWS):
                iccid = f"8914800000{number:05}{device:04}"
                _insert(
                    connection, "M2M_DeviceChange", {"BulkChangeId": number, "ICCID": iccid, **row, **common}
                )
    return url


def _insert(connection: sa.Connection, table: str, values: dict[str, Any]) -> None:
    names = ", ".join(f'"{name}"' for name in values)
    places = ", ".join(f":{name}" for name in values)
    connection.execute(sa.text(f'INSERT INTO "{table}" ({names}) VALUES ({places})'), values)


def fill(client: Any, name: str, messages: int) -> str:
    """A queue full of flagged messages."""
    url: str = client.create_queue(QueueName=name)["QueueUrl"]
    for first in range(0, messages, 10):
        entries = [_entry(number) for number in range(first, min(first + 10, messages))]
        client.send_message_batch(QueueUrl=url, Entries=entries)
    return url


def _entry(number: int) -> dict[str, Any]:
    attributes = {
        "BulkChangeId": str(1 + number % BULK_CHANGES),
        "RetryNumber": "1",
        "IsRetryNewActivateThingSpaceDevice": "True",
    }
    typed = {name: {"DataType": "String", "StringValue": text} for name, text in attributes.items()}
    return {"Id": str(number % 10), "MessageBody": "Not used", "MessageAttributes": typed}


Took = tuple[float, float]


def _clocks() -> Took:
    return time.monotonic(), time.process_time()


def _since(began: Took) -> Took:
    """Seconds, and seconds of this process's own work."""
    now = _clocks()
    return now[0] - began[0], now[1] - began[1]


def plain_boto3(client: Any, url: str, messages: int) -> Took:
    """Receive and delete in batches of ten, nothing else."""
    began = _clocks()
    done = 0
    while done < messages:
        answer = client.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=10,
            WaitTimeSeconds=1,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["All"],
        )
        batch = answer["Messages"]
        entries = [{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(batch)]
        client.delete_message_batch(QueueUrl=url, Entries=entries)
        done += len(batch)
    return _since(began)


def pondctl_worker(url: str, database: str, messages: int) -> Took:
    """The worker as the command builds it: its loop, without the start of the program.

    That has looked at the queue by then, with the client it goes on with; plain boto3 has its client, too.
    """
    os.environ.update(THINGSPACE | {"PONDCTL_DATABASE__URL": database, "PONDCTL_QUEUE__URL": url})
    app = AppContext()
    app.queueing.require_reachable()
    handling = app.queueing.handling(partial(life_cycle, app))
    options = WorkerOptions(max_messages=messages)
    work = Worker(
        app.queueing.queue, handling, app.stop, options, chores=app.queueing.chores, watch=lambda *_: None
    )
    began = _clocks()
    tally = work.run()
    took = _since(began)
    app.close()
    assert tally.words["worked_off"] == messages, tally
    return took


def measure(server: str, messages: int) -> None:
    """Take turns and print both rates and their ratio; of each, the median of all rounds."""
    client = boto3.client("sqs", endpoint_url=server, region_name="us-east-1")
    took: dict[str, list[Took]] = {"boto3": [], "pondctl": []}
    with tempfile.TemporaryDirectory() as folder:
        database = seed_database(Path(folder) / "settled.db")
        for number in range(ROUNDS):
            plain = fill(client, f"plain-{number}", messages)
            took["boto3"].append(plain_boto3(client, plain, messages))
            work = fill(client, f"work-{number}", messages)
            took["pondctl"].append(pondctl_worker(work, database, messages))
    rates = {name: statistics.median(messages / each[0] for each in all_) for name, all_ in took.items()}
    own = {name: statistics.median(each[1] / messages for each in all_) for name, all_ in took.items()}
    for name, rate in rates.items():
        print(f"{name:8} {rate:8.0f} messages/s  {own[name] * 1e6:6.0f} us of its own each")  # noqa: T201
    print(f"ratio    {rates['pondctl'] / rates['boto3']:8.2f}")  # noqa: T201


def main() -> None:
    """Read the arguments, start a server where none is named, measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("messages", nargs="?", type=int, default=5000)
    parser.add_argument("--server")
    given = parser.parse_args()
    os.environ.update(AWS_ENVIRONMENT)
    if given.server:
        measure(given.server, given.messages)
        return
    command = [sys.executable, "-m", "tests.sqs_server"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            measure(process.stdout.readline().strip(), given.messages)
        finally:
            process.kill()


if __name__ == "__main__":
    main()
