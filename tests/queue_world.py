"""What tests about the queue share: messages as the existing producer sends them, and settings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.sqs_queue import Stored
from tests.sqs_server import SqsServer
from tests.world import Result, World

FLAG = {"IsRetryNewActivateThingSpaceDevice": "True"}
NO_FLAG: dict[str, str] = {"IsRetryNewActivateThingSpaceDevice": "False"}


def text(value: object) -> dict[str, str]:
    """One attribute as SQS carries it."""
    return {"DataType": "String", "StringValue": str(value)}


def entry(bulk: object, body: str = "Not used", **attributes: object) -> dict[str, Any]:
    """A flagged message about a bulk change."""
    given = {"BulkChangeId": bulk, **FLAG, **attributes}
    return {"MessageBody": body, "MessageAttributes": {name: text(value) for name, value in given.items()}}


class QueueWorld:
    """A world and an SQS queue that the program is pointed at."""

    def __init__(self, world: World, sqs: SqsServer, name: str = "checks") -> None:
        self.world = world
        self.sqs = sqs
        self.url = sqs.create(name)
        self.settings = {"PONDCTL_QUEUE__URL": self.url}

    @property
    def messages(self) -> list[Stored]:
        """What lies in the queue, visible or not."""
        return list(self.sqs.queue(self.url).messages.values())

    def put(self, bulk: object, body: str = "Not used", **attributes: object) -> str:
        """Send a flagged message."""
        return self.sqs.queue(self.url).send(entry(bulk, body, **attributes))

    def send(self, body: str, attributes: Mapping[str, Any]) -> str:
        """Send anything."""
        return self.sqs.queue(self.url).send({"MessageBody": body, "MessageAttributes": attributes})

    def work(self, *words: object, **settings: str) -> Result:
        """Run `worker --once`."""
        return self.world.run("worker", "--once", *words, **self.settings | settings)

    def sync(self, bulk: int, *words: object, **settings: str) -> Result:
        """Run `sync-bulk` by hand."""
        return self.world.run("sync-bulk", bulk, *words, **self.settings | settings)

    def letters(self) -> list[dict[str, Any]]:
        """The dead letters."""
        return self.world.own("dead_letter")

    def runs(self) -> list[dict[str, Any]]:
        """The runs there were."""
        return self.world.own("run")


def plain(message: Stored) -> dict[str, str]:
    """The attributes of a stored message, name to text."""
    return {name: value["StringValue"] for name, value in message.attributes.items()}


def envelope(message: Stored) -> dict[str, Any]:
    """Our own part of its body."""
    found: dict[str, Any] = json.loads(message.body)["pondctl"]
    return found
