"""The moves that AWS itself has under way on a dead-letter queue (`StartMessageMoveTask`)."""

from __future__ import annotations

from dataclasses import dataclass

from pondctl.clients._aws import aws_errors
from pondctl.clients.sqs import SqsQueue


@dataclass(frozen=True, slots=True)
class MoveTask:
    """One move. AWS gives the handle only while it runs, and only one can run on a queue."""

    handle: str
    destination_arn: str | None
    moved: int


def running_moves(queue: SqsQueue) -> list[MoveTask]:
    """Return the moves that run on this queue. Raises what the queue raises."""
    with aws_errors("ListMessageMoveTasks", queue.url):
        answer = queue.client.list_message_move_tasks(SourceArn=queue.attributes().arn, MaxResults=10)
    return [
        MoveTask(
            handle=task.get("TaskHandle", ""),
            destination_arn=task.get("DestinationArn"),
            moved=task.get("ApproximateNumberOfMessagesMoved", 0),
        )
        for task in answer.get("Results", [])
        if task.get("Status") in ("RUNNING", "CANCELLING")
    ]
