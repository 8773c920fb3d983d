"""Dead letters for tests: in the inbox of a world, or still in a dead-letter queue."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pondctl.db.database import Database
from pondctl.db.records import DeadLetterFilter, NewDeadLetter
from pondctl.models import EMBEDDED_QUEUE
from tests.sqs_server import SqsServer
from tests.world import Row, World


def bury(world: World, count: int = 1, **fields: Any) -> list[int]:
    """Letters in the inbox, `k-1` and so on unless `key` says otherwise; returns their ids."""
    database = Database.open(world.url)
    bulk = fields.pop("bulk_change_id", 42)
    keys = [fields.pop("key")] if "key" in fields else [f"k-{number}" for number in range(1, count + 1)]
    values: dict[str, Any] = {
        "source_queue": EMBEDDED_QUEUE,
        "body": "Not used",
        "attributes": {"BulkChangeId": str(bulk), "RetryNumber": "3"},
        "category": "max_receives",
        "reason": "received 5 times and never worked off",
        "retry_number": 3,
        "receive_count": 5,
        "attempts": ({"category": "max_receives", "reason": "it broke", "receive_count": 5},),
        "bulk_change_id": bulk,
    } | fields

    for key in keys:
        new = NewDeadLetter(key=key, **values)
        assert database.write(lambda unit, new=new: unit.dead_letters.add(new))
    found = database.read(lambda unit: unit.dead_letters.list_matching(DeadLetterFilter()))
    database.close()
    return [letter.id for letter in found if letter.key in keys]


def letters(world: World) -> dict[str, Row]:
    """The whole inbox by key."""
    return {row["letter_key"]: row for row in world.own("dead_letter")}


def states(world: World) -> list[str]:
    """The states of the letters, oldest first."""
    return [row["state"] for row in sorted(world.own("dead_letter"), key=lambda row: row["id"])]


def history(row: Row) -> list[dict[str, Any]]:
    """What was done to a letter."""
    found: list[dict[str, Any]] = json.loads(row["attempts"])
    return found


def queued(world: World) -> list[Row]:
    """The messages in outbox and embedded queue, attributes and our part of the body read."""
    rows = world.own("message")
    return [row | {"attributes": json.loads(row["attributes"]), "ours": ours(row["body"])} for row in rows]


def ours(body: str) -> Any:
    """What the body says under our name."""
    return json.loads(body)["pondctl"] if body.startswith("{") else {}


def put_in_queue(
    sqs: SqsServer,
    url: str,
    attributes: Mapping[str, str],
    body: str = "Not used",
    *,
    source: str | None = None,
) -> str:
    """A message in an SQS queue, as SQS itself would have moved it there; returns its id."""
    typed = {name: {"DataType": "String", "StringValue": text} for name, text in attributes.items()}
    queue = sqs.queue(url)
    message_id = queue.send({"MessageBody": body, "MessageAttributes": typed})
    queue.messages[message_id].source_arn = source
    return message_id
