"""SQS as a queue. A batch can half succeed, so every answer is read entry by entry."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar, cast

from pondctl.clients._aws import aws_errors, connect, name_of
from pondctl.clients._sqs_answers import read_attributes, read_message
from pondctl.clients.attributes import MAX_MESSAGE_BYTES, check_sendable, to_wire
from pondctl.clients.delays import SQS_MAX_DELAY_SECONDS
from pondctl.clients.queue import BatchResult, OutgoingMessage, QueueAttributes, QueueDepth, ReceivedMessage
from pondctl.errors import MessageError, PondctlError

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import (
        ChangeMessageVisibilityBatchRequestEntryTypeDef,
        DeleteMessageBatchRequestEntryTypeDef,
        ReceiveMessageRequestTypeDef,
        SendMessageBatchRequestEntryTypeDef,
    )

_BATCH: Final = 10
_Entries: TypeAlias = dict[object, Mapping[str, Any]]
_EntryT = TypeVar("_EntryT", bound=Mapping[str, object])


class SqsQueue:
    """One SQS queue; thread-safe. Raises `PermissionDeniedError` or `QueueUnavailableError`, with AWS's code.

    A send whose answer is lost may have worked: who sends again sends the same key again.
    """

    def __init__(
        self, url: str, *, endpoint_url: str = "", connections: int = 10, client: SQSClient | None = None
    ) -> None:
        self.url = url
        self.name = name_of(url)
        self.is_fifo = url.endswith(".fifo")
        self.longest_delay_seconds = 0 if self.is_fifo else SQS_MAX_DELAY_SECONDS
        self._endpoint_url = endpoint_url
        self._connections = connections
        self._client = client
        self._building = threading.Lock()

    @property
    def client(self) -> SQSClient:
        """The boto3 client, built on first use."""
        with self._building:
            if self._client is None:
                self._client = connect(self.url, self._endpoint_url, self._connections)
            return self._client

    def close(self) -> None:
        """Give the connections back."""
        if self._client is not None:
            self._client.close()

    def send_batch(self, messages: Sequence[OutgoingMessage]) -> list[BatchResult]:
        """Send; one result per message, in order. What SQS would refuse is not sent with the others."""
        keys = [message.key for message in messages]
        refused: dict[int, BatchResult] = {}
        sized: list[tuple[SendMessageBatchRequestEntryTypeDef, int]] = []
        for position, message in enumerate(messages):
            try:
                size = check_sendable(message.attributes, message.body)
            except MessageError as error:
                refused[position] = BatchResult(message.key, error.message, permanent=True)
            else:
                sized.append((self._entry(position, message), size))
        sent = self._in_batches(
            "SendMessageBatch",
            keys,
            _by_size(sized),
            lambda batch: self.client.send_message_batch(QueueUrl=self.url, Entries=batch),
        )
        return _in_order(refused | sent)

    def send_nothing(self) -> None:
        """A send without messages; raises as `send_batch` does."""
        with aws_errors("SendMessageBatch", self.url):
            self.client.send_message_batch(QueueUrl=self.url, Entries=[])

    def receive(
        self, limit: int, *, wait_seconds: int = 20, visibility_seconds: int | None = None
    ) -> list[ReceivedMessage]:
        """Take up to `limit` messages (SQS gives ten at most), waiting for the first one."""
        request: ReceiveMessageRequestTypeDef = {
            "QueueUrl": self.url,
            "MaxNumberOfMessages": max(1, min(limit, _BATCH)),
            "WaitTimeSeconds": max(0, min(wait_seconds, 20)),
            "MessageAttributeNames": ["All"],
            "MessageSystemAttributeNames": ["All"],
        }
        if visibility_seconds is not None:
            request["VisibilityTimeout"] = visibility_seconds
        with aws_errors("ReceiveMessage", self.url):
            answer = self.client.receive_message(**request)
            return [read_message(message) for message in answer.get("Messages", [])]

    def delete_batch(self, receipts: Sequence[str]) -> list[BatchResult]:
        """Delete messages that are done; one result per receipt, in order."""
        entries: list[DeleteMessageBatchRequestEntryTypeDef] = [
            {"Id": str(position), "ReceiptHandle": receipt} for position, receipt in enumerate(receipts)
        ]
        deleted = self._in_batches(
            "DeleteMessageBatch",
            receipts,
            _by_count(entries),
            lambda batch: self.client.delete_message_batch(QueueUrl=self.url, Entries=batch),
        )
        return _in_order(deleted)

    def change_visibility_batch(self, receipts: Sequence[str], seconds: int) -> list[BatchResult]:
        """Keep messages for `seconds` from now (12 hours at most since they came), or give them back (0)."""
        entries: list[ChangeMessageVisibilityBatchRequestEntryTypeDef] = [
            {"Id": str(position), "ReceiptHandle": receipt, "VisibilityTimeout": seconds}
            for position, receipt in enumerate(receipts)
        ]
        changed = self._in_batches(
            "ChangeMessageVisibilityBatch",
            receipts,
            _by_count(entries),
            lambda batch: self.client.change_message_visibility_batch(QueueUrl=self.url, Entries=batch),
        )
        return _in_order(changed)

    def attributes(self) -> QueueAttributes:
        """Read how the queue is set up, and its depth."""
        with aws_errors("GetQueueAttributes", self.url):
            answer = self.client.get_queue_attributes(QueueUrl=self.url, AttributeNames=["All"])
            return read_attributes(answer, fifo=self.is_fifo)

    def depth(self) -> QueueDepth:
        """Count the messages, approximately."""
        return self.attributes().depth

    def _entry(self, position: int, message: OutgoingMessage) -> SendMessageBatchRequestEntryTypeDef:
        entry: SendMessageBatchRequestEntryTypeDef = {
            "Id": str(position),
            "MessageBody": message.body,
            "MessageAttributes": to_wire(message.attributes),
        }
        if self.is_fifo:
            # SQS refuses a delay here; the outbox has held the message until it was due.
            entry["MessageGroupId"] = message.group or message.key
            entry["MessageDeduplicationId"] = message.key
        else:
            entry["DelaySeconds"] = max(0, min(message.delay_seconds, SQS_MAX_DELAY_SECONDS))
        return entry

    def _in_batches(
        self,
        operation: str,
        keys: Sequence[str],
        batches: Iterable[list[_EntryT]],
        call: Callable[[list[_EntryT]], Mapping[str, object]],
    ) -> dict[int, BatchResult]:
        """Raise only while nothing is confirmed: after that an error belongs to the entries it hit.

        Confirmed is what stands in `Successful` and not in `Failed`; what stands nowhere is not.
        """
        results: dict[int, BatchResult] = {}
        trouble: str | None = None
        for batch in batches:
            confirmed: _Entries = {}
            failed: _Entries = {}
            if trouble is None:
                try:
                    with aws_errors(operation, self.url):
                        answer = call(batch)
                        confirmed, failed = _by_id(answer, "Successful"), _by_id(answer, "Failed")
                except PondctlError as error:
                    if not any(result.ok for result in results.values()):
                        raise
                    trouble = error.message
            for entry in batch:
                entry_id = str(entry["Id"])
                key = keys[int(entry_id)]
                if entry_id in failed:
                    result = _refused(key, failed[entry_id])
                elif entry_id in confirmed:
                    result = BatchResult(key)
                else:
                    result = BatchResult(key, trouble or "no answer for this entry")
                results[int(entry_id)] = result
        return results


def _by_id(answer: Mapping[str, object], part: str) -> _Entries:
    return {entry.get("Id"): entry for entry in cast("list[Mapping[str, Any]]", answer.get(part, []))}


def _refused(key: str, failed: Mapping[str, Any]) -> BatchResult:
    return BatchResult(key, str(failed.get("Code", "unknown")), bool(failed.get("SenderFault")))


def _in_order(results: Mapping[int, BatchResult]) -> list[BatchResult]:
    return [results[position] for position in sorted(results)]


def _by_count(entries: Sequence[_EntryT]) -> Iterator[list[_EntryT]]:
    return _by_size([(entry, 0) for entry in entries])


def _by_size(sized: Sequence[tuple[_EntryT, int]]) -> Iterator[list[_EntryT]]:
    """Cut into batches within SQS's two limits: ten entries, and the bytes of one message."""
    batch: list[_EntryT] = []
    total = 0
    for entry, size in sized:
        if batch and (len(batch) == _BATCH or total + size > MAX_MESSAGE_BYTES):
            yield batch
            batch, total = [], 0
        batch.append(entry)
        total += size
    if batch:
        yield batch
