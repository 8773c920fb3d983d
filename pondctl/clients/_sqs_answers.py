"""What SQS answers, as our records. An answer that is none raises what Python raises: see `aws_errors`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from pondctl.clients.attributes import flatten
from pondctl.clients.queue import QueueAttributes, QueueDepth, ReceivedMessage

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import GetQueueAttributesResultTypeDef, MessageTypeDef

_EPOCH: Final = datetime(1970, 1, 1)


def read_attributes(answer: GetQueueAttributesResultTypeDef, *, fifo: bool) -> QueueAttributes:
    """How a queue is set up, and its depth."""
    given: Mapping[str, str] = {str(name): text for name, text in answer.get("Attributes", {}).items()}
    dead_letter_arn, max_receive_count = _redrive(given.get("RedrivePolicy"))
    return QueueAttributes(
        arn=given.get("QueueArn", ""),
        fifo=fifo,
        visibility_seconds=int(given.get("VisibilityTimeout", 0)),
        retention_seconds=int(given.get("MessageRetentionPeriod", 0)),
        dead_letter_arn=dead_letter_arn,
        max_receive_count=max_receive_count,
        depth=QueueDepth(
            waiting=int(given.get("ApproximateNumberOfMessages", 0)),
            delayed=int(given.get("ApproximateNumberOfMessagesDelayed", 0)),
            in_flight=int(given.get("ApproximateNumberOfMessagesNotVisible", 0)),
        ),
    )


def read_message(message: MessageTypeDef) -> ReceivedMessage:
    """One message of an answer to ReceiveMessage."""
    system: Mapping[str, str] = {str(name): text for name, text in message.get("Attributes", {}).items()}
    sent_ms = system.get("SentTimestamp")
    return ReceivedMessage(
        message_id=message.get("MessageId", ""),
        receipt=message.get("ReceiptHandle", ""),
        attributes=flatten(message.get("MessageAttributes", {})),
        body=message.get("Body", ""),
        receive_count=int(system.get("ApproximateReceiveCount", 1)),
        sent_at=_EPOCH + timedelta(milliseconds=int(sent_ms)) if sent_ms else None,
        group=system.get("MessageGroupId"),
        source_arn=system.get("DeadLetterQueueSourceArn"),
    )


def _redrive(policy: str | None) -> tuple[str | None, int | None]:
    """Where SQS moves a message by itself, and after how many receives."""
    if not policy:
        return None, None
    given = json.loads(policy)
    return given.get("deadLetterTargetArn"), int(given.get("maxReceiveCount", 0)) or None
