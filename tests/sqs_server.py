"""A small fast SQS on loopback (JSON protocol), for load and for faults; moto's stands in for behaviour.

`python -m tests.sqs_server` serves until it is killed and prints its address.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.sqs_queue import MemoryQueue, Stored

AWS_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "AKIAFAKE",
    "AWS_SECRET_ACCESS_KEY": "fake",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
Request = Mapping[str, Any]


class SqsError(Exception):
    """An AWS error to answer with."""

    def __init__(self, code: str, status: int = 400) -> None:
        super().__init__(code)
        self.code = code
        self.status = status


class SqsServer:
    """Queues by name, what was called, and what shall go wrong."""

    def __init__(self) -> None:
        self.queues: dict[str, MemoryQueue] = {}
        self.calls: Counter[tuple[str, str]] = Counter()
        self.denied: set[str] = set()
        self.set_up: dict[str, dict[str, object]] = {}
        self.moves: dict[str, list[Request]] = {}
        self.refuse_entry: Callable[[str, Request], bool] = lambda action, entry: False
        self.deny_call: Callable[[str, Request], bool] = lambda action, request: False
        self._failures: dict[str, list[SqsError]] = {}
        self._loop = asyncio.new_event_loop()
        self._arrived: dict[str, asyncio.Event] = {}
        self.transports: set[asyncio.Transport] = set()
        self.url = ""
        # Who asks with one second wants all servers asked, not a message that is sent meanwhile: here
        # nothing more is found in that time, and `worker --once` asks so at the end of each run.
        self.second = 1.0

    def start(self) -> None:
        """Serve from a thread of its own."""
        ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(ready,), daemon=True)
        self._thread.start()
        ready.wait(10)

    def _serve(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(
            self._loop.create_server(lambda: _Connection(self), "127.0.0.1", 0)
        )
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        ready.set()
        self._loop.run_forever()
        server.close()
        for transport in list(self.transports):
            transport.abort()
        self._loop.run_until_complete(asyncio.sleep(0.05))
        self._loop.close()

    def reset(self) -> None:
        """Forget all queues, calls and faults."""
        self.queues.clear()
        self.calls.clear()
        self.denied.clear()
        self.set_up.clear()
        self.moves.clear()
        self._failures.clear()
        self._arrived.clear()
        self.refuse_entry = lambda action, entry: False
        self.deny_call = lambda action, request: False

    def reset_faults(self) -> None:
        """Let all calls work again."""
        self._failures.clear()
        self.denied.clear()

    def stop(self) -> None:
        """Serve no more."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def create(self, name: str, **options: Any) -> str:
        """Make a queue and return its URL."""
        self.queues[name] = MemoryQueue(name, **options)
        return f"{self.url}/000000000000/{name}"

    def queue(self, url: str) -> MemoryQueue:
        """The queue behind a URL."""
        return self.queues[url.rpartition("/")[2]]

    def fail(self, action: str, code: str, *, status: int = 400, times: int = 1) -> None:
        """Let the next calls of an action fail."""
        self._failures.setdefault(action, []).extend([SqsError(code, status)] * times)

    async def answer(self, action: str, request: Request) -> Any:
        """Do one call."""
        name = request.get("QueueUrl", "").rpartition("/")[2]
        self.calls[action, name] += 1
        if action in self.denied or self.deny_call(action, request):
            raise SqsError("com.amazonaws.sqs#AccessDeniedException", 403)
        if self._failures.get(action):
            raise self._failures[action].pop(0)
        if action == "CreateQueue":
            return {"QueueUrl": self.create(request["QueueName"])}
        if action == "ListMessageMoveTasks":
            return {"Results": self.moves.get(request["SourceArn"].rpartition(":")[2], [])}
        if name not in self.queues:
            raise SqsError("com.amazonaws.sqs#QueueDoesNotExist")
        return await _ACTIONS[action](self, self.queues[name], request)

    async def send(self, queue: MemoryQueue, request: Request) -> Any:
        """SendMessageBatch."""

        def one(entry: Request) -> Request:
            return {"Id": entry["Id"], "MessageId": queue.send(entry), "MD5OfMessageBody": ""}

        answer = self._batch("SendMessageBatch", request, one)
        self._event(queue).set()
        return answer

    async def receive(self, queue: MemoryQueue, request: Request) -> Any:
        """ReceiveMessage, with long polling."""
        limit, visibility = request.get("MaxNumberOfMessages", 1), request.get("VisibilityTimeout")
        wait = request.get("WaitTimeSeconds", 0)
        deadline = self._loop.time() + (self.second if wait == 1 else wait)
        while True:
            taken = queue.receive(limit, visibility)
            left = deadline - self._loop.time()
            if taken or left <= 0:
                return {"Messages": [_shown(*each) for each in taken]} if taken else {}
            self._event(queue).clear()
            pause = min(left, 0.05)
            try:
                await asyncio.wait_for(self._event(queue).wait(), pause)
            except TimeoutError:
                continue

    async def delete(self, queue: MemoryQueue, request: Request) -> Any:
        """DeleteMessageBatch."""

        def one(entry: Request) -> Request:
            queue.delete(entry["ReceiptHandle"])
            return {"Id": entry["Id"]}

        return self._batch("DeleteMessageBatch", request, one)

    async def change(self, queue: MemoryQueue, request: Request) -> Any:
        """ChangeMessageVisibilityBatch."""

        def one(entry: Request) -> Request:
            if not queue.change(entry["ReceiptHandle"], entry["VisibilityTimeout"]):
                raise SqsError("ReceiptHandleIsInvalid")
            return {"Id": entry["Id"]}

        return self._batch("ChangeMessageVisibilityBatch", request, one)

    async def attributes(self, queue: MemoryQueue, request: Request) -> Any:
        """GetQueueAttributes."""
        visible, hidden = queue.counts()
        given = {
            "QueueArn": f"arn:aws:sqs:us-east-1:000000000000:{queue.name}",
            "ApproximateNumberOfMessages": visible,
            "ApproximateNumberOfMessagesNotVisible": hidden,
            "ApproximateNumberOfMessagesDelayed": 0,
            "VisibilityTimeout": queue.visibility_seconds,
            "MessageRetentionPeriod": 345600,
        } | self.set_up.get(queue.name, {})
        return {"Attributes": {name: str(value) for name, value in given.items()}}

    def _batch(self, action: str, request: Request, one: Callable[[Request], Request]) -> Any:
        done: list[Request] = []
        failed: list[Request] = []
        for entry in request["Entries"]:
            try:
                if self.refuse_entry(action, entry):
                    raise SqsError("InternalError")
                done.append(one(entry))
            except SqsError as error:
                failed.append({"Id": entry["Id"], "Code": error.code, "SenderFault": False})
        return {"Successful": done, "Failed": failed} if failed else {"Successful": done}

    def _event(self, queue: MemoryQueue) -> asyncio.Event:
        return self._arrived.setdefault(queue.name, asyncio.Event())


_ACTIONS = {
    "SendMessageBatch": SqsServer.send,
    "ReceiveMessage": SqsServer.receive,
    "DeleteMessageBatch": SqsServer.delete,
    "ChangeMessageVisibilityBatch": SqsServer.change,
    "GetQueueAttributes": SqsServer.attributes,
}


def _shown(message: Stored, receipt: str) -> Request:
    system = {
        "ApproximateReceiveCount": str(message.receives),
        "SentTimestamp": str(message.sent_ms),
    }
    if message.group is not None:
        system["MessageGroupId"] = message.group
    if message.source_arn is not None:
        system["DeadLetterQueueSourceArn"] = message.source_arn
    return {
        "MessageId": message.id,
        "ReceiptHandle": receipt,
        "Body": message.body,
        "Attributes": system,
        "MessageAttributes": message.attributes,
    }


class _Connection(asyncio.Protocol):
    """HTTP/1.1 as boto3 speaks it: one request after the other, each with a length."""

    def __init__(self, server: SqsServer) -> None:
        self._server = server
        self._seen = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server.transports.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.transports.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._seen += data
        head, found, body = self._seen.partition(b"\r\n\r\n")
        if not found:
            return
        headers = dict(_header(line) for line in head.split(b"\r\n")[1:])
        length = int(headers.get(b"content-length", b"0"))
        if len(body) < length:
            return
        self._seen = body[length:]
        action = headers[b"x-amz-target"].decode().rpartition(".")[2]
        task = asyncio.ensure_future(self._reply(action, json.loads(body[:length])))
        task.add_done_callback(lambda done: done.exception())

    async def _reply(self, action: str, request: Request) -> None:
        try:
            status, answer = 200, await self._server.answer(action, request)
        except SqsError as error:
            status, answer = error.status, {"__type": error.code, "message": "made to fail"}
        content = json.dumps(answer).encode()
        head = f"HTTP/1.1 {status} x\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: "
        self._transport.write(f"{head}{len(content)}\r\n\r\n".encode() + content)


def _header(line: bytes) -> Sequence[bytes]:
    name, _, value = line.partition(b":")
    return name.strip().lower(), value.strip()


if __name__ == "__main__":
    serving = SqsServer()
    serving.start()
    print(serving.url, flush=True)  # noqa: T201 - whoever started this reads the address
    threading.Event().wait()
